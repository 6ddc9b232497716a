"""Scaling: how the loss falls with parameters and data, and what more of either would bring.

The law is L(N, D) = E + A / N^a + B / D^b, of which an axis along which nothing was varied is left
out. Its positive factors follow from the exponents by least squares, so that only the exponents are
searched; outliers weigh less.

References:
    Hoffmann et al., "Training Compute-Optimal Large Language Models", NeurIPS 2022, approach 3.
    Kaplan et al., "Scaling Laws for Neural Language Models", 2020, for one axis.
    Golub and Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems
    Whose Variables Separate", SIAM Journal on Numerical Analysis 10, 1973.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError
from kerbstone.world.power_laws import Laws, fit_laws

WORTH = 0.01
"""To double something is worth it where that takes this share off the loss."""
LEVEL = 0.95
_LEAST_VALUES = 3
"""An exponent is told by no fewer values along its axis."""
_FARTHEST = 30.0
"""Further beyond the ladder, in multiples of its end, nothing is told."""
_HUNDRED = 100
_ROUNDS = 20
_SETTLED = 0.01
_OUTLYING = 2.5
"""Residuals beyond so many standard deviations weigh less (Huber)."""


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, drawn: np.ndarray) -> Estimate:
        """Return a figure with the quantiles of what it could have been; NaN does not count."""
        drawn = drawn[~np.isnan(drawn)]
        if not len(drawn) or np.isnan(value):
            return UNKNOWN
        # Ends may be infinite, between which nothing can be interpolated.
        low, high = np.quantile(
            drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="closest_observation"
        )
        # What was drawn is fitted on a grid, which may lie beside the figure.
        return cls(float(value), float(min(low, value)), float(max(high, value)))


UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class AxisFit:
    """What is known of one axis, at the end of the ladder: the largest model, all data.

    Args:
        name: "data" or "parameters".
        unit: Unit of the axis.
        most: Its largest value.
        factor: A or B.
        exponent: a or b.
        gain: Share of the loss that twice as much would take off.
        ends: From where on that is less than `WORTH`; inf where not within 30 times `most`.
        verdict: "pays", "saturated" or "unknown".
        reason: Why it is unknown.
    """

    name: str
    unit: str
    most: float
    factor: float
    exponent: Estimate
    gain: Estimate
    ends: Estimate
    verdict: str
    reason: str


@dataclass(frozen=True)
class ScalingFit:
    """The law of a ladder.

    Args:
        floor: E, which neither more parameters nor more data go below.
        axes: What is known along parameters, and along data; of those that were varied.
        noise: Standard deviation of the losses around the law.
        loss: What the law says of the largest model with all data.
        runs: Runs that it is fitted to.
        more: The axis of which a doubling takes more off, surely; "" where that is not known.
    """

    floor: Estimate
    axes: tuple[AxisFit, ...]
    noise: float
    loss: float
    runs: int
    more: str

    def axis(self, name: str) -> AxisFit | None:
        """Return what is known along an axis, or None if nothing was varied there."""
        return next((axis for axis in self.axes if axis.name == name), None)

    def predict(
        self, parameters: Float64[np.ndarray, "*shape"], data: Float64[np.ndarray, "*shape"]
    ) -> Float64[np.ndarray, "*shape"]:
        """Return the loss that the law says."""
        loss = np.full(parameters.shape, self.floor.value)
        for name, value in (("parameters", parameters), ("data", data)):
            axis = self.axis(name)
            if axis is not None and axis.factor > 0:
                loss = loss + axis.factor * value**-axis.exponent.value
        return loss

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is not defined, or infinite, is None."""
        return _plain({**asdict(self), "words": describe_scaling(self)})


