"""Plain words to the scenario language, offline: a small grammar and a table of words.

No model takes part, the same words always give the same query, and a word that carries meaning and
is not known is an error, never left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from kerbstone.errors import InputError
from kerbstone.lang import compile_query, parse_query, print_query, tree
from kerbstone.lang.library import built_in_scenarios, check_scenario
from kerbstone.mine.words.lexicon import Lexicon, Word, read_lexicon
from kerbstone.mine.words.meaning import write_query
from kerbstone.mine.words.sentences import Sentences

_MOST_CHARACTERS = 1000
_MOST_WORDS = 60
_MOST_REFUSED = 8
_REMEDY = (
    "say it in other words, in the scenario language, or ask a language model (KERBSTONE_LLM_URL)"
)


def understand(text: str, *, scenarios: Mapping[str, tree.Scenario] | None = None) -> str:
    """Return the query that a description of road users and what they do stands for.

    Its first variable is whom the description is about; ego is `ego`. A named scenario is
    found by its name or its line of explanation, too.

    Args:
        text: Such as `vehicle with a bicycle to its right`, in English.
        scenarios: The named scenarios; the built-in ones if not given.

    Raises:
        InputError: Words are not known or do not fit together (`words`), or what they
            mean is no query (`query-…`).

    Example:
        >>> understand("stopped car")
        'car c: speed(c) < 0.5 m/s or stationary(c)'
        >>> understand("at least two pedestrians near a bus")
        'pedestrian p, bus b: distance(p, b) < 10 m and count(pedestrian p2: distance(p2, b) < 10 m) >= 2'
    """
    known = built_in_scenarios() if scenarios is None else scenarios
    if len(text) > _MOST_CHARACTERS:
        raise InputError(
            "words",
            "the description is too long",
            why=f"{len(text)} characters, at most {_MOST_CHARACTERS}",
            remedy="describe one situation",
        )
    lexicon = read_lexicon(tuple(known.values()))
    words, unknown = lexicon.read(text)
    if not words:
        raise InputError("words", "there is nothing to look for", remedy="describe road users")
    if len(words) > _MOST_WORDS:
        raise InputError(
            "words",
            "the description is too long",
            why=f"{len(words)} words, at most {_MOST_WORDS}",
            remedy="describe one situation",
        )
    if named := find_scenario(words, known, lexicon):
        return named
    _check_names(words, lexicon)
    if unknown:
        raise _refuse(unknown, words, known, lexicon)
    sentence, end = Sentences(words, lexicon).read()
    if sentence is None or end < len(words):
        raise _refuse([words[end]], words, known, lexicon)
    query = write_query(sentence, lexicon.limits)
    return _check(query, known)


def find_scenario(
    words: Sequence[Word], scenarios: Mapping[str, tree.Scenario], lexicon: Lexicon
) -> str | None:
    """Return the query of the scenario that words name, by its name or its explanation."""
    said = [word.stem for word in words]
    for name, scenario in scenarios.items():
        if said == [word.stem for word in lexicon.read(name)[0]]:
            return check_scenario(scenario, scenarios).text
    explained = [
        scenario
        for scenario in scenarios.values()
        if said == [word.stem for word in lexicon.read(scenario.doc)[0]]
    ]
    return check_scenario(explained[0], scenarios).text if len(explained) == 1 else None


def _check_names(words: Sequence[Word], lexicon: Lexicon) -> None:
    """Refuse the names of what no scene holds: a bus stop is no bus that stops."""
    for start in range(len(words)):
        for reason, end in lexicon.find("unsayable", words, start):
            name = " ".join(word.said for word in words[start:end])
            numbers = ", ".join(str(word.number) for word in words[start:end])
            raise InputError(
                "words",
                f"{name!r} cannot be looked for",
                where=f"the description, words {numbers}",
                why=reason,
                remedy="leave it out; for a vehicle that stops, say 'that stops'",
            )


def _check(query: tree.Query, scenarios: Mapping[str, tree.Scenario]) -> str:
    """Return the canonical text of a query that fits the language in every way."""
    again = parse_query(print_query(query), source="the query of the words")
    return compile_query(again, scenarios=scenarios, source="the query of the words").text


def _refuse(
    refused: list[Word],
    words: Sequence[Word],
    scenarios: Mapping[str, tree.Scenario],
    lexicon: Lexicon,
) -> InputError:
    """Return the error for words that are not understood, with what is."""
    refused = list(refused)
    rest = [word for word in words if word not in refused]
    sentence = None
    while rest and len(refused) <= _MOST_REFUSED:
        sentence, end = Sentences(rest, lexicon).read()
        if end == len(rest):
            break
        refused.append(rest.pop(end))
    refused.sort(key=lambda word: word.number)
    understood = ""
    if sentence is not None:
        try:
            understood = _check(write_query(sentence, lexicon.limits), scenarios)
        except InputError:
            understood = ""
    known = lexicon.vocabulary
    near = {
        match
        for word in refused[:_MOST_REFUSED]
        if word.stem not in known
        for match in difflib.get_close_matches(word.stem, known, n=2)
    }
    shown = refused[:_MOST_REFUSED]
    listing = ", ".join(repr(word.said) for word in shown)
    listing += f" and {len(refused) - len(shown)} more" if len(refused) > len(shown) else ""
    is_are = "is" if len(refused) == 1 else "are"
    numbers = ", ".join(str(word.number) for word in shown)
    here = " here" if all(word.stem in known for word in refused) else ""
    return InputError(
        "words",
        f"{listing} {is_are} not understood{here}",
        where=f"the description, word{'s' if len(refused) > 1 else ''} {numbers}",
        why=f"understood: {understood}" if understood else "",
        remedy=(f"did you mean {', '.join(sorted(near))}? Or " if near else "") + _REMEDY,
    )
