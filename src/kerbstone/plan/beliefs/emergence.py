"""From a belief over the hidden to modes of a prediction: somebody steps out, or nobody does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from kerbstone.errors import InputError
from kerbstone.plan.beliefs.phantoms import Habits
from kerbstone.plan.predictions import Predictions
from kerbstone.plan.problem import Horizon

MOST_MODES = 4
"""More modes than this are not planned for: each makes the plan take longer."""


class Exits(NamedTuple):
    """Where those who are hidden step out.

    Args:
        place: The foremost place at which they may stand and not be seen, world frame [m].
        heading: Which way they walk from there [rad].
        reach: How far: they then stand in the way [m].
    """

    place: Float[np.ndarray, "*batch region 2"]
    heading: Float[np.ndarray, "*batch region"]
    reach: Float[np.ndarray, "*batch region"]


def predict_phantoms(
    existence: Float[np.ndarray, "*batch region"],
    exits: Exits,
    horizon: Horizon,
    *,
    delays: tuple[float, ...] = (0.0,),
    habits: Habits | None = None,
    negligible: float = 1e-3,
) -> Predictions:
    """Return what the hidden may do in the time of a plan.

    Mode 0 is that nobody steps out; then comes a mode for each region and each delay: one steps
    out of it after that time, walks, and stands in the way for the rest of the plan. One who steps
    out between two delays is taken to do so at the earlier one, and after the last one until the
    plan ends at the last one; before the first one nobody steps out. Walking as far as they go
    and staying there makes this the worst that may happen: who steps out later is nowhere that
    this one has not been by then. So a plan that stops for one who steps out at once, or passes
    before them, keeps doing so while they do not come.

    Args:
        existence: Probability that somebody is in each region.
        exits: Where they come out.
        horizon: Of the plan.
        delays: When one steps out, growing [s].
        habits: What is assumed of them.
        negligible: A mode less probable than this is not planned for: it has probability zero and
            nobody is in it. This is where a plan accepts a risk knowingly; 0 accepts none but that
            of regions that are certainly empty.

    Returns:
        One road user for each region, in the modes of that region only.

    Raises:
        InputError: There would be more modes than `MOST_MODES`, or delays do not grow from 0
            or later.
    """
    habits = habits or Habits()
    existence = np.asarray(existence, np.float64)
    regions, modes = existence.shape[-1], 1 + existence.shape[-1] * len(delays)
    if modes > MOST_MODES:
        raise InputError(
            "shape",
            "there are more modes of the hidden than are planned for",
            why=f"{regions} regions and {len(delays)} delays make {modes}, at most {MOST_MODES}",
            remedy="keep the regions that matter most, or fewer delays",
        )
    if not delays or delays[0] < 0 or (np.diff(delays) <= 0).any():
        raise InputError("value", "the delays of the hidden do not grow from 0", why=f"{delays}")
    come = _chances(existence, delays, horizon, habits)
    come = np.where(come > negligible, come, 0.0)
    nobody = np.prod(1.0 - come.sum(axis=-1), axis=-1)
    # Only one of them comes in a mode: the chance that any does is shared out.
    total = come.sum(axis=(-2, -1))
    scale = np.divide(1.0 - nobody, total, out=np.zeros_like(total), where=total > 0)
    share = (come * scale[..., None, None]).reshape(*existence.shape[:-1], modes - 1)
    time = horizon.times
    walked = habits.speed * np.maximum(time - np.array(delays)[:, None], 0.0)
    walked = np.minimum(walked, exits.reach[..., None, None])
    way = np.stack([np.cos(exits.heading), np.sin(exits.heading)], axis=-1)
    path = exits.place[..., None, None, :] + walked[..., None] * way[..., None, None, :]
    out = (time > np.array(delays)[:, None] - 1e-9) & (come > 0)[..., None]
    shape = (*existence.shape[:-1], modes, regions, horizon.steps)
    mean, valid = np.zeros((*shape, 2)), np.zeros(shape, bool)
    for region in range(regions):
        own = slice(1 + region * len(delays), 1 + (region + 1) * len(delays))
        mean[..., own, region, :, :] = path[..., region, :, :, :]
        valid[..., own, region, :] = out[..., region, :, :]
    return Predictions(
        mean=mean,
        covariance=np.where(valid[..., None, None], habits.spread**2 * np.eye(2), 0.0),
        heading=np.broadcast_to(exits.heading[..., None, :, None], shape).copy(),
        probability=np.concatenate([nobody[..., None], share], axis=-1),
        size=np.broadcast_to(habits.size, (*existence.shape, 2)).copy(),
        valid=valid,
    )


def when_phantoms_show(
    horizon: Horizon, *, delays: tuple[float, ...] = (0.0,), notice: float = 0.2
) -> int:
    """Return the first step of a plan that may depend on who stepped out.

    Args:
        horizon: Of the plan.
        delays: When one steps out, as given to `predict_phantoms` [s].
        notice: Time from stepping out until a control can answer to it [s].
    """
    wait = (max(delays) + notice) / horizon.dt
    return min(int(np.ceil(wait - 1e-6)), horizon.steps)


def _chances(
    existence: Float64[np.ndarray, "*batch region"],
    delays: tuple[float, ...],
    horizon: Horizon,
    habits: Habits,
) -> Float64[np.ndarray, "*batch region delay"]:
    """Return the probability of stepping out between each delay and the next."""
    ends = np.minimum([*delays, np.inf], horizon.steps * horizon.dt)
    stays = np.exp(-habits.emergence * ends)
    return existence[..., None] * (stays[:-1] - stays[1:])
