"""The one data model: a stretch of road time as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.scene.agents import Agents
from kerbstone.scene.clock import Clock
from kerbstone.scene.kinds import DrivingSide
from kerbstone.scene.map import Map
from kerbstone.scene.sensors import Camera, Lidar
from kerbstone.scene.signals import Signals
from kerbstone.scene.transforms import SE3


@dataclass(frozen=True)
class Source:
    """Where a scene comes from.

    Args:
        dataset: Name of the data set, such as `av2-sensor`.
        log: Name of the log in it.
        town: The town or place; splits are made by it.
        licence: Under which terms the data may be used.
        driving_side: Right- or left-hand traffic.
        path: The log's folder or file, as it was ingested.
        split: The data set's own split, if it has one.
        simulated: Whether a simulator made it.
        derived: What was computed because the format does not hold it: "velocity", "heading", ….
        extra: What else the format says, as JSON values.
    """

    dataset: str
    log: str
    town: str = ""
    licence: str = ""
    driving_side: DrivingSide = DrivingSide.UNKNOWN
    path: str = ""
    split: str = ""
    simulated: bool = False
    derived: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class EgoPoses:
    """Where the recording car was, at the rate at which its pose was recorded.

    Args:
        times_ns: Strictly increasing times [ns].
        translation: Origin of the ego frame in the world frame [m].
        rotation: Its rotation, as quaternions w, x, y, z.
    """

    times_ns: Int64[np.ndarray, " pose"]
    translation: Float64[np.ndarray, "pose 3"]
    rotation: Float64[np.ndarray, "pose 4"]

    def __post_init__(self) -> None:
        n = len(self.times_ns)
        if n == 0 or self.translation.shape != (n, 3) or self.rotation.shape != (n, 4):
            raise InputError(
                "shape",
                "ego poses do not fit together",
                why=f"{n} times, translation {self.translation.shape}, "
                f"rotation {self.rotation.shape}",
            )
        if (np.diff(self.times_ns) <= 0).any():
            raise InputError("clock", "ego poses repeat or go backwards in time")

    @property
    def world_from_ego(self) -> SE3:
        """All poses."""
        return SE3(rotation=self.rotation, translation=self.translation)

    def at(self, times_ns: Int64[np.ndarray, " time"]) -> SE3:
        """Return the poses at other times, interpolated.

        Raises:
            InputError: A time lies outside the recorded ones.
        """
        return self.world_from_ego.interpolate(self.times_ns, np.asarray(times_ns, np.int64))


@dataclass(frozen=True, eq=False)
class Scene:
    """A stretch of road time of any length, in one right-handed world frame.

    The frame is x east, y north, z up; metres, seconds, radians, m/s. A whole log is a long
    scene; `window` gives a stretch of it as a view.

    Args:
        id: Name of the scene, unique in a store: `dataset/log`, with a part where a log is split.
        clock: The uniform time steps.
        agents: The road users.
        ego: Row of the recording car in `agents`, or None.
        source: Where it comes from.
        map: The road, or None where the format has none.
        signals: Traffic lights; none is not the same as all off.
        ego_poses: Poses of the ego frame, where the format has them.
        cameras: References to images.
        lidars: References to sweeps.

    Raises:
        InputError: The parts do not fit together.
    """

    id: str
    clock: Clock
    agents: Agents
    ego: int | None
    source: Source
    map: Map | None = None
    signals: Signals | None = None
    ego_poses: EgoPoses | None = None
    cameras: tuple[Camera, ...] = ()
    lidars: tuple[Lidar, ...] = ()

    def __post_init__(self) -> None:
        steps = self.clock.steps
        if self.agents.steps != steps:
            raise InputError(
                "shape",
                "agents do not fit the clock",
                where=f"scene {self.id}",
                why=f"{self.agents.steps} steps against {steps}",
            )
        if self.signals is not None and self.signals.state.shape[1] != steps:
            raise InputError("shape", "signals do not fit the clock", where=f"scene {self.id}")
        if self.ego is not None and not 0 <= self.ego < len(self.agents):
            raise InputError(
                "index", "ego is no agent", where=f"scene {self.id}", why=f"row {self.ego}"
            )

    def window(self, start: float, duration: float | None = None) -> Scene:
        """Return a stretch of the scene, as a view that copies no agent state.

        Agents keep their rows. Sensor references and ego poses stay whole: they have their own
        times.

        Args:
            start: Seconds after the scene's start; rounded to a step.
            duration: Length [s], rounded to steps; to the end if None.

        Raises:
            InputError: The window holds no step, or reaches beyond the scene.
        """
        if not np.isfinite([start, duration or 0.0]).all():
            raise InputError(
                "value", "a window is not finite", why=f"start {start}, duration {duration}"
            )
        first = round(start / self.clock.dt)
        steps = self.clock.steps - first if duration is None else round(duration / self.clock.dt)
        return self.window_steps(first, steps)

    def window_steps(self, first: int, steps: int) -> Scene:
        """Return `steps` time steps from step `first` on, as a view."""
        return replace(
            self,
            clock=self.clock.window(first, steps),
            agents=self.agents.window(first, steps),
            signals=None if self.signals is None else self.signals.window(first, steps),
        )

    def check(self) -> Scene:
        """Return the scene itself after checking what every room relies on.

        Raises:
            InputError: A valid cell has no position, an invalid cell has a value, a heading lies
                outside [-pi, pi], a size is not positive, or a signal refers to a missing lane.
        """
        agents = self.agents
        where = f"scene {self.id}"

        def at(cells: np.ndarray) -> str:
            cell = [int(axis[0]) for axis in np.nonzero(cells)]
            step = f", step {cell[1]}" if len(cell) > 1 else ""
            return f"{where}, agent {agents.ids[cell[0]]!r}{step}"

        lost = agents.valid & ~np.isfinite(agents.centre[..., :2]).all(axis=-1)
        if lost.any():
            raise InputError("value", "a valid cell has no position", where=at(lost))
        left_over = ~agents.valid & ~(
            np.isnan(agents.centre).all(axis=-1)
            & np.isnan(agents.heading)
            & np.isnan(agents.velocity).all(axis=-1)
        )
        if left_over.any():
            raise InputError("value", "an invalid cell holds a value", where=at(left_over))
        turned = np.abs(agents.heading) > np.pi
        if turned.any():
            raise InputError("value", "a heading lies outside [-pi, pi]", where=at(turned))
        flat = (agents.size <= 0).any(axis=-1)
        if flat.any():
            raise InputError("value", "a size is not positive", where=at(np.asarray(flat)))
        if self.signals is not None and len(self.signals):
            lanes = 0 if self.map is None else len(self.map.lanes)
            if int(self.signals.lane.max()) >= lanes:
                raise InputError("reference", "a signal controls a missing lane", where=where)
        return self
