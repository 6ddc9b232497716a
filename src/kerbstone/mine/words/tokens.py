"""Takes texts apart into words, and words into what they may come from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_TOKEN = re.compile(
    r"\d+(?:\.\d+)?|m/s(?:\^?[23])?|meters?/second|km/h|and/or|'s|[^\W\d_]+|<=|>=|\S"
)
_SLASHED = frozenset({"m/s", "km/h", "m/s2", "m/s^2", "meter/second", "and/or"})
_NEGATION = re.compile(r"n't\b")
_JOINED = re.compile(r"(?<=[^\W\d])-(?=\w)|(?<=\d)-(?=[^\W\d])")
_PARTS = re.compile(r"\(([^)]*)\)|(\S+)")
_SAME = str.maketrans({"’": "'", "‘": "'", "–": "-", "—": "-", "‑": "-", "_": " "})
_SILENT = frozenset({".", "!", "?", '"', "'"})


def split_text(text: str) -> list[str]:
    """Return the words, numbers and signs of a text in small letters.

    Example:
        >>> split_text("Ego-vehicle isn't within 5-10m")
        ['ego', 'vehicle', 'is', 'not', 'within', '5', '-', '10', 'm']
    """
    plain = unicodedata.normalize("NFKC", text).lower().translate(_SAME)
    plain = _NEGATION.sub(" not", plain)
    # A hyphen joins words, but stands between numbers.
    plain = _JOINED.sub(" ", plain)
    return [token for token in _TOKEN.findall(plain) if token not in _SILENT]


def spell(form: str) -> set[tuple[str, ...]]:
    """Return all sequences of words that a form of the lexicon stands for.

    Example:
        >>> sorted(spell("turn (to) left/right"))
        [('turn', 'left'), ('turn', 'right'), ('turn', 'to', 'left'), ('turn', 'to', 'right')]
    """
    spelled: set[tuple[str, ...]] = {()}
    for group, word in _PARTS.findall(form):
        if group:
            options = {(), *spell(group)}
        else:
            options = {(part,) for part in ([word] if word in _SLASHED else word.split("/"))}
        spelled = {(*head, *tail) for head in spelled for tail in options}
    return spelled


def bases(word: str) -> Iterable[str]:
    """Give the forms that a word may come from: itself without its ending.

    Example:
        >>> list(bases("stopping"))
        ['stopp', 'stoppe', 'stop']
    """
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) > 1:
            yield stem
            yield stem + "e"
            if len(stem) > 2 and stem[-1] == stem[-2]:
                yield stem[:-1]
    if word.endswith("s") and len(word) > 3:
        yield word.removesuffix("s")
        yield word.removesuffix("es")
        if word.endswith("ies"):
            yield word.removesuffix("ies") + "y"
