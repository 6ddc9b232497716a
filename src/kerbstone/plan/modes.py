"""What the others may do next, as modes of a contingency plan: by names that a user can give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.plan.predictions import Predictions, fill_sizes, predict_straight, tell_future
from kerbstone.plan.problem import Horizon
from kerbstone.plan.roads import predict_along_lanes, prepare_road
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import VEHICLES, Agents, Scene, angle_difference, project

MODES = {
    "straight": "everybody goes on as fast and straight as now",
    "lanes": "vehicles follow their lanes at their speed",
    "brake": "as lanes, and everybody brakes",
    "record": "what the record says comes next",
}
"""The modes that have names, and what each says."""

_BEHIND = 60.0
"""Followers are looked for so far behind where a route begins [m]."""
_STANDS = 0.5
"""Who is slower is predicted to stand [m/s]."""
_ALIGNED = np.deg2rad(45.0)

BRAKING = 3.0
"""How hard everybody brakes in the mode of that name [m/s²]."""


def predict_modes(
    scene: Scene,
    step: int,
    horizon: Horizon,
    probability: Mapping[str, float],
    *,
    near: Float64[np.ndarray, " 2"] | None = None,
) -> Predictions:
    """Return what the others may do, one mode for each name.

    Args:
        scene: The scene; without a map nobody follows lanes.
        step: The step of the scene that is now.
        horizon: Of the plan.
        probability: Of each mode, by its name in `MODES`; scaled to add up to one.
        near: Only vehicles around this place follow lanes; all if None [m].

    Raises:
        InputError: There is no such mode or step, no mode is given, or a probability is not above
            zero.
    """
    if not probability:
        raise InputError("empty", "there is no mode to predict", remedy=", ".join(MODES))
    for name, share in probability.items():
        if name not in MODES:
            raise InputError("name", f"there is no mode {name!r}", remedy=suggest_name(name, MODES))
        if not 0.0 < share < np.inf:
            raise InputError(
                "value", f"the probability of mode {name!r} is not above zero", why=f"{share:g}"
            )
    made: dict[str, Predictions] = {}
    if "straight" in probability or scene.map is None:
        made["straight"] = predict_straight(scene.agents, step, horizon)
    if "lanes" in probability or "brake" in probability:
        made["lanes"] = (
            made["straight"]
            if scene.map is None
            else predict_along_lanes(
                prepare_road(scene.map), scene.agents, step, horizon, near=near
            )
        )
    if "brake" in probability:
        made["brake"] = brake_all(made["lanes"], scene.agents, step, horizon)
    if "record" in probability:
        made["record"] = tell_future(scene.agents, scene.clock, step, horizon)
    joined = join_modes([made[name] for name in probability], list(probability.values()))
    return _hold_standing(joined, scene.agents, step)


def brake_all(
    predictions: Predictions,
    agents: Agents,
    step: int,
    horizon: Horizon,
    *,
    braking: float = BRAKING,
) -> Predictions:
    """Return predictions in which everybody comes along the same ways, but brakes to a standstill.

    After a time `t` one that brakes is where it would have been after `t - braking t² / (2 speed)`.

    Args:
        predictions: Of all road users, without a batch, at constant speed.
        agents: The road users.
        step: The step of the scene that is now.
        horizon: Of the plan.
        braking: How hard [m/s²].
    """
    time = horizon.times
    speed = np.nan_to_num(agents.speed[:, step])[:, None]
    moving = np.minimum(time, speed / braking)
    gone = moving - braking * moving**2 / (2.0 * np.maximum(speed, 1e-6))
    place = np.maximum(gone, 0.0) / horizon.dt
    now = np.nan_to_num(agents.centre[:, step, :2])
    mean = np.asarray(predictions.mean)
    begin = np.broadcast_to(now[None, :, None], (len(mean), len(now), 1, 2))
    heading = np.unwrap(np.nan_to_num(np.asarray(predictions.heading)), axis=-1)
    return replace(
        predictions,
        mean=_take_between(np.concatenate([begin, mean], axis=2), place),
        heading=_take_between(np.concatenate([heading[..., :1], heading], axis=2), place),
        valid=np.asarray(predictions.valid).copy(),
    )


def trust_followers(
    predictions: Predictions,
    agents: Agents,
    step: int,
    route: Float64[np.ndarray, "vertex 2"],
    state: Float64[np.ndarray, " 6"],
    vehicle: Vehicle,
) -> Predictions:
    """Return predictions without those who come to be behind a car in its lane, from then on.

    They keep their distance to it. A forecast that does not see the car drives through it as soon
    as it slows down.

    Args:
        predictions: Of all road users, without a batch.
        agents: The road users.
        step: The step of the scene that is now.
        route: What the car follows, from some way behind it [m].
        state: Of the car, columns `StateIndex`.
        vehicle: The car.
    """
    first = route[0] - route[1]
    line = np.concatenate([route[:1] + _BEHIND * first / np.hypot(*first), route])
    valid = np.asarray(predictions.valid)
    now = np.nan_to_num(agents.centre[:, step, :2])
    mean = np.where(valid[..., None], np.asarray(predictions.mean), now[:, None])
    own, found = project(state[:2], line), project(mean, line)
    way = line[found.segment + 1] - line[found.segment]
    heading = np.nan_to_num(np.asarray(predictions.heading))
    turn = np.abs(angle_difference(heading, np.arctan2(way[..., 1], way[..., 0])))
    beside = (vehicle.width + fill_sizes(agents)[:, 1]) / 2.0
    follows = (found.s < own.s - vehicle.rear_overhang) & (turn < _ALIGNED) & valid
    follows &= (np.abs(found.d - own.d) < beside[:, None]) & agents.is_kind(*VEHICLES)[:, None]
    # Once it follows, it goes on to.
    return replace(predictions, valid=valid & ~np.logical_or.accumulate(follows, axis=-1))


def join_modes(modes: Sequence[Predictions], probability: Sequence[float]) -> Predictions:
    """Return predictions of one mode each as the modes of one.

    Args:
        modes: Of the same road users and steps, without a batch.
        probability: Of each; scaled to add up to one.
    """
    share = np.asarray(probability, np.float64)
    joined = {
        name: np.concatenate([np.asarray(getattr(mode, name)) for mode in modes])
        for name in ("mean", "covariance", "heading", "valid")
    }
    return Predictions(**joined, probability=share / share.sum(), size=np.asarray(modes[0].size))


def _hold_standing(predictions: Predictions, agents: Agents, step: int) -> Predictions:
    """Return predictions in which those who stand become no less certain with time.

    Else nobody could be planned to stay where they stand behind another.
    """
    stands = np.nan_to_num(agents.speed[:, step]) < _STANDS
    covariance = np.array(predictions.covariance)
    covariance[:, stands] = covariance[:, stands, :1]
    return replace(predictions, covariance=covariance)


def _take_between(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return values `[mode, agent, step, …]` between steps: at `place [agent, step]`."""
    low = np.minimum(np.floor(place).astype(np.int64), values.shape[2] - 2)
    row = np.arange(len(place))[:, None]
    share = (place - low).reshape(1, *place.shape, *(1,) * (values.ndim - 3))
    before, after = values[:, row, low], values[:, row, low + 1]
    return before + share * (after - before)
