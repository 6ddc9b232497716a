"""Reads who is meant: `at least three moving pedestrians`, `the ego vehicle`, `each other`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace

from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.chart import Readings, rule
from kerbstone.mine.words.places import Places

DEEPEST = 5
"""How many descriptions may stand one in another. A noun at this depth has none."""
_QUEUES = frozenset({"ahead(a, b)", "behind(a, b)"})


class Nouns(Places):
    """The rules for road users. What stands after a noun is another's to read."""

    @abstractmethod
    def modifiers(self, start: int, depth: int) -> list[tuple[tuple[p.Modifier, ...], int]]:
        """What stands after a noun, without a break; the longest reading first."""

    @abstractmethod
    def bare(self, start: int) -> list[tuple[p.Bare | p.Away, int]]:
        """A relation whose other is understood."""

    @rule
    def referent(self, start: int, depth: int) -> Readings:
        """Ego, a pronoun, or road users with all that describes them."""
        yield from self._queued(start)
        for end in self.after(start, "ego"):
            yield p.Ego(), end
        for end in self.after(start, "each_other"):
            for said, stop in self.bare(end):
                yield p.EachOther((said,)), stop
            yield p.EachOther(), end
        for end in self.after(start, "it"):
            yield p.It(), end
        for amount, begin in self.amount(start):
            for choices, end in self.choices(begin):
                tails = [(True, stop) for stop in self.after(end, "group")]
                for is_group, there in (*tails, (amount.grouped, end)):
                    things = replace(amount, choices=choices, grouped=is_group)
                    for said, stop in self.modifiers(there, depth + 1):
                        yield replace(things, modifiers=said), stop

    @rule
    def amount(self, start: int) -> Readings:
        """Road users of whom only is said how many they are."""
        anybody = p.Things(())
        for end in self.after(start, "group_of"):
            for count, stop in self.count(end):
                yield replace(anybody, count=count, grouped=True), stop
            for begin in (*self.after(end, "amount"), end):
                yield replace(anybody, grouped=True), begin
        for count, end in self.count(start):
            yield replace(anybody, count=count), end
        for number, end in self.find("amount", start):
            yield replace(anybody, count=p.Count(">=", number)), end
        for end in self.after(start, "no"):
            yield replace(anybody, count=p.Count("==", 0)), end
        for end in self.after(start, "its"):
            yield from self.amount(end)
        for end in self.after(start, "every"):
            yield replace(anybody, every=True), end
        for end in self.after(start, "another"):
            yield anybody, end
        yield anybody, start

    @rule
    def choices(self, start: int) -> Readings:
        """A noun with its adjectives, or several with `or` between them, or commas before it."""
        for (adjectives, noun), end in self._described(start):
            commas = self.after(end, "comma")
            options = [*self.after(end, "or")]
            options += [stop for comma in commas for stop in self.after(comma, "or")]
            for begin in [*options, *commas]:
                if not adjectives and self.is_relation(begin):
                    continue
                for others, stop in self.choices(begin):
                    # A comma alone only goes on to an `or`: else it begins something else.
                    if begin in options or len(others) > 1:
                        shared = tuple((own or adjectives, other) for own, other in others)
                        yield ((adjectives, noun), *shared), stop
            yield ((adjectives, noun),), end

    @rule
    def claim(self, start: int) -> Readings:
        """What it does or is: words of the lexicon, or a named scenario about one road user."""
        found: dict[int, p.Claim] = {}
        for claim, end in self.find("claim", start):
            found.setdefault(end, claim)
        for named, end in self.find("named", start):
            meanings = found[end].meanings if end in found else ()
            # Of whom the words are never said, the scenario is not, either.
            never = [pair for pair in meanings if not pair[0]]
            found[end] = p.Claim((*never, *named.meanings, *meanings))
        for end in sorted(found, reverse=True):
            yield found[end], end

    @rule
    def link(self, start: int) -> Readings:
        """How it is related to another: words of the lexicon, or a named scenario about two."""
        found: dict[int, p.Link] = {}
        for link, end in self.find("relation", start):
            found.setdefault(end, link)
        for named, end in self.find("named relation", start):
            plain = found.get(end)
            own = plain is not None and plain.own
            found[end] = replace(named, own=own, otherwise=plain)
        for end in sorted(found, reverse=True):
            yield found[end], end

    def is_relation(self, start: int) -> bool:
        """Return whether words relate the subject to others, though a noun could follow them.

        With an article before them, or among adjectives, they describe the noun: `overtaking
        cyclists` is what one does, `the overtaking cyclists` are who does.
        """
        begin = max((start, *self.after(start, "not")))
        return not self.has_article(begin) and bool(self.link(begin))

    @rule
    def queue(self, start: int) -> Readings:
        """A place in a queue: `two cars ahead of the bus`; without another, of ego."""
        for number, _, end in self._queue_head(start):
            for link, begin in self.find("relation", end):
                if link.meanings[0] in _QUEUES:
                    for other, stop in self.referent(begin, DEEPEST):
                        yield p.Queue(number, link, other), stop
            for link, stop in self.find("bare", end):
                if link.meanings[0] in _QUEUES:
                    yield p.Queue(number, link, p.Ego()), stop

    def _queued(self, start: int) -> Iterator[tuple[p.Things, int]]:
        """Whoever has that place: `the third car ahead of ego`, `two cars back from ego`."""
        for _, noun, end in self._queue_head(start):
            is_ordinal = bool(self.find("ordinal", start))
            # `two cars ahead of ego` are two cars, unless it says from where they are counted.
            if is_ordinal or [word.stem for word in self.words[end + 1 : end + 2]] == ["from"]:
                for said, stop in self.queue(start):
                    if stop > end:
                        yield p.Things((((), noun),), modifiers=(said,)), stop

    def _queue_head(self, start: int) -> Iterator[tuple[int, p.Noun, int]]:
        for number, end in [*self.number(start), *self.find("ordinal", start)]:
            if number in range(1, 10):
                for noun, stop in self.find("noun", end):
                    yield int(number), noun, stop

    @rule
    def _described(self, start: int) -> Readings:
        for noun, end in self.find("noun", start):
            yield ((), noun), end
        for adjective, end in self._adjective(start):
            for begin in (end, *self.after(end, "comma", "and")):
                # An article begins what an adjective would have to be inside of: in `overtaking a
                # cyclist` no cyclist overtakes.
                if not self.has_article(begin):
                    for (others, noun), stop in self._described(begin):
                        yield ((adjective, *others), noun), stop

    @rule
    def _adjective(self, start: int) -> Readings:
        for end in self.after(start, "not"):
            for said, stop in self._adjective(end):
                yield p.Negated(said), stop
        yield from self.claim(start)
        attributive = self.after(start, "attributive")
        for link, end in self.find("bare", start):
            if end in attributive and len(link.meanings) == 1 and not link.own:
                yield p.Bare(link), end
        for link, end in self.link(start):
            if link.alone:
                yield p.Relation((link,), (link.anybody,)), end
