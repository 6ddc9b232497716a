"""Ladders: runs of models of several sizes on several shares of the data, alike in all else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp

from kerbstone.errors import UsageError
from kerbstone.store import Store
from kerbstone.world.training.config import Budget, PretrainConfig
from kerbstone.world.training.named import make_task
from kerbstone.world.training.pretraining import (
    PretrainPlan,
    PretrainReport,
    plan_training,
    train_on_store,
)
from kerbstone.world.training.progress import Progress
from kerbstone.world.training.task import Task

if TYPE_CHECKING:
    from kerbstone.world.network import ModelConfig

_PART = 16
"""Width of a head, in models that are given by their width."""


@dataclass(frozen=True)
class Rung:
    """A run of a ladder.

    Args:
        size: Name of the model's size.
        model: The model's size.
        share: Share of the towns, or logs, of the training side that it learns from.
        seed: Of all its chance.
    """

    size: str
    model: ModelConfig
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Name of the run, and of its folder."""
        return f"{self.size}-{self.share:g}-{self.seed}"


@dataclass(frozen=True)
class RungResult:
    """What a run of a ladder came to.

    Args:
        name: Name of the run.
        size: Name of the model's size.
        parameters: Number of its parameters.
        share: Share of the places that it learned from.
        hours: Length of the scenes of those [h].
        scenes: Number of them.
        seed: Of its chance.
        loss: Lowest held-out loss; None where none was finite.
        best_step: The step of it.
        steps: Steps done.
        ended: "steps", or "patience" where nothing got better any more.
        seconds: Time of the run [s].
        path: The model's file.
    """

    name: str
    size: str
    parameters: int
    share: float
    hours: float
    scenes: int
    seed: int
    loss: float | None
    best_step: int
    steps: int
    ended: str
    seconds: float
    path: str

    @property
    def is_short(self) -> bool:
        """Whether it was still getting better when its steps were done."""
        return self.ended == "steps" and self.best_step == self.steps

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"is_short": self.is_short}


def plan_rungs(
    *,
    sizes: Sequence[str] = (),
    widths: Sequence[int] = (),
    shares: Sequence[float] = (1.0,),
    seeds: int = 1,
) -> tuple[Rung, ...]:
    """Return the runs of a ladder: every size with every share and seed, the quickest first.

    Args:
        sizes: Models by their names.
        widths: Models of three layers by their widths, multiples of 16.
        shares: Shares of the data.
        seeds: Number of seeds.

    Raises:
        UsageError: There is no run, a size is not known, or a share or a width is out of range.
    """
    from kerbstone.world.network import SIZES, ModelConfig

    models: dict[str, ModelConfig] = {}
    for size in sizes:
        if size not in SIZES:
            raise UsageError(
                "usage", f"there is no size {size!r}", remedy=f"one of {', '.join(SIZES)}"
            )
        models[size] = SIZES[size]
    for width in widths:
        if width < _PART or width % _PART:
            raise UsageError("usage", f"a width is a multiple of {_PART}", why=f"found {width}")
        models[f"width{width}"] = ModelConfig(width=width, heads=width // _PART)
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong:
        raise UsageError("usage", "a share of the data is above 0, up to 1", why=f"{wrong[0]:g}")
    if not models or not shares or seeds < 1:
        raise UsageError("usage", "a ladder needs a size, a share of the data and a seed")
    ordered = sorted(
        models.items(), key=lambda pair: count_parameters(make_task("masked", pair[1]))
    )
    return tuple(
        Rung(size, model, float(share), seed)
        for seed in range(seeds)
        for size, model in ordered
        for share in sorted(set(shares))
    )


def plan_ladder(
    store: Store | str,
    out: Path | str,
    rungs: Sequence[Rung],
    budget: Budget,
    *,
    objective: str = "masked",
    where: str | None = None,
    held_out: Sequence[str] = (),
    config: PretrainConfig | None = None,
) -> dict[str, PretrainPlan]:
    """Return what each run would do, by its name, and check that they compare.

    Raises:
        InputError: There is no store, nothing to learn from, or a checkpoint cannot be read.
        UsageError: A folder holds another run, or runs hold out different scenes, as they do where
            the store has changed since the first ones.
    """
    plans = {
        rung.name: plan_training(
            store,
            Path(out) / rung.name,
            make_task(objective, rung.model),
            budget,
            seed=rung.seed,
            where=where,
            held_out=held_out,
            share=rung.share,
            config=config,
        )
        for rung in rungs
    }
    first = next(iter(plans), None)
    for name, plan in plans.items():
        if first is not None and plan.split.held_out != plans[first].split.held_out:
            raise UsageError(
                "usage",
                "the runs of a ladder hold out different scenes",
                where=f"{first} and {name}",
                why="the store has changed since the first one began",
                remedy="name another folder with --out",
            )
    return plans


def train_ladder(
    store: Store | str,
    out: Path | str,
    rungs: Sequence[Rung],
    budget: Budget,
    *,
    objective: str = "masked",
    where: str | None = None,
    held_out: Sequence[str] = (),
    config: PretrainConfig | None = None,
    on_rung: Callable[[Rung], object] = lambda _: None,
    on_progress: Callable[[Progress], object] = lambda _: None,
    on_report: Callable[[PretrainReport], object] = lambda _: None,
) -> tuple[RungResult, ...]:
    """Train the runs of a ladder, one after the other, or go on where that was stopped.

    Shares are of towns or logs, the smaller within the larger, and what is held out is the same
    for all. Each run is one of `train_on_store`, in a folder of its own.

    Args:
        store: The store, which gets a record of each run.
        out: Folder of the ladder.
        rungs: The runs.
        budget: For how long each of them goes; it ends before where nothing gets better.
        objective: What they are trained for.
        where: An SQL condition on the scenes.
        held_out: Towns, or keys of logs, that are held out; a share of them if none.
        config: How to train.
        on_rung: Called with each run before it begins.
        on_progress: Called with each line of a run's log.
        on_report: Called with what each run came to.

    Raises:
        InputError: As of `train_on_store`.
        UsageError: As of `plan_ladder`.
    """
    told: dict[str, Any] = {"where": where, "held_out": held_out, "config": config}
    # All are looked at before the first one trains.
    plans = plan_ladder(store, out, rungs, budget, objective=objective, **told)
    results = []
    for rung in rungs:
        on_rung(rung)
        task = make_task(objective, rung.model)
        report = train_on_store(
            store,
            Path(out) / rung.name,
            task,
            budget,
            seed=rung.seed,
            share=rung.share,
            on_progress=on_progress,
            **told,
        )
        on_report(report)
        trained = plans[rung.name].split.train
        results.append(
            RungResult(
                rung.name,
                rung.size,
                count_parameters(task),
                rung.share,
                sum(scene.duration for scene in trained) / 3600,
                len(trained),
                rung.seed,
                report.best_loss,
                report.best_step,
                report.steps,
                report.ended,
                report.seconds,
                report.path,
            )
        )
    return tuple(results)


def count_parameters(task: Task) -> int:
    """Return the number of parameters of a task's model, without making it."""
    leaves = jax.tree.leaves(eqx.filter_eval_shape(task.build, jax.random.key(0)))
    shapes = [leaf for leaf in leaves if isinstance(leaf, jax.ShapeDtypeStruct)]
    return sum(leaf.size for leaf in shapes if jnp.issubdtype(leaf.dtype, jnp.inexact))
