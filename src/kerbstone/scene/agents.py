"""Road users as arrays over agent and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from kerbstone.errors import InputError
from kerbstone.scene.kinds import Kind


@dataclass(frozen=True, eq=False)
class Agents:
    """Road users and objects, one row each, in the world frame.

    Invalid cells are NaN in the arrays and False in `valid`, never zeros. A valid cell always has
    a position; what a format does not give (height, size, …) is NaN there.

    Args:
        ids: Name of each agent in its log, unique.
        kind: `Kind` of each agent.
        label: The format's own class name of each agent.
        size: Length, width and height of the box [m].
        centre: Centre of the box, x east, y north, z up [m].
        heading: Direction of the box's length, counter-clockwise from east, in [-pi, pi] [rad].
        velocity: Velocity in x and y [m/s].
        valid: Whether the agent was there.

    Raises:
        InputError: The shapes do not fit together, or an id appears twice.
    """

    ids: tuple[str, ...]
    kind: UInt8[np.ndarray, " agent"]
    label: tuple[str, ...]
    size: Float64[np.ndarray, "agent 3"]
    centre: Float64[np.ndarray, "agent time 3"]
    heading: Float64[np.ndarray, "agent time"]
    velocity: Float64[np.ndarray, "agent time 2"]
    valid: Bool[np.ndarray, "agent time"]

    def __post_init__(self) -> None:
        n, steps = self.valid.shape
        shapes = {
            "ids": (len(self.ids), n),
            "label": (len(self.label), n),
            "kind": (self.kind.shape, (n,)),
            "size": (self.size.shape, (n, 3)),
            "centre": (self.centre.shape, (n, steps, 3)),
            "heading": (self.heading.shape, (n, steps)),
            "velocity": (self.velocity.shape, (n, steps, 2)),
        }
        for name, (found, expected) in shapes.items():
            if found != expected:
                raise InputError(
                    "shape", f"agents.{name} does not fit", why=f"{found}, expected {expected}"
                )
        if len(set(self.ids)) != n:
            twice = next(i for i in self.ids if self.ids.count(i) > 1)
            raise InputError("duplicate", "an agent id appears twice", why=f"id {twice!r}")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def steps(self) -> int:
        """Length of the time axis."""
        return self.valid.shape[1]

    @property
    def speed(self) -> Float64[np.ndarray, "agent time"]:
        """Speed over ground [m/s]."""
        return np.hypot(self.velocity[..., 0], self.velocity[..., 1])

    def is_kind(self, *kinds: Kind) -> Bool[np.ndarray, " agent"]:
        """Return which agents are of one of these kinds."""
        return np.isin(self.kind, np.array(kinds, np.uint8))

    def index(self, agent_id: str) -> int:
        """Return the row of an agent.

        Raises:
            InputError: There is no agent of that id.
        """
        try:
            return self.ids.index(agent_id)
        except ValueError:
            raise InputError("name", f"there is no agent {agent_id!r}") from None

    def window(self, first: int, steps: int) -> Agents:
        """Return a view of some time steps; agents that are not there in it keep their row."""
        part = slice(first, first + steps)
        return replace(
            self,
            centre=self.centre[:, part],
            heading=self.heading[:, part],
            velocity=self.velocity[:, part],
            valid=self.valid[:, part],
        )

    def select(self, rows: Sequence[int] | np.ndarray) -> Agents:
        """Return some agents, in the order given (indices or a Boolean mask)."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.int64)
        return Agents(
            ids=tuple(self.ids[i] for i in rows),
            kind=self.kind[rows],
            label=tuple(self.label[i] for i in rows),
            size=self.size[rows],
            centre=self.centre[rows],
            heading=self.heading[rows],
            velocity=self.velocity[rows],
            valid=self.valid[rows],
        )

    @classmethod
    def empty(cls, steps: int) -> Agents:
        """Return no agents over `steps` steps."""
        return cls(
            ids=(),
            kind=np.zeros(0, np.uint8),
            label=(),
            size=np.zeros((0, 3)),
            centre=np.zeros((0, steps, 3)),
            heading=np.zeros((0, steps)),
            velocity=np.zeros((0, steps, 2)),
            valid=np.zeros((0, steps), bool),
        )


