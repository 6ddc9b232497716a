"""Forecasts that follow the lanes: everybody keeps to their lane and their speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.plan.predictions import Predictions, Spread, predict_straight, turn_covariance
from kerbstone.plan.problem import Horizon
from kerbstone.plan.roads.road import Road
from kerbstone.plan.roads.routes import find_route
from kerbstone.scene import VEHICLES, Agents, from_frenet, to_frenet

_MOVES = 1.0
"""Slower road users are taken to go straight on: they may be parked [m/s]."""
_AROUND = 1.0
"""Half the chord that the direction of a lane is taken from [m]."""


def predict_along_lanes(
    road: Road,
    agents: Agents,
    step: int,
    horizon: Horizon,
    *,
    near: Float64[np.ndarray, " 2"] | None = None,
    reach: float = 80.0,
    spread: Spread | None = None,
) -> Predictions:
    """Return the forecast that vehicles in a lane follow it, the straightest way at every fork.

    They keep their speed and their offset from the middle of the lane. All others go straight on.

    Args:
        road: The road.
        agents: The road users.
        step: The step of the scene that is now.
        horizon: Of the plan.
        near: Only vehicles around this point follow lanes; all if None [m].
        reach: How far around it [m].
        spread: How uncertain it is, along and across the lane.

    Raises:
        InputError: There is no such step.
    """
    straight = predict_straight(agents, step, horizon, spread=spread)
    spread = spread or Spread()
    mean, heading = np.array(straight.mean), np.array(straight.heading)
    time = horizon.times
    place = agents.centre[:, step, :2]
    follows = agents.valid[:, step] & agents.is_kind(*VEHICLES)
    follows &= np.nan_to_num(agents.speed[:, step]) > _MOVES
    if near is not None:
        follows &= np.hypot(*(np.nan_to_num(place, nan=np.inf) - near).T) < reach
    for row in np.flatnonzero(follows):
        velocity = agents.velocity[row, step]
        speed = float(np.hypot(*velocity))
        way = float(np.arctan2(velocity[1], velocity[0]))
        try:
            route = find_route(road, place[row], way, ahead=speed * time[-1] + 10.0, behind=5.0)
        except InputError:
            # Off the lanes, or against them: there is none to follow.
            continue
        s, d = to_frenet(place[row], route.line)
        along = float(s) + speed * time
        mean[0, row] = from_frenet(along, float(d), route.line)
        # The direction between places a little before and after is smoother than the segments'.
        ends = from_frenet(np.stack([along - _AROUND, along + _AROUND]), 0.0, route.line)
        chord = ends[1] - ends[0]
        heading[0, row] = np.arctan2(chord[:, 1], chord[:, 0])
    along_lane = np.broadcast_to((spread.start + spread.along * time) ** 2, heading.shape)
    across_lane = np.broadcast_to((spread.start + spread.across * time) ** 2, heading.shape)
    return replace(
        straight,
        mean=mean,
        heading=heading,
        covariance=turn_covariance(along_lane, across_lane, heading),
    )
