"""Checkpoints: all that a run needs to go on as if it had never stopped, in the run's folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from kerbstone.errors import InputError, UsageError
from kerbstone.settings import read_config
from kerbstone.world.training.leaves import read_header, read_tree, write_tree

KIND = "training state"
_KEPT = 2
_NAME = re.compile(r"state-(\d{9})\.kst")


class Arrays(NamedTuple):
    """Everything of a run that is an array.

    Args:
        weights: What is learned.
        average: Its moving average; empty where nothing is averaged.
        moments: State of the optimiser.
        best: The weights, or their average, that did best on the held-out examples.
    """

    weights: Any
    average: Any
    moments: Any
    best: Any


@dataclass(frozen=True)
class Position:
    """Where a run is, in plain numbers.

    Args:
        step: Steps done.
        total: Steps of the whole run.
        loss: Mean training loss of the latest line of the log; None before the first.
        first_loss: Held-out loss before the first step.
        best_loss: Lowest held-out loss.
        best_step: The step after which that was.
        latest_loss: Held-out loss of the latest validation.
        stale: Validations since.
        refused: Steps in a row whose gradient was not finite.
        seconds: Time in all, over all starts [s].
        trained: Of it, time in steps [s], without each start's first, which compiles.
        waited: Of that, time for which the next batch was not ready [s].
        timed: Number of the steps in `trained`.
        ended: Why it ended: "steps" or "patience"; "" while it goes on.
        damaged: Scenes that could not be read, and why.
    """

    step: int = 0
    total: int = 0
    loss: float | None = None
    first_loss: float | None = None
    best_loss: float | None = None
    best_step: int = 0
    latest_loss: float | None = None
    stale: int = 0
    refused: int = 0
    seconds: float = 0.0
    trained: float = 0.0
    waited: float = 0.0
    timed: int = 0
    ended: str = ""
    damaged: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.step <= self.total or min(self.stale, self.timed, self.best_step) < 0:
            raise InputError("value", "a checkpoint stands at no step of its run")
        if any(len(pair) != 2 for pair in self.damaged):
            raise InputError("value", "a checkpoint lists damaged scenes without a reason")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it was read.

    Args:
        path: Its file.
        position: Where the run was.
        facts: What else is known of the run, such as the store's versions.
        refused: Errors of newer checkpoints, which are damaged.
    """

    path: Path
    position: Position
    facts: Mapping[str, Any]
    refused: tuple[InputError, ...]


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run.

    Args:
        path: The folder.
        identity: What makes the run this one: JSON values by name. A checkpoint of another run
            is not gone on from.
        facts: What else is kept in each checkpoint.
    """

    path: Path
    identity: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def with_facts(self, facts: Mapping[str, Any]) -> RunFolder:
        """Return the folder with other facts."""
        return replace(self, facts=dict(facts))

    def save(self, position: Position, arrays: Arrays) -> Path:
        """Write a checkpoint, and remove all but the last two.

        Raises:
            InputError: It cannot be written.
        """
        header = {
            "identity": dict(self.identity),
            "facts": dict(self.facts),
            "position": asdict(position),
        }
        path = self.path / f"state-{position.step:09d}.kst"
        write_tree(path, KIND, header, arrays)
        for old in self._states()[_KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or None where there is none at all.

        Raises:
            InputError: All checkpoints are damaged.
            UsageError: They are of another run.
        """
        refused: list[InputError] = []
        for path in self._states():
            try:
                header = read_header(path, KIND)
                position = _read_position(path, header)
            except InputError as error:
                refused.append(error)
                continue
            self._check_identity(header.get("identity"))
            facts = header.get("facts")
            facts = facts if isinstance(facts, dict) else {}
            return Checkpoint(path, position, facts, tuple(refused))
        if refused:
            raise InputError(
                refused[0].code,
                "no checkpoint of a run can be read",
                where=refused[0].where,
                why=refused[0].why or refused[0].what,
                remedy=f"delete {self.path} to begin anew",
            )
        return None

    def load(self, checkpoint: Checkpoint, like: Arrays) -> Arrays:
        """Return the arrays of a checkpoint.

        Raises:
            InputError: They are not those of `like`.
        """
        return read_tree(checkpoint.path, KIND, like)

    def prepare(self) -> None:
        """Make the folder, and remove what an interrupted write left there.

        Raises:
            InputError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for part in self.path.glob(".*.part"):
                part.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                "output",
                "the folder of a run cannot be written",
                where=str(self.path),
                why=error.strerror or str(error),
                remedy="name another one with --out",
            ) from error

    def _states(self) -> list[Path]:
        """Return all checkpoints, the newest first."""
        if not self.path.is_dir():
            return []
        return sorted((p for p in self.path.iterdir() if _NAME.fullmatch(p.name)), reverse=True)

    def _check_identity(self, found: Any) -> None:
        found = found if isinstance(found, dict) else {}
        differences = list(_differences(found, self.identity))
        if differences:
            raise UsageError(
                "usage",
                "the folder holds another run",
                where=str(self.path),
                why="; ".join(differences),
                remedy="name another folder with --out, or delete this one",
            )


def _differences(there: Any, here: Any, prefix: str = "") -> list[str]:
    """Return in words what differs between two trees of JSON values."""
    if not (isinstance(there, Mapping) and isinstance(here, Mapping)):
        name = prefix.removesuffix(".")
        return [] if there == here else [f"{name} is {_tell(there)} there, {_tell(here)} here"]
    names = dict.fromkeys([*here, *there])
    return [
        text
        for name in names
        for text in _differences(there.get(name), here.get(name), f"{prefix}{name}.")
    ]


def _tell(value: Any) -> str:
    return "not set" if value is None else f"{value!r:.80}"


def _read_position(path: Path, header: Mapping[str, Any]) -> Position:
    values = header.get("position")
    guard: Callable[[str], InputError] = lambda why: InputError(  # noqa: E731 - used twice
        "value", "a checkpoint does not say where it is", where=str(path), why=why
    )
    if not isinstance(values, dict):
        raise guard("it has no position")
    try:
        return read_config(Position, overrides=values)
    except InputError as error:
        raise guard(error.why or error.what) from error
