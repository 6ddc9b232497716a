"""How the model of the road is trained: what can be set, and how long it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from kerbstone.errors import InputError, UsageError

_RANGES: dict[str, tuple[float, float]] = {
    "batch": (1, 65_536),
    "rate": (1e-9, 1.0),
    "warmup": (0.0, 1.0),
    "decay": (0.0, 1.0),
    "clip": (1e-6, math.inf),
    "average": (0.0, 0.999999),
    "validations": (1, 100_000),
    "validation_examples": (1, 1_000_000),
    "patience": (0, 100_000),
    "held_out_share": (1e-6, 0.9),
    "split_seed": (0, 2**62),
    "group": (1, 100_000),
    "loaders": (1, 256),
    "ahead": (1, 1024),
    "log_every": (1, 1_000_000),
    "save_seconds": (0.0, math.inf),
    "calibration_scenes": (1, 100_000),
}


@dataclass(frozen=True)
class PretrainConfig:
    """How to train.

    Args:
        batch: Examples of a step.
        rate: Highest learning rate.
        warmup: Share of all steps over which the rate rises to it; then it falls as a cosine.
        decay: How fast matrices fade, as a share of the rate.
        clip: Largest norm of a gradient.
        average: Share of the moving average of the weights that a step keeps; 0 averages nothing.
        validations: How often the held-out examples are looked at, evenly over the run; less
            often in a run so short that it would spend its time on them.
        validation_examples: How many of those there are; they are held in memory.
        patience: Validations without a better one after which training stops; 0 never stops it.
        held_out_share: Share of the towns, or logs, that are held out, where none are named.
        split_seed: Of the choice of those; apart from the run's own seed, so that runs compare.
        group: Scenes whose windows are mixed. One group more than there are `loaders` is held in
            memory.
        loaders: Threads that prepare examples.
        ahead: Batches that are prepared before they are needed.
        log_every: Steps between lines of the log.
        save_seconds: Least time between checkpoints [s].
        calibration_scenes: Held-out scenes by which it is told, in the end, what is usual.

    Raises:
        InputError: A value is out of range.
    """

    batch: int = 8
    rate: float = 3e-3
    warmup: float = 0.05
    decay: float = 0.01
    clip: float = 1.0
    average: float = 0.999
    validations: int = 20
    validation_examples: int = 128
    patience: int = 6
    held_out_share: float = 0.1
    split_seed: int = 0
    group: int = 32
    loaders: int = 1
    ahead: int = 4
    log_every: int = 10
    save_seconds: float = 30.0
    calibration_scenes: int = 24

    def __post_init__(self) -> None:
        for field in fields(self):
            least, most = _RANGES[field.name]
            value = getattr(self, field.name)
            if not least <= value <= most:
                raise InputError(
                    "config",
                    f"{field.name} is out of range",
                    why=f"{value}, from {least:g} to {most:g}",
                )


@dataclass(frozen=True)
class Budget:
    """How long a run takes: a number of steps, or the time from its start to its end.

    Args:
        steps: Number of steps.
        minutes: Time in all [min], compiling and validating included. How many steps fit is
            measured at the start, and fixed then.

    Raises:
        UsageError: Not one of the two is given, or it is out of range.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise UsageError(
                "usage",
                "a run takes a number of steps or of minutes",
                why="both are given" if self.steps is not None else "neither is given",
                remedy="give one of --steps and --minutes",
            )
        amount = self.steps if self.steps is not None else self.minutes
        if amount is None or not 0 < amount <= 1e9:
            raise UsageError("usage", "a run needs some time", why=f"{amount:g}, from above 0")


# Only how a run is watched, or goes about its work: not what comes out of it.
_FREE = frozenset({"loaders", "ahead", "save_seconds", "calibration_scenes"})


def describe_config(config: PretrainConfig) -> dict[str, float]:
    """Return the settings that change what a run learns, or the lines of its log, by name."""
    return {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name not in _FREE
    }
