"""The words that the offline grammar knows, with their meanings: `lexicon.toml`, made searchable."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from kerbstone.lang import tree
from kerbstone.mine.words.phrases import Claim, Link, Noun
from kerbstone.mine.words.tokens import bases, spell, split_text

Entry = tuple[str, Sequence[str], Any]
"""A category, words, and what they mean."""

_NAMES = frozenset({"noun", "place", "mutual"})
"""Categories whose words must be written as the lexicon has them, but for a plural."""
_TABLES = {
    "number": "numbers",
    "ordinal": "ordinals",
    "amount": "amounts",
    "comparison": "comparisons",
    "unit": "units",
    "rate": "rates",
    "preposition": "prepositions",
    "attribute": "attributes",
    "side": "sides",
    "origin": "origins",
    "mutual": "mutual",
    "beyond limit": "beyond_limit",
    "limit beyond": "limit_beyond",
    "unsayable": "unsayable",
}
"""Tables of the file that say a meaning and its words, by the category of the words."""
_DETAILS = frozenset({"reach", "alone", "each", "suffix", "side", "own", "kinds"})


@dataclass(frozen=True)
class Word:
    """A word of a sentence.

    Args:
        stem: Its base form, as the lexicon has it.
        said: As it was written.
        number: Which word of the sentence it is, from 1 on.
        is_clause: Whether it begins one: `that is crossing`.
        has_article: Whether an article stands before it, which begins a new noun phrase.
    """

    stem: str
    said: str
    number: int
    is_clause: bool = False
    has_article: bool = False


@dataclass(frozen=True)
class _Phrase:
    """Words of the lexicon: their base forms, as they are written, and what they mean."""

    stems: tuple[str, ...]
    written: tuple[str, ...]
    value: Any


class Lexicon:
    """Phrases by category, and the words that they are made of.

    Args:
        data: What the file says.
        further: Entries beside those of the file.
    """

    def __init__(self, data: Mapping[str, Any], further: Iterable[Entry] = ()) -> None:
        words = data["words"]
        entries = [*_entries(data), *further]
        self.limits: Mapping[str, Any] = data["limits"]
        """The distances, times and shares that stand in for what words leave open."""
        self._articles = frozenset(words["articles"])
        self._fillers = frozenset([*words["articles"], *words["fillers"]])
        self._irregular: Mapping[str, str] = words["irregular"]
        self._whole = frozenset(words["whole"])
        spelled = [
            (category, {said for form in forms for said in spell(form)}, value)
            for category, forms, value in entries
        ]
        self.vocabulary = frozenset(
            word for _, all_said, _ in spelled for said in all_said for word in said
        )
        """Every word that is known."""
        self._phrases: dict[tuple[str, str], list[_Phrase]] = {}
        for category, all_said, value in spelled:
            kept = [[word for word in said if word not in self._fillers] for said in all_said]
            phrases = {(tuple(map(self.stem, said)), tuple(said)) for said in kept if said}
            for stems, written in sorted(phrases):
                phrase = _Phrase(stems, written, value)
                self._phrases.setdefault((category, stems[0]), []).append(phrase)
        for found in self._phrases.values():
            found.sort(key=lambda phrase: -len(phrase.stems))

    def read(self, text: str) -> tuple[list[Word], list[Word]]:
        """Return the words of a text that carry meaning, and those of them that are not known."""
        words = []
        is_clause = has_article = False
        for number, said in enumerate(split_text(text), start=1):
            if said in self._fillers:
                is_clause |= said not in self._articles
                has_article |= said in self._articles
            else:
                words.append(Word(self.stem(said), said, number, is_clause, has_article))
                is_clause = has_article = False
        unknown = [
            word
            for word in words
            if word.stem not in self.vocabulary and not word.stem[0].isdecimal()
        ]
        return words, unknown

    def stem(self, word: str) -> str:
        """Return the base form of a word, itself if there is none that is known."""
        if word in self._irregular:
            return self._irregular[word]
        # What stands by itself in the lexicon with this ending means something of its own.
        if word in self._whole or (word.endswith("ed") and word in self.vocabulary):
            return word
        known = (base for base in bases(word) if base in self.vocabulary)
        if word.endswith("ed"):
            # What has a participle of its own has no other: `stoped` is not `stopping`.
            known = (base for base in known if not self._has_participle(base))
        base = next(known, word)
        # `crossings` are what a `crossing` is.
        return word if base == word else self.stem(base)

    def _has_participle(self, base: str) -> bool:
        return bool({f"{base}ed", f"{base}d", f"{base}{base[-1]}ed"} & self.vocabulary)

    def find(self, category: str, words: Sequence[Word], start: int) -> list[tuple[Any, int]]:
        """Return what the phrases that start here mean, and where each ends, the longest first."""
        if start >= len(words):
            return []
        found = []
        for phrase in self._phrases.get((category, words[start].stem), ()):
            here = words[start : start + len(phrase.stems)]
            if tuple(word.stem for word in here) != phrase.stems:
                continue
            if category == "unsayable":
                fits = tuple(word.said for word in here) == phrase.written
            else:
                fits = category not in _NAMES or self._is_name(here, phrase.written)
            if fits:
                found.append((phrase.value, start + len(phrase.stems)))
        return found

    def _is_name(self, words: Sequence[Word], written: Sequence[str]) -> bool:
        """Return whether words are a name, not a clause that its words could make, too.

        In `pedestrian that is crossing`, `pedestrian crosses` and `pedestrians crossing` there is
        no pedestrian crossing.
        """
        if any(word.is_clause for word in words[1:]):
            return False
        *before, (last, form) = (
            (word.said, form) for word, form in zip(words, written, strict=True)
        )
        if self.stem(form) == form:
            # `bikes` is a plural, `biking` is not.
            return not last.endswith(("ing", "ed")) or last == form
        return last in {form, f"{form}s"} and all(said == one for said, one in before)


@lru_cache(maxsize=8)
def read_lexicon(scenarios: tuple[tree.Scenario, ...] = ()) -> Lexicon:
    """Return the built-in lexicon with the names of scenarios as words of their own.

    Those are taken that are about one road user or two; their names are said with spaces.
    """
    text = Path(__file__).with_name("lexicon.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return Lexicon(data, _named(scenarios, data))


def _entries(data: Mapping[str, Any]) -> Iterable[Entry]:
    """Give everything in the file."""
    for category, table in _TABLES.items():
        for meaning, forms in data[table].items():
            is_number = table in {"numbers", "ordinals", "amounts"}
            yield category, forms, int(meaning) if is_number else meaning
    for key, forms in data["keys"].items():
        yield key, forms, key
    for category, forms in data["unsaid"].items():
        yield category, forms, None
    for comparison, forms in data["attribute_comparisons"].items():
        yield "attribute comparison", forms, comparison.split()
    for place in data["places"].values():
        yield "place", place["words"], place
    for noun in data["nouns"].values():
        labels, where = tuple(noun.get("label", ())), noun.get("where", "")
        yield "noun", noun["words"], Noun(noun["kind"], labels, where, noun["name"])
    yield from _claims(data)
    for category in ("relations", "around", "bare"):
        for entry in data[category]:
            yield from _links(category, entry)


def _claims(data: Mapping[str, Any]) -> Iterable[Entry]:
    for meaning, forms in data["claims"].items():
        yield "claim", forms, Claim(((meaning, ""),))
    for entry in data["by_kind"]:
        kinds = [(key, "" if key == "any" else key) for key in entry if key != "words"]
        yield "claim", entry["words"], Claim(tuple((entry[key], kind) for key, kind in kinds))


def _links(category: str, entry: Mapping[str, Any]) -> Iterable[Entry]:
    reach, side = entry.get("reach", ""), entry.get("side", "")
    for suffix in entry.get("suffix", ()):
        yield "suffix", [suffix], suffix
    for meaning, forms in entry.items():
        if meaning in _DETAILS:
            continue
        parts = tuple(meaning.split(" | ")) if entry.get("each") else (meaning,)
        if category == "around":
            yield "around", forms, (Link(parts), tuple(entry["suffix"]))
        elif category == "relations":
            alone, own = entry.get("alone", False), entry.get("own", False)
            one, other = entry.get("kinds", ("", ""))
            yield "relation", forms, Link(parts, reach, alone, own, side, (one, other))
        else:
            # With its pronoun a phrase is about another than without, so that they are two.
            own = entry.get("own", False)
            yield "bare", [_without_pronoun(form) for form in forms], Link(parts, reach, own=own)
            yield "bare", [_with_pronoun(form) for form in forms], Link(parts, reach, own=True)


def _without_pronoun(form: str) -> str:
    plain = form.replace("(its)", "")
    return "" if "its" in plain.split() or plain.endswith(" it") else plain


def _with_pronoun(form: str) -> str:
    said = form.replace("(its)", "its")
    return said if "its" in said.split() or said.endswith(" it") else ""


def _named(scenarios: Iterable[tree.Scenario], data: Mapping[str, Any]) -> Iterable[Entry]:
    """Give the words for named scenarios: their names, and what the file says of them."""
    said: dict[str, dict[str, list[str]]] = {}
    for call, forms in data["scenarios"].items():
        said.setdefault(call.partition("(")[0], {})[call] = forms

    def calls(name: str, users: int) -> list[tuple[str, list[str]]]:
        # A user's scenario of the same name may be about others.
        found = said.get(name, {}).items()
        return [(call, forms) for call, forms in found if call.count(",") == users - 1]

    for scenario in scenarios:
        needed = [part for part in scenario.parameters if part.default is None]
        users = [part for part in needed if part.kind]
        if len(users) < len(needed) or len(users) not in {1, 2}:
            continue
        # Those that are given by place come first; the others go by their names.
        is_placed = list(scenario.parameters[: len(users)]) == users
        given = [
            letter if is_placed else f"{part.name} = {letter}"
            for part, letter in zip(users, "ab", strict=False)
        ]
        name, call = scenario.name.replace("_", " "), f"{scenario.name}({', '.join(given)})"
        kinds = [part.kind for part in users]
        if len(users) == 1:
            yield "named", [name, f"make {name}"], Claim(((call, kinds[0]),))
            for other, forms in calls(scenario.name, 1):
                yield "named", forms, Claim(((other, kinds[0]),))
            continue
        pair = (kinds[0], kinds[1])
        named = Link((call,), alone=True, kinds=pair)
        yield "named relation", [name, f"make {name}"], named
        for other, forms in calls(scenario.name, 2):
            both = pair if other.endswith("(a, b)") else (pair[1], pair[0])
            yield "named relation", forms, Link((other,), kinds=both)
