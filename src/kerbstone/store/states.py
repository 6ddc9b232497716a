"""What changes with time: agents' states, clock offsets and traffic lights, in chunks of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.scene import Agents, Clock, Scene, Signals
from kerbstone.store.columns import arrays, checksum, typed
from kerbstone.store.heads import Head, Key
from kerbstone.store.layout import CHUNK_STEPS, STATES

_SEALED = ("agent", "valid", "cells", "offset_ns", "signal")


def columns_of(key: Key) -> list[str]:
    """Return the columns of `states` that a stretch of a scene is read from."""
    absent = {"offset_ns": not key.has_offsets, "signal": key.signals is None}
    return [*(name for name in _SEALED if not absent.get(name)), "checksum"]


def chunks_of(key: Key, clock: Clock) -> range:
    """Return the chunks of a scene that a stretch of its clock lies in."""
    begin = _first_step(key, clock)
    return range(begin // key.chunk_steps, -(-(begin + clock.steps) // key.chunk_steps))


def chunk_rows(scene: Scene) -> Iterator[dict[str, Any]]:
    """Give a scene's own columns of its rows in `states`."""
    agents, offsets = scene.agents, scene.clock.offset_ns
    for chunk, first in enumerate(range(0, scene.clock.steps, CHUNK_STEPS)):
        time = slice(first, first + CHUNK_STEPS)
        there = np.flatnonzero(agents.valid[:, time].any(axis=1))
        valid = agents.valid[there, time]
        parts = (agents.centre, agents.heading[..., None], agents.velocity)
        cells = [part[there, time][valid].T for part in parts]
        row = typed(
            STATES,
            {
                "agent": there,
                "valid": np.packbits(valid),
                "cells": np.concatenate(cells),
                "offset_ns": None if offsets is None else offsets[time],
                "signal": None if scene.signals is None else scene.signals.state[:, time],
            },
        )
        yield row | {"chunk": chunk, "checksum": _checksum(chunk, row)}


@dataclass(frozen=True, eq=False)
class Stretch:
    """The clock, agents and traffic lights of some steps of a scene."""

    clock: Clock
    agents: Agents
    signals: Signals | None


def read_stretch(rows: pa.Table, head: Head, clock: Clock) -> Stretch:
    """Return what happened during a stretch of a scene's clock.

    Args:
        rows: The chunks that it lies in, of `columns_of`.
        head: The scene's head.
        clock: The stretch.

    Raises:
        InputError: A row was changed since it was written, or is another one.
    """
    key, begin = head.key, _first_step(head.key, clock)
    stretch = _empty_stretch(head, clock)
    agents, signals = stretch.agents, stretch.signals
    offsets: list[np.ndarray] = []
    columns = {name: arrays(rows, name) for name in columns_of(key)[:-1]}
    sums = rows.column("checksum").to_pylist()
    for i, chunk in enumerate(chunks_of(key, clock)):
        row: dict[str, Any] = dict.fromkeys(_SEALED)
        row |= {name: column[i] for name, column in columns.items()}
        if _checksum(chunk, row) != sums[i]:
            raise InputError(
                "store-damaged",
                "states of a scene are not as they were written",
                where=f"scene {key.id}, chunk {chunk}",
                why="the checksum differs",
            )
        # Where the chunk starts on the stretch's clock, and which of its steps lie in the stretch.
        shift = chunk * key.chunk_steps - begin
        length = min(key.chunk_steps, key.steps - chunk * key.chunk_steps)
        inside = slice(max(-shift, 0), min(clock.steps - shift, length))
        agent, step, kept = _cells(row["agent"], row["valid"], length, inside)
        cell = (agent, step + shift)
        values = row["cells"].reshape(6, -1)[:, kept]
        agents.valid[cell] = True
        agents.centre[cell] = values[:3].T
        agents.heading[cell] = values[3]
        agents.velocity[cell] = values[4:].T
        if signals is not None:
            lit = row["signal"].reshape(-1, length)[:, inside]
            signals.state[:, inside.start + shift : inside.stop + shift] = lit
        if key.has_offsets:
            offsets.append(row["offset_ns"][inside])
    if not key.has_offsets:
        return stretch
    return replace(stretch, clock=replace(clock, offset_ns=np.concatenate(offsets)))


def _first_step(key: Key, clock: Clock) -> int:
    return (clock.start_ns - key.start_ns) // key.dt_ns


def _checksum(chunk: int, row: dict[str, Any]) -> int:
    return checksum([chunk, *(row[name] for name in _SEALED)])


def _empty_stretch(head: Head, clock: Clock) -> Stretch:
    """Return a stretch in which no agent is there and no state of a light is known."""
    shape = (len(head.agent_ids), clock.steps)
    agents = Agents(
        ids=head.agent_ids,
        kind=head.agent_kind,
        label=head.agent_label,
        size=head.agent_size,
        centre=np.full((*shape, 3), np.nan),
        heading=np.full(shape, np.nan),
        velocity=np.full((*shape, 2), np.nan),
        valid=np.zeros(shape, bool),
    )
    if head.signal_lane is None or head.signal_stop is None:
        return Stretch(clock, agents, None)
    state = np.zeros((len(head.signal_lane), clock.steps), np.uint8)
    return Stretch(clock, agents, Signals(head.signal_lane, head.signal_stop, state))


def _cells(
    there: np.ndarray, valid: np.ndarray, length: int, inside: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray | slice]:
    """Return the valid cells of a chunk that lie inside some of its steps.

    Returns:
        Row of the agent and step in the chunk of each cell, and where its values are.
    """
    bits = np.unpackbits(valid, count=len(there) * length).reshape(len(there), length)
    row, step = np.nonzero(bits)
    if inside.stop - inside.start == length:
        return there[row], step, slice(None)
    kept = np.flatnonzero((step >= inside.start) & (step < inside.stop))
    return there[row[kept]], step[kept], kept
