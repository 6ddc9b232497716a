"""How a vehicle enters the lane beside its own, from SUMO's record of the lane it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Shaped

    from kerbstone.formats.sumo.network import Lane

    Names = Shaped[np.ndarray, " time"]
    """The lane that somebody is on at each step, "" for none."""

ENTRY = 3.0
"""How long entering a lane lasts at most on either side of the border [s]."""
_BEYOND_MARKING = 0.3
"""How far beyond a lane's marking one is in the lane: as in Regulation (EU) 2022/1426 [m]."""
_STAYS = 1.0
"""Who leaves the lane again sooner did not enter it [s]."""
_REACHES = 5.0
"""How long one behind may take to get to the lane in which another is ahead of it [s]."""


def find_changes(lanes: Names) -> Bool[np.ndarray, " time"]:
    """Return at which steps one is on another lane of the same road than at the step before."""
    road = roads_of(lanes)
    changes = np.zeros(len(lanes), bool)
    changes[1:] = (lanes[1:] != lanes[:-1]) & (road[1:] == road[:-1]) & (road[1:] != "")
    return changes


def roads_of(lanes: Names) -> Names:
    """Return the roads that lanes are of, "" for none."""
    return np.array([name.rpartition("_")[0] for name in lanes])


def find_entry(
    lanes: Names,
    step: int,
    centre: Float64[np.ndarray, "time 3"],
    width: float,
    lane: Lane,
    dt: float,
) -> slice:
    """Return the steps at which a vehicle enters a lane.

    They last from its side's being 0.3 m beyond the marking to its middle's being in the inner half
    of the lane, at most 3 s on either side of the border. There are none if it leaves the lane
    again within a second.

    Args:
        lanes: The lane that it is on.
        step: The first at which it is on the new one.
        centre: Its middle [m].
        width: Its width [m].
        lane: The new lane.
        dt: The time from one step to the next [s].
    """
    most = round(ENTRY / dt)
    if find_changes(lanes)[step + 1 : step + 1 + round(_STAYS / dt)].any():
        return slice(0, 0)
    first = max(step - most, 0)
    away = _distance_to_line(centre[first : step + most, :2], lane.shape[:, :2])
    beyond = away < lane.width / 2 + width / 2 - _BEYOND_MARKING
    begin = step - int(np.argmin(np.append(beyond[: step - first][::-1], False)))
    inner = np.append(away[step - first :] < lane.width / 4, True)
    return slice(begin, min(step + int(np.argmax(inner)) + 1, len(lanes)))


def lanes_ahead(lanes: Names, span: slice, dt: float) -> set[str]:
    """Return the lanes that one drives on during some steps and after, up to its next change.

    There are none if it changes lanes during the steps. Some seconds after them count too: who is
    behind another may still be on the road before.
    """
    changes = np.flatnonzero(find_changes(lanes))
    later = changes[changes >= span.start]
    if later.size and later[0] < span.stop:
        return set()
    return set(lanes[span.start : min([span.stop + round(_REACHES / dt), *later])])


def _distance_to_line(
    points: Float64[np.ndarray, "point 2"], line: Float64[np.ndarray, "corner 2"]
) -> Float64[np.ndarray, " point"]:
    import shapely

    with np.errstate(invalid="ignore"):  # who is absent is nowhere
        return np.asarray(shapely.distance(shapely.LineString(line), shapely.points(points)))
