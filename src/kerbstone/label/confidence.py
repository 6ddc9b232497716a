"""How sure a label is: the chance that its box overlaps the truth by more than half.

A logistic model weighs the evidence for a cell, and an isotonic curve on top of it makes of its
order a chance that is met: of labels that say 0.8, four of five are right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from kerbstone.errors import InputError
from kerbstone.label.evidence import FEATURES

_KNOTS = 24
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
        terms = _terms((evidence - self.shift) / self.scale)
        return np.interp(expit(terms @ self.weights), self.raw, self.met)

    def to_dict(self) -> dict[str, list[float]]:
        """Return it as plain lists, for a TOML or JSON file."""
        names = ("weights", "shift", "scale", "raw", "met")
        return {name: [float(f"{v:.6g}") for v in getattr(self, name)] for name in names}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "") -> Confidence:
        """Return a model of plain lists.

        Raises:
            InputError: A list is missing, holds something else than numbers, or is of the wrong
                length.
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
        if len(arrays["raw"]) != len(arrays["met"]) or (np.diff(arrays["raw"]) < 0).any():
            raise InputError("config", "the curve of a confidence model is no curve", where=where)
        return cls(**arrays)


def fit_confidence(
    evidence: Float64[np.ndarray, "cell feature"],
    right: Bool[np.ndarray, " cell"],
    weight: Float64[np.ndarray, " cell"] | None = None,
) -> Confidence:
    """Return the model that tells right cells from wrong ones best.

    Args:
        evidence: What is known of each cell.
        right: Whether its box overlaps the truth by more than half.
        weight: How much each cell counts.

    References:
        Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
        estimates", KDD 2002: isotonic calibration.

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
    weight = np.ones(len(right)) if weight is None else weight
    shift = np.average(evidence, axis=0, weights=weight)
    scale = np.sqrt(np.average((evidence - shift) ** 2, axis=0, weights=weight)) + 1e-6
    terms = _terms((evidence - shift) / scale)
    sign = np.where(right, 1.0, -1.0)
    total = weight.sum()

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (terms @ weights)
        slope = -sign * weight * expit(-margin)
        value = (weight * np.logaddexp(0.0, -margin)).sum() / total
        penalty = _SHRINKAGE * weights
        penalty[0] = 0.0
        return (
            float(value + penalty @ weights / 2),
            terms.T @ slope / total + penalty,
        )

    fitted = minimize(loss, np.zeros(terms.shape[1]), jac=True, method="L-BFGS-B")
    chance = expit(terms @ fitted.x)
    raw, met = _curve(chance, right, weight)
    return Confidence(np.asarray(fitted.x), shift, scale, raw, met)


def _terms(standard: Float64[np.ndarray, "cell feature"]) -> Float64[np.ndarray, "cell term"]:
    standard = np.clip(standard, -4.0, 4.0)
    row, column = np.triu_indices(standard.shape[1])
    ones = np.ones((len(standard), 1))
    return np.hstack([ones, standard, standard[:, row] * standard[:, column]])


def _curve(
    chance: Float64[np.ndarray, " cell"],
    right: Bool[np.ndarray, " cell"],
    weight: Float64[np.ndarray, " cell"],
) -> tuple[Float64[np.ndarray, " knot"], Float64[np.ndarray, " knot"]]:
    """Return the isotonic curve from raw chances to met ones, at a few knots."""
    order = np.argsort(chance, kind="stable")
    bins = np.array_split(order, min(_KNOTS, max(len(order) // 20, 1)))
    raw = np.array([np.average(chance[b], weights=weight[b] + 1e-12) for b in bins])
    rate = np.array([np.average(right[b], weights=weight[b] + 1e-12) for b in bins])
    mass = np.array([weight[b].sum() + 1e-12 for b in bins])
    met = np.asarray(isotonic_regression(rate, weights=mass).x)
    return raw, np.clip(met, 0.0, 1.0)


def expected_calibration_error(
    confidence: Float64[np.ndarray, " cell"], right: Bool[np.ndarray, " cell"], *, bins: int = 15
) -> float:
    """Return by how much confidence and truth differ on average, over bins of confidence.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    total = np.bincount(place, minlength=bins)
    said = np.bincount(place, confidence, minlength=bins)
    met = np.bincount(place, right.astype(np.float64), minlength=bins)
    return float(np.abs(said - met).sum() / max(total.sum(), 1))


def weigh_logs(lengths: Sequence[int]) -> Float64[np.ndarray, " cell"]:
    """Return weights by which each log counts the same, long or short."""
    return np.concatenate([np.full(n, 1.0 / max(n, 1)) for n in lengths] or [np.zeros(0)])
