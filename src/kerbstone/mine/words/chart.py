"""The chart that reading a sentence fills, and how its rules remember what they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

from kerbstone.mine.words.lexicon import Lexicon, Word

Readings = Iterator[tuple[Any, int]]
"""What a rule may read from a place on, and where each reading ends."""


def rule(read: Callable[..., Readings]) -> Callable[..., list[tuple[Any, int]]]:
    """Make a rule of a method: it reads each place once, and keeps the first reading of each end.

    So a rule gives the likeliest first, and the work grows with a low power of the number of
    words, whatever they are.
    """

    @wraps(read)
    def remember(self: Chart, start: int, *context: Any) -> list[tuple[Any, int]]:
        key = (read.__qualname__, start, context)
        if key not in self.known:
            ends: dict[int, Any] = {}
            for value, end in read(self, start, *context):
                ends.setdefault(end, value)
            self.known[key] = [(value, end) for end, value in ends.items()]
        return self.known[key]

    return remember


class Chart:
    """The words of a sentence, and what was read of them so far.

    Args:
        words: The words.
        lexicon: What they may mean.
    """

    def __init__(self, words: Sequence[Word], lexicon: Lexicon) -> None:
        self.words = words
        self.lexicon = lexicon
        self.known: dict[Any, list[tuple[Any, int]]] = {}

    def find(self, category: str, start: int) -> list[tuple[Any, int]]:
        """Return what the phrases of a category that stand here mean, the longest first."""
        return self.lexicon.find(category, self.words, start)

    def has_article(self, place: int) -> bool:
        """Return whether an article stands before a word."""
        return place < len(self.words) and self.words[place].has_article

    def after(self, start: int, *categories: str) -> list[int]:
        """Return where phrases end that stand here; they only join what is around them."""
        return [end for category in categories for _, end in self.find(category, start)]
