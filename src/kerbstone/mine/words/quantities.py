"""Reads how much and how many: `over 30 mph`, `5 to 10 m`, `at least three`."""

from __future__ import annotations

from collections.abc import Iterator

from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.chart import Chart, Readings, rule

_MOST = 1e6
_SPEEDS = ("m/s", "km/h", "mph")
_LENGTHS = ("m", "cm", "km", "ft")
_TIMES = ("s", "min", "ms")


class Quantities(Chart):
    """The rules for numbers."""

    def number(self, start: int) -> list[tuple[float, int]]:
        """A number in digits or in letters."""
        found: list[tuple[float, int]] = list(self.find("number", start))
        if start < len(self.words) and self.words[start].stem[0].isdecimal():
            number = float(self.words[start].stem)
            if number <= _MOST:
                found.append((number, start + 1))
        return found

    @rule
    def count(self, start: int) -> Readings:
        """How many there are."""
        for operator, end in self.comparison(start):
            for number, stop in self.number(end):
                if number == int(number) and operator != "~":
                    yield p.Count(operator, int(number)), stop
        for number, end in self.number(start):
            if number == int(number):
                for stop in self.after(end, "more"):
                    yield p.Count(">=", int(number)), stop
                yield p.Count(">=" if number else "==", int(number)), end

    def speed(self, start: int) -> list[tuple[p.Bounds, int]]:
        """A speed and how it compares."""
        return self.quantity(start, _SPEEDS)

    def distance(self, start: int) -> list[tuple[p.Bounds, int]]:
        """A distance and how it compares."""
        return self.quantity(start, _LENGTHS)

    def duration(self, start: int) -> list[tuple[p.Bounds, int]]:
        """A time and how it compares."""
        return self.quantity(start, _TIMES)

    def gap(self, start: int) -> list[tuple[p.Bounds | None, int]]:
        """A distance that may stand before a relation, and none."""
        return [*self.distance(start), (None, start)]

    @rule
    def measured(self, start: int) -> Readings:
        """What is said about a road user with a number: its speed, acceleration or size."""
        yield from self._beyond_limit(start)
        for bounds, end in self.speed(start):
            # `slower than …` and `that is at …` are about the noun before them.
            word = self.words[start]
            is_loose = word.stem == "at" and not word.is_clause
            yield p.Measured("speed(a)", bounds, is_loose), end
        for term, end in self.find("rate", start):
            for bounds, stop in self.quantity(end, ("m/s2", "m/s")):
                # People say metres per second for how fast a speed changes, too.
                yield p.Measured(term, p.Bounds(bounds.limits, "m/s2")), stop
        for (term, operator), end in self.find("attribute comparison", start):
            for number, there in self.number(end):
                for unit, stop in self._unit(there, _LENGTHS):
                    yield p.Measured(term, p.Bounds(((operator, number),), unit)), stop
        for bounds, end in self.distance(start):
            for term, stop in self.find("attribute", end):
                yield p.Measured(term, bounds), stop

    def _beyond_limit(self, start: int) -> Iterator[tuple[p.Claim, int]]:
        """By how much somebody is over or under the speed limit: `10 km/h over the speed limit`."""
        for excess, end in self._excess(start):
            for sign, stop in self.find("beyond limit", end):
                yield _beyond_limit(sign, excess), stop
        for sign, end in self.find("limit beyond", start):
            for excess, stop in self._excess(end):
                yield _beyond_limit(sign, excess), stop

    def _excess(self, start: int) -> list[tuple[p.Bounds, int]]:
        """A speed difference; without a comparison it is reached at least."""
        plain = [
            (p.Bounds(((">=", number),), unit), stop)
            for number, end in self.number(start)
            for unit, stop in self._unit(end, _SPEEDS)
        ]
        return plain or self.speed(start)

    def comparison(self, start: int) -> list[tuple[str, int]]:
        """How something compares: `over`, `at over`."""
        found = self.find("comparison", start)
        inner = [self.comparison(end) for operator, end in found if operator == "~"]
        return [*(pair for pairs in inner for pair in pairs), *found]

    @rule
    def quantity(self, start: int, units: tuple[str, ...]) -> Readings:
        """A number with one of these units, and how it compares."""
        for operator, end in self.comparison(start):
            for number, there in self.number(end):
                for unit, stop in self._unit(there, units):
                    yield self._bound(operator, number, unit), stop
        for begin in (*self.after(start, "between", "away"), start):
            yield from self._range(begin, units)
        for number, end in self.number(start):
            for unit, stop in self._unit(end, units):
                # Three seconds are three at least, while ten metres ahead is no more than that.
                yield self._bound(">=" if unit in _TIMES else "~", number, unit), stop

    def _range(self, start: int, units: tuple[str, ...]) -> Iterator[tuple[p.Bounds, int]]:
        for low, end in self.number(start):
            for begin in (end, *(stop for _, stop in self._unit(end, units))):
                for more in self.after(begin, "to"):
                    for high, there in self.number(more):
                        for unit, stop in self._unit(there, units):
                            if low <= high:
                                yield p.Bounds(((">=", low), ("<=", high)), unit), stop

    def _bound(self, operator: str, number: float, unit: str) -> p.Bounds:
        if operator == "~":
            share = self.lexicon.limits["speed" if unit in _SPEEDS else "distance"]
            low, high = (round(number * (1 + sign * share), 6) for sign in (-1, 1))
            return p.Bounds(((">=", low), ("<=", high)), unit)
        return p.Bounds(((operator, number),), unit)

    def _unit(self, start: int, units: tuple[str, ...]) -> list[tuple[str, int]]:
        return [(unit, end) for unit, end in self.find("unit", start) if unit in units]


def _beyond_limit(sign: str, excess: p.Bounds) -> p.Claim:
    """Return that a speed is that far beyond the limit, over it or under it."""
    turned = {">": "<", ">=": "<=", "<": ">", "<=": ">="} if sign == "-" else {}
    parts = [
        f"speed(a) {turned.get(operator, operator)} speed_limit(a) {sign} {number!r} {excess.unit}"
        for operator, number in excess.limits
    ]
    return p.Claim(((" and ".join(parts), ""),))
