"""Labels of many logs: in parallel, each log committed on its own, so that a stop loses nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.formats.files import file_states
from kerbstone.label.association import Association
from kerbstone.label.behaviours import (
    BEHAVIOURS,
    behaviour_rows,
    behaviour_table,
    check_behaviours,
    label_behaviours,
)
from kerbstone.label.labelling import LabelConfig, label_detections
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.profiles import profile_bytes, profile_for, read_profile
from kerbstone.label.report import BINS, LabelReport, LogLabels
from kerbstone.label.results import write_results
from kerbstone.label.stored import CELLS, cell_table, is_current
from kerbstone.scene import Scene
from kerbstone.store import Store, parallel_map
from kerbstone.world.model_version import version_of

if TYPE_CHECKING:
    import pyarrow as pa

    from kerbstone.formats.detections import DetectedLog, DetectionSource

_STRETCH = 6000
"""A scene of labels has so many steps at most; a longer log becomes several."""


@dataclass(frozen=True)
class Output:
    """What is written beside the store.

    Args:
        format: Format of result files: "kitti", "nuscenes", "av2" or "table"; none if empty.
        folder: Their folder.
        behaviours: Named scenarios that finished tracks are searched for, or "all".
    """

    format: str = ""
    folder: Path = Path()
    behaviours: tuple[str, ...] = ()


def label(
    sources: Sequence[DetectionSource],
    store: str | Path,
    *,
    profile: str | Path = "auto",
    config: LabelConfig | None = None,
    output: Output | None = None,
    model: str | Path | None = None,
    workers: int | str = 1,
    skip_bad: bool = False,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[LogLabels], object] = lambda _: None,
) -> LabelReport:
    """Label logs and write their finished tracks into a store, which is made if it is not there.

    Every log is committed on its own: a run that was stopped goes on where it was, and a log whose
    detections, profile, configuration and scene model are unchanged is passed over. The store holds
    a scene for each log (several for one of more than ten minutes at 10 Hz), whose agents are the
    labels, and beside it the table `label_cells`: how sure each cell is, how exact, and where it
    comes from.

    Args:
        sources: Detections, as `find_detections` or `stored_detections` finds them.
        store: Folder or URI of the store that gets the labels; not that of the truth.
        profile: What is known of the detector: a name, a file, or "auto" for what fits the format.
        config: How labels are made.
        output: What else is written.
        model: Folder of a scene model that `pretrain` made; gaps are filled by it where it does so
            better than the smoother (`infill`).
        workers: Processes that label logs at the same time, or "ray".
        skip_bad: Go on after a log that cannot be labelled; it is listed in the report.
        on_start: Called with the number of logs.
        on_result: Called with the result of each log as it is done.

    Raises:
        InputError: There is nothing to label, the profile is malformed, there is no such model or it
            cannot fill gaps, the store holds other scenes of the same names, or a log cannot be
            labelled and `skip_bad` is not set. What was labelled before stays.
    """
    started = time.monotonic()
    config, output = config or LabelConfig(), output or Output()
    chosen = _check(sources, store, profile, output)
    filler = None if model is None else _check_model(model)
    on_start(len(sources))
    target = Store.create(str(store))
    results: list[LogLabels] = []

    def keep(name: str, outcome: LogLabels | KerbstoneError) -> None:
        failed = isinstance(outcome, KerbstoneError)
        result = LogLabels(name, error=outcome) if failed else outcome
        results.append(result)
        on_result(result)
        if failed and not skip_bad:
            raise _stopped_at(outcome, name)

    def report() -> LabelReport:
        return LabelReport(tuple(results), chosen, time.monotonic() - started, run.id)

    settings = {
        "profile": chosen,
        "config": asdict(config),
        "format": output.format,
        "behaviours": list(output.behaviours),
        "model": None if filler is None else asdict(filler),
    }
    places = [source.where for source in sources]
    with target.run(command="label", config=settings, inputs=places) as run:
        try:
            fresh: list[_Work] = []
            for source in sources:
                job = _Work(source, target.uri, chosen, config, output, run.id, filler)
                outcome = _plan(job, target)
                if isinstance(outcome, _Work):
                    fresh.append(outcome)
                else:
                    keep(source.name, outcome)
            for job, outcome in parallel_map(_label_log, fresh, workers=workers):
                keep(job.source.name, outcome)
        finally:
            run.metrics.update(report().metrics)
        if report().failed:
            run.outcome = "partial"
    if not output.format:
        return report()
    done = {result.name for result in results if result.error is None}
    files = write_results(target, done, output.folder, format=output.format)
    return replace(report(), files=tuple(files))


def _check(
    sources: Sequence[DetectionSource], store: str | Path, profile: str | Path, output: Output
) -> str:
    """Return the profile to use, after a look at what can be wrong before any log is read."""
    if not sources:
        raise InputError("empty", "there are no detections to label")
    check_behaviours(output.behaviours)
    for source in sources:
        if source.store is not None and Path(source.store.uri).resolve() == Path(store).resolve():
            raise InputError(
                "usage",
                "labels would replace the scenes that the detections are of",
                where=str(store),
                remedy="give another store with --out",
            )
    formats = sorted({source.format for source in sources})
    if str(profile) == "auto" and len(formats) > 1:
        raise InputError(
            "usage",
            "detections of several formats are of several detectors",
            why=", ".join(formats),
            remedy="label them apart, or name one profile for all",
        )
    chosen = profile_for(sources[0]) if str(profile) == "auto" else str(profile)
    read_profile(chosen)
    return chosen


def _check_model(path: str | Path) -> _Model:
    """Return the model that fills gaps, after it was read once: before any log is labelled."""
    from kerbstone.label.gap_windows import read_predictor

    model = _Model(str(Path(path).resolve()), version_of(path))
    read_predictor(model.path, model.version)
    return model


@dataclass(frozen=True)
class _Model:
    path: str
    version: str


@dataclass(frozen=True)
class _Work:
    source: DetectionSource
    store: str
    profile: str
    config: LabelConfig
    output: Output
    run: str
    model: _Model | None = None
    mark: str = ""


def _plan(work: _Work, store: Store) -> _Work | LogLabels | KerbstoneError:
    """Return the work that a log needs, or what is known of it without reading it."""
    try:
        mark = _mark(work)
        place = f"{store.uri}, log {work.source.name}"
        known = is_current(store.fingerprints().get(work.source.name), mark, place)
    except KerbstoneError as error:
        return error
    if known:
        return LogLabels(work.source.name, is_known=True)
    return replace(work, mark=mark)


def _mark(work: _Work) -> str:
    """Return a mark that changes when anything does that the labels follow from."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(version("kerbstone").encode())
    digest.update(profile_bytes(work.profile))
    said = [asdict(work.config), work.output.behaviours]
    digest.update(json.dumps(said, sort_keys=True, default=str).encode())
    if work.model is not None:
        digest.update(f"model\0{work.model.version}".encode())
    for state in file_states(work.source.files):
        digest.update(state)
    if work.source.store is not None:
        road = work.source.store
        (part,) = road.parts([work.source.log])
        digest.update(f"{road.uri}\0{work.source.table}\0{work.source.log}\0{part}".encode())
    return digest.hexdigest()


