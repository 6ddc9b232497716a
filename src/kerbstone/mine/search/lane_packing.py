"""How it is kept who is on which lane, how these lie to one another, and who leads whom."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.lang import Facts
from kerbstone.lang.leaders import Leaders, leaders_of
from kerbstone.lang.roads import Road
from kerbstone.lang.routes import Routes, lay_routes
from kerbstone.lang.stays import Stays, lay_out
from kerbstone.mine.search.packing import Packing, Row, row_of
from kerbstone.scene import LaneCandidates


def stays_packing() -> Packing:
    """Return how it is kept who is on which lane."""
    return Packing("stays", lambda facts: facts.stays, pack_stays, unpack_stays)


def routes_packing() -> Packing:
    """Return how it is kept how lanes lie to one another."""
    return Packing("routes", lambda facts: facts.routes, pack_routes, unpack_routes)


def leaders_packing() -> Packing:
    """Return how it is kept who drives next ahead of whom."""
    return Packing("leaders", leaders_of, pack_leaders, unpack_leaders)


def pack_stays(stays: Stays | None, facts: Facts) -> Row:
    """Return all lanes under road users, and which of them they are on."""
    if stays is None:
        return row_of((), [], [])
    found = stays.candidates
    chosen = stays.places.lane.ravel()[found.point] == found.lane
    # Differences are small, and small numbers take little space.
    step = np.diff(found.point, prepend=0)
    integers = [step, found.lane, chosen.astype(np.int64)]
    return row_of(facts.agents.valid.shape, [found.s, found.d, found.heading], integers)


def unpack_stays(row: Row, facts: Facts) -> Stays:
    """Return what `pack_stays` took."""
    step, lane, chosen = row["integers"].reshape(3, -1)
    s, d, heading = row["floats"].reshape(3, -1)
    valid = facts.agents.valid
    found = LaneCandidates(
        points=valid.size,
        point=np.cumsum(step),
        lane=lane,
        s=s,
        d=d,
        heading=heading,
        half_width=_road(facts).half_width[lane],
    )
    return lay_out(found, np.flatnonzero(chosen), (valid.shape[0], valid.shape[1]))


def pack_routes(routes: Routes | None, facts: Facts) -> Row:
    """Return the route of each stay, the lane of each route and those that it leads to."""
    del facts
    if routes is None:
        return row_of((), [], [])
    route, lane = np.nonzero(np.isfinite(routes.ahead))
    ahead: Float64[np.ndarray, " cell"] = routes.ahead[route, lane]
    shape = (len(routes.of_stay), len(routes.lane))
    integers = [routes.of_stay, routes.lane, np.diff(route, prepend=0), lane]
    return row_of(shape, [ahead], integers)


def unpack_routes(row: Row, facts: Facts) -> Routes:
    """Return what `pack_routes` took."""
    road, stays = _road(facts), facts.stays
    if stays is None:
        raise TypeError("there are no lanes")
    count, routes = row["shape"]
    of_stay, lanes, cells = np.split(row["integers"], [count, count + routes])
    step, lane = cells.reshape(2, -1)
    ahead = np.full((routes, len(road.length)), np.inf)
    ahead[np.cumsum(step), lane] = row["floats"]
    return lay_routes(road, stays, facts.agents.valid, of_stay, lanes, ahead)


def pack_leaders(leaders: Leaders, facts: Facts) -> Row:
    """Return the leader of each valid cell, and how far it is ahead where there is one."""
    valid = facts.agents.valid
    row = leaders.row[valid]
    return row_of(valid.shape, [leaders.along[valid][row >= 0]], [row])


def unpack_leaders(row: Row, facts: Facts) -> Leaders:
    """Return what `pack_leaders` took."""
    valid = facts.agents.valid
    found = Leaders(np.full(valid.shape, -1), np.full(valid.shape, np.inf))
    found.row[valid] = row["integers"]
    found.along[found.row >= 0] = row["floats"]
    return found


def _road(facts: Facts) -> Road:
    if facts.road is None:
        raise TypeError("there is no map")
    return facts.road
