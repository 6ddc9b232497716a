# Everything that a change must pass. CI runs the same.
check: lint types layers docs test

# Style and the house's rules.
lint:
    ruff format --check
    ruff check

# Static types.
types:
    basedpyright

# Who may import whom.
layers:
    lint-imports

# The documentation, with every broken link an error.
docs:
    zensical build --strict --clean

# All tests, those of a file together, with coverage of the rooms that must keep it at 90 %.
test *arguments:
    pytest --numprocesses 2 --dist loadscope --cov --cov-report= {{arguments}}
    coverage report --fail-under=90 --include='src/kerbstone/scene/*,src/kerbstone/store/*,src/kerbstone/formats/*,src/kerbstone/lang/*,src/kerbstone/mine/*,src/kerbstone/label/*'

# Write what the formatter and the linter can mend themselves.
fix:
    ruff check --fix
    ruff format

# All benchmarks, one after the other; each writes benchmarks/results/.
bench:
    for file in benchmarks/bench_*.py; do python "$file"; done