def agents_from_rows(
    *,
    track: Sequence[str] | np.ndarray,
    step: Int64[np.ndarray, " row"],
    steps: int,
    dt: float | Float64[np.ndarray, " gap"],
    label: Sequence[str] | np.ndarray,
    kinds: Mapping[str, Kind],
    centre: Float64[np.ndarray, "row 3"],
    heading: Float64[np.ndarray, " row"] | None = None,
    velocity: Float64[np.ndarray, "row 2"] | None = None,
    size: Float64[np.ndarray, "row 3"] | None = None,
    where: str = "",
) -> Agents:
    """Build agents from a table with one row per agent and time, as most formats have it.

    Agents come in the order of their first row. What the format lacks is derived: velocity by
    differences of neighbouring valid steps, heading from the direction of motion (held while the
    agent stands). A size that varies from row to row becomes its median.

    Args:
        track: Agent id of each row.
        step: Time step of each row.
        steps: Length of the time axis.
        dt: Time from step to step [s], or of each pair of neighbouring steps where they differ.
        label: Class name of each row; the first of each agent counts, but all must be known.
        kinds: What each class name stands for; a name that is missing here is an error.
        centre: Box centre in the world frame [m]; z may be NaN.
        heading: Counter-clockwise from east [rad].
        velocity: In the world frame [m/s].
        size: Length, width, height [m].
        where: The file, for errors.

    Raises:
        InputError: No rows, an agent twice at one step, a position that is not finite, a step
            outside the clock, or an unknown class name.
    """
    step = np.asarray(step, np.int64)
    if step.size == 0:
        raise InputError("empty", "there are no agents in the log", where=where)
    ids, row_agent = _number_by_first_row(track)
    _check_rows(ids, row_agent, step, steps, np.asarray(centre, np.float64), where)
    first_row = np.zeros(len(ids), np.int64)
    first_row[row_agent[::-1]] = np.arange(len(step))[::-1]
    names, row_name = _number_by_first_row(label)
    _check_labels(names, row_name, ids, row_agent, kinds, where)
    labels = tuple(names[i] for i in row_name[first_row])
    shape = (len(ids), steps)
    valid = np.zeros(shape, bool)
    valid[row_agent, step] = True

    def spread(values: np.ndarray, *tail: int) -> np.ndarray:
        cells = np.full((*shape, *tail), np.nan)
        cells[row_agent, step] = values
        return cells

    cell_centre = spread(centre, 3)
    if velocity is None:
        cell_velocity = derive_velocity(cell_centre, valid, dt)
    else:
        cell_velocity = spread(velocity, 2)
    if heading is None:
        cell_heading = derive_heading(cell_centre, valid)
    else:
        turned = np.asarray(heading, np.float64)
        outside = np.abs(turned) > np.pi
        turned = np.where(outside, np.remainder(turned + np.pi, 2 * np.pi) - np.pi, turned)
        cell_heading = spread(turned)
    return Agents(
        ids=ids,
        kind=np.array([kinds[name] for name in labels], np.uint8),
        label=labels,
        size=_median_size(size, row_agent, len(ids)),
        centre=cell_centre,
        heading=cell_heading,
        velocity=cell_velocity,
        valid=valid,
    )


def derive_velocity(
    centre: Float64[np.ndarray, "agent time 3"],
    valid: Bool[np.ndarray, "agent time"],
    dt: float | Float64[np.ndarray, " gap"],
) -> Float64[np.ndarray, "agent time 2"]:
    """Return velocities by differences to the neighbouring steps [m/s].

    Central where both neighbours are valid, one-sided where one is, NaN where none is.

    Args:
        centre: Box centres [m].
        valid: Which cells are there.
        dt: Time from step to step [s], or of each pair of neighbouring steps where they differ.
    """
    n, steps = valid.shape
    position = np.where(valid[..., None], centre[..., :2], np.nan)
    before = np.full((n, steps, 2), np.nan)
    after = np.full((n, steps, 2), np.nan)
    forward = (position[:, 1:] - position[:, :-1]) / np.asarray(dt)[..., None]
    before[:, 1:] = forward
    after[:, :-1] = forward
    both = np.isfinite(before) & np.isfinite(after)
    # Halving each first keeps a sum of two large finite values from overflowing.
    return np.where(both, before / 2 + after / 2, np.where(np.isfinite(before), before, after))


def derive_heading(
    centre: Float64[np.ndarray, "agent time 3"],
    valid: Bool[np.ndarray, "agent time"],
    *,
    min_travel: float = 0.5,
) -> Float64[np.ndarray, "agent time"]:
    """Return headings from the direction of motion [rad].

    The direction at a step is the chord over the shortest stretch around it (a power of two steps
    to either side) on which the agent moved by `min_travel`, so that noise of a standing agent
    does not spin it. An agent that never moves that far gets NaN: its heading is not known.

    Args:
        centre: Box centres [m].
        valid: Which cells are there.
        min_travel: Shortest chord that shows a direction [m].
    """
    n, steps = valid.shape
    position = _hold_position(centre[..., :2], valid)
    heading = np.full((n, steps), np.nan)
    agent, step = np.nonzero(valid)
    reach = 1
    while reach < 2 * steps and agent.size:
        after = position[agent, np.minimum(step + reach, steps - 1)]
        chord = after - position[agent, np.maximum(step - reach, 0)]
        shows = np.hypot(chord[:, 0], chord[:, 1]) >= min_travel
        heading[agent[shows], step[shows]] = np.arctan2(chord[shows, 1], chord[shows, 0])
        agent, step = agent[~shows], step[~shows]
        reach *= 2
    return heading


