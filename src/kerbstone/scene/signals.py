"""Traffic lights over time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from kerbstone.errors import InputError


@dataclass(frozen=True, eq=False)
class Signals:
    """What the traffic lights show, one row per light and lane that it controls.

    Args:
        lane: The lane that may be entered only when the light allows it (a row of the map's lane
            graph), -1 if not known.
        stop_point: Where to stop, world frame [m]; z may be NaN.
        state: `SignalState` of each light at each step.

    Raises:
        InputError: The arrays do not fit together.
    """

    lane: Int64[np.ndarray, " signal"]
    stop_point: Float64[np.ndarray, "signal 3"]
    state: UInt8[np.ndarray, "signal time"]

    def __post_init__(self) -> None:
        n = len(self.lane)
        if self.stop_point.shape != (n, 3) or self.state.ndim != 2 or len(self.state) != n:
            raise InputError(
                "shape",
                "signals do not fit together",
                why=f"{n} lanes, stop points {self.stop_point.shape}, state {self.state.shape}",
            )

    def __len__(self) -> int:
        return len(self.lane)

    def window(self, first: int, steps: int) -> Signals:
        """Return a view of some time steps."""
        return replace(self, state=self.state[:, first : first + steps])

    @classmethod
    def empty(cls, steps: int) -> Signals:
        """Return no lights over `steps` steps."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, steps), np.uint8))
