"""What a user types, as a query: the language itself, the name of a scenario, or plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kerbstone.errors import InputError, KerbstoneError, suggest_name
from kerbstone.lang import Compiled, tree
from kerbstone.lang.library import built_in_scenarios, prepare

if TYPE_CHECKING:
    from kerbstone.mine.query.endpoint import Settings

Way = Literal["language", "scenario", "words", "model"]

# What plain words do not have, and every query but the name of a scenario has.
_MARKS = re.compile(r"[():<>=\[\]]")


@dataclass(frozen=True, eq=False)
class Understood:
    """A query and where it comes from.

    Args:
        query: The query.
        given: As it was typed.
        by: Who made it: the user in the language or by a scenario's name, or from plain words
            the offline grammar or a language model.
    """

    query: Compiled
    given: str
    by: Way = "language"


def understand_query(
    text: str,
    *,
    scenarios: Mapping[str, tree.Scenario] | None = None,
    model: Settings | None = None,
    first: Literal["words", "model"] = "words",
) -> Understood:
    """Return the query that a text stands for.

    Args:
        text: A query of the language, the name of a scenario, or plain words.
        scenarios: The named scenarios; the built-in ones if not given.
        model: The language model to ask for plain words; none if not given.
        first: Whether the offline grammar or the model gets plain words first; the other one gets
            what the first cannot do.

    Raises:
        InputError: It is none of them. Of a text that has the marks of the language, the error
            says what is wrong with it as a query.
        KerbstoneError: A language model was asked, and did not answer with a query.
    """
    known = built_in_scenarios() if scenarios is None else scenarios
    looks_plain = text.strip() not in known and _MARKS.search(text) is None
    try:
        if not looks_plain:
            by: Way = "scenario" if text.strip() in known else "language"
            return Understood(prepare(text, scenarios=known, source="query"), text, by)
    except KerbstoneError as error:
        if error.code != "query-syntax":
            raise
        wrong = error
    else:
        wrong = None
    from kerbstone.mine.query.translation import translate_words

    try:
        said = translate_words(text, model=model, scenarios=known, first=first)
    except KerbstoneError:
        if wrong is not None:
            raise wrong from None
        name = text.strip()
        if "_" in name and name.isidentifier():
            raise InputError(
                "query-name",
                f"there is no scenario {name!r}",
                where="query",
                remedy=suggest_name(name, known),
            ) from None
        raise
    return Understood(prepare(said.query, scenarios=known, source=said.by), text, said.by)