def fit_scaling(
    parameters: Float64[np.ndarray, " run"],
    data: Float64[np.ndarray, " run"],
    loss: Float64[np.ndarray, " run"],
    *,
    unit: str = "h",
    draws: int = 400,
    seed: int = 0,
) -> ScalingFit:
    """Fit the law to the losses of runs, and say what more of either axis would bring.

    Intervals are of a parametric bootstrap: the law's losses with normal noise, whose size is as
    uncertain as the degrees of freedom leave it, are fitted anew. So a ladder that is hardly longer
    than the law has numbers knows little of its noise, and its intervals are wide.

    Args:
        parameters: Number of parameters of each run's model.
        data: How much it was trained on.
        loss: Its held-out loss. The scale of the shares is the loss where all are above 0, and how
            far it falls over the ladder where not.
        unit: Unit of the data.
        draws: How often new losses are drawn.
        seed: Of the draws.

    Raises:
        InputError: There are no runs, they do not fit together, or a value is out of range.
    """
    _check(parameters, data, loss)
    most = {"parameters": parameters.max(), "data": data.max()}
    values = {"parameters": parameters, "data": data}
    units = {"parameters": "parameters", "data": unit}
    names = [name for name, value in values.items() if len(np.unique(value)) > 1]
    # At the end of the ladder all shares are 1, and the factors are what each axis still costs.
    shares = np.stack([values[name] / most[name] for name in names] + [np.ones(len(loss))])[:-1]
    free = len(loss) - 1 - 2 * len(names)
    law, weight = _fit_robustly(shares, loss, free)
    told = law.predict(shares)[0]
    noise = float(np.sqrt((weight * (loss - told) ** 2).sum() / max(free, 1)))
    top = float(law.floor[0] + law.factor[0].sum())
    scale = abs(top) if (loss > 0).all() and top > 0 else max(float(np.ptp(loss)), 1e-12)
    drawn = law
    if free > 0 and names:
        rng = np.random.default_rng(seed)
        size = noise * np.sqrt(free / rng.chisquare(free, draws))
        off = size[:, None] * rng.normal(size=(draws, len(loss))) / np.sqrt(weight)
        drawn = fit_laws(shares, told + off, weight)
    axes, gains = [], []
    for place, name in enumerate(names):
        axis, gain = _read_axis(
            name,
            units[name],
            most[name],
            (_take(law, place), _take(drawn, place)),
            scale,
            free=free,
            count=len(np.unique(values[name])),
        )
        axes.append(axis)
        gains.append(gain)
    is_known = free > 0 and bool(names)
    return ScalingFit(
        Estimate.of(float(law.floor[0]), drawn.floor) if is_known else UNKNOWN,
        tuple(axes),
        noise if free > 0 else float("nan"),
        top,
        len(loss),
        _choose_more(axes, gains),
    )


def describe_scaling(fit: ScalingFit) -> list[str]:
    """Return what a ladder says, in words that are computed from it."""
    sentences = [_say_axis(axis) for axis in fit.axes]
    if not fit.axes:
        sentences.append("Neither parameters nor data were varied: the ladder says nothing.")
    if fit.more:
        sentences.append(f"Of the two, more {fit.more} would take more off the loss.")
    if not fit.axes:
        return sentences
    floor = fit.floor
    if any(axis.verdict == "unknown" for axis in fit.axes) or (
        not np.isfinite([floor.low, floor.high]).all()
        or floor.high - floor.low > 0.5 * max(abs(fit.loss), 1e-12)
    ):
        sentences.append("Where the loss would end with more of all, the ladder cannot say.")
    else:
        sentences.append(
            f"With ever more of {' and '.join(a.name for a in fit.axes)} the loss would end at "
            f"{floor.value:.3g} ({floor.low:.3g} to {floor.high:.3g}); "
            f"at the end of the ladder it is {fit.loss:.3g}."
        )
    return sentences


def say_amount(value: float) -> str:
    """Return an amount as people say it.

    Example:
        >>> say_amount(6_801_062), say_amount(292.4), say_amount(0.151)
        ('6.8 M', '292', '0.15')
    """
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {sign}"
    return f"{value:.0f}" if value >= _HUNDRED else f"{value:.2g}"


def _say_axis(axis: AxisFit) -> str:
    gain = axis.gain
    if axis.verdict == "unknown":
        return f"Whether more {axis.name} would pay, the ladder cannot say: {axis.reason}."
    if axis.verdict == "saturated":
        return (
            f"More {axis.name} would not pay: twice as much takes at most {_percent(gain.high)} % "
            f"off the loss, and {100 * WORTH:g} % is what would be worth it."
        )
    found = (
        f"More {axis.name} would pay: twice as much takes {_percent(gain.value)} % off the loss "
        f"({_percent(gain.low)} to {_percent(gain.high)} %)"
    )
    ends = axis.ends
    if not np.isfinite(ends.high):
        return f"{found}. Where it saturates lies too far beyond the ladder to say."
    low, value, high = (say_amount(end) for end in (ends.low, ends.value, ends.high))
    return f"{found}. It saturates at about {value} {axis.unit} ({low} to {high})."


