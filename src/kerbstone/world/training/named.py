"""Pre-training by name: the sizes of the model, and what it can be trained to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerbstone.errors import UsageError, suggest_name
from kerbstone.store import Store
from kerbstone.world.training.config import Budget, PretrainConfig
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

OBJECTIVES = ("masked", "next", "contrastive")


def pretrain(
    store: Store | str,
    out: Path | str,
    *,
    size: str = "small",
    objective: str = "masked",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    where: str | None = None,
    held_out: Sequence[str] = (),
    config: PretrainConfig | None = None,
    on_progress: Callable[[Progress], object] = lambda _: None,
    on_calibrate: Callable[[int, int], object] = lambda *_: None,
) -> PretrainReport:
    """Train the model of the road on a store, or go on where a run was stopped.

    Args:
        store: The store, which gets a record of the run.
        out: Folder of the run: its model, checkpoints and logs.
        size: "tiny", "small" or "base".
        objective: "masked", "next" or "contrastive".
        minutes: Time in all [min], compiling included; or else
        steps: the number of steps.
        seed: Of all chance but which towns are held out.
        where: An SQL condition on the scenes.
        held_out: Towns, or keys of logs, that are held out; a share of them if none.
        config: How to train.
        on_progress: Called with each line of the log.
        on_calibrate: Called, once it is trained, with how many held-out scenes were looked at to
            tell what is usual, and with how many will be.

    Raises:
        InputError: There is nothing to learn from or to hold out; a checkpoint or all scenes are
            damaged; the folder or the store cannot be written; or the loss is not finite.
        UsageError: A name is not known, the time is not given, or the folder holds another run.
    """
    config = config or PretrainConfig()
    told: dict[str, Any] = {"seed": seed, "where": where, "held_out": held_out, "config": config}
    budget, task = Budget(steps=steps, minutes=minutes), name_task(objective, size)
    report = train_on_store(store, out, task, budget, **told, on_progress=on_progress)
    # Only who is trained to say what was hidden can be surprised by it.
    if objective != "masked" or not report.ended:
        return report
    # Who only plans a run need not load what predicts.
    from kerbstone.world.training.usual import keep_calibrated

    plan = plan_training(store, out, task, budget, **told)
    is_calibrated = keep_calibrated(
        out,
        plan.store,
        plan.split.held_out,
        scenes=config.calibration_scenes,
        on_scene=on_calibrate,
    )
    return replace(report, is_calibrated=is_calibrated)


def plan_pretrain(
    store: Store | str,
    out: Path | str,
    *,
    size: str = "small",
    objective: str = "masked",
    minutes: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    where: str | None = None,
    held_out: Sequence[str] = (),
    config: PretrainConfig | None = None,
) -> PretrainPlan:
    """Return what `pretrain` would do, and check that it can; nothing is written.

    Raises:
        InputError: There is no store, nothing to learn from, or no checkpoint can be read.
        UsageError: A name is not known, the time is not given, or the folder holds another run.
    """
    budget = Budget(steps=steps, minutes=minutes)
    return plan_training(
        store,
        out,
        name_task(objective, size),
        budget,
        seed=seed,
        where=where,
        held_out=held_out,
        config=config,
    )


def name_task(objective: str, size: str) -> Task:
    """Return what is trained, by the names of an objective and a size.

    Raises:
        UsageError: A name is not known.
    """
    from kerbstone.world.network import SIZES
    from kerbstone.world.objectives import OBJECTIVES

    for flag, name, known in (("objective", objective, OBJECTIVES), ("size", size, SIZES)):
        if name not in known:
            raise UsageError(
                "usage", f"there is no {flag} {name!r}", remedy=suggest_name(name, known)
            )
    return make_task(objective, SIZES[size])


def make_task(objective: str, config: ModelConfig) -> Task:
    """Return what is trained: a model of any size.

    Args:
        objective: "masked", "next" or "contrastive".
        config: The model's size.
    """
    from kerbstone.world.network import build_model
    from kerbstone.world.objectives import OBJECTIVES
    from kerbstone.world.tokens import Limits

    goal, limits = OBJECTIVES[objective], Limits()
    return Task(
        objective,
        config,
        lambda key: build_model(config, key=key),
        lambda window, rng: goal.make(window, rng, limits),
        lambda model, batch, _: goal.loss(model, batch),
    )
