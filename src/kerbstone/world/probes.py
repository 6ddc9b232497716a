"""Linear probes: what can be read off frozen features by a weighted sum of their values.

References:
    Alain and Bengio, "Understanding Intermediate Layers Using Linear Classifier Probes", 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError

PENALTIES = (1.0, 10.0, 100.0, 1000.0)
_FOLDS = 4


@dataclass(frozen=True, eq=False)
class Probe:
    """A ridge regression on standardised features.

    Args:
        mean: Of each feature in training.
        spread: Standard deviation of each.
        weight: Of each.
        offset: What it says of the mean.
    """

    mean: Float64[np.ndarray, " feature"]
    spread: Float64[np.ndarray, " feature"]
    weight: Float64[np.ndarray, " feature"]
    offset: float

    def __call__(
        self, features: Float64[np.ndarray, "item feature"]
    ) -> Float64[np.ndarray, " item"]:
        """Return what it says of items."""
        return (features - self.mean) / self.spread @ self.weight + self.offset


def fit_probe(
    features: Float64[np.ndarray, "item feature"],
    target: Float64[np.ndarray, " item"],
    log: np.ndarray,
    *,
    is_class: bool = False,
) -> Probe:
    """Fit a probe; its penalty is chosen by how well it does on folds of whole logs.

    Args:
        features: Of each item.
        target: What is to be told of it.
        log: Its log.
        is_class: Whether the target is 0 or 1; both then weigh the same in all, which makes the
            probe a linear discriminant.

    Raises:
        InputError: There is too little to learn from.
    """
    weight = np.ones(len(target))
    if is_class:
        positive = target > 0.5
        if not positive.any() or positive.all():
            raise InputError("empty", "a probe has nothing to tell apart in its training windows")
        weight = np.where(positive, 0.5 / positive.mean(), 0.5 / (~positive).mean())
    if len(target) < 2:
        raise InputError("empty", "a probe has too few training windows", why=f"{len(target)}")
    names, number = np.unique(log.astype(str), return_inverse=True)
    fold = number % min(_FOLDS, max(len(names), 1))
    losses = np.zeros(len(PENALTIES))
    for each in range(int(fold.max()) + 1):
        rest, part = fold != each, fold == each
        if not rest.any():
            continue
        probes = _fit(features[rest], target[rest], weight[rest])
        for place, probe in enumerate(probes):
            losses[place] += (weight[part] * (probe(features[part]) - target[part]) ** 2).sum()
    return _fit(features, target, weight)[int(losses.argmin())]


@dataclass(frozen=True, eq=False)
class ClassProbe:
    """A probe for each class against the rest; the class whose probe says most is named.

    Args:
        probes: Of each class; None of one that was never seen, which is never named.
    """

    probes: tuple[Probe | None, ...]

    def __call__(self, features: Float64[np.ndarray, "item feature"]) -> Int64[np.ndarray, " item"]:
        """Return the classes of items."""
        says = [
            np.full(len(features), -np.inf) if probe is None else probe(features)
            for probe in self.probes
        ]
        return np.stack(says, axis=1).argmax(axis=1)


def fit_class_probe(
    features: Float64[np.ndarray, "item feature"],
    target: Int64[np.ndarray, " item"],
    log: np.ndarray,
    *,
    classes: int,
) -> ClassProbe:
    """Fit probes that tell classes apart, all of which weigh the same.

    Args:
        features: Of each item.
        target: Its class, from 0.
        log: Its log.
        classes: How many classes there are.

    Raises:
        InputError: Fewer than two classes are seen.
    """
    seen = np.bincount(target, minlength=classes) > 0
    if seen.sum() < 2:
        raise InputError("empty", "a probe has nothing to tell apart in its training windows")
    return ClassProbe(
        tuple(
            fit_probe(features, (target == each).astype(np.float64), log, is_class=True)
            if seen[each]
            else None
            for each in range(classes)
        )
    )


def _fit(features: np.ndarray, target: np.ndarray, weight: np.ndarray) -> list[Probe]:
    """Return the probe of each penalty."""
    mean = features.mean(axis=0)
    spread = np.maximum(features.std(axis=0), 1e-6)
    scaled = (features - mean) / spread
    share = weight / weight.sum()
    offset = float(share @ target)
    middle = share @ scaled
    centred = scaled - middle
    gram = (centred * weight[:, None]).T @ centred
    side = (centred * weight[:, None]).T @ (target - offset)
    eye = np.eye(len(gram))
    found = []
    for penalty in PENALTIES:
        solved = np.linalg.solve(gram + penalty * eye, side)
        found.append(Probe(mean, spread, solved, offset - float(middle @ solved)))
    return found
