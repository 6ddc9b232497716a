"""How sure a label is: the chance that its box overlaps the truth by more than half.

A logistic model weighs the evidence for a cell, and an isotonic curve on top of it makes of its
order a chance that is met: of labels that say 0.8, four of five are right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from kerbstone.errors import InputError
from kerbstone.scene import Kind

FEATURES = (
    "detected",  # log odds of the cell's own detection, 0 without one
    "seen",  # whether it has one
    "around",  # mean reality of detections within some tenths of a second
    "nearby",  # the same within a second or so
    "track",  # mean log odds of the track's detections
    "best",  # log odds that a tenth of its detections exceed
    "hits",  # log of their number
    "gap",  # seconds to the nearest detection of the track, between two of them
    "beyond",  # the same before the first and after the last
    "spread",  # log of how uncertain the place is
    "distance",  # from the recording car, in 50 m
    "stands",  # whether it never moves
)
"""What `label.evidence` gathers of a cell, in this order."""

_ROWS = 100_000
"""So many cells are weighed together: their terms fill a few hundred megabytes."""
_KNOTS = 24
_ENOUGH = 2000
"""So many right and wrong cells each are needed for a curve of a kind's own."""
_SHRINKAGE = 1e-3


@dataclass(frozen=True, eq=False)
class Confidence:
    """A fitted model of how sure labels are.

    Args:
        weights: What each term counts: a constant, the features, their squares and products.
        shift: Mean of each feature where the model was fitted.
        scale: Its standard deviation there.
        raw: Chances as the logistic model gives them, rising.
        met: How often they were met.
    """

    weights: Float64[np.ndarray, " term"]
    shift: Float64[np.ndarray, " feature"]
    scale: Float64[np.ndarray, " feature"]
    raw: Float64[np.ndarray, " knot"]
    met: Float64[np.ndarray, " knot"]

    def predict(
        self, evidence: Float64[np.ndarray, "cell feature"]
    ) -> Float64[np.ndarray, " cell"]:
        """Return the chance of each cell."""
        chance = np.empty(len(evidence))
        for first in range(0, len(evidence), _ROWS):
            part = slice(first, first + _ROWS)
            terms = _terms((evidence[part] - self.shift) / self.scale)
            chance[part] = expit(terms @ self.weights)
        return np.interp(chance, self.raw, self.met)

    def to_dict(self) -> dict[str, list[float]]:
        """Return it as plain lists, for a TOML or JSON file."""
        names = ("weights", "shift", "scale", "raw", "met")
        return {name: [float(f"{v:.6g}") for v in getattr(self, name)] for name in names}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "") -> Confidence:
        """Return a model of plain lists.

        Raises:
            InputError: A list is missing, holds something else than numbers, or is of the wrong
                length; a scale is not positive, or chances are none.
        """
        features = len(FEATURES)
        lengths = {
            "weights": 1 + features + features * (features + 1) // 2,
            "shift": features,
            "scale": features,
            "raw": None,
            "met": None,
        }
        arrays = {}
        for name, length in lengths.items():
            try:
                array = np.array(values.get(name), np.float64)
            except (TypeError, ValueError):
                array = np.zeros((0, 0))
            fits = array.ndim == 1 and len(array) > 0 and bool(np.isfinite(array).all())
            if not fits or (length is not None and len(array) != length):
                raise InputError(
                    "config",
                    f"`{name}` of a confidence model does not fit",
                    where=where,
                    why=f"expected {length or 'some'} finite numbers",
                    remedy="fit the model again with this version",
                )
            arrays[name] = array
        if (arrays["scale"] <= 0).any():
            raise InputError(
                "config",
                "`scale` of a confidence model is not positive",
                where=where,
                remedy="fit the model again with this version",
            )
        raw, met = arrays["raw"], arrays["met"]
        if len(raw) != len(met) or any(
            (np.diff(side) < 0).any() or side[0] < 0 or side[-1] > 1 for side in (raw, met)
        ):
            raise InputError(
                "config",
                "the curve of a confidence model is no curve",
                where=where,
                why="`raw` and `met` rise within 0 and 1 and are of one length",
                remedy="fit the model again with this version",
            )
        return cls(**arrays)


