"""The uniform clock of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError

NS_PER_S = 1_000_000_000

# Of a log with more steps than both, at least 99 in 100 are empty: a time is wrong.
_STEPS_PER_TIME = 100
_MANY_STEPS = 100_000


@dataclass(frozen=True, eq=False)
class Clock:
    """Uniform time steps, in integer nanoseconds so that no step ever drifts.

    Recorders are not perfectly regular. `offset_ns` keeps by how much the measurement of each
    step came later than the step, so nothing of the record is lost.

    Args:
        start_ns: Time of step 0, in the log's own epoch [ns].
        dt_ns: Time from step to step [ns].
        steps: Number of steps.
        offset_ns: Measured minus nominal time of each step [ns], or None where they agree.

    Raises:
        InputError: `dt_ns` or `steps` is not positive, or the offsets do not fit.

    Example:
        >>> clock = Clock(start_ns=0, dt_ns=100_000_000, steps=21)
        >>> clock.dt, clock.duration, clock.hz
        (0.1, 2.1, 10.0)
    """

    start_ns: int
    dt_ns: int
    steps: int
    offset_ns: Int64[np.ndarray, " time"] | None = None

    def __post_init__(self) -> None:
        if self.dt_ns <= 0 or self.steps <= 0:
            raise InputError(
                "clock", "a clock needs steps", why=f"dt_ns={self.dt_ns}, steps={self.steps}"
            )
        if self.offset_ns is not None and self.offset_ns.shape != (self.steps,):
            raise InputError(
                "shape",
                "clock offsets do not fit the steps",
                why=f"{self.offset_ns.shape} against ({self.steps},)",
            )

    @property
    def dt(self) -> float:
        """Time from step to step [s]."""
        return self.dt_ns / NS_PER_S

    @property
    def hz(self) -> float:
        """Steps per second."""
        return NS_PER_S / self.dt_ns

    @property
    def duration(self) -> float:
        """Time covered [s]; each step stands for `dt`."""
        return self.steps * self.dt_ns / NS_PER_S

    @property
    def times_ns(self) -> Int64[np.ndarray, " time"]:
        """Nominal time of each step [ns]."""
        return self.start_ns + self.dt_ns * np.arange(self.steps, dtype=np.int64)

    @property
    def measured_ns(self) -> Int64[np.ndarray, " time"]:
        """When each step was measured [ns]."""
        return self.times_ns if self.offset_ns is None else self.times_ns + self.offset_ns

    @property
    def gaps(self) -> Float64[np.ndarray, " gap"]:
        """Measured time from each step to the next [s]."""
        return np.diff(self.measured_ns) / NS_PER_S

    def window(self, first: int, steps: int) -> Clock:
        """Return the clock of `steps` steps from step `first` on.

        Raises:
            InputError: The window holds no step, or reaches beyond the clock.
        """
        if not (0 <= first and 0 < steps and first + steps <= self.steps):
            beyond = first < 0 or max(first, first + steps) > self.steps
            what = "reaches beyond its scene" if beyond else "holds no step"
            raise InputError(
                "index",
                f"a window {what}",
                why=f"it goes from {first * self.dt:g} s to {(first + steps) * self.dt:g} s, "
                f"the scene to {self.duration:g} s in steps of {self.dt:g} s",
            )
        offset = None if self.offset_ns is None else self.offset_ns[first : first + steps]
        return Clock(self.start_ns + first * self.dt_ns, self.dt_ns, steps, offset)

    @classmethod
    def from_times(
        cls,
        times_ns: Int64[np.ndarray, " n"],
        *,
        dt_ns: int | None = None,
        tolerance: float = 0.3,
        where: str = "",
    ) -> tuple[Clock, Int64[np.ndarray, " n"]]:
        """Fit a uniform clock to recorded times.

        Steps that were not recorded become steps without a measurement (offset 0).

        Args:
            times_ns: Strictly increasing times [ns].
            dt_ns: Nominal step [ns]; estimated from the median difference if not given.
            tolerance: Largest distance of a time from its step, as a share of `dt`.
            where: The file, for errors.

        Returns:
            The clock, and the step of each time.

        Raises:
            InputError: No times, times that repeat or go backwards, that are not uniform, or of
                which hardly any are there.

        Example:
            >>> clock, step = Clock.from_times(np.array([0, 101, 199, 400]) * 1_000_000)
            >>> clock.dt, clock.steps, step.tolist()
            (0.1, 5, [0, 1, 2, 4])
        """
        times_ns = np.asarray(times_ns, dtype=np.int64)
        if times_ns.size == 0:
            raise InputError("empty", "there are no time steps", where=where)
        gaps = np.diff(times_ns)
        if (gaps <= 0).any():
            i = int(np.argmax(gaps <= 0))
            raise InputError(
                "clock",
                "times repeat or go backwards",
                where=f"{where}, row {i + 1}" if where else f"row {i + 1}",
                why=f"{times_ns[i + 1]} ns follows {times_ns[i]} ns",
                remedy="sort the log by time and remove repeated frames",
            )
        if times_ns.size == 1:
            return cls(int(times_ns[0]), dt_ns or 100_000_000, 1), np.zeros(1, np.int64)
        step_ns, step = _fit_step(times_ns, dt_ns)
        nominal = times_ns[0] + step * step_ns
        # A constant shift is no jitter: centre the grid so that the offsets are the jitter alone.
        shift = int(np.median(times_ns - nominal))
        offset = times_ns - nominal - shift
        worst = int(np.argmax(np.abs(offset)))
        if abs(int(offset[worst])) > tolerance * step_ns or (np.diff(step) <= 0).any():
            raise InputError(
                "clock",
                "times are not uniform",
                where=f"{where}, row {worst}" if where else f"row {worst}",
                why=f"a step is {step_ns / 1e6:.3f} ms, and this time is "
                f"{offset[worst] / 1e6:.3f} ms off its step",
                remedy="resample the log to a constant rate",
            )
        steps = int(step[-1]) + 1
        if steps > max(_STEPS_PER_TIME * times_ns.size, _MANY_STEPS):
            i = int(np.argmax(gaps))
            raise InputError(
                "clock",
                "there is a hole in time that would fill the memory with empty steps",
                where=f"{where}, row {i + 1}" if where else f"row {i + 1}",
                why=f"{gaps[i] / NS_PER_S:g} s pass there, in a log of {times_ns.size} times and "
                f"steps of {step_ns / 1e6:.3f} ms",
                remedy="correct that time, or split the log there",
            )
        offsets = None
        if offset.any():
            offsets = np.zeros(steps, np.int64)
            offsets[step] = offset
        return cls(int(times_ns[0]) + shift, int(step_ns), steps, offsets), step


def _fit_step(
    times_ns: Int64[np.ndarray, " n"], dt_ns: int | None
) -> tuple[int, Int64[np.ndarray, " n"]]:
    gaps = np.diff(times_ns)
    guess_ns = float(dt_ns or np.median(gaps))
    # Count steps gap by gap: a small error of the guess must not add up over a long log.
    step = np.concatenate([[0], np.cumsum(np.maximum(np.rint(gaps / guess_ns), 1))]).astype(
        np.int64
    )
    if dt_ns is not None:
        return dt_ns, step
    # The median of slopes over half the log each: neither one late time nor jitter moves it.
    half = times_ns.size // 2
    slope = np.median((times_ns[half:] - times_ns[:-half]) / (step[half:] - step[:-half]))
    # A clock runs a little fast or slow; a slope far from the median gap is no clock at all.
    fitted_ns = float(np.clip(slope, 0.95 * guess_ns, 1.05 * guess_ns))
    # Recorders are set to whole milliseconds: such a step is taken unless the log drifts off it.
    nominal_ns = round(fitted_ns / 1e6) * 1_000_000
    drift = times_ns - times_ns[0] - step * nominal_ns
    if nominal_ns > 0 and np.ptp(drift) < 0.3 * nominal_ns:
        return nominal_ns, step
    return max(round(fitted_ns), 1), step
