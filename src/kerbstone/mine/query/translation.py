"""Whatever a user types, as a query: the language itself, a named scenario, or plain words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from kerbstone.errors import InputError
from kerbstone.lang import compile_query, parse_query, tree
from kerbstone.lang.library import built_in_scenarios, check_scenario
from kerbstone.mine.query.endpoint import Settings
from kerbstone.mine.query.queries import Way
from kerbstone.mine.words.description import understand

_LOOKS = re.compile(r"[A-Za-z_]\w*\(|^\s*\w+\s+\w+\s*(,\s*\w+\s+\w+\s*)*:")
"""A call, or variables before a colon: no plain words."""


@dataclass(frozen=True)
class Translation:
    """A query, and who made it.

    Args:
        query: In canonical form; it fits the language.
        by: `language` if it was one already, `scenario` if a name was given, `words` if the
            offline grammar made it, `model` if a language model did.
    """

    query: str
    by: Way


def translate(
    text: str,
    *,
    model: Settings | None = None,
    scenarios: Mapping[str, tree.Scenario] | None = None,
    first: Literal["words", "model"] = "words",
) -> Translation:
    """Return the query that a text stands for.

    Args:
        text: A query, the name of a scenario, or a description in plain words.
        model: The language model to ask for what the offline grammar does not understand; none
            is asked if not given.
        scenarios: The named scenarios; the built-in ones if not given.
        first: Who gets the plain words first. Who comes second gets what the first cannot do.

    Raises:
        InputError: It is none of them: an error of the language (`query-…`) for what looks like
            it, `words` or `model-reply` for what does not.
        MissingError: The model cannot be asked, and is needed: it comes first, or the offline
            grammar does not understand.

    Example:
        >>> translate("stopped car", scenarios={})
        Translation(query='car c: speed(c) < 0.5 m/s or stationary(c)', by='words')
    """
    known = built_in_scenarios() if scenarios is None else scenarios
    name = text.strip()
    if name in known:
        return Translation(check_scenario(known[name], known).text, "scenario")
    try:
        return Translation(compile_query(parse_query(text), scenarios=known).text, "language")
    except InputError:
        if _LOOKS.search(text):
            raise
    return translate_words(text, model=model, scenarios=known, first=first)


def translate_words(
    text: str,
    *,
    model: Settings | None = None,
    scenarios: Mapping[str, tree.Scenario],
    first: Literal["words", "model"] = "words",
) -> Translation:
    """Return the query that a description in plain words stands for; as `translate` for the rest.

    Raises:
        InputError: Nobody understands it.
        MissingError: The model cannot be asked, and is needed.
    """
    ways: dict[Way, Callable[[], str]] = {"words": lambda: understand(text, scenarios=scenarios)}
    if model is not None:
        ways["model"] = lambda: _propose(text, model, scenarios)
    order = sorted(ways, key=lambda way: way != first)
    for way in order[:-1]:
        try:
            return Translation(ways[way](), way)
        except InputError:
            continue
    return Translation(ways[order[-1]](), order[-1])


def _propose(text: str, model: Settings, scenarios: Mapping[str, tree.Scenario]) -> str:
    from kerbstone.mine.query.language_model import propose

    return propose(text, settings=model, scenarios=scenarios).query
