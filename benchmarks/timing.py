"""Timing for all benchmarks: median and spread, side by side, printed and written down."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RESULTS = Path(__file__).parent / "results"


class Timing(NamedTuple):
    """How long one call takes.

    Args:
        median_s: Median over the repeats [s].
        spread_s: Distance between their quartiles [s].
    """

    median_s: float
    spread_s: float


class Comparison(NamedTuple):
    """How long one call of ours takes, and one of a peer.

    Args:
        ours: Our time.
        peer: The peer's.
        ratio: Median over the repeats of the peer's time by ours: above 1 where ours is faster.
        ratio_spread: Distance between its quartiles.
    """

    ours: Timing
    peer: Timing
    ratio: float
    ratio_spread: float

    def row(self, case: str, *, peer: str) -> dict[str, Any]:
        """Return the comparison as a row for `print_rows` and `write_results`, in ms."""
        times = ((f"{who}_ms", timing) for who, timing in (("ours", self.ours), (peer, self.peer)))
        row: dict[str, Any] = {"case": case}
        for name, timing in times:
            row |= {name: timing.median_s * 1e3, f"{name}_spread": timing.spread_s * 1e3}
        return row | {"ratio": self.ratio, "ratio_spread": self.ratio_spread}


def measure(function: Callable[[], Any], repeats: int = 7) -> Timing:
    """Time a function after one call that is not counted (which loads and compiles)."""
    function()
    return _summarise([_once(function) for _ in range(repeats)])


def compare(ours: Callable[[], Any], peer: Callable[[], Any], repeats: int = 7) -> Comparison:
    """Time two functions in turn, so that a machine that slows down slows both."""
    ours(), peer()
    times = np.array([(_once(ours), _once(peer)) for _ in range(repeats)])
    ratio = _summarise(times[:, 1] / times[:, 0])
    return Comparison(_summarise(times[:, 0]), _summarise(times[:, 1]), *ratio)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows that have the same keys as a table."""
    cells = [list(rows[0])] + [[_text(value) for value in row.values()] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    print(f"\n{title}")
    for line in cells:
        first, *rest = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *rest]).rstrip())


def write_results(name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a benchmark's rows beside those that others wrote on the same day and machine.

    Args:
        name: Name of the benchmark; an earlier run of it on that day is replaced.
        rows: What it found, as JSON values.

    Returns:
        The file.
    """
    machine = f"{os.cpu_count()}core-{platform.machine()}"
    path = RESULTS / f"{time.strftime('%Y-%m-%d')}-{machine}.json"
    results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    results[name] = [dict(row) for row in rows]
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fresh.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    fresh.replace(path)  # a reader never sees half a file
    return path


def _once(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _summarise(values: Sequence[float] | np.ndarray) -> Timing:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Timing(float(median), float(high - low))


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
