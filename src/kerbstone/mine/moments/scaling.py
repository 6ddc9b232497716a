"""From features in their units to vectors that can be compared, by the statistics of a store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from kerbstone.mine.moments.features import FEATURES, SIZE, VERSION, feature_weights
from kerbstone.store import Store

FIT = "fit-descriptor"
"""The command under which a fit is recorded; its statistics are the run's metrics."""

_IQR_OF_NORMAL = 1.349


@dataclass(frozen=True, eq=False)
class Scales:
    """What is usual in a store, and how far values usually lie from it.

    A feature becomes `asinh((value - median) / scale)` times its weight: near the median it is
    told apart linearly, far out by orders of magnitude, so that no single number decides. A value
    that is not known becomes 0, the median. The scale is the interquartile range over 1.349 (the
    standard deviation where values are normal), and at least the feature's floor.

    Args:
        median: Of each feature, in its unit.
        scale: Of each feature, in its unit.
    """

    median: Float64[np.ndarray, " feature"]
    scale: Float64[np.ndarray, " feature"]

    @property
    def version(self) -> str:
        """The version of the vectors that it makes: the layout's, and a digest of itself."""
        text = json.dumps([self.median.tolist(), self.scale.tolist()])
        return f"{VERSION}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    def to_vectors(
        self, values: Float64[np.ndarray, "moment feature"]
    ) -> Float32[np.ndarray, "moment feature"]:
        """Return the vectors of features in their units."""
        deviation = np.nan_to_num(np.arcsinh((values - self.median) / self.scale))
        return (deviation * feature_weights()).astype(np.float32)

    def deviations(
        self, vectors: Float32[np.ndarray, "moment feature"]
    ) -> Float64[np.ndarray, "moment feature"]:
        """Return by how many scales the features of vectors lie above the median."""
        return np.sinh(vectors.astype(np.float64) / feature_weights())

    def to_values(
        self, vectors: Float32[np.ndarray, "moment feature"]
    ) -> Float64[np.ndarray, "moment feature"]:
        """Return the features of vectors in their units; what was not known is the median."""
        return self.median + self.scale * self.deviations(vectors)

    @classmethod
    def fit(cls, values: Float64[np.ndarray, "moment feature"]) -> Scales:
        """Return the statistics of features in their units; what is not known does not count.

        Args:
            values: Of a sample of moments. A feature that is never known has median 0.
        """
        median, scale = np.zeros(SIZE), np.array([feature.floor for feature in FEATURES])
        for column, known in enumerate(np.isfinite(values).T):
            if known.any():
                low, middle, high = np.percentile(values[known, column], [25, 50, 75])
                median[column] = middle
                scale[column] = max(scale[column], (high - low) / _IQR_OF_NORMAL)
        # What is kept as text is what is used.
        return cls(np.round(median, 9), np.round(scale, 9))

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON values, by feature."""
        rows = zip(FEATURES, self.median.tolist(), self.scale.tolist(), strict=True)
        return {feature.name: [median, scale] for feature, median, scale in rows}


def known_scales(store: Store) -> Scales | None:
    """Return the statistics that were fitted last on a store with this layout, if any."""
    names = {feature.name for feature in FEATURES}
    for run in reversed(store.runs().to_pylist()):
        if run["command"] != FIT or run["outcome"] != "done":
            continue
        metrics = json.loads(run["metrics"])
        found = metrics.get("scales", {})
        if metrics.get("layout") == VERSION and found.keys() == names:
            pairs = np.array([found[feature.name] for feature in FEATURES])
            return Scales(pairs[:, 0], pairs[:, 1])
    return None
