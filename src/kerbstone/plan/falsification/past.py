"""The last seconds of a batch of episodes: who caused a touch is told from what came before it."""

from __future__ import annotations

from collections import deque

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.plan.falsification.crowds import Wake
from kerbstone.plan.shield.blame import Contact

_KEPT = 30
"""Steps that are kept: three seconds of them."""


class Past:
    """What happened in the last steps.

    Args:
        sample: Time between two samples [s].
    """

    def __init__(self, sample: float) -> None:
        self.sample = sample
        self.step = -1
        """Number of the last step."""
        self._steps: deque[tuple[Float64[np.ndarray, "episode sample 6"], Wake]] = deque(
            maxlen=_KEPT
        )

    def __getitem__(self, index: int) -> tuple[Float64[np.ndarray, "episode sample 6"], Wake]:
        return self._steps[index]

    def add(self, driven: Float64[np.ndarray, "episode sample 6"], wake: Wake) -> None:
        """Add a step."""
        self._steps.append((driven, wake))
        self.step += 1

    def until(
        self, rows: Int64[np.ndarray, " contact"], agent: Int64[np.ndarray, " contact"], sample: int
    ) -> Contact:
        """Return the tracks of ego and of one other until a sample of the last step.

        Args:
            rows: Episodes.
            agent: Whom ego touched in each.
            sample: The sample of the last step at which all tracks end.
        """

        def join(parts: list[np.ndarray]) -> np.ndarray:
            cut = [part[:, :-1] for part in parts[:-1]] + [parts[-1][:, : sample + 1]]
            return np.concatenate(cut, axis=1)

        wakes = [wake for _, wake in self._steps]
        after = wakes[-1].after
        return Contact(
            ego=join([driven[rows] for driven, _ in self._steps]),
            kind=after.kind[rows, agent],
            position=join([wake.place[rows, agent] for wake in wakes]),
            heading=join([wake.heading[rows, agent] for wake in wakes]),
            speed=join([wake.speed[rows, agent] for wake in wakes]),
            size=np.stack([after.length[rows, agent], after.width[rows, agent]], axis=-1),
            step=self.sample,
        )
