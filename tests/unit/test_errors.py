import ast
import pickle
from pathlib import Path

import kerbstone
from kerbstone.errors import CODES, InputError, MissingError, missing_extra, suggest_name

SOURCE = Path(kerbstone.__file__).parent


def raised_codes() -> set[str]:
    """Collect the first argument of every call of an error class in the source."""
    codes = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if (
                name in {"KerbstoneError", "InputError", "UsageError", "MissingError"}
                and isinstance(first, ast.Constant)
                and isinstance(first.value, str)
            ):
                codes.add(first.value)
    return codes


def test_error_shows_what_where_why_and_try():
    error = InputError("clock", "times go backwards", where="a.csv", why="3 < 4", remedy="sort it")
    assert str(error).splitlines() == [
        "error[clock]: times go backwards",
        "  in   a.csv",
        "  why  3 < 4",
        "  try  sort it",
    ]


def test_error_keeps_everything_across_processes():
    error = InputError("clock", "what", where="where", why="why", remedy="try")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is InputError
    assert copy.to_dict() == error.to_dict()


def test_every_raised_code_is_listed():
    assert raised_codes() <= set(CODES)


def test_missing_extra_names_the_command_that_adds_it():
    error = missing_extra("sumo", "simulating traffic")
    assert isinstance(error, MissingError)
    assert error.exit_code == 4
    assert "pip install 'kerbstone[sumo]'" in str(error)


def test_suggestion_lists_choices_even_where_nothing_is_near():
    assert suggest_name("xyzzy", ["b", "a"]) == "Known: a, b"


def test_of_many_names_those_are_offered_that_are_near():
    many = [f"signal_{number}" for number in range(30)]
    assert suggest_name("signl_7", many).startswith("did you mean 'signal_7' or ")
    assert "Known" not in suggest_name("signl_7", many)
    assert suggest_name("xyzzy", many).endswith(" and 10 more")
    assert suggest_name("xyzzy", many, listed_by="`ls` lists them") == "`ls` lists them"
