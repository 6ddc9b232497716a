"""What comes out: finished tracks, with how sure each cell is and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, Int64, Shaped, UInt8

from kerbstone.errors import InputError
from kerbstone.scene import Agents, Scene, wrap_angle


class Provenance(IntEnum):
    """Where a cell of a label comes from. The values are stored, so they never change."""

    ABSENT = 0
    """There is no label."""
    DETECTED = 1
    INTERPOLATED = 2
    """Between two detections of its track."""
    EXTRAPOLATED = 3
    """Before the first, or after the last detection of its track."""
    REVIEWED = 4
    """A person drew or confirmed it."""
    GIVEN = 5
    """It was known beforehand, as the recording car is."""
    INFILLED = 6
    """Between two detections of its track, as a scene model fills it."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of one log: a row for each cell, by agent and then by step.

    A log of an hour has many road users, each of them for a short while, so cells are listed and
    not laid out over agents and steps; `to_scene` does that for a stretch of the log.

    Args:
        scene: What was known of the log before: clock, map, the recording car, sensors.
        ids: Name of each agent.
        kind: `Kind` of each agent.
        name: The detector's own class name of each agent.
        size: Length, width and height of each agent [m].
        agent: Agent of each cell.
        step: Time step of each cell.
        place: Centre of the box in the world [m].
        heading: Heading [rad].
        velocity: Velocity in x and y [m/s].
        std: Standard deviation of x, y, z and heading [m, m, m, rad].
        confidence: Chance that the box overlaps the truth by more than half.
        provenance: Where the cell comes from (`Provenance`).
        row: The detection that was made at the cell, as a row of the detections, or -1.

    Raises:
        InputError: The arrays do not fit together, or cells are not by agent and step.
    """

    scene: Scene
    ids: tuple[str, ...]
    kind: UInt8[np.ndarray, " agent"]
    name: tuple[str, ...]
    size: Float64[np.ndarray, "agent 3"]
    agent: Int64[np.ndarray, " cell"]
    step: Int64[np.ndarray, " cell"]
    place: Float64[np.ndarray, "cell 3"]
    heading: Float64[np.ndarray, " cell"]
    velocity: Float64[np.ndarray, "cell 2"]
    std: Float64[np.ndarray, "cell 4"]
    confidence: Float64[np.ndarray, " cell"]
    provenance: UInt8[np.ndarray, " cell"]
    row: Int64[np.ndarray, " cell"]

    def __post_init__(self) -> None:
        agents, cells = len(self.ids), len(self.agent)
        lengths = dict.fromkeys(("kind", "name", "size"), agents)
        lengths |= dict.fromkeys((*_CELLS, "step"), cells)
        for name, expected in lengths.items():
            if len(getattr(self, name)) != expected:
                raise InputError(
                    "shape",
                    f"labels.{name} does not fit",
                    where=f"scene {self.scene.id}",
                    why=f"{len(getattr(self, name))}, expected {expected}",
                )
        steps = self.scene.clock.steps
        if cells and not (
            0 <= self.agent.min()
            and self.agent.max() < agents
            and 0 <= self.step.min()
            and self.step.max() < steps
        ):
            raise InputError(
                "index",
                "a label is of no agent or of no step of its scene",
                where=f"scene {self.scene.id}",
                why=f"{agents} agents, {steps} steps",
            )
        key = self.agent * steps + self.step
        if (np.diff(key) <= 0).any():
            row = int(np.argmax(np.diff(key) <= 0)) + 1
            raise InputError(
                "duplicate",
                "labels are not by agent and step",
                where=f"scene {self.scene.id}, agent {self.ids[self.agent[row]]!r}",
            )

    def __len__(self) -> int:
        return len(self.agent)

    def boxes(self) -> Float64[np.ndarray, "cell 7"]:
        """Return the box of each cell in the world frame (`BoxIndex`)."""
        return np.column_stack([self.place, self.heading, self.size[self.agent]])

    def select(self, cells: Bool[np.ndarray, " cell"]) -> Labels:
        """Return some cells, with the agents that have any."""
        kept = np.bincount(self.agent[cells], minlength=len(self.ids)) > 0
        number = np.cumsum(kept) - 1
        rows = np.flatnonzero(kept)
        parts = {name: getattr(self, name)[cells] for name in _CELLS}
        return replace(
            self,
            ids=tuple(self.ids[i] for i in rows),
            kind=self.kind[rows],
            name=tuple(self.name[i] for i in rows),
            size=self.size[rows],
            **(parts | {"agent": number[parts["agent"]].astype(np.int64)}),
        )

    def count(self) -> dict[str, int]:
        """Return how many cells come from where, by name."""
        number = np.bincount(self.provenance, minlength=len(Provenance))
        return {each.name.lower(): int(number[each]) for each in Provenance if number[each]}

    def to_scene(self, first: int = 0, steps: int | None = None) -> tuple[Scene, Labels]:
        """Return a stretch of the log as a scene, and the labels that are in it.

        The recording car comes first, where it is known; then the agents that are there in that
        stretch. `grid` lays out anything else in the same way.

        Args:
            first: First step.
            steps: Number of steps; to the end if not given.
        """
        steps = self.scene.clock.steps - first if steps is None else steps
        context = self.scene.window_steps(first, steps)
        inside = (self.step >= first) & (self.step < first + steps)
        part = self.select(inside)
        part = replace(part, scene=context, step=part.step - first)
        agents = Agents(
            ids=part.ids,
            kind=part.kind,
            label=part.name,
            size=part.size,
            centre=part.grid(part.place, np.nan),
            heading=part.grid(np.asarray(wrap_angle(part.heading)), np.nan),
            velocity=part.grid(part.velocity, np.nan),
            valid=part.grid(np.ones(len(part), bool), fill=False),
        )
        if context.ego is None:
            return replace(context, agents=agents), part
        own = context.agents.select([context.ego])
        taken = own.ids[0] in self.ids
        agents = Agents(
            ids=("ego" if taken and "ego" not in self.ids else own.ids[0], *agents.ids),
            label=own.label + agents.label,
            **{
                name: np.concatenate([getattr(own, name), getattr(agents, name)])
                for name in ("kind", "size", "centre", "heading", "velocity", "valid")
            },
        )
        return replace(context, agents=agents, ego=0), part

    def grid(
        self, values: Shaped[np.ndarray, "cell ..."], fill: float
    ) -> Shaped[np.ndarray, "agent time ..."]:
        """Lay out values of cells over agents and steps; `fill` stands where there is no cell."""
        shape = (len(self.ids), self.scene.clock.steps, *values.shape[1:])
        cells = np.full(shape, fill, values.dtype)
        cells[self.agent, self.step] = values
        return cells


_CELLS = (
    "agent",
    "step",
    "place",
    "heading",
    "velocity",
    "std",
    "confidence",
    "provenance",
    "row",
)
