"""Small Argoverse 1 sequences, as official CSV files and packed into two Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

GAPS = np.array([0.1, 0.12, 0.08, 0.26, 0.1, 0.1, 0.07, 0.08, 0.13, 0.1, 0.15, 0.1])
"""Times between frames [s]: jitter, a long gap, two frames for one step of a 10 Hz clock."""
TIMES = 315_971_499.0 + np.concatenate([[0.0], np.cumsum(GAPS)])
SPEEDS = {"AV": 8.0, "AGENT": 12.0, "OTHERS": 1.0}


def rows(speeds: dict[str, float] | None = None) -> dict[str, list]:
    """Return the columns of a sequence in which each class has one track at a constant speed."""
    columns: dict[str, list] = {name: [] for name in HEADER}
    for frame, time in enumerate(TIMES):
        for number, (type_, speed) in enumerate((speeds or SPEEDS).items()):
            if type_ == "OTHERS" and frame < 3:
                continue
            x = 2000.0 + speed * (time - TIMES[0])
            cells = (time, f"0000-{number}", type_, x, 1100.0 + 4.0 * number, "MIA")
            for name, cell in zip(HEADER, cells, strict=True):
                columns[name].append(cell)
    return columns


HEADER = ("TIMESTAMP", "TRACK_ID", "OBJECT_TYPE", "X", "Y", "CITY_NAME")


def write_csv(path: Path, columns: dict[str, list] | None = None) -> Path:
    """Write one sequence."""
    columns = columns or rows()
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(columns)]
    lines += [",".join(map(repr_cell, cells)) for cells in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def repr_cell(cell: object) -> str:
    return cell if isinstance(cell, str) else repr(float(cell))


def write_packed(folder: Path, *, sequences: tuple[int, ...] = (2, 4), **changes) -> Path:
    """Write many sequences into `tracks.parquet` and `timestamps.parquet`.

    Args:
        folder: Where to write; it is made.
        sequences: Their numbers.
        changes: Columns of either file to replace, as `tracks__x_mm=...`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    one = rows()
    frame = np.searchsorted(TIMES, one["TIMESTAMP"])
    track = np.array([int(name[-1]) for name in one["TRACK_ID"]])
    count = len(sequences)
    tracks = {
        "seq": np.repeat(sequences, len(frame)).astype(np.int32),
        "track": np.tile(track, count).astype(np.int32),
        "t_idx": np.tile(frame, count).astype(np.int32),
        "object_type": pa.array(one["OBJECT_TYPE"] * count).dictionary_encode(),
        "city": pa.array(one["CITY_NAME"] * count).dictionary_encode(),
        "x_mm": np.tile(np.rint(np.array(one["X"]) * 1e3), count).astype(np.int32),
        "y_mm": np.tile(np.rint(np.array(one["Y"]) * 1e3), count).astype(np.int32),
    }
    times = {
        "seq": np.repeat(sequences, len(TIMES)).astype(np.int32),
        "t_idx": np.tile(np.arange(len(TIMES)), count).astype(np.uint8),
        "timestamp_s": np.tile(TIMES, count),
    }
    for name, value in changes.items():
        file, column = name.split("__")
        {"tracks": tracks, "times": times}[file][column] = value
    parquet.write_table(pa.table(tracks), folder / "tracks.parquet")
    parquet.write_table(pa.table(times), folder / "timestamps.parquet")
    return folder
