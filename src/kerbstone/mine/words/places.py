"""Reads where something is on the map: `at an intersection`, `within 5 m of a crosswalk`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.chart import Readings, rule
from kerbstone.mine.words.quantities import Quantities

_NEAR = "< 10 m"
_AHEAD = "< 30 m"
_STOPS = "deceleration(a) > 0.5 m/s2"
_MOVES = "moving(a) and not {at} and {ahead} and eventually[0 s, 5 s]({at})"

Place = Mapping[str, str]


class Places(Quantities):
    """The rules for places."""

    @rule
    def place(self, start: int) -> Readings:
        """Where something is."""
        for bounds, end in self.distance(start):
            for begin in self.after(end, "away"):
                for place, stop in self._place_name(begin):
                    if "distance" in place:
                        limits = [
                            f"{operator} {number!r} {bounds.unit}"
                            for operator, number in bounds.limits
                        ]
                        meaning = " and ".join(_compare(place, limit) for limit in limits)
                        yield p.Claim(((meaning, ""),)), stop
        for role, end in self.find("preposition", start):
            for place, stop in self._place_name(end):
                for meaning in _mean(role, place):
                    yield p.Claim(((meaning, ""),)), stop

    def _place_name(self, start: int) -> Iterator[tuple[Place, int]]:
        yield from self.find("place", start)
        for end in self.after(start, "place adjective"):
            yield from self._place_name(end)


def _compare(place: Place, limit: str) -> str:
    """Return a claim on the distance to a place: to that of the map, or a thing of its name."""
    on_map = f"{place['distance']} {limit}"
    if "thing" not in place:
        return on_map
    thing = f'labelled(thing, "{place["thing"]}") and distance(thing, a) {limit}'
    return f"({on_map} or exists(object thing: {thing}))"


def _mean(role: str, place: Place) -> Iterator[str]:
    """Give what a preposition and a place mean together, if they go together at all."""
    if inside := place.get("inside"):
        meanings = {
            "inside": inside,
            "across": f"{inside} and moving(a)",
            "entering": f"not {inside} and eventually[0 s, 2 s]({inside})",
            "leaving": f"not {inside} and once[0 s, 2 s]({inside})",
            "reversing_out": f"reversing(a) and once[0 s, 2 s]({inside})",
            "outside": f"not {inside}",
        }
        if role in meanings:
            yield meanings[role]
    if "distance" in place:
        at = _compare(place, f"< {place['at']}")
        moves = _MOVES.format(at=at, ahead=_compare(place, _AHEAD))
        meanings = {
            "inside": at,
            "at": at,
            "near": _compare(place, _NEAR),
            "toward": moves,
            "accelerating": f"{moves} and acceleration(a) > 1 m/s2",
            "stopping": f"{_STOPS} and eventually[0 s, 5 s](stopped(a) and {_compare(place, _NEAR)})",
            "braking": f"deceleration(a) > 1 m/s2 and {_compare(place, _AHEAD)}",
        }
        if role in meanings:
            yield meanings[role]
    elif inside and role == "at":
        yield inside
