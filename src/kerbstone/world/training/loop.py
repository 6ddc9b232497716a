"""The loop that trains: steps, looks at held-out examples, lines of the log, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from kerbstone.errors import InputError
from kerbstone.world.training.checkpoint import Arrays, Checkpoint, Position, RunFolder
from kerbstone.world.training.config import Budget, PretrainConfig
from kerbstone.world.training.optimiser import (
    Learned,
    compile_score,
    compile_step,
    learning_rate,
    start_learning,
)
from kerbstone.world.training.progress import Progress, ProgressLog
from kerbstone.world.training.stream import Example, Examples, Stream
from kerbstone.world.training.task import Task

_UNMEASURED_STEPS = 2
"""The first step compiles, and the second finds batches that were made meanwhile."""
_MEASURED_STEPS = 3
_MEASURED_SECONDS = 5.0
_MEASURED_SHARE = 0.03
_SPARE = 0.97
"""Share of the time that is planned for; the rest is for checkpoints."""
_CHECKED_SHARE = 0.3
"""At most as many examples are looked at as this share of those that are learned from."""
_MOST_REFUSED = 50
_INITIAL, _LEARNING, _CHECKING = 0, 1, 2


@dataclass(frozen=True)
class Surroundings:
    """What a run works with, besides what it learns.

    Args:
        examples: What it learns from.
        checks: Held-out batches.
        folder: Where its checkpoints go.
        log: Its log.
        keep_best: Called with the best model so far and its position, before each checkpoint
            after which another one is the best.
        on_progress: Called with each line of the log.
        began: When this start began, by `time.perf_counter`.
    """

    examples: Examples
    checks: Sequence[Example]
    folder: RunFolder
    log: ProgressLog
    keep_best: Callable[[Any, Position], object]
    on_progress: Callable[[Progress], object]
    began: float


class Training:
    """A run: begun or gone on with, then trained to its end.

    The same task, examples, configuration and seed give the same weights on the same machine, to
    the bit, no matter how often it was stopped.

    Args:
        task: What is trained.
        config: How.
        around: What it works with.
        seed: Of the first weights and of all chance in the objective.
    """

    def __init__(
        self, task: Task, config: PretrainConfig, around: Surroundings, *, seed: int
    ) -> None:
        root = jax.random.key(seed)
        model = task.build(jax.random.fold_in(root, _INITIAL))
        weights, self._static = eqx.partition(model, eqx.is_inexact_array)
        self._key = jax.random.fold_in(root, _LEARNING)
        # Held-out batches are looked at with the same chance in every run.
        self._check_key = jax.random.fold_in(jax.random.key(0), _CHECKING)
        self._step = compile_step(self._static, task.objective, config)
        self._score = compile_score(self._static, task.objective)
        self._config = config
        self._around = around
        # Copies: a step gives up the memory of what it changes, and a network may hold one array
        # in several places.
        self._best = jax.tree.map(np.array, weights)
        self._learned = start_learning(jax.tree.map(jnp.copy, weights), config)
        self._kept_best = -1
        self._seconds_before = 0.0
        self.position = Position()

    @property
    def best(self) -> Any:
        """The model that did best on the held-out examples."""
        return eqx.combine(jax.tree.map(jnp.array, self._best), self._static)

    def begin(self, budget: Budget) -> None:
        """Look at the untrained model, fix the number of steps, and write the first checkpoint.

        Raises:
            InputError: There are no usable examples, or the checkpoint cannot be written.
        """
        checked = self._check()
        loss = _finite(checked["loss"])
        total = budget.steps or self._measure(60.0 * (budget.minutes or 0.0))
        self.position = Position(
            total=total, first_loss=loss, best_loss=loss, latest_loss=loss, seconds=self._seconds()
        )
        line = {f"held_out_{name}": value for name, value in checked.items()}
        self._around.log.write({"step": 0, **line, "seconds": round(self._seconds(), 3)})
        self._save()

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises:
            InputError: Its arrays are not those of this run.
        """
        found = self._around.folder.load(checkpoint, Arrays(*self._learned, self._best))
        self._learned = Learned(*jax.tree.map(jnp.array, tuple(found[:3])))
        self._best = found.best
        self.position = checkpoint.position
        self._seconds_before = checkpoint.position.seconds

    def run(self) -> None:
        """Train to the end, and write the last checkpoint.

        Raises:
            InputError: No example can be made, the loss stays infinite, or the disk refuses.
        """
        config, around = self._config, self._around
        total = self.position.total
        every = -(-total // count_checks(total, config))
        batch = self._make_batch
        saved = time.perf_counter()
        sums = _Means()
        with Stream(
            batch, start=self.position.step, loaders=config.loaders, ahead=config.ahead
        ) as stream:
            is_first = True
            while not self.position.ended:
                told, trained, waited = self._learn(stream)
                sums.add(told)
                if not is_first:
                    self.position = replace(
                        self.position,
                        trained=self.position.trained + trained,
                        waited=self.position.waited + waited,
                        timed=self.position.timed + 1,
                    )
                is_first = False
                done = self.position.step
                is_check = done % every == 0 or done == total
                if not is_check and done % config.log_every:
                    continue
                self._tell(sums.take(), self._look() if is_check else {})
                # Only here: a run that goes on writes the same lines as one that never stopped.
                if self.position.ended:
                    break
                if time.perf_counter() - saved >= config.save_seconds:
                    self._save()
                    saved = time.perf_counter()
        self._save()
        around.log.sync()

    def _learn(self, stream: Stream) -> tuple[dict[str, float], float, float]:
        """Do a step; return what it tells, how long it took and for how long of that it waited."""
        began, waited = time.perf_counter(), stream.waited
        number = self.position.step
        batch = next(stream)
        rate = np.float32(learning_rate(number, self.position.total, self._config))
        self._learned, told = self._step(self._learned, batch, rate, self._key, np.uint32(number))
        # To wait for each step here is to know that what `stream` waits is lost.
        values = {name: float(value) for name, value in jax.device_get(told).items()}
        refused = 0 if values.pop("is_finite") else self.position.refused + 1
        if refused >= _MOST_REFUSED:
            raise InputError(
                "value",
                "the loss is not finite any more",
                where=f"step {number}",
                why=f"neither was it in the {refused - 1} steps before",
                remedy="a lower rate, or a lower clip, in --config",
            )
        self.position = replace(self.position, step=number + 1, refused=refused)
        return values, time.perf_counter() - began, stream.waited - waited

    def _look(self) -> dict[str, float]:
        """Look at the held-out examples, and note whether that is the best so far."""
        checked = self._check()
        loss = _finite(checked["loss"])
        best, stale = self.position.best_loss, self.position.stale + 1
        if loss is not None and (best is None or loss < best):
            self._best = jax.tree.map(np.array, self._evaluated)
            self.position = replace(self.position, best_loss=loss, best_step=self.position.step)
            stale = 0
        ended = ""
        if 0 < self._config.patience <= stale:
            ended = "patience"
        if self.position.step == self.position.total:
            ended = "steps"
        self.position = replace(self.position, stale=stale, latest_loss=loss, ended=ended)
        return {f"held_out_{name}": value for name, value in checked.items()}

    def _check(self, batches: Sequence[Example] | None = None) -> dict[str, float]:
        """Return the mean loss and metrics over the held-out batches."""
        sums = _Means()
        for number, batch in enumerate(self._around.checks if batches is None else batches):
            told = self._score(self._evaluated, batch, self._check_key, np.uint32(number))
            sums.add({name: float(value) for name, value in jax.device_get(told).items()})
        return sums.take()

    @property
    def _evaluated(self) -> Any:
        return self._learned.average if self._config.average else self._learned.weights

    def _measure(self, limit: float) -> int:
        """Return how many steps fit into a time [s]; what they learn is thrown away."""
        learned = jax.tree.map(jnp.copy, self._learned)
        aim = min(_MEASURED_SECONDS, _MEASURED_SHARE * limit)
        times: list[float] = []
        # Nothing is prepared far ahead, or the first steps would not wait as later ones do.
        loaders = self._config.loaders
        with Stream(self._make_batch, loaders=loaders, ahead=loaders) as stream:
            while len(times) < _UNMEASURED_STEPS + _MEASURED_STEPS or (
                sum(times[_UNMEASURED_STEPS:]) < aim
            ):
                began = time.perf_counter()
                learned, told = self._step(
                    learned, next(stream), np.float32(0), self._key, np.uint32(0)
                )
                jax.block_until_ready(told)
                times.append(time.perf_counter() - began)
        began = time.perf_counter()
        self._check(self._around.checks[:1])
        checking = (time.perf_counter() - began) * len(self._around.checks)
        step = float(np.mean(times[_UNMEASURED_STEPS:]))
        left = _SPARE * (limit - self._seconds())
        # Either there are so few steps that validations are in proportion, or there are all.
        few = left / (step + checking * _checks_per_step(self._config))
        many = (left - checking * self._config.validations) / step
        return max(int(max(few, many)), 1)

    def _make_batch(self, number: int) -> Example:
        return self._around.examples.batch(number, self._config.batch)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._around.began

    def _tell(self, told: Mapping[str, float], checked: Mapping[str, float]) -> None:
        self.position = replace(self.position, loss=_finite(told["loss"]), seconds=self._seconds())
        position = self.position
        speed = position.timed * self._config.batch / max(position.trained, 1e-9)
        self._around.log.write(
            {
                "step": position.step,
                **told,
                **checked,
                "rate": learning_rate(position.step - 1, position.total, self._config),
                "examples_per_s": round(speed, 2),
                "waiting": round(position.waited / max(position.trained, 1e-9), 4),
                "seconds": round(position.seconds, 3),
            }
        )
        self._around.on_progress(
            Progress(
                position.step,
                position.total,
                position.loss,
                position.latest_loss,
                speed,
                position.seconds,
            )
        )

    def _save(self) -> None:
        damaged = dict(self.position.damaged) | self._around.examples.damaged
        self.position = replace(
            self.position, damaged=tuple(sorted(damaged.items())), seconds=self._seconds()
        )
        if self._kept_best != self.position.best_step:
            self._around.keep_best(self.best, self.position)
            self._kept_best = self.position.best_step
        self._around.log.sync()
        self._around.folder.save(self.position, Arrays(*self._learned, self._best))


def count_checks(total: int, config: PretrainConfig) -> int:
    """Return how often a run looks at the held-out examples.

    A short run looks less often than is set: it should not spend its time on that.

    Args:
        total: Steps of the run.
        config: How often it may, and at how many examples.
    """
    return min(config.validations, max(int(total * _checks_per_step(config)), 1))


def _checks_per_step(config: PretrainConfig) -> float:
    return _CHECKED_SHARE * config.batch / config.validation_examples


class _Means:
    """Means of numbers by name, taken now and then."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def take(self) -> dict[str, float]:
        means = {name: value / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
