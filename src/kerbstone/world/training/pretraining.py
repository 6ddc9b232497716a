"""Pre-training: a model of the road learned from a store, with nothing but its tracks and maps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax

from kerbstone.errors import InputError, UsageError
from kerbstone.store import Run, Store
from kerbstone.store.runs import code_version
from kerbstone.world.model_version import MODEL
from kerbstone.world.training.checkpoint import Checkpoint, Position, RunFolder
from kerbstone.world.training.compiling import keep_compiled
from kerbstone.world.training.config import Budget, PretrainConfig, describe_config
from kerbstone.world.training.examples import Order
from kerbstone.world.training.loop import Surroundings, Training
from kerbstone.world.training.model_file import write_model
from kerbstone.world.training.progress import Progress, ProgressLog
from kerbstone.world.training.splits import Listed, Split, split_store, thin_split
from kerbstone.world.training.stream import Example, Examples, MakeExample
from kerbstone.world.training.task import Task

_TABLES = ("scenes", "states", "maps", "pieces", "sensors")
_RECIPE = 3
"""Counts up when the optimiser, the masks or the loss change: no run goes on by another one."""
_CHECK_SEED = 0
"""Held-out examples are the same in every run on the same scenes."""


@dataclass(frozen=True)
class PretrainReport:
    """What a run came to, over all its starts.

    Args:
        path: The model's file.
        objective: What it was trained for.
        steps: Steps done, of `total`.
        total: Steps planned.
        examples: Examples learned from.
        examples_per_s: Of them, without compiling, validating and saving.
        waiting: Share of that time for which the next batch was not ready.
        loss: Training loss at the end.
        first_loss: Held-out loss of the untrained model.
        best_loss: Held-out loss of the model that is kept.
        best_step: The step that it is of.
        seconds: Time in all [s].
        held_out: Towns, or logs, that were held out.
        damaged: Scenes that could not be read, and why.
        ended: "steps", or "patience" where it stopped early.
        run: Id of the store's record; "" where there was nothing to do.
        was_finished: Whether the run had ended before.
        went_on_from: Step of the checkpoint that this start went on from.
        has_board: Whether there are files for TensorBoard, which the extra `tensorboard` writes.
        notes: Checkpoints that could not be read, and were passed over.
        is_calibrated: Whether it is known what is usual for the model, so that it can be surprised.
    """

    path: str
    objective: str
    steps: int
    total: int
    examples: int
    examples_per_s: float
    waiting: float
    loss: float | None
    first_loss: float | None
    best_loss: float | None
    best_step: int
    seconds: float
    held_out: tuple[str, ...]
    damaged: dict[str, str]
    ended: str
    run: str
    was_finished: bool
    went_on_from: int | None
    has_board: bool
    notes: tuple[str, ...]
    is_calibrated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class PretrainPlan:
    """What a run would do.

    Args:
        split: What it would learn from, and what it would hold out.
        folder: Its folder, and what makes it this run.
        checkpoint: Where it would go on from; None where it would begin.
        store: The store, at the versions that the run is about.
    """

    split: Split
    folder: RunFolder
    checkpoint: Checkpoint | None
    store: Store


def plan_training(
    store: Store | str,
    out: Path | str,
    task: Task,
    budget: Budget,
    *,
    seed: int = 0,
    where: str | None = None,
    held_out: Sequence[str] = (),
    share: float = 1.0,
    config: PretrainConfig | None = None,
) -> PretrainPlan:
    """Return what `train_on_store` would do, and check that it can; nothing is written.

    Raises:
        InputError: There is no store, nothing to learn from, or no checkpoint can be read.
        UsageError: The folder holds another run.
    """
    store = Store.open(store) if isinstance(store, str) else store
    config = config or PretrainConfig()
    identity = {
        "recipe": _RECIPE,
        "objective": task.name,
        "model": asdict(task.config),
        "budget": {name: value for name, value in asdict(budget).items() if value is not None},
        "seed": seed,
        "where": where,
        "held_out": sorted(set(held_out)) or None,
        "config": describe_config(config),
    }
    if share != 1:
        identity["share"] = share
    # As a checkpoint gives it back.
    folder = RunFolder(Path(out), json.loads(json.dumps(identity)))
    checkpoint = folder.latest()
    if checkpoint is None:
        _check_free(folder.path)
    versions = {name: store.versions()[name] for name in _TABLES}
    if checkpoint is not None:
        versions = checkpoint.facts.get("versions")
        if not isinstance(versions, dict) or set(versions) != set(_TABLES):
            raise InputError(
                "value",
                "a checkpoint does not say what it learned from",
                where=str(checkpoint.path),
                remedy="delete it to begin anew",
            )
    try:
        pinned = store.at(versions)
        split = split_store(
            pinned, where, tuple(held_out) or config.held_out_share, seed=config.split_seed
        )
        split = thin_split(split, share, seed=config.split_seed)
    except InputError as error:
        if checkpoint is None or checkpoint.facts.get("store") == store.uri:
            raise
        raise _other_store(out, checkpoint, store) from error
    if checkpoint is not None and checkpoint.facts.get("data") != split.fingerprint:
        raise _other_store(out, checkpoint, store)
    facts = {
        "store": store.uri,
        "versions": versions,
        "data": split.fingerprint,
        "datasets": list(split.datasets),
        "held_out": list(split.places),
        "scenes": len(split.train),
        "code": code_version(),
    }
    return PretrainPlan(split, folder.with_facts(facts), checkpoint, pinned)


def _check_free(out: Path) -> None:
    """Check that a run may begin in a folder.

    Raises:
        UsageError: It is a file, or holds a model without the run that made it, which would be
            overwritten.
    """
    if out.exists() and not out.is_dir():
        raise UsageError("usage", "--out is a file, not a folder", where=str(out))
    if (out / MODEL).exists():
        raise UsageError(
            "usage",
            "the folder holds a model whose checkpoints are not there",
            where=str(out),
            why="a new run would overwrite it",
            remedy="name another folder with --out, or delete this one",
        )


def train_on_store(
    store: Store | str,
    out: Path | str,
    task: Task,
    budget: Budget,
    *,
    seed: int = 0,
    where: str | None = None,
    held_out: Sequence[str] = (),
    share: float = 1.0,
    config: PretrainConfig | None = None,
    on_progress: Callable[[Progress], object] = lambda _: None,
) -> PretrainReport:
    """Train a model on scenes of a store, or go on where a run was stopped.

    A run stays at the versions of the store that it began with. Stopped at any moment, even by a
    kill, and started again, it ends with the same weights, to the bit, on the same machine.

    Args:
        store: The store, which gets a record of the run.
        out: Folder of the run: its model, checkpoints and logs.
        task: What is trained.
        budget: For how long.
        seed: Of the first weights, the order of examples, and all chance in them.
        where: An SQL condition on the scenes.
        held_out: Towns, or keys of logs, that are held out; a share of them if none.
        share: Share of the other towns, or logs, that it learns from; see `thin_split`.
        config: How to train.
        on_progress: Called with each line of the log.

    Raises:
        InputError: There is nothing to learn from or to hold out; a checkpoint or all scenes are
            damaged; the folder or the store cannot be written; or the loss is not finite.
        UsageError: The folder holds another run.
    """
    began = time.perf_counter()
    writable = Store.open(store) if isinstance(store, str) else store
    config = config or PretrainConfig()
    plan = plan_training(
        writable,
        out,
        task,
        budget,
        seed=seed,
        where=where,
        held_out=held_out,
        share=share,
        config=config,
    )
    model_path = plan.folder.path / MODEL
    if plan.checkpoint is not None and plan.checkpoint.position.ended and model_path.exists():
        return _report(task, plan, plan.checkpoint.position, config, was_finished=True)
    keep_compiled()
    plan.folder.prepare()
    device = jax.devices()[0]
    with writable.run(
        command="pretrain",
        config=plan.folder.identity,
        seed=seed,
        inputs={"versions": plan.folder.facts["versions"], "out": str(plan.folder.path)},
        device=f"{device.platform} {device.device_kind}",
    ) as run:
        report = _train(task, plan, config, run, seed, began, on_progress)
        run.metrics |= report.to_dict()
    return report


def _train(
    task: Task,
    plan: PretrainPlan,
    config: PretrainConfig,
    run: Run,
    seed: int,
    began: float,
    on_progress: Callable[[Progress], object],
) -> PretrainReport:
    """Do what was planned, within the record of a run."""
    order = Order(plan.split.train, seed=seed, group=config.group)
    examples = Examples(plan.store, order, task.make_example, kept=config.loaders + 1)
    checks, unreadable = make_checks(plan.store, plan.split.held_out, task.make_example, config)
    examples.damaged |= unreadable
    step = plan.checkpoint.position.step if plan.checkpoint is not None else -1
    path = plan.folder.path / MODEL

    def keep_best(model: Any, position: Position) -> None:
        told = {
            "run": run.id,
            "seed": seed,
            "step": position.best_step,
            "held_out_loss": position.best_loss,
            "training": plan.folder.identity,
            "data": plan.folder.facts,
        }
        write_model(path, model, config=task.config, objective=task.name, told=told)

    log = ProgressLog(plan.folder.path, step=step)
    try:
        around = Surroundings(examples, checks, plan.folder, log, keep_best, on_progress, began)
        training = Training(task, config, around, seed=seed)
        if plan.checkpoint is None:
            training.begin(_budget_of(plan))
        else:
            training.resume(plan.checkpoint)
        training.run()
    finally:
        log.close()
    return replace(
        _report(task, plan, training.position, config), run=run.id, has_board=log.has_board
    )


def make_checks(
    store: Store, scenes: Sequence[Listed], make: MakeExample, config: PretrainConfig
) -> tuple[list[Example], dict[str, str]]:
    """Return the batches of held-out examples, and the scenes that cannot be read, and why.

    Each data set has as many as any other, or the largest, or the one that trembles most, would
    choose the model.

    Args:
        store: The store, at the version of the run.
        scenes: The held-out scenes.
        make: Makes an example.
        config: Says how many, and the size of a batch.
    """
    parts: dict[str, list[Listed]] = {}
    for scene in scenes:
        parts.setdefault(scene.dataset, []).append(scene)
    # The last batch is filled up: all have one shape, for one program.
    rounds = -(-config.validation_examples // (config.batch * max(len(parts), 1)))
    batches: list[Example] = []
    damaged: dict[str, str] = {}
    refused: InputError | None = None
    for name in sorted(parts):
        order = Order(parts[name], seed=_CHECK_SEED, group=config.group)
        examples = Examples(store, order, make)
        try:
            batches += [examples.batch(number, config.batch) for number in range(rounds)]
        except InputError as error:
            # Others may still have some; that this one has none is told.
            refused = refused or error
            damaged[f"all held out of {name}"] = f"{error.code}: {error.what}"
        damaged |= examples.damaged
    if refused is not None and not batches:
        raise refused
    return batches, damaged


def _budget_of(plan: PretrainPlan) -> Budget:
    return Budget(**plan.folder.identity["budget"])


def _report(
    task: Task,
    plan: PretrainPlan,
    position: Position,
    config: PretrainConfig,
    *,
    was_finished: bool = False,
) -> PretrainReport:
    trained = max(position.trained, 1e-9)
    checkpoint = plan.checkpoint
    refused = checkpoint.refused if checkpoint is not None else ()
    return PretrainReport(
        path=str(plan.folder.path / MODEL),
        objective=task.name,
        steps=position.step,
        total=position.total,
        examples=position.step * config.batch,
        examples_per_s=position.timed * config.batch / trained,
        waiting=position.waited / trained,
        loss=position.loss,
        first_loss=position.first_loss,
        best_loss=position.best_loss,
        best_step=position.best_step,
        seconds=position.seconds,
        held_out=plan.split.places,
        damaged=dict(position.damaged),
        ended=position.ended,
        run="",
        was_finished=was_finished,
        went_on_from=None if checkpoint is None or was_finished else checkpoint.position.step,
        has_board=False,
        notes=tuple(f"{error.where}: {error.what}, passed over" for error in refused),
    )


def _other_store(out: Path | str, checkpoint: Checkpoint, store: Store) -> UsageError:
    facts: Mapping[str, Any] = checkpoint.facts
    return UsageError(
        "usage",
        "the folder holds a run on other scenes",
        where=str(out),
        why=f"it learned from {facts.get('store')!r:.200}, this is {store.uri!r}",
        remedy="name another folder with --out, or delete this one",
    )
