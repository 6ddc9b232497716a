"""Reads what is said about somebody: what they do, where they are, and to whom they are related."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.chart import Readings, rule
from kerbstone.mine.words.company import is_placed, names_it, share_place
from kerbstone.mine.words.motion import crosses, has_loose_speed, is_motion
from kerbstone.mine.words.nouns import DEEPEST, Nouns


class Modifiers(Nouns):
    """The rules for descriptions."""

    @rule
    def modifiers(self, start: int, depth: int) -> Readings:
        """What stands after a noun, without a break; the longest reading first."""
        if depth <= DEEPEST:
            for first, end in self.either(start, depth):
                for rest, stop in self.modifiers(end, depth):
                    yield (first, *rest), stop
        yield (), start

    @rule
    def either(self, start: int, depth: int) -> Readings:
        """One thing that is said, or two with `or` between them."""
        for one, end in self.modifier(start, depth):
            for begin in self.after(end, "or"):
                for other, stop in self.either(begin, depth):
                    yield p.Either(one, other), stop
            yield one, end

    @rule
    def modifier(self, start: int, depth: int) -> Readings:
        """One thing that is said."""
        # What the lexicon has as a whole comes before what is made of parts: `across the road`.
        whole = {end: claim for claim, end in self.claim(start)}
        for said, end in self._composed(start, depth):
            yield whole.get(end, said), end
        for end, claim in whole.items():
            yield claim, end
        yield from self._changed(start, depth)

    def _composed(self, start: int, depth: int) -> Iterator[tuple[p.Modifier, int]]:
        for end in self.after(start, "without"):
            for other, stop in self.referent(end, depth + 1):
                yield p.Negated(p.With((other,))), stop
        for end in self.after(start, "with"):
            for others, stop in self._company(end, depth):
                yield p.With(others), stop
        yield from self.measured(start)
        # A place comes before a road user: `at a pedestrian crossing`.
        yield from self.place(start)
        yield from self.queue(start)
        yield from self.between(start, depth)
        for meaning, stop in self.find("mutual", start):
            yield p.Relation((p.Link((meaning,)),), (p.EachOther(),)), stop
        yield from self.relation(start, depth)
        yield from self.bare(start)
        yield from self.around(start)

    def _changed(self, start: int, depth: int) -> Iterator[tuple[p.Modifier, int]]:
        """Something said with a word before it that changes when or whether it holds."""
        changes: dict[str, Callable[[p.Modifier], p.Modifier]] = {
            "not": p.Negated,
            "never": lambda said: p.Throughout(p.Negated(said)),
            "always": p.Throughout,
            "about": p.Shortly,
            "waiting_to": lambda said: p.Shortly(said, is_waiting=True),
        }
        for key, change in changes.items():
            for end in self.after(start, key):
                for said, stop in self.modifier(end, depth):
                    yield change(said), stop

    @rule
    def relation(self, start: int, depth: int) -> Readings:
        """A relation to somebody who is named, or, where that may be, to anybody."""
        for gap, begin in self.gap(start):
            for links, end in self._links(begin):
                if len(links) == 1:
                    yield from self._sided(links[0], gap, end)
                yield from self._from_side(links, gap, end, depth)
                yield from self._related(links, gap, end, depth)
                yield from self._apart(links, end, depth)
        yield from self._apart((), start, depth)
        for gap, begin in self.gap(start):
            for link, end in self.link(begin):
                if link.alone:
                    yield p.Relation((link,), (link.anybody,), gap), end

    def _apart(
        self, links: tuple[p.Link, ...], start: int, depth: int
    ) -> Iterator[tuple[p.Relation, int]]:
        """How far it is from somebody: `within 5 m of a bus`, after `passing` or by itself."""
        for gap, end in self.distance(start):
            for begin in self.after(end, "away"):
                yield from self._related(links, gap, begin, depth)

    def _related(
        self, links: tuple[p.Link, ...], gap: p.Bounds | None, start: int, depth: int
    ) -> Iterator[tuple[p.Relation, int]]:
        """A relation and to whom."""
        moves = any(is_motion(link) for link in links)
        places = any(link.reach for link in links)
        for others, stop in self.others(start, depth):
            # `Overtaking a car at 40 km/h` says how fast the subject is.
            is_faster = moves and has_loose_speed(others[-1])
            # Nobody is at two places: `behind a truck and a bus behind it`.
            is_elsewhere = places and any(names_it(other) for other in others[1:])
            if not is_faster and not is_elsewhere:
                yield p.Relation(links, others, gap), stop

    def _from_side(
        self, links: tuple[p.Link, ...], gap: p.Bounds | None, start: int, depth: int
    ) -> Iterator[tuple[p.Relation, int]]:
        """From which side one crosses the way of another: `in front of a bus from the right`."""
        if len(links) == 1 and crosses(links[0]):
            for others, end in self.others(start, depth):
                for origin, stop in self.find("origin", end):
                    yield p.Relation((links[0].also(origin),), others, gap), stop

    def _sided(
        self, link: p.Link, gap: p.Bounds | None, start: int
    ) -> Iterator[tuple[p.Relation, int]]:
        """On which side one passes the other, said before the other, after it, or in its place."""
        if not link.side:
            return
        found: list[tuple[str, p.Referent, p.Bounds | None, int]] = []
        for sign, end in self.find("side", start):
            for begin in self.after(end, "by", "of"):
                found += [(sign, other, gap, stop) for other, stop in self.referent(begin, 1)]
        for other, end in [*self.referent(start, DEEPEST), (link.anybody, start)]:
            for close, begin in self.gap(end):
                found += [(sign, other, close or gap, e) for sign, e in self.find("side", begin)]
        for sign, other, close, stop in found:
            where = f" and {link.side} {sign}" if sign else ""
            sided = replace(link, meanings=(f"{link.meanings[0]}{where}",))
            yield p.Relation((sided,), (other,), close), stop

    @rule
    def _links(self, start: int) -> Readings:
        """One relation, or several to the same other: `facing and approaching`."""
        for link, end in self.link(start):
            for begin in self.after(end, "and"):
                for others, stop in self._links(begin):
                    yield (link, *others), stop
            yield (link,), end

    @rule
    def others(self, start: int, depth: int) -> Readings:
        """Whom it is about: one, or several with `and` between them."""
        for one, end in self.referent(start, depth + 1):
            for begin in self._further(one, end):
                for more, stop in self.others(begin, depth + 1):
                    # Who has a place of its own is not in that of the first: `ahead of ego and a
                    # bus behind it`.
                    if not (isinstance(one, p.Ego) and is_placed(more[0])):
                        yield (one, *more), stop
            yield (one,), end

    @rule
    def _company(self, start: int, depth: int) -> Readings:
        """With whom it is: one, or several with `and` between them."""
        for one, end in self.referent(start, depth + 1):
            for begin in self._further(one, end):
                for more, stop in self._company(begin, depth + 1):
                    yield (one, *(share_place(one, other) for other in more)), stop
            yield (one,), end

    def _further(self, one: p.Referent, start: int) -> Iterator[int]:
        """Give where another begins after `and` that is meant in the same way."""
        # What follows a pronoun is not about it: `with a truck behind it and a bus`.
        if isinstance(one, p.It):
            return
        for begin in self.after(start, "and"):
            if not self.is_relation(begin):
                yield begin

    @rule
    def between(self, start: int, depth: int) -> Readings:
        """In between two others, or among several of the same."""
        # To pass between others is no passing of somebody else.
        goes = [end for link, end in self.find("relation", start) if link.side]
        for begin in (start, *goes):
            for end in self.after(begin, "between"):
                for one, there in self.referent(end, depth + 1):
                    for more in self.after(there, "and"):
                        for other, stop in self.referent(more, depth + 1):
                            if not (begin > start and has_loose_speed(other)):
                                yield p.Between((one, other), begin > start), stop
                    # What is said with them is about who goes between, and that they are on both
                    # sides is what between means.
                    is_pair = isinstance(one, p.Things) and one.count in {None, p.Count(">=", 2)}
                    is_faster = begin > start and has_loose_speed(one)
                    if (
                        isinstance(one, p.Things)
                        and is_pair
                        and not one.has_company
                        and not is_faster
                    ):
                        same = replace(one.without_sides(), count=None)
                        yield p.Between((same, same), begin > start), there

    @rule
    def around(self, start: int) -> Readings:
        """A relation that names the other in the middle: `in the bus's path`."""
        for (link, suffixes), end in self.find("around", start):
            for other, there in self.referent(end, DEEPEST):
                for begin in (*self.after(there, "possessive"), there):
                    for suffix, stop in self.find("suffix", begin):
                        if suffix in suffixes:
                            if crosses(link):
                                for origin, after in self.find("origin", stop):
                                    yield p.Relation((link.also(origin),), (other,)), after
                            yield p.Relation((link,), (other,)), stop

    @rule
    def bare(self, start: int) -> Readings:
        """A relation whose other is understood: `ahead`, `over 30 m away`."""
        for gap, begin in self.gap(start):
            for link, end in self.find("bare", begin):
                yield p.Bare(link, gap), end
        for begin in (start, *self.after(start, "with")):
            for bounds, end in self.distance(begin):
                for stop in (*self.after(end, "away"), end):
                    yield p.Away(bounds), stop