def _read_axis(
    name: str,
    unit: str,
    most: float,
    laws: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    scale: float,
    *,
    free: int,
    count: int,
) -> tuple[AxisFit, np.ndarray]:
    """Return what is known of an axis, and its gain in each draw."""
    (factor, exponent), (factors, exponents) = laws
    gain, gains = (f * (1 - 2.0**-e) / scale for f, e in ((factor, exponent), (factors, exponents)))
    told = Estimate.of(float(gain[0]), gains)
    reason = ""
    if count < _LEAST_VALUES:
        reason = f"it takes {_LEAST_VALUES} values of {name} at least, and there are {count}"
    elif free < 1:
        reason = "there are no more runs than the law has numbers; add sizes, shares or seeds"
    elif told.low < WORTH <= told.high:
        reason = (
            f"twice as much would take off between {_percent(told.low)} and "
            f"{_percent(told.high)} % of the loss; the runs are too few, or too noisy"
        )
    verdict = "unknown" if reason else "pays" if told.low >= WORTH else "saturated"
    known = free > 0 and count >= _LEAST_VALUES
    ends, all_ends = (_end(g, e) * most for g, e in ((gain, exponent), (gains, exponents)))
    is_far = all_ends > _FARTHEST * most
    return AxisFit(
        name,
        unit,
        float(most),
        float(factor[0] * most ** exponent[0]),
        Estimate.of(float(exponent[0]), exponents) if known else UNKNOWN,
        told if known else UNKNOWN,
        Estimate.of(float(ends[0]), np.where(is_far, np.inf, all_ends)) if known else UNKNOWN,
        verdict,
        reason,
    ), gains


def _end(gain: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Return how many times as much it takes until a doubling is not worth it any more."""
    with np.errstate(over="ignore"):
        return np.where(gain > 0, (gain / WORTH) ** (1 / exponent), 0.0)


def _choose_more(axes: list[AxisFit], gains: list[np.ndarray]) -> str:
    """Return of which axis a doubling takes more off, if that is sure and worth it."""
    if len(axes) < 2 or "pays" not in {axis.verdict for axis in axes}:
        return ""
    if any(axis.verdict == "unknown" for axis in axes):
        return ""
    ahead = Estimate.of(axes[0].gain.value - axes[1].gain.value, gains[0] - gains[1])
    return axes[0].name if ahead.low > 0 else axes[1].name if ahead.high < 0 else ""


def _fit_robustly(shares: np.ndarray, loss: np.ndarray, free: int) -> tuple[Laws, np.ndarray]:
    """Return the law, and how much each run weighs in it."""
    weight = np.ones(len(loss))
    law = fit_laws(shares, loss[None], weight)
    for _ in range(_ROUNDS if free > 0 else 0):
        off = np.abs(loss - law.predict(shares)[0])
        # The median of residuals that as many numbers were fitted to tells too little.
        spread = max(1.4826 * float(np.median(off)) * np.sqrt(len(loss) / free), 1e-9)
        before, weight = weight, np.minimum(1.0, _OUTLYING * spread / np.maximum(off, 1e-12))
        if np.abs(weight - before).max() < _SETTLED:
            break
        law = fit_laws(shares, loss[None], weight)
    return law, weight


def _take(law: Laws, place: int) -> tuple[np.ndarray, np.ndarray]:
    return law.factor[:, place], law.exponent[:, place]


def _check(parameters: np.ndarray, data: np.ndarray, loss: np.ndarray) -> None:
    if not len(loss) or not parameters.shape == data.shape == loss.shape:
        raise InputError(
            "shape",
            "the runs of a ladder do not fit together",
            why=f"{len(parameters)} sizes, {len(data)} amounts of data, {len(loss)} losses",
        )
    if not np.isfinite([parameters, data, loss]).all() or min(parameters.min(), data.min()) <= 0:
        raise InputError("value", "a run of a ladder has no finite loss, or learned from nothing")


def _percent(share: float) -> str:
    return f"{100 * share:.2g}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
