"""Detections in a plain table, in the world frame, one row per box.

| column | unit | |
|---|---|---|
| `time_ns` or `time_s` | ns, s | required |
| `x`, `y`, `z` | m | required; middle of the box |
| `heading` | rad | required; counter-clockwise from x |
| `length`, `width`, `height` | m | required |
| `kind` | | required; name or number of a `Kind` |
| `score` | | required |
| `scene_id`, `scene` or `log` | | name of the log, where a table holds several |
| `std_x` … `std_height` | m, rad | standard deviations |
| `prob_car` … | | chance of each kind; 0 for those that have no column |
| `label` | | the detector's own class name |

These are the columns of the table `detections` that simulated logs bring into a store.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from kerbstone.errors import InputError, suggest_name
from kerbstone.formats.detections.box_rows import (
    COLUMNS,
    OPTIONAL,
    TIMES,
    check_names,
    detect,
    times_of,
)
from kerbstone.formats.detections.rows import (
    column_names,
    concatenate_columns,
    distinct,
    is_table,
    read_rows,
    require_columns,
)
from kerbstone.formats.detections.source import DetectedLog, DetectionSource, hide_agents
from kerbstone.formats.files import bare_name
from kerbstone.formats.registry import Log, find_logs, read_log
from kerbstone.scene import Agents, Clock, Scene, Source

_LOG_COLUMNS = ("scene_id", "scene", "log")


class TableDetections:
    """Detections in plain tables, one source per log."""

    name = "table"
    reads = "Parquet, Arrow or CSV with time_ns, x, y, z, heading, length … kind, score, scene_id"

    def claims(self, path: Path) -> bool:
        """Tell whether a path is a table with these columns, or a folder with one."""
        return any(_has_columns(file) for file in _find_files(path))

    def find(self, paths: Sequence[Path], logs: Path | None) -> list[DetectionSource]:
        """Return one source per log that a table names.

        With `logs` a log is looked for there by its name or its scene's id, in any format that
        Kerbstone reads. Without, nothing but the detections is known of it.

        Raises:
            InputError: There is no table, or a log is not in `logs`.
        """
        known = find_logs([logs]) if logs is not None else []
        files: dict[str, list[Path]] = {}
        for path in paths:
            found = [file for file in _find_files(path) if path.is_file() or _has_columns(file)]
            if not found:
                raise InputError("missing-file", "no table of detections here", where=str(path))
            for file in found:
                require_columns(file, COLUMNS)
                for name in _logs_of(file):
                    own = files.setdefault(name, [])
                    own.extend([file] if file not in own else [])
        return [self._source(name, own, known, logs) for name, own in files.items()]

    def read(self, source: DetectionSource) -> DetectedLog:
        """Read the detections of a log.

        Raises:
            InputError: A file is missing or malformed, a kind is not known, or times are not
                evenly spaced.
        """
        parts = []
        for path in source.detections:
            names = column_names(path)
            check_names(names, str(path))
            by = _log_column(names) or _LOG_COLUMNS[0]
            parts.append(
                read_rows(
                    path, COLUMNS, optional=OPTIONAL | {by: str}, split_by=by, part=source.log
                )
            )
        columns = concatenate_columns([part.columns for part in parts])
        times = times_of(parts, columns)
        scene = _make_scene(source, times) if source.logs is None else _read_scene(source)
        return detect(scene, source.name, parts, columns)

    def _source(
        self, name: str, own: list[Path], known: list[Log], logs: Path | None
    ) -> DetectionSource:
        if logs is None:
            return DetectionSource(self.name, name, name, tuple(own), files=tuple(own))
        log = _match(name, known)
        if log is None:
            raise InputError(
                "reference",
                f"there is no log {name!r}",
                where=str(own[0]),
                why=f"looked in {logs}",
                remedy=suggest_name(name, [log.name for log in known]),
            )
        return DetectionSource(
            self.name, name, name, tuple(own), logs=log.path, files=(*own, *log.files)
        )


def _has_columns(file: Path) -> bool:
    names = set(column_names(file))
    return COLUMNS.keys() <= names and bool(TIMES.keys() & names)


def _find_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield from [path] if is_table(path) else []
        return
    for folder, below, names in os.walk(path):
        below.sort()
        yield from (Path(folder, name) for name in sorted(names) if is_table(Path(name)))


def _log_column(names: Sequence[str]) -> str | None:
    return next((name for name in _LOG_COLUMNS if name in names), None)


def _logs_of(file: Path) -> list[str]:
    column = _log_column(column_names(file))
    if column is not None:
        return distinct(file, column)
    return [f"table/{file.parent.name}/{bare_name(file.name).rpartition('.')[0]}"]


def _match(name: str, known: Sequence[Log]) -> Log | None:
    """Return the log of a name, of its last part, or to whose scenes the name belongs."""
    claims = (
        [log for log in known if log.name == name],
        [log for log in known if name.startswith(f"{log.name}/")],
        [log for log in known if log.name.rpartition("/")[2] == name.rpartition("/")[2]],
    )
    return next((logs[0] for logs in claims if len(logs) == 1), None)


def _read_scene(source: DetectionSource) -> Scene:
    """Return the scene of a log, of whose agents only the recording car is left."""
    log = _match(source.log, find_logs([source.logs or Path()]))
    first: Scene | None = None
    for number, scene in enumerate(read_log(log) if log is not None else ()):
        if scene.id == source.log:
            return hide_agents(scene)
        first = scene if number == 0 else None
    if first is not None:  # the log's only scene, whatever it is called
        return hide_agents(first)
    raise InputError("reference", f"there is no scene {source.log!r}", where=str(source.logs))


def _make_scene(source: DetectionSource, times_ns: np.ndarray) -> Scene:
    """Return a scene of which only the times are known."""
    clock, _ = Clock.from_times(np.unique(times_ns), where=source.where)
    return Scene(
        id=source.name,
        clock=clock,
        agents=Agents.empty(clock.steps),
        ego=None,
        source=Source(dataset="table", log=source.log, path=str(source.detections[0])),
    )
