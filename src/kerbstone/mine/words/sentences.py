"""Reads the words of a sentence into phrases.

A chart parser without a separate grammar file: each method is a rule. What follows a noun is taken
to be about that noun, if it can be: `vehicle behind a truck turning left` has a turning truck. The
recording car needs no description, so that what follows it is about the subject again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kerbstone.lang import UNITS
from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.chart import Readings, rule
from kerbstone.mine.words.company import relates_to_it
from kerbstone.mine.words.modifiers import Modifiers
from kerbstone.mine.words.nouns import DEEPEST

_ON_ROOT = -1
"""The depth of what is said about the subject itself."""
_VEHICLE = p.Things((((), p.Noun("vehicle", name="v")),))


class Sentences(Modifiers):
    """The rules for sentences."""

    def read(self) -> tuple[p.Sentence | None, int]:
        """Return the reading that goes furthest, and how many words it spans."""
        return max(self.sentence(0), key=lambda reading: reading[1], default=(None, 0))

    @rule
    def sentence(self, start: int) -> Readings:
        """A subject with what is said about it; without one, any vehicle is meant."""
        for whole, end in self.referent(start, DEEPEST):
            subject = self._each(whole, start)
            for more in self.after(end, "and"):
                for other, there in self.referent(more, DEEPEST):
                    for said, stop in self._story(there):
                        # Neither of the two is who was spoken of.
                        if said and not any(relates_to_it(part) for part in said):
                            yield p.Sentence((subject, other), said), stop
            for said, stop in self._story(end):
                yield p.Sentence((subject,), said), stop
        for said, stop in self._story(start):
            if said:
                yield p.Sentence((_VEHICLE,), said), stop

    def _each(self, subject: p.Referent, start: int) -> p.Referent:
        """Return whom to look for: `find all cars` asks for each car, not about all of them."""
        if isinstance(subject, p.Things) and subject.every and self.words[start].is_clause:
            return replace(subject, every=False)
        return subject

    @rule
    def _story(self, start: int) -> Readings:
        """All that is said about the subject, with commas or `and` between it or without."""
        told = [
            ((first, *rest), stop)
            for first, end in self._step(start)
            for rest, stop in self._story(end)
        ]
        # The subject itself is who `it` is: `behind a truck and a bus behind it` has one behind it.
        for is_dangling in (False, True):
            for said, stop in told:
                if any(relates_to_it(part) for part in said) is is_dangling:
                    yield said, stop
        yield (), start

    @rule
    def _step(self, start: int) -> Readings:
        commas = self.after(start, "comma")
        ands = [end for begin in (start, *commas) for end in self.after(begin, "and")]
        for begin in (start, *commas, *ands):
            yield from self._sequel(begin)
            yield from self._lasting(begin)
            yield from self._meanwhile(begin)
            yield from self.either(begin, _ON_ROOT)
        for begin in ands:
            yield from self._clause(begin)

    def _lasting(self, start: int) -> Iterator[tuple[p.Lasting, int]]:
        for end in self.after(start, "for"):
            for bounds, stop in self.duration(end):
                # What lasts is also part of what lasts longer: only a least time can be said.
                if len(bounds.limits) == 1 and bounds.limits[0][0] in {">", ">="}:
                    yield p.Lasting(bounds.limits[0][1] * UNITS[bounds.unit].factor), stop

    def _sequel(self, start: int) -> Iterator[tuple[p.Sequel, int]]:
        for order in ("then", "before", "after", "until"):
            for begin in self.after(start, order):
                for other, end in self._other(begin):
                    yield p.Sequel(order, other), end
                    for there in self.after(end, "within"):
                        for bounds, stop in self.duration(there):
                            within = bounds.limits[0][1] * UNITS[bounds.unit].factor
                            yield p.Sequel(order, other, within), stop

    @rule
    def _other(self, start: int) -> Readings:
        """What comes before or after: a sentence of its own, or more about the same subject."""
        yield from self._clause(start)
        for said, end in self.modifiers(start, 0):
            for begin in self.after(end, "and"):
                for more, stop in self.modifiers(begin, 0):
                    if said and more:
                        yield p.Meanwhile(None, (*said, *more)), stop
            if said:
                yield p.Meanwhile(None, said), end

    def _meanwhile(self, start: int) -> Iterator[tuple[p.Modifier, int]]:
        for begin in self.after(start, "while"):
            for said, end in self.either(begin, _ON_ROOT):
                yield p.Meanwhile(None, (said,)), end
            yield from self._clause(begin)
            for subject, end in self.referent(begin, DEEPEST):
                if isinstance(subject, p.Things):
                    yield p.With((subject,), "meanwhile"), end

    @rule
    def _clause(self, start: int) -> Readings:
        """A sentence inside the sentence: it has a subject and says something about it."""
        for subject, end in self.referent(start, DEEPEST):
            if not isinstance(subject, p.EachOther):
                for said, stop in self.modifiers(end, 0):
                    if said:
                        yield p.Meanwhile(subject, said), stop
