"""What a trained scene model says of the scenes of a store: vectors, and who surprised it when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.mine.moments import trained
from kerbstone.mine.moments.embeddings import WORLD, embedding_rows, table_of
from kerbstone.mine.moments.filling import Make, fill_table, missing_logs
from kerbstone.mine.moments.moments import LENGTH
from kerbstone.mine.moments.rows import has_table
from kerbstone.mine.moments.surprises import SCHEMA, SURPRISE
from kerbstone.mine.moments.trained import Load, SceneModel, fit_vectors, use_model
from kerbstone.scene import Scene
from kerbstone.store import Store
from kerbstone.world.calibrating import Scores, kinds_of, measure_excess
from kerbstone.world.conformal import Calibration

_LAYOUT = 1


@dataclass(frozen=True)
class EmbedReport:
    """What writing down what a model says did, or would do.

    Args:
        logs: Logs that were worked on.
        known: Logs that had everything.
        version: Version of the model.
        runs: Ids of the runs; none where there was nothing to do.
    """

    logs: int
    known: int
    version: str
    runs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain mapping."""
        return vars(self) | {"runs": list(self.runs)}


def embed(
    store: Store,
    model_path: str | Path,
    *,
    where: str | None = None,
    workers: int | str = 1,
    dry_run: bool = False,
    load: Load | None = None,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> EmbedReport:
    """Write what a trained model says of scenes, for the logs that lack it.

    These are the vectors of the moments, in the embedding `world`, and the surprises, in the table
    `surprise`. That has a row for each road user of a scene with lists over windows of 3 s, of
    which those with too little to see are left out: `start` [s], `excess` (negative
    log-likelihood over the baseline of constant velocity [nat per step]), its conformal `p`, and
    `surprise`. And it has a row for the scene itself (`is_scene`): the mean excess of all steps,
    and the smallest p times the number of road users (Bonferroni's bound), at most 1.

    Each log is committed on its own, so work that was stopped goes on where it was. A log is done
    again where it was replaced in the store since, or with another model.

    Args:
        store: The store.
        model_path: Folder of the model.
        where: SQL condition on the scenes. A log is done whole where one of its scenes fulfils it.
        workers: Processes, or "ray"; each reads the model once.
        dry_run: Only tell what there is to do.
        load: Reads the model; `load_model` if not given.
        on_start: Called with the number of times that a log is worked on: once for the vectors,
            and once for the surprises.
        on_result: Called with each log as it is done, with each of the two.

    Raises:
        InputError: There is no scene or no such model, the condition is wrong, or some logs could
            not be done; the others are.
    """
    rows = store.scenes(["log_key"], where)
    logs = set(rows.column("log_key").to_pylist())
    if not logs and where is None:
        raise InputError("empty", "the store holds no scenes", where=store.uri)
    load, path = load or trained.load_model, str(Path(model_path).resolve())
    model = load(path)
    _check_calibration(model, path)
    # Both depend on the calibration: on the excesses of others the one, on the centre the other.
    version = f"{_LAYOUT}-{model.version}-{model.calibration.version}"
    vectors, surprises = _Embed(load, path, model.version), _Score(load, path, model.version)
    wanted: tuple[tuple[str, dict[str, str], Make], ...] = (
        (table_of(WORLD), {WORLD: version}, vectors),
        (SURPRISE, {SURPRISE: version}, surprises),
    )
    lacking = [missing_logs(store, table, versions, logs=logs) for table, versions, _ in wanted]
    waiting = set().union(*lacking)
    report = EmbedReport(len(waiting), len(logs - waiting), model.version)
    on_start(sum(map(len, lacking)))
    if dry_run:
        return report
    runs, failures = [], []
    for table, versions, make in wanted:
        try:
            filled = fill_table(
                store,
                table,
                make,
                versions,
                logs=logs,
                inputs={"model": path},
                workers=workers,
                on_result=on_result,
            )
        except InputError as error:
            failures.append(error)
        else:
            runs += [filled.run] if filled.run else []
    if lacking[0] and has_table(store, table_of(WORLD)):
        store.index_vectors(table_of(WORLD))
    if failures:
        raise failures[0]
    return EmbedReport(report.logs, report.known, model.version, tuple(runs))


@dataclass(frozen=True)
class _Embed:
    """Makes the vectors of a scene; it goes to the worker processes, which read the model."""

    load: Load
    path: str
    version: str

    def __call__(self, scene: Scene, names: tuple[str, ...]) -> pa.Table:
        del names  # there is one
        model = use_model(self.load, self.path, self.version)
        found = model.embed(scene)
        vectors = fit_vectors(found.vectors, model.calibration.centre, where=f"scene {scene.id}")
        ids = np.full(len(vectors), scene.id, object)
        return embedding_rows(WORLD, ids, found.start, found.duration, vectors)


@dataclass(frozen=True)
class _Score:
    """Makes the surprises of a scene, as `_Embed` its vectors."""

    load: Load
    path: str
    version: str

    def __call__(self, scene: Scene, names: tuple[str, ...]) -> pa.Table:
        del names  # there is one
        model = use_model(self.load, self.path, self.version)
        return surprise_rows(scene, model.score(scene), model.calibration)


def surprise_rows(scene: Scene, scores: Scores, calibration: Calibration) -> pa.Table:
    """Return the rows of the table of surprises for a scene; see `embed`."""
    excess = measure_excess(scores)
    kind = np.broadcast_to(kinds_of(scene, scores)[:, None], excess.shape)
    speed = np.asarray(scores.speed, np.float64)
    p = calibration.p_value(excess, kind, speed)
    surprise = calibration.surprise(excess, kind, speed)
    start = np.asarray(scores.start, np.float64)
    known = np.isfinite(excess)
    rows: list[dict[str, Any]] = []

    def note(agent: str, place: np.ndarray, *values: np.ndarray) -> None:
        lists = dict(zip(("start", "excess", "p", "surprise"), (start, *values), strict=True))
        rows.append(
            {"scene": scene.id, "name": SURPRISE, "is_scene": not agent, "agent": agent}
            | {"duration": LENGTH}
            | {name: column[place] for name, column in lists.items()}
        )

    for row in np.flatnonzero(known.any(axis=1)):
        note(scores.ids[row], known[row], excess[row], p[row], surprise[row])
    count = known.sum(axis=0)
    # Of many road users, one is always the rarest.
    least = np.minimum(np.where(known, p, 1.0).min(axis=0, initial=1.0) * count, 1.0)
    most = np.where(known, surprise, 0.0).max(axis=0, initial=0.0)
    most = np.maximum(most - np.log10(np.maximum(count, 1)), 0.0)
    steps = np.where(known, scores.steps, 0)
    total = np.where(known, excess, 0.0) * steps
    mean = total.sum(axis=0) / np.maximum(steps.sum(axis=0), 1)
    note("", count > 0, mean, least, most)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _check_calibration(model: SceneModel, path: str) -> None:
    if model.calibration.model != model.version:
        raise InputError(
            "value",
            "the calibration is that of another model",
            where=path,
            why=f"it is of {model.calibration.model!r}, the model is {model.version!r}",
            remedy="take the folder as `kerbstone pretrain` made it",
        )