def _hold_position(
    position: Float64[np.ndarray, "agent time 2"], valid: Bool[np.ndarray, "agent time"]
) -> Float64[np.ndarray, "agent time 2"]:
    """Fill gaps with the last valid position, and the start with the first."""
    steps = valid.shape[1]
    last = np.maximum.accumulate(np.where(valid, np.arange(steps), -1), axis=1)
    held = np.where(last < 0, np.argmax(valid, axis=1)[:, None], last)
    return np.take_along_axis(position, held[..., None], axis=1)


def _number_by_first_row(
    track: Sequence[str] | np.ndarray,
) -> tuple[tuple[str, ...], Int64[np.ndarray, " row"]]:
    import pyarrow as pa

    # Arrow's hash table numbers names by first appearance, and far faster than NumPy sorts them.
    encoded = pa.array(track).dictionary_encode()
    if encoded.null_count:
        raise InputError("value", "an agent id or class name is missing")
    ids = tuple(str(name) for name in encoded.dictionary.to_pylist())
    return ids, encoded.indices.to_numpy().astype(np.int64)


def _check_labels(
    names: tuple[str, ...],
    row_name: np.ndarray,
    ids: tuple[str, ...],
    row_agent: np.ndarray,
    kinds: Mapping[str, Kind],
    where: str,
) -> None:
    unknown = [i for i, name in enumerate(names) if name not in kinds]
    if unknown:
        row = int(np.argmax(row_name == unknown[0]))
        place = f"row {row}, agent {ids[row_agent[row]]!r}"
        raise InputError(
            "label",
            f"unknown class {names[unknown[0]]!r}",
            where=f"{where}, {place}" if where else place,
            why="known classes: " + ", ".join(sorted(kinds)),
            remedy="correct the class name, or map it to a known one",
        )


def _check_rows(
    ids: tuple[str, ...],
    row_agent: np.ndarray,
    step: np.ndarray,
    steps: int,
    centre: np.ndarray,
    where: str,
) -> None:
    def at(row: int) -> str:
        place = f"row {row}, agent {ids[row_agent[row]]!r}, step {step[row]}"
        return f"{where}, {place}" if where else place

    if step.min() < 0 or step.max() >= steps:
        row = int(np.argmax((step < 0) | (step >= steps)))
        raise InputError("clock", "a row lies outside the log's time", where=at(row))
    lost = ~np.isfinite(centre[:, :2]).all(axis=1)
    if lost.any():
        row = int(np.argmax(lost))
        raise InputError(
            "value",
            "a position is not a number",
            where=at(row),
            why=f"x={centre[row, 0]}, y={centre[row, 1]}",
            remedy="leave the row out where the agent was not seen",
        )
    cell = row_agent * steps + step
    # Sorting is only for telling the row: counting cells is enough to know that there is none.
    seen = np.zeros(len(ids) * steps, bool)
    seen[cell] = True
    if np.count_nonzero(seen) == len(cell):
        return
    order = np.argsort(cell, kind="stable")
    same = np.flatnonzero(np.diff(cell[order]) == 0)
    raise InputError(
        "duplicate",
        "an agent appears twice at the same time",
        where=at(int(order[same[0] + 1])),
        remedy="keep one row per agent and time",
    )


def _median_size(
    size: np.ndarray | None, row_agent: np.ndarray, count: int
) -> Float64[np.ndarray, "agent 3"]:
    if size is None:
        return np.full((count, 3), np.nan)
    size = np.asarray(size, np.float64)
    order = np.argsort(row_agent, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(row_agent, minlength=count))])
    result = np.empty((count, 3))
    for agent in range(count):
        rows = size[order[bounds[agent] : bounds[agent + 1]]]
        constant = ((rows == rows[0]) | (np.isnan(rows) & np.isnan(rows[0]))).all()
        # A median of equal values may differ from them in the last bit.
        result[agent] = rows[0] if constant else _median_of_known(rows)
    return result


def _median_of_known(rows: np.ndarray) -> np.ndarray:
    known = np.isfinite(rows)
    columns = [rows[known[:, i], i] for i in range(rows.shape[1])]
    return np.array([np.median(column) if column.size else np.nan for column in columns])
