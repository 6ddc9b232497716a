"""Plain words to the scenario language, by a language model that the user configures.

The model only proposes. Its answer is parsed and type-checked; if that fails, it gets the error and
one more try. Nothing of it is run, and the query is handed back to be shown.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kerbstone.errors import InputError
from kerbstone.lang import compile_query, parse_query, tree
from kerbstone.lang.library import built_in_scenarios, check_scenario
from kerbstone.mine.query.endpoint import Settings, ask, read_settings, show
from kerbstone.mine.query.instructions import instruct, request

__all__ = ["Proposal", "Settings", "propose", "read_settings"]

_MOST_CHARACTERS = 2_000
_MOST_REPEATED = 4_000
_ROUNDS = 2


@dataclass(frozen=True)
class Proposal:
    """A query that a model made.

    Args:
        query: In canonical form; it fits the language.
        rounds: How often the model was asked.
        model: Its name.
    """

    query: str
    rounds: int
    model: str


def propose(
    text: str,
    *,
    settings: Settings,
    scenarios: Mapping[str, tree.Scenario] | None = None,
    names: Sequence[str] = (),
) -> Proposal:
    """Return the query that a language model makes of a description.

    Args:
        text: The description, in any language that the model knows.
        settings: Which model to ask.
        scenarios: The named scenarios that it may use; the built-in ones if not given.
        names: Names from data that the description may mention, such as ids of scenes.

    Raises:
        InputError: The description is too long (`words`), or the model's answers are no query
            (`model-reply`).
        MissingError: The model cannot be asked (`model-service`, `missing-extra`).
    """
    if len(text) > _MOST_CHARACTERS:
        raise InputError(
            "words",
            "the description is too long",
            why=f"{len(text)} characters, at most {_MOST_CHARACTERS}",
        )
    known = built_in_scenarios() if scenarios is None else scenarios
    until = time.monotonic() + settings.timeout
    messages = [
        {"role": "system", "content": instruct(known)},
        {"role": "user", "content": request(text, names)},
    ]
    reply, wrong = "", None
    for rounds in range(1, _ROUNDS + 1):
        reply = ask(messages, settings, until=until)
        try:
            return Proposal(_check(_extract(reply), known), rounds, settings.model)
        except InputError as error:
            wrong = error
        messages += [
            {"role": "assistant", "content": reply[:_MOST_REPEATED]},
            {"role": "user", "content": f"That is no query:\n{wrong}\nAnswer with the query only."},
        ]
    raise InputError(
        "model-reply",
        "the language model's answer is no query of the language",
        where=f"{show(settings.model)} at {settings.place}",
        why=f"{show(wrong.what if wrong else '')}: {show(reply, secret=settings.key)}",
        remedy="say it in other words, or write the query in the language",
    )


def _extract(reply: str) -> str:
    """Return what of an answer is the query: what stands in its first fence, or all of it."""
    said = reply.rpartition("</think>")[2]
    parts = said.split("```")
    if len(parts) < 3:
        return said.strip()
    first, _, rest = parts[1].partition("\n")
    # A fence may name a language on its first line.
    return (rest if rest.strip() and first.strip().isalnum() else parts[1]).strip()


def _check(text: str, scenarios: Mapping[str, tree.Scenario]) -> str:
    """Return the canonical text of a query that fits the language in every way."""
    if text in scenarios:
        return check_scenario(scenarios[text], scenarios).text
    query = compile_query(parse_query(text), scenarios=scenarios).text
    if not query.isprintable():
        raise InputError("query-syntax", "there are control characters in a text of the query")
    return query
