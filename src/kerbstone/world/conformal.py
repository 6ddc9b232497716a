"""Surprise: how unlikely a model found what a road user did, told as how rare that is.

A likelihood alone ranks tracks that are long, fast or noisy. So its excess over a baseline (see
`calibrating.measure_excess`) is compared with that of held-out road users of the same kind and
speed: the split conformal p-value is the share of them that surprised the model at least as much.
Surprise is `-log10 p`: 2 says one in a hundred, 3 one in a thousand.

The p-value of a road user that is exchangeable with the held-out ones is at most p with probability
p, whatever the model. Logs of another town or of another recorder are not exchangeable with them:
there it is a scale, and no probability. Neither are the windows of one track independent, so that a
surprise comes in stretches.

References:
    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005 (chapter 4);
    Laxhammar and Falkman, "Conformal prediction for distribution-independent anomaly detection in
    streaming vessel data", StreamKDD 2010.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64, Int

from kerbstone.errors import InputError
from kerbstone.world.baselines.tracks import Group, group_of

SPEEDS = (0.5, 5.0, 15.0)
"""Where one class of speeds ends and the next begins [m/s]."""
ALL = "all"
"""The bin of all road users."""

_MOST = 4000
"""Surprises that are kept of a bin."""
_ENOUGH = 200
"""A bin with fewer tells little of what is rare: a coarser one is asked."""
_TAIL = 0.9
_LEAST_SCALE = 1e-3


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is usual in scenes that a model was not trained on.

    Args:
        model: Version of the model.
        scores: By how much road users surprised it, in ascending order [nat per step], by the
            name of their bin: kind and class of speed.
        centre: The mean vector of their moments, from which others are told apart: all vectors of
            a network point about the same way. Empty where it is not known.
    """

    model: str
    scores: Mapping[str, Float64[np.ndarray, " score"]]
    centre: Float64[np.ndarray, " value"] = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def version(self) -> str:
        """A digest of all that it says."""
        digest = hashlib.blake2b(self.model.encode(), digest_size=6)
        for name, values in sorted(self.scores.items()):
            digest.update(f"\0{name}\0".encode() + values.tobytes())
        digest.update(b"\0\0" + self.centre.tobytes())
        return digest.hexdigest()

    def p_value(
        self,
        excess: Float[np.ndarray, "*shape"],
        kind: Int[np.ndarray, "*shape"],
        speed: Float[np.ndarray, "*shape"],
    ) -> Float64[np.ndarray, "*shape"]:
        """Return the share of held-out road users of its like that surprised at least as much.

        The one itself counts as one of them: (1 + #{at least as large}) / (n + 1).

        Args:
            excess: Negative log-likelihood less that of the baseline [nat per step].
            kind: `Kind` of each road user.
            speed: [m/s]; where it is not known, those of the kind at any speed are asked.

        Returns:
            The conformal p-value; NaN where the excess is.
        """
        found = np.full(excess.shape, np.nan)
        for place, scores in self._bins(excess, kind, speed):
            fewer = np.searchsorted(scores, excess[place], "left")
            found[place] = (1 + len(scores) - fewer) / (len(scores) + 1)
        return found

    def surprise(
        self,
        excess: Float[np.ndarray, "*shape"],
        kind: Int[np.ndarray, "*shape"],
        speed: Float[np.ndarray, "*shape"],
    ) -> Float64[np.ndarray, "*shape"]:
        """Return -log10 of the p-value, drawn on beyond what any held-out road user came to.

        There the p-value stands still, and what surprises more would not rank higher. So it goes
        on as a Pareto tail of shape 1 does, as heavy as can be, whose scale is the mean excess of
        the largest tenth: that ranks, and is no probability.

        Args:
            excess: As for `p_value`.
            kind: As for `p_value`.
            speed: As for `p_value`.
        """
        found = -np.log10(self.p_value(excess, kind, speed))
        for place, scores in self._bins(excess, kind, speed):
            tail = scores[int(_TAIL * len(scores)) :]
            scale = max(float(tail.mean() - tail[0]), _LEAST_SCALE)
            beyond = np.maximum(excess[place] - scores[-1], 0.0)
            found[place] += np.log10(1.0 + beyond / scale)
        return found

    def _bins(
        self, excess: np.ndarray, kind: np.ndarray, speed: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give where there is an excess, by the held-out ones that it is compared with."""
        group = group_of(kind)
        classes = np.where(np.isnan(speed), -1, np.digitize(np.nan_to_num(speed), SPEEDS))
        known = ~np.isnan(excess)
        for one in np.unique(group[known]).tolist():
            for each in np.unique(classes[known & (group == one)]).tolist():
                yield known & (group == one) & (classes == each), self._fitting(one, each)

    def _fitting(self, group: int, speed: int) -> np.ndarray:
        for name in (_name(group, speed), _name(group)):
            scores = self.scores.get(name)
            if scores is not None and len(scores) >= _ENOUGH:
                return scores
        return self.scores[ALL]


def fit_calibration(
    excess: Float[np.ndarray, " score"],
    kind: Int[np.ndarray, " score"],
    speed: Float[np.ndarray, " score"],
    *,
    model: str,
    centre: Float[np.ndarray, " value"] | None = None,
    most: int = _MOST,
    seed: int = 0,
) -> Calibration:
    """Return the calibration by held-out excesses.

    Args:
        excess: Negative log-likelihood less that of the baseline [nat per step]; NaN does not
            count.
        kind: `Kind` of each road user.
        speed: [m/s]; NaN where not known.
        model: Version of the model.
        centre: The mean vector of held-out moments, if it is known.
        most: How many are kept of a bin: of more, as many are drawn, which stay exchangeable.
        seed: Of the draw.

    Raises:
        InputError: None is known.
    """
    known = np.isfinite(excess)
    if not known.any():
        raise InputError(
            "empty",
            "there is nothing to calibrate surprise with",
            why="in no held-out scene is a road user seen for long enough",
        )
    # What is kept as text is what is used.
    values = np.round(excess[known].astype(np.float64), 5)
    group, pace = group_of(kind[known]), speed[known]
    classes = np.where(np.isnan(pace), -1, np.digitize(np.nan_to_num(pace), SPEEDS))
    bins = {ALL: np.ones(len(values), bool)}
    for one in np.unique(group).tolist():
        bins[_name(one)] = group == one
        for each in np.unique(classes[(group == one) & (classes >= 0)]).tolist():
            bins[_name(one, each)] = (group == one) & (classes == each)
    rng = np.random.default_rng(seed)
    scores = {}
    for name, place in bins.items():
        some = values[place]
        if len(some) > most:
            some = rng.choice(some, most, replace=False)
        scores[name] = np.sort(some)
    middle = np.zeros(0) if centre is None else np.round(centre.astype(np.float64), 7)
    return Calibration(model, scores, middle)


def known_bins() -> set[str]:
    """Return the names that bins may have."""
    fine = {_name(group, speed) for group in Group for speed in range(len(SPEEDS) + 1)}
    return {ALL, *map(_name, Group), *fine}


def _name(group: int, speed: int | None = None) -> str:
    name = Group(group).name.lower()
    return name if speed is None else f"{name} {speed}"
