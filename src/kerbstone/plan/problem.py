"""One problem of planning, or a batch of them: what is known when a plan is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Float64, Int, Shaped

from kerbstone.plan.corridor import Corridor

Floats = Float[Array | np.ndarray, "..."] | float


@dataclass(frozen=True)
class Horizon:
    """How far a plan looks ahead, and in which steps.

    Args:
        steps: Number of steps.
        dt: Length of a step [s].
    """

    steps: int = 40
    dt: float = 0.15

    @property
    def times(self) -> Float64[np.ndarray, " step"]:
        """At the end of each step, from now [s]."""
        return self.dt * np.arange(1, self.steps + 1)


class Ellipses(eqx.Module):
    """Where the centres of the car's discs may not be: moving ellipses, one set per mode.

    Index `step` is the time at the *end* of that step of the plan.

    Args:
        centre: World frame [m].
        semi_axes: Along and across `heading`, with the disc's radius in it [m].
        heading: Of the first axis, world frame [rad].
        present: False where there is nothing, as in padding.
    """

    centre: Shaped[Array | np.ndarray, "*batch mode obstacle step 2"]
    semi_axes: Shaped[Array | np.ndarray, "*batch mode obstacle step 2"]
    heading: Shaped[Array | np.ndarray, "*batch mode obstacle step"]
    present: Bool[Array | np.ndarray, "*batch mode obstacle step"]


class Weights(eqx.Module):
    """What a plan costs. Every weight may be learned; all are per second but `progress`.

    With `d` the distance of a disc's centre from the reference line, `v` the speed, `w` the speed
    wanted at the middle disc, `a`, `j` acceleration and jerk, `l` the lateral acceleration, `r`
    the steering rate and `g` the gap to an ellipse (see `problem.Ellipses` and `solver.terms`), a
    step of length `dt` costs `dt` times

    `reference * sum(d²) + speed * (v - w)² + acceleration * a² + lateral * l² + jerk * j² +
    steering * r² + comfort * (excess of a, l and j over the limits of comfort, squared) +
    clearance * sum(max(0, margin - g)²)`

    and the whole plan is rewarded by `progress` for each metre along the line at its end.

    Args:
        reference: Distance from the reference line [1/m²].
        speed: Deviation from the speed wanted [s²/m²].
        progress: Reward for each metre gained [1/m].
        acceleration: [s⁴/m²].
        lateral: Lateral acceleration [s⁴/m²].
        jerk: [s⁶/m²].
        steering: Steering rate [s²/rad²].
        comfort: Excess over the limits of comfort [mixed, as above].
        clearance: Being nearer to another than `margin` [1/m²].
        margin: The gap wanted to others [m].
    """

    reference: Floats = 0.05
    speed: Floats = 0.1
    progress: Floats = 0.1
    acceleration: Floats = 0.05
    lateral: Floats = 0.02
    jerk: Floats = 0.01
    steering: Floats = 1.0
    comfort: Floats = 0.2
    clearance: Floats = 0.2
    margin: Floats = 1.0


class Problem(eqx.Module):
    """What a plan is made from. Leading axes are a batch; without any it is one problem.

    Args:
        start: The state now, columns `StateIndex`, world frame.
        corridor: The road.
        ellipses: The others, as each mode predicts them.
        probability: Of each mode; they add up to one.
        branch_step: The step from which on the plan may know the mode: before it all modes share
            one control.
        weights: Costs.
    """

    start: Shaped[Array | np.ndarray, "*batch 6"]
    corridor: Corridor
    ellipses: Ellipses
    probability: Shaped[Array | np.ndarray, "*batch mode"]
    branch_step: Int[Array | np.ndarray, "*batch"]
    weights: Weights
