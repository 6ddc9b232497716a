"""How the lanes that road users are on lie to one another along the ways that they go.

A route is a lane with the lanes that follow it: those that a road user went along later on, as far
as the record shows, and from there on all that the lane graph offers. Two road users are on one
lane sequence when one is on the other's route. What is known of each pair of routes stands in
tables, so that a signal only looks up who is on which route.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int32, Int64

from kerbstone.lang.roads import Road
from kerbstone.lang.stays import Stays

REACH = 200.0
"""How far ahead routes are followed [m]."""
_BESIDE = 100.0
"""How far ahead and behind lanes lie beside a route [m]."""
_BLOCK = 5_000
"""How many pairs of routes are looked at together."""


@dataclass(frozen=True, eq=False)
class Routes:
    """The routes of a scene, and who is on which.

    Args:
        road: The road.
        of_stay: Route of each stay.
        number: Route of each agent at each time: the number of routes on no lane, and one more
            where the agent is not there. So tables have two rows more than there are routes.
        lane: The lane of each route.
        ahead: How far it is along each route from the start of its lane to the start of each
            lane; inf where it does not lead there within `REACH` [m].
    """

    road: Road
    of_stay: Int64[np.ndarray, " stay"]
    number: Int32[np.ndarray, "agent time"]
    lane: Int64[np.ndarray, " route"]
    ahead: Float64[np.ndarray, "route lane"]

    @cached_property
    def along(self) -> Float64[np.ndarray, "route_plus_2 route_plus_2"]:
        """How far the column's lane starts ahead of the row's, along the row's route [m].

        Negative where it starts behind, along the column's route; NaN on no one sequence.
        """
        ahead = self.ahead[:, self.lane]
        nearer = np.where(ahead <= ahead.T, ahead, -ahead.T)
        return _pad(np.where(np.isfinite(nearer), nearer, np.nan), np.nan, np.nan)

    def look_up(
        self,
        table: Float64[np.ndarray, "route_plus_2 route_plus_2"],
        a: Int64[np.ndarray, " pair"],
        b: Int64[np.ndarray, " pair"],
    ) -> Float64[np.ndarray, "pair time"]:
        """Return what a table says of b's route (its row) and a's (its column) at each time."""
        code = self.number[b] * np.int32(len(table)) + self.number[a]
        return table.ravel().take(code)

    @cached_property
    def left(self) -> Float64[np.ndarray, "route_plus_2 route_plus_2"]:
        """1 where the column's lane is on the left of the row's route, in its direction, else -1."""
        return self._claim(self._beside @ self.road.sides.left)

    @cached_property
    def right(self) -> Float64[np.ndarray, "route_plus_2 route_plus_2"]:
        """1 where the column's lane is on the right of the row's route, in its direction."""
        return self._claim(self._beside @ self.road.sides.right)

    @cached_property
    def opposite(self) -> Float64[np.ndarray, "route_plus_2 route_plus_2"]:
        """1 where the column's lane is on the other carriageway beside the row's route."""
        return self._claim(self._groups @ self._facing @ self._members.T)

    @cached_property
    def same_side(self) -> Float64[np.ndarray, "route_plus_2 route_plus_2"]:
        """1 where both lanes are on one carriageway along the route of one of them."""
        found = self._groups @ self._members.T
        side = found[:, self.lane] > 0
        return _pad(np.where(side | side.T, 1.0, -1.0), -1.0, np.nan)

    def meetings(
        self, a: Int64[np.ndarray, " pair"], b: Int64[np.ndarray, " pair"]
    ) -> tuple[Float64[np.ndarray, "pair time"], Float64[np.ndarray, "pair time"]]:
        """Return how far b's and a's routes go from the starts of their lanes to where they meet [m].

        NaN where they never meet, or where one comes to the other's lane.
        """
        count = len(self.lane) + 2
        code = self.number[b] * np.int32(count) + self.number[a]
        asked = np.flatnonzero(np.bincount(code.ravel(), minlength=count**2))
        asked = asked[(asked % count < count - 2) & (asked < count * (count - 2))]
        ahead = self.ahead[:, np.isfinite(self.ahead).any(axis=0)]
        apart = ~np.isfinite(self.ahead[:, self.lane])
        tables = np.full((2, count**2), np.nan)
        for first in range(0, len(asked), _BLOCK):
            row, column = np.divmod(asked[first : first + _BLOCK], count)
            both = ahead[row] + ahead[column]
            lane = both.argmin(axis=1)
            meet = np.isfinite(both.min(axis=1)) & apart[row, column] & apart[column, row]
            for table, route in zip(tables, (row, column), strict=True):
                table[asked[first : first + _BLOCK]] = np.where(meet, ahead[route, lane], np.nan)
        return tables[0].take(code), tables[1].take(code)

    @cached_property
    def _beside(self) -> Float64[np.ndarray, "route lane"]:
        """1 for the lanes along each route, ahead and behind."""
        own, row = np.unique(self.lane, return_inverse=True)
        behind = self.road.reach(own, limit=_BESIDE, is_backward=True)[row]
        length = self.road.length[self.lane, None]
        return ((self.ahead - length <= _BESIDE) | (behind <= _BESIDE)).astype(float)

    @cached_property
    def _members(self) -> Any:
        """Which lanes are in which group, [lane, group]."""
        from scipy.sparse import csr_array

        groups, count = self.road.groups, len(self.road.lanes)
        cells = np.ones(count), (np.arange(count), groups)
        return csr_array(cells, shape=(count, int(groups.max(initial=-1)) + 1))

    @cached_property
    def _groups(self) -> Float64[np.ndarray, "route group"]:
        return ((self._beside @ self._members) > 0).astype(float)

    @cached_property
    def _facing(self) -> Any:
        """Which groups run beside each other in opposite directions, [group, group]."""
        members = self._members
        return members.T @ self.road.sides.opposite.astype(float) @ members

    def _claim(self, found: Any) -> Float64[np.ndarray, "route_plus_2 route_plus_2"]:
        return _pad(np.where(found[:, self.lane] > 0, 1.0, -1.0), -1.0, np.nan)


def find_routes(road: Road, stays: Stays, valid: Bool[np.ndarray, "agent time"]) -> Routes:
    """Return the routes of all road users.

    Args:
        road: The road.
        stays: Who is on which lane.
        valid: Who is there.
    """
    lanes = np.unique(stays.lane)
    free = road.onward(lanes, limit=REACH)
    row_of = dict(zip(lanes.tolist(), range(len(lanes)), strict=True))
    numbers: dict[tuple[int, int], int] = {}
    of_stay = np.zeros(len(stays.lane), np.int64)
    rows: list[np.ndarray] = []
    # From the last stay back to the first: each goes on with the route of the one behind it.
    for stay in range(len(stays.lane) - 1, -1, -1):
        lane = int(stays.lane[stay])
        later = -1
        if stay + 1 < len(of_stay) and stays.agent[stay + 1] == stays.agent[stay]:
            later = _following(road, lane, int(stays.lane[stay + 1]), free[row_of[lane]])
        onward = int(of_stay[stay + 1]) if later >= 0 else -1
        if later == lane:
            of_stay[stay] = onward
            continue
        key = (lane, onward)
        if key not in numbers:
            numbers[key] = len(rows)
            row = free[row_of[lane]]
            if onward >= 0:
                row = rows[onward] + row[later]
                row = np.where(row <= REACH, row, np.inf)
                row[lane] = 0.0
            rows.append(row)
        of_stay[stay] = numbers[key]
    lane = np.array([key[0] for key in numbers], np.int64)
    ahead = np.array(rows).reshape(len(rows), len(road.length))
    return lay_routes(road, stays, valid, of_stay, lane, ahead)


def lay_routes(
    road: Road,
    stays: Stays,
    valid: Bool[np.ndarray, "agent time"],
    of_stay: Int64[np.ndarray, " stay"],
    lane: Int64[np.ndarray, " route"],
    ahead: Float64[np.ndarray, "route lane"],
) -> Routes:
    """Return routes with who is on which.

    Args:
        road: The road.
        stays: Who is on which lane.
        valid: Who is there.
        of_stay: Route of each stay.
        lane: The lane of each route.
        ahead: How far along each route each lane begins [m], as in `Routes`.
    """
    count = len(lane)
    number = np.append(of_stay, count)[stays.number]
    return Routes(
        road=road,
        of_stay=of_stay,
        number=np.where(valid, number, count + 1).astype(np.int32),
        lane=lane,
        ahead=ahead,
    )


def _following(road: Road, lane: int, later: int, free: np.ndarray) -> int:
    """Return the later lane if the lane graph leads there without a detour, else -1."""
    if later == lane or free[later] - road.length[lane] <= 20.0:
        return later
    return -1


def _pad(table: np.ndarray, on_no_lane: float, not_there: float) -> np.ndarray:
    padded = np.pad(table, ((0, 2), (0, 2)), constant_values=on_no_lane)
    padded[-1, :] = padded[:, -1] = not_there
    return padded
