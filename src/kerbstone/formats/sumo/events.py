"""Rare events, planted into running traffic one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from kerbstone.formats.sumo.program import import_traci
from kerbstone.formats.sumo.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kerbstone.formats.sumo.network import Network
    from kerbstone.formats.sumo.program import Connection

STEP = 0.1
_IDLE = 0.5


class EventKind(StrEnum):
    """What can be planted."""

    RED_LIGHT_RUNNING = "red-light-running"
    EMERGENCY_BRAKING = "emergency-braking"
    CLOSE_CUT_IN = "close-cut-in"
    HIDDEN_PEDESTRIAN = "hidden-pedestrian"
    """A pedestrian steps out from behind a stopped vehicle."""
    STOPPED_VEHICLE = "stopped-vehicle"
    SLOW_VEHICLE = "slow-vehicle"
    WRONG_WAY = "wrong-way"
    """A vehicle drives on the side of oncoming traffic."""
    TAILGATING = "tailgating"


@dataclass(frozen=True)
class Attempt:
    """An event that was staged; whether it came off shows in the recorded motion.

    Args:
        kind: What was staged.
        agents: Who: first the one that misbehaves, then the one it concerns, then others.
        start: From when [s].
        end: Until when [s].
    """

    kind: EventKind
    agents: tuple[str, ...]
    start: float
    end: float


Script = Generator[None, None, tuple[str, ...]]
"""Directs one event, a simulation step per `yield`, and returns the agents in it.

It looks for a fitting situation before its first `yield`; if there is none it returns at once.
"""


def plant_events(
    connection: Connection,
    network: Network,
    *,
    kinds: Sequence[EventKind],
    pause: float,
    start: float,
    end: float,
    rng: np.random.Generator,
) -> list[Attempt]:
    """Run a simulation to its end and plant events around the recording car on the way.

    Args:
        connection: The running simulation.
        network: Its roads.
        kinds: What to plant; rarer ones so far go first.
        pause: Mean time from one event to the next [s].
        start: Before this time nothing is planted [s].
        end: When the simulation ends [s].
        rng: Source of all choices.
    """
    from kerbstone.formats.sumo.scripts import SCRIPTS

    attempts: list[Attempt] = []
    if not kinds:
        connection.simulationStep(end)
        return attempts
    stage = Stage(connection, network, rng)
    stage.advance(start)
    due = start + rng.exponential(pause) / 2
    count = dict.fromkeys(kinds, 0)
    while stage.time < end - STEP / 2:
        if stage.time < due or not stage.has_ego:
            stage.advance(min(stage.time + _IDLE, end))
            continue
        order = sorted(count, key=lambda kind: (count[kind], rng.random()))
        began = stage.time
        for kind in order:
            agents = _play(SCRIPTS[kind](stage), stage, end)
            if agents:
                attempts.append(Attempt(kind, agents, began, stage.time))
                count[kind] += 1
                due = stage.time + rng.exponential(pause)
                break
        else:
            stage.advance(min(stage.time + _IDLE, end))
    return attempts


def _play(script: Script, stage: Stage, end: float) -> tuple[str, ...]:
    """Direct a script to its end, and return who took part; nobody if it did not fit."""
    unknown = import_traci().exceptions.TraCIException
    while True:
        try:
            next(script)
        except StopIteration as done:
            return done.value
        except unknown as error:
            # Who arrived, and is gone, takes no more part.
            if "is not known" in str(error):
                return ()
            raise
        if stage.time >= end - STEP / 2:
            script.close()
            return ()
        stage.advance(stage.time + STEP)


SCRIPT_TYPE = Callable[[Stage], Script]
"""What `SCRIPTS` holds for each kind."""
