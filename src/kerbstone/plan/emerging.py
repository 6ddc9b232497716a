"""The mode of a plan in which one who is not seen steps out where it would matter most."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Float64

from kerbstone.plan.beliefs.emergence import Exits, predict_phantoms
from kerbstone.plan.beliefs.phantoms import Habits
from kerbstone.plan.blind import Blind
from kerbstone.plan.predictions import Predictions
from kerbstone.plan.problem import Horizon
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import Agents, Kind, arc_length, project

STEPS_OUT = "steps out"
"""Name of the mode, and id of the one who does."""

_BRAKING = 4.0
"""A plan that knows can brake like this: half as hard as the car [m/s²]."""
_GAP = 2.0
"""And stands so far before whom it brakes for [m]."""
_CREEPS = 1.0
"""A car that is slower comes to be as fast as this [m/s]."""
_APART = 0.5
"""Edges of what is not seen are looked at in steps of this [m]."""


@dataclass(frozen=True)
class Emergence:
    """Where one steps out.

    Args:
        place: Where they cannot be seen yet, world frame [m].
        heading: Which way they walk [rad].
        reach: How far: to the middle of the car's way [m].
        ahead: How far that is before the car's front, along its way [m].
    """

    place: tuple[float, float]
    heading: float
    reach: float
    ahead: float


def find_emergence(
    blind: Blind,
    line: Float64[np.ndarray, "vertex 2"],
    state: Float64[np.ndarray, " 6"],
    *,
    vehicle: Vehicle,
    wait: float,
    habits: Habits | None = None,
) -> Emergence | None:
    """Return where one who steps out now would matter most: the nearest whom a plan can answer to.

    They come into the car's way before it has passed at its speed. So near that the car cannot
    stop any more, by mild braking once the plan may know, no plan could be made for them: those are
    for the shield. None where there is no such place.

    Args:
        blind: Where the car does not see.
        line: Where it goes, from its rear axle on [m].
        state: Of the car, columns `StateIndex`.
        vehicle: The car.
        wait: Until a plan may know that they come [s].
        habits: What is assumed of who steps out.
    """
    habits = habits or Habits()
    areas = [region.area for region in blind.regions if not region.is_lane]
    if not areas:
        return None
    edges = shapely.segmentize(shapely.boundary(np.array(areas, object)), _APART)
    points = shapely.get_coordinates(edges)
    found = project(points, line)
    front = vehicle.length - vehicle.rear_overhang
    speed = max(float(state[StateIndex.SPEED]), 0.0)
    ahead, aside = found.s - front, np.abs(found.d)
    walk = np.maximum(aside - (vehicle.width + habits.size[1]) / 2.0, 0.0) / habits.speed
    stop = speed * wait + speed**2 / (2.0 * _BRAKING) + _GAP
    passed = (ahead + vehicle.length) / max(speed, _CREEPS)
    # Who is in the way already steps out of nowhere; and who stands before the first car in the
    # way has that between them.
    counts = (ahead >= stop) & (walk > 0.0) & (walk <= passed)
    counts &= found.s < _find_end(line, blind.sight.bodies)
    rows = np.flatnonzero(counts)
    rows = rows[np.lexsort([aside[rows], ahead[rows]])]
    if not len(rows):
        return None
    ways = shapely.linestrings(np.stack([points[rows], found.foot[rows]], axis=1))
    # Nobody walks through a car; on its edge one stands beside it.
    free = ~shapely.crosses(blind.sight.bodies, ways)
    if not free.any():
        return None
    row = rows[free][0]
    # Of those who come out at about the same place the foremost.
    level = rows[free][ahead[rows[free]] <= ahead[row] + _APART]
    row = level[np.argmin(aside[level])]
    way = found.foot[row] - points[row]
    return Emergence(
        place=(float(points[row, 0]), float(points[row, 1])),
        heading=float(np.arctan2(way[1], way[0])),
        reach=float(np.hypot(*way)),
        ahead=float(ahead[row]),
    )


def _find_end(line: np.ndarray, bodies: shapely.Geometry) -> float:
    """Return how far a line leads until it comes to a body, or until just before its end [m]."""
    end = float(arc_length(line)[-1]) - 1e-6
    met = shapely.get_coordinates(shapely.intersection(shapely.LineString(line), bodies))
    return min(end, float(project(met, line).s.min())) if len(met) else end


def add_emergence(
    predictions: Predictions,
    emergence: Emergence | None,
    horizon: Horizon,
    *,
    chance: float,
    habits: Habits | None = None,
) -> Predictions:
    """Return predictions with one more mode, and one more road user, who steps out in it.

    The others do in it what they do in the first mode. Its probability is taken off all modes alike. Where nobody can step out in time the mode has nobody in it, so that plans stay alike.

    Args:
        predictions: Of all road users, without a batch.
        emergence: Where one steps out.
        horizon: Of the plan.
        chance: Probability of the mode.
        habits: What is assumed of who steps out.
    """
    habits = habits or Habits()
    modes, count, _ = np.shape(predictions.valid)
    exits = Exits(
        np.array([emergence.place if emergence else (0.0, 0.0)]),
        np.array([emergence.heading if emergence else 0.0]),
        np.array([emergence.reach if emergence else 0.0]),
    )
    one = predict_phantoms(np.ones(1), exits, horizon, habits=habits, negligible=0.0)

    def join(name: str) -> np.ndarray:
        known, walker = np.asarray(getattr(predictions, name)), np.asarray(getattr(one, name))
        more = np.zeros((modes + 1, count + 1, *known.shape[2:]), known.dtype)
        more[:modes, :count], more[modes, :count] = known, known[0]
        more[modes, count] = walker[1, 0]
        return more

    valid = join("valid")
    valid[modes, count] &= emergence is not None
    known = np.asarray(predictions.probability)
    return Predictions(
        mean=join("mean"),
        covariance=join("covariance"),
        heading=join("heading"),
        probability=np.append((1.0 - chance) * known, chance),
        size=np.concatenate([np.asarray(predictions.size), one.size]),
        valid=valid,
    )


def add_unseen(agents: Agents) -> Agents:
    """Return road users with one more, on foot, who is never there: the one who steps out.

    Args:
        agents: The road users.
    """
    name = STEPS_OUT
    while name in agents.ids:
        name += "'"

    def extend(values: np.ndarray, fill: float) -> np.ndarray:
        return np.concatenate([values, np.full((1, *values.shape[1:]), fill, values.dtype)])

    return replace(
        agents,
        ids=(*agents.ids, name),
        label=(*agents.label, "not seen"),
        kind=extend(agents.kind, int(Kind.PEDESTRIAN)),
        size=extend(agents.size, np.nan),
        centre=extend(agents.centre, np.nan),
        heading=extend(agents.heading, np.nan),
        velocity=extend(agents.velocity, np.nan),
        valid=extend(agents.valid, 0.0),
    )