def _label_log(work: _Work) -> LogLabels:
    """Label one log and commit it; runs in a worker process."""
    import pyarrow as pa

    from kerbstone.formats.detections import read_detections

    started = time.monotonic()
    store = Store.open(work.store)
    log = read_detections(work.source)
    profile = read_profile(work.profile)
    labels, found = label_detections(
        log.detections, log.scene, profile, work.config, names=log.labels
    )
    infilling = None
    if work.model is not None:
        from kerbstone.label.gap_windows import read_predictor
        from kerbstone.label.infilling import infill

        predictor = read_predictor(work.model.path, work.model.version)
        labels, infilling = infill(
            labels, log.detections, found.track, profile, predictor, work.config
        )
    result = replace(_count(log, labels, found), infilling=infilling)
    behaviours: list[dict[str, Any]] = []
    cells: list[pa.Table] = []

    def scenes() -> Iterator[Scene]:
        for scene, part in _stretches(labels, work):
            if work.output.behaviours:
                matches = label_behaviours(scene, work.output.behaviours)
                behaviours.extend(behaviour_rows(scene, matches))
            cells.append(cell_table(scene, part))
            yield scene
        # Before the store commits the scenes, so that all appear together.
        store.put_rows(CELLS, pa.concat_tables(cells), log=log.name, run=work.run)
        # Those of the tracks that were there before must go, even if no others come.
        if work.output.behaviours or BEHAVIOURS in store.versions():
            store.put_rows(BEHAVIOURS, behaviour_table(behaviours), log=log.name, run=work.run)

    store.add(scenes(), log=log.name, fingerprint=work.mark, run=work.run)
    names = [row["behaviour"] for row in behaviours]
    return replace(
        result,
        behaviours={name: names.count(name) for name in dict.fromkeys(names)},
        seconds=time.monotonic() - started,
    )


def _count(log: DetectedLog, labels: Labels, found: Association) -> LogLabels:
    confidence = np.clip(labels.confidence, 0.0, 1.0 - 1e-9)
    detected = labels.row >= 0
    online = found.online[labels.row[detected]]
    pairs = np.unique(np.column_stack([labels.agent[detected], online]), axis=0)
    finished, before = len(np.unique(pairs[:, 0])), len(np.unique(pairs[:, 1]))
    beyond = labels.provenance == Provenance.EXTRAPOLATED
    return LogLabels(
        name=log.name,
        steps=log.scene.clock.steps,
        detections=len(log.detections),
        rejected=log.rejects.total,
        tracks=len(labels.ids),
        online=before,
        joined=len(pairs) - finished,
        split=len(pairs) - before,
        extended=len(np.unique(labels.agent[beyond])),
        cells=labels.count(),
        histogram=tuple(np.bincount((confidence * BINS).astype(np.int64), minlength=BINS).tolist()),
    )


def _stretches(labels: Labels, work: _Work) -> Iterator[tuple[Scene, Labels]]:
    """Give the scenes that a log's labels are written as."""
    steps = labels.scene.clock.steps
    for first in range(0, steps, _STRETCH):
        scene, part = labels.to_scene(first, min(_STRETCH, steps - first))
        name, log = work.source.name, scene.source.log
        if steps > _STRETCH:
            name, log = f"{name}/{first // _STRETCH:03d}", f"{log}-{first // _STRETCH:03d}"
        said = {"profile": work.profile, "detections": work.source.where}
        if work.model is not None:
            said["model"] = work.model.version
        source = replace(
            scene.source,
            log=log,
            derived=tuple(dict.fromkeys((*scene.source.derived, "labels"))),
            extra={**scene.source.extra, "labels": said},
        )
        yield replace(scene, id=name, source=source), part


def _stopped_at(error: KerbstoneError, name: str) -> KerbstoneError:
    """Return the error with what to do about the other logs."""
    ways = "--skip-bad goes on with the other logs; what was labelled so far is kept"
    remedy = f"{error.remedy}; {ways}" if error.remedy else ways
    where = error.where if name in error.where else f"{name}: {error.where}"
    return type(error)(error.code, error.what, where=where, why=error.why, remedy=remedy)
