"""Linear probes: what can be read off a frozen model's tokens by a weighted sum of their values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.judge.generality.sampling import PAST, Sample
from kerbstone.judge.generality.subjects import Subject
from kerbstone.world.embedding import encode_batch
from kerbstone.world.masks import Forecast
from kerbstone.world.predicting import run_model
from kerbstone.world.windows import PATCH

_PENALTIES = (1.0, 10.0, 100.0, 1000.0)
_FOLDS = 4
_SEEN = round(PAST / PATCH)
_LOOKS = (1.0, 3.0, 5.0)
"""Tokens of so much later [s] are read too: what the model expects there of the hidden future."""


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
    losses = np.zeros(len(_PENALTIES))
    for each in range(int(fold.max()) + 1):
        rest, part = fold != each, fold == each
        if not rest.any():
            continue
        probes = _fit(features[rest], target[rest], weight[rest])
        for place, probe in enumerate(probes):
            losses[place] += (weight[part] * (probe(features[part]) - target[part]) ** 2).sum()
    return _fit(features, target, weight)[int(losses.argmin())]


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
    for penalty in _PENALTIES:
        solved = np.linalg.solve(gram + penalty * eye, side)
        found.append(Probe(mean, spread, solved, offset - float(middle @ solved)))
    return found


def read_tokens(
    subject: Subject, sample: Sample, rows: list[Int64[np.ndarray, " chosen"]]
) -> Float64[np.ndarray, "item value"]:
    """Return what a model has learned of road users from their past and that of all others.

    That are its tokens at the present, the mean of those of the past, and those of some hidden
    patches of the future: the future itself is not shown.

    Args:
        subject: The model.
        sample: The windows.
        rows: Road users of each window, all of whom are seen at the present.
    """

    def encode() -> list[np.ndarray]:
        seen = sample.observe("future", Forecast(PAST))
        looks = [_SEEN - 1 + round(look / PATCH) for look in _LOOKS]
        found = []
        for left, ((tokens,), frame) in zip(
            seen, run_model(encode_batch, subject.model, seen), strict=True
        ):
            own = tokens[: len(frame.rows)]
            parts = [own[:, _SEEN - 1], own[:, :_SEEN].mean(axis=1), *(own[:, k] for k in looks)]
            full = np.zeros((len(left.window), sum(part.shape[1] for part in parts)))
            full[frame.rows] = np.concatenate(parts, axis=1)
            found.append(full)
        return found

    tokens = sample.keep(("tokens", subject.key), encode)
    pairs = zip(tokens, rows, strict=True)
    return np.concatenate([each[some] for each, some in pairs]).astype(np.float64)
