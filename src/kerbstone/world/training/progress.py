"""How a run is followed: a file of JSON lines, and TensorBoard where it is installed."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerbstone.errors import InputError

LOG = "progress.jsonl"
BOARD = "tensorboard"
_UNPLOTTED = ("step", "seconds")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Args:
        step: Steps done.
        total: Steps of the run.
        loss: Mean training loss since the last time; None before the first step.
        held_out_loss: Held-out loss of the latest validation.
        examples_per_s: Examples that are learned from in a second, without compiling.
        seconds: Time since the run began, over all starts [s].
    """

    step: int
    total: int
    loss: float | None
    held_out_loss: float | None
    examples_per_s: float
    seconds: float


class ProgressLog:
    """The log of a run; it is cut back to the step that a run goes on from.

    Args:
        folder: Folder of the run.
        step: Lines of later steps are removed.

    Raises:
        InputError: The log cannot be read or written.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        self._path = folder / LOG
        try:
            _cut(self._path, step)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise _refusal(self._path, error) from error
        self._board = _open_board(folder / BOARD, step)

    @property
    def has_board(self) -> bool:
        """Whether TensorBoard's files are written too."""
        return self._board is not None

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line.

        Args:
            line: Its values by name; `step` is one of them. What is not finite becomes null.

        Raises:
            InputError: The log cannot be written.
        """
        values = {name: _plain(value) for name, value in line.items()}
        try:
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()
        except OSError as error:
            raise _refusal(self._path, error) from error
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float) and name not in _UNPLOTTED:
                    self._board.add_scalar(name, value, values["step"])

    def sync(self) -> None:
        """Have all of it on the disk, as it must be before a checkpoint that comes after it."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _cut(path: Path, step: int) -> None:
    """Remove the lines after a step, and what an interrupted write left of one."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            is_before = json.loads(line)["step"] <= step
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if is_before:
            kept.append(line + "\n")
    beside = path.with_name(f".{path.name}.part")
    beside.write_text("".join(kept), encoding="utf-8")
    beside.replace(path)


def _open_board(folder: Path, step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(logdir=str(folder), purge_step=step + 1)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refusal(path: Path, error: OSError) -> InputError:
    return InputError(
        "output", "the log of a run cannot be written", where=str(path), why=error.strerror or ""
    )