def fit_confidence(
    evidence: Float64[np.ndarray, "cell feature"],
    right: Bool[np.ndarray, " cell"],
    kind: UInt8[np.ndarray, " cell"],
) -> dict[Kind, Confidence]:
    """Return for each kind the model that tells right cells from wrong ones best.

    How evidence is weighed is learned from all kinds together, since logs hold few of some; how
    sure that makes a label, from each kind apart.

    Args:
        evidence: What is known of each cell.
        right: Whether its box overlaps the truth by more than half.
        kind: Its kind.

    References:
        Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
        estimates", KDD 2002: isotonic calibration; Platt, "Probabilistic outputs for support vector
        machines", 1999, where there is little to learn from.

    Raises:
        InputError: There is no cell, or all are right or all wrong.
    """
    if not 0 < int(right.sum()) < len(right):
        raise InputError(
            "empty",
            "a confidence model needs right and wrong labels",
            why=f"{int(right.sum())} of {len(right)} are right",
            remedy="give logs with truth in which the detector also errs",
        )
    kinds, number = np.unique(kind, return_inverse=True)
    shift, scale = evidence.mean(axis=0), evidence.std(axis=0) + 1e-6
    terms = _terms((evidence - shift) / scale)
    # Each kind has a level of its own while the weights are learned, which they need not explain.
    own_level = np.eye(len(kinds))[number][:, 1:]
    count = terms.shape[1]
    free = np.full(count + len(kinds) - 1, _SHRINKAGE)
    free[0] = 0.0
    learned = _fit_logistic(np.hstack([terms, own_level]), right, np.zeros(len(free)), free)
    weights, levels = learned[:count], np.append(0.0, learned[count:])
    models = {}
    for each, level in zip(kinds, levels, strict=True):
        rows = kind == each
        odds = terms[rows] @ weights
        # A few cells that are all right or all wrong must not make a kind certain for ever.
        lift, slope = _fit_logistic(
            np.column_stack([np.ones(len(odds)), odds]),
            right[rows],
            np.array([level, 1.0]),
            np.full(2, 1 / len(odds)),
        )
        own = max(slope, 0.0) * weights
        own[0] += lift
        raw, met = _curve(expit(terms[rows] @ own), right[rows])
        models[Kind(int(each))] = Confidence(own, shift, scale, raw, met)
    return models


def _fit_logistic(
    terms: Float64[np.ndarray, "cell term"],
    right: Bool[np.ndarray, " cell"],
    expected: Float64[np.ndarray, " term"],
    shrinkage: Float64[np.ndarray, " term"],
) -> Float64[np.ndarray, " term"]:
    """Return the weights of a logistic regression, each drawn towards what is expected of it.

    One over the number of cells as shrinkage is a standard deviation of 1 around what is expected.
    """
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (terms @ weights)
        off = weights - expected
        penalty = shrinkage * off
        value = np.logaddexp(0.0, -margin).mean() + penalty @ off / 2
        return float(value), terms.T @ (-sign * expit(-margin)) / len(sign) + penalty

    return np.asarray(minimize(loss, expected, jac=True, method="L-BFGS-B").x)


def _terms(standard: Float64[np.ndarray, "cell feature"]) -> Float64[np.ndarray, "cell term"]:
    standard = np.clip(standard, -4.0, 4.0)
    row, column = np.triu_indices(standard.shape[1])
    ones = np.ones((len(standard), 1))
    return np.hstack([ones, standard, standard[:, row] * standard[:, column]])


def _curve(
    chance: Float64[np.ndarray, " cell"], right: Bool[np.ndarray, " cell"]
) -> tuple[Float64[np.ndarray, " knot"], Float64[np.ndarray, " knot"]]:
    """Return the isotonic curve from raw chances to met ones; straight where little is known."""
    ends = np.array([0.0, 1.0])
    if min(int(right.sum()), int((~right).sum())) < _ENOUGH:
        return ends, ends
    # Parts with as many right cells as wrong ones in all: most cells lie near 0 or 1.
    order = np.argsort(chance, kind="stable")
    doubt = np.cumsum(chance[order] * (1 - chance[order]) + 1e-4)
    bins = np.searchsorted(doubt, np.linspace(0, doubt[-1], _KNOTS + 1)[1:-1])
    parts = [part for part in np.split(order, bins) if len(part)]
    raw = np.array([chance[part].mean() for part in parts])
    rate = np.array([right[part].mean() for part in parts])
    met = isotonic_regression(rate, weights=np.array([len(part) for part in parts])).x
    return raw, np.clip(np.asarray(met), 0.0, 1.0)


def expected_calibration_error(
    confidence: Float64[np.ndarray, " cell"], right: Bool[np.ndarray, " cell"], *, bins: int = 15
) -> float:
    """Return by how much confidence and truth differ on average, over bins of confidence.

    NaN where there is no cell.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    said = np.bincount(place, confidence, minlength=bins)
    met = np.bincount(place, right.astype(np.float64), minlength=bins)
    return float(np.abs(said - met).sum() / len(right)) if len(right) else float("nan")


def _prior() -> Confidence:
    """Return what is believed of a detector of which nothing is known."""
    weights = np.zeros(1 + len(FEATURES) + len(FEATURES) * (len(FEATURES) + 1) // 2)
    weights[0] = -2.0
    believed = {
        "detected": 0.2,
        "around": 2.0,
        "nearby": 2.0,
        "track": 0.3,
        "best": 0.3,
        "hits": 0.4,
        "gap": -1.5,
        "beyond": -3.0,
        "distance": -0.5,
    }
    for name, weight in believed.items():
        weights[1 + FEATURES.index(name)] = weight
    count = len(FEATURES)
    ends = np.array([0.0, 1.0])
    return Confidence(weights, np.zeros(count), np.ones(count), ends, ends)


PRIOR = _prior()
"""For a detector of which nothing is known: what is seen often, lately and surely is there."""
