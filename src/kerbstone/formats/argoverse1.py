"""Argoverse 1 motion-forecasting sequences: tracks of about 5 s, without a map.

Two forms are read: the official CSV files, one sequence each (plain or packed), and many sequences
in `tracks.parquet` with their times in `timestamps.parquet` (positions in whole millimetres).

- The times are not as regular as the data set's "10 Hz" promises: gaps of 0.08 to 0.5 s occur. They
  are real: the recording car's own speed is smooth over them, and by counting frames as 0.1 s it
  would reach twice its top speed. So every frame is put at the step of a 10 Hz clock nearest to
  its time, the difference is kept as the clock's offset, steps without a frame are not valid, and
  velocities are derived over the true times between frames.
- Positions are the tracker's, noise included; nothing is filtered or left out. Where an agent
  moves faster than 60 m/s from one frame to the next, `source.extra["jumps"]` says so with the
  track and the step it jumps to, and its velocity there is just as wrong.
- There are only three classes: `AV` (the recording car), `AGENT` (the focal track, a vehicle) and
  `OTHERS`, of which nothing more is known. Headings are derived from the motion; sizes and heights
  are not given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.av2_map import LICENCE, TOWNS
from kerbstone.formats.files import (
    Columns,
    bare_name,
    check_finite,
    open_bytes,
    read_csv,
    read_parquet,
    split_of,
)
from kerbstone.formats.registry import Log
from kerbstone.scene import (
    NS_PER_S,
    Clock,
    DrivingSide,
    Kind,
    Scene,
    Source,
    agents_from_rows,
    derive_velocity,
)

KINDS = {"AV": Kind.CAR, "AGENT": Kind.CAR, "OTHERS": Kind.UNKNOWN}

_HEADER = b"TIMESTAMP,TRACK_ID,OBJECT_TYPE,X,Y,CITY_NAME"
_COLUMNS = {"TIMESTAMP": float, "X": float, "Y": float} | dict.fromkeys(
    ("TRACK_ID", "OBJECT_TYPE", "CITY_NAME"), str
)
_TRACKS = dict.fromkeys(("seq", "track", "t_idx", "x_mm", "y_mm"), int) | {
    "object_type": str,
    "city": str,
}
_TIMES = {"seq": int, "t_idx": int, "timestamp_s": float}
_PACKED = ("tracks.parquet", "timestamps.parquet")

_DT_NS = 100_000_000
_LONGEST_GAP = 5.0
_FASTEST = 60.0


@dataclass(frozen=True)
class Argoverse1:
    """Reader of Argoverse 1 motion-forecasting sequences."""

    name: str = "argoverse1"
    title: str = "Argoverse 1 motion-forecasting sequences"
    reads: str = "official CSV files (.csv, .csv.gz, .csv.xz); many in tracks.parquet; no map"
    extra: str = ""

    def claim(self, folder: Path, names: frozenset[str]) -> Iterable[Log]:
        """Give the sequences among `names`: CSV files by their header, or the Parquet pair."""
        for name in sorted(names):
            if bare_name(name).endswith(".csv") and _has_header(folder / name):
                stem = Path(bare_name(name)).stem
                yield Log(
                    self.name, f"{self.name}/{stem}", folder / name, (folder / name,), (name,)
                )
        if not names.isdisjoint(_PACKED):
            tracks, times = (folder / name for name in _PACKED)
            if tracks.is_file() and times.is_file() and _holds_sequences(tracks):
                name = f"{self.name}/{folder.name}"
                yield Log(self.name, name, tracks, (tracks, times), _PACKED)

    def read(self, log: Log) -> Iterator[Scene]:
        """Give one scene per sequence.

        Raises:
            InputError: A file is missing or malformed.
        """
        return _read_packed(log) if len(log.files) == 2 else iter([_read_csv(log)])


def _has_header(path: Path) -> bool:
    try:
        with open_bytes(path) as file:
            return file.read(len(_HEADER)) == _HEADER
    except InputError:
        return False


def _holds_sequences(tracks: Path) -> bool:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return _TRACKS.keys() <= set(parquet.read_schema(tracks).names)
    except (pa.ArrowException, OSError):
        return False


@dataclass(frozen=True)
class _Sequence:
    """The rows of one sequence, and the time of each frame [s]."""

    id: str
    frame_time: Float64[np.ndarray, " frame"]
    frame: Int64[np.ndarray, " row"]
    track: np.ndarray
    label: np.ndarray
    position: Float64[np.ndarray, "row 2"]
    city: str
    where: str


def _read_csv(log: Log) -> Scene:
    rows = read_csv(log.path, _COLUMNS)
    if not len(rows["X"]):
        raise InputError("empty", "there are no rows in the sequence", where=str(log.path))
    check_finite(rows, log.path)
    frame_time, frame = np.unique(rows["TIMESTAMP"], return_inverse=True)
    return _build_scene(
        _Sequence(
            id=log.name,
            frame_time=frame_time,
            frame=frame,
            track=rows["TRACK_ID"],
            label=rows["OBJECT_TYPE"],
            position=np.stack([rows["X"], rows["Y"]], axis=-1),
            city=str(rows["CITY_NAME"][0]),
            where=str(log.path),
        ),
        log,
    )


def _read_packed(log: Log) -> Iterator[Scene]:
    tracks, times = log.files
    rows, frames = read_parquet(tracks, _TRACKS), read_parquet(times, _TIMES)
    check_finite(frames, times)
    rows = _take(rows, np.argsort(rows["seq"], kind="stable"))
    frames = _take(frames, np.lexsort((frames["t_idx"], frames["seq"])))
    position = np.stack([rows["x_mm"], rows["y_mm"]], axis=-1) / 1e3
    numbers, starts = np.unique(rows["seq"], return_index=True)
    for number, start, end in zip(numbers, starts, [*starts[1:], len(rows["seq"])], strict=True):
        part = slice(start, end)
        where = f"{tracks}, sequence {number}"
        span = slice(*np.searchsorted(frames["seq"], [number, number + 1]))
        frame = np.searchsorted(frames["t_idx"][span], rows["t_idx"][part])
        _check_frames(
            frames["t_idx"][span], frames["timestamp_s"][span], rows["t_idx"][part], where
        )
        yield _build_scene(
            _Sequence(
                id=f"{log.name}/{number}",
                frame_time=frames["timestamp_s"][span],
                frame=frame,
                track=rows["track"][part].astype(str),
                label=rows["object_type"][part],
                position=position[part],
                city=str(rows["city"][start]),
                where=where,
            ),
            log,
        )


def _build_scene(sequence: _Sequence, log: Log) -> Scene:
    clock, step_of_frame = _fit_clock(sequence.frame_time, sequence.where)
    step = step_of_frame[sequence.frame]
    velocity = _derive_velocity(sequence)
    agents = agents_from_rows(
        track=sequence.track,
        step=step,
        steps=clock.steps,
        dt=clock.gaps,
        label=sequence.label,
        kinds=KINDS,
        centre=np.column_stack([sequence.position, np.full(len(step), np.nan)]),
        velocity=velocity,
        where=sequence.where,
    )
    focal = [agents.ids[row] for row, label in enumerate(agents.label) if label == "AGENT"]
    return Scene(
        id=sequence.id,
        clock=clock,
        agents=agents,
        ego=agents.label.index("AV") if "AV" in agents.label else None,
        source=Source(
            dataset="argoverse1",
            log=sequence.id.removeprefix("argoverse1/"),
            town=TOWNS.get(sequence.city, sequence.city),
            licence=LICENCE,
            driving_side=DrivingSide.RIGHT,
            path=str(log.path),
            split=split_of(log.path),
            derived=("velocity", "heading"),
            extra={
                "focal_track": focal[0] if focal else None,
                "jumps": _find_jumps(sequence, step),
            },
        ),
    )


def _fit_clock(
    frame_time: Float64[np.ndarray, " frame"], where: str
) -> tuple[Clock, Int64[np.ndarray, " frame"]]:
    """Return a 10 Hz clock and the step nearest to each frame, no step with two frames."""
    gap = np.diff(frame_time)
    if gap.size and gap.max() > _LONGEST_GAP:
        frame = int(np.argmax(gap)) + 1
        raise InputError(
            "clock",
            "there is a gap in the times of a sequence",
            where=f"{where}, frame {frame}",
            why=f"{gap[frame - 1]:.3f} s without a frame",
            remedy="cut the sequence there",
        )
    times_ns = np.rint(frame_time * NS_PER_S).astype(np.int64)
    number = np.arange(len(times_ns))
    nearest = np.rint((times_ns - times_ns[0]) / _DT_NS).astype(np.int64)
    step = np.maximum.accumulate(nearest - number) + number
    offset = np.zeros(step[-1] + 1, np.int64)
    offset[step] = times_ns - (times_ns[0] + step * _DT_NS)
    return Clock(int(times_ns[0]), _DT_NS, len(offset), offset), step


def _derive_velocity(sequence: _Sequence) -> Float64[np.ndarray, "row 2"]:
    """Return velocities from frame to frame, whatever time lies between [m/s]."""
    _, agent = np.unique(sequence.track, return_inverse=True)
    shape = (agent.max() + 1, len(sequence.frame_time))
    centre = np.full((*shape, 3), np.nan)
    centre[agent, sequence.frame, :2] = sequence.position
    valid = np.isfinite(centre[..., 0])
    return derive_velocity(centre, valid, np.diff(sequence.frame_time))[agent, sequence.frame]


def _find_jumps(sequence: _Sequence, step: Int64[np.ndarray, " row"]) -> list[list[str | int]]:
    """Return track and step of what moved faster than any car from one frame to the next."""
    order = np.lexsort((sequence.frame, sequence.track))
    track, frame, position = (a[order] for a in (sequence.track, sequence.frame, sequence.position))
    same = (track[1:] == track[:-1]) & (np.diff(frame) == 1)
    travel = np.hypot(*np.diff(position, axis=0).T)
    jumps = np.flatnonzero(same & (travel > _FASTEST * np.diff(sequence.frame_time[frame]))) + 1
    return [[str(track[row]), int(step[order[row]])] for row in jumps]


def _check_frames(known: np.ndarray, times: np.ndarray, asked: np.ndarray, where: str) -> None:
    missing = ~np.isin(asked, known)
    if missing.any():
        raise InputError(
            "reference",
            "a row refers to a frame that has no time",
            where=where,
            why=f"t_idx {asked[np.argmax(missing)]} is not in timestamps.parquet",
        )
    back = np.diff(times) <= 0
    if back.any():
        frame = int(np.argmax(back)) + 1
        raise InputError(
            "clock",
            "times repeat or go backwards",
            where=f"{where}, t_idx {known[frame]}",
            why=f"{times[frame]} s follows {times[frame - 1]} s",
        )


def _take(columns: Columns, order: np.ndarray) -> Columns:
    return {name: column[order] for name, column in columns.items()}
