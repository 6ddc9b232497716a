"""What a frozen model's tokens say of road users: the features that probes read."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.judge.generality.sampling import PAST, Sample
from kerbstone.judge.generality.subjects import Subject
from kerbstone.world.embedding import encode_batch
from kerbstone.world.masks import Forecast
from kerbstone.world.predicting import run_model
from kerbstone.world.windows import PATCH

_SEEN = round(PAST / PATCH)
_LOOKS = (1.0, 3.0, 5.0)
"""Tokens of so much later [s] are read too: what the model expects there of the hidden future."""


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
