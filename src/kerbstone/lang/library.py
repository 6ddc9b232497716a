"""Named scenarios: the built-in ones and those of a user's own files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import takewhile
from pathlib import Path

from kerbstone.errors import InputError
from kerbstone.lang import tree
from kerbstone.lang.compiler import RESERVED, compile_query
from kerbstone.lang.formula import Compiled
from kerbstone.lang.parser import parse_library, parse_query
from kerbstone.lang.registry import known_signals

SUFFIX = ".scenario"
_MOST_BYTES = 1_000_000


@cache
def built_in_scenarios() -> Mapping[str, tree.Scenario]:
    """Return the scenarios that come with Kerbstone, by name."""
    return read_scenarios(_built_in_paths(), known={})


def built_in_files() -> list[tuple[Path, tuple[tree.Scenario, ...]]]:
    """Return the files of the built-in scenarios, each with what it holds."""
    return [
        (path, parse_library(path.read_text(encoding="utf-8"), source=path.name))
        for path in _built_in_paths()
    ]


def _built_in_paths() -> list[Path]:
    return sorted(Path(__file__).with_name("scenarios").glob(f"*{SUFFIX}"))


def read_scenarios(
    paths: Iterable[str | Path], *, known: Mapping[str, tree.Scenario] | None = None
) -> dict[str, tree.Scenario]:
    """Return named scenarios, checked, with those that are known already.

    Args:
        paths: Files of the language.
        known: Scenarios that they may call; the built-in ones if not given.

    Raises:
        InputError: A file cannot be read or is not in the language, a name is taken, or a
            scenario does not fit what it calls.
    """
    scenarios = dict(built_in_scenarios() if known is None else known)
    for path in map(Path, paths):
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise InputError("query-limit", "the file is too large", where=str(path))
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                "unreadable", "a file of scenarios cannot be read", where=str(path), why=str(error)
            ) from None
        for scenario in parse_library(text, source=str(path)):
            if taken := _taken(scenario.name, scenarios):
                raise InputError(
                    "duplicate",
                    f"there is {taken} {scenario.name!r} already",
                    where=f"{path}, {scenario.place}",
                    remedy="give it another name",
                )
            scenarios[scenario.name] = scenario
            try:
                check_scenario(scenario, scenarios)
            except InputError as error:
                raise InputError(
                    error.code,
                    error.what,
                    where=f"{path}, {error.where}",
                    why=error.why,
                    remedy=error.remedy,
                ) from None
    return scenarios


def _taken(name: str, scenarios: Mapping[str, tree.Scenario]) -> str:
    """Return what is called so already, empty if nothing is."""
    if name in scenarios:
        return "a scenario"
    if name in known_signals():
        return "a signal"
    return "a word of the language" if name in RESERVED else ""


def check_scenario(scenario: tree.Scenario, known: Mapping[str, tree.Scenario]) -> Compiled:
    """Return a scenario as the query that asks for it, with its defaults.

    Raises:
        InputError: It does not fit what it calls.
    """
    users = [p for p in scenario.parameters if p.kind and p.default is None]
    variables = tuple(tree.Variable(p.kind, p.name) for p in users)
    # Those before the first default go by place, as one would write it.
    placed = tuple(p.name for p in takewhile(lambda p: p.default is None, scenario.parameters))
    named = tuple((p.name, tree.Name(p.name)) for p in users if p.name not in placed)
    call = tree.Call(scenario.name, tuple(map(tree.Name, placed)), named)
    return compile_query(tree.Query(variables, call), scenarios=known)


def prepare(
    text: str, *, scenarios: Mapping[str, tree.Scenario] | None = None, source: str = ""
) -> Compiled:
    """Return a query, or a scenario by its name alone, ready to be evaluated.

    Args:
        text: The query, as in `vehicle v: speed(v) > 30 m/s`, or the name of a scenario.
        scenarios: The named scenarios; the built-in ones if not given.
        source: The query's name, for errors.

    Raises:
        InputError: It is not in the language, or its names, kinds or units do not fit.

    Example:
        >>> prepare("hard_braking").text
        'vehicle v: hard_braking(v)'
    """
    known = built_in_scenarios() if scenarios is None else scenarios
    named = known.get(text.strip())
    if named is not None:
        return check_scenario(named, known)
    return compile_query(parse_query(text, source=source), scenarios=known, source=source)
