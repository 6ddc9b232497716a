"""Labels in a store: scenes, and beside them the table `label_cells` for what a scene has no place for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.detections import hide_agents
from kerbstone.label.labels import Labels
from kerbstone.scene import Scene
from kerbstone.store import Store
from kerbstone.store.table import sql

if TYPE_CHECKING:
    import pyarrow as pa

CELLS = "label_cells"
_STD = ("std_x", "std_y", "std_z", "std_heading")
_REVIEWED = ":reviewed:"
"""Stands in the fingerprint of a log that a person has looked at, after what it was made of."""


def cell_table(scene: Scene, part: Labels) -> pa.Table:
    """Return the rows of `label_cells` of a scene of labels.

    Args:
        scene: The scene, as `Labels.to_scene` gives it.
        part: The labels in it.
    """
    import pyarrow as pa

    ids = np.array(part.ids, object)
    columns: dict[str, Any] = {
        "scene_id": pa.array([scene.id] * len(part), pa.string()),
        "agent": pa.array(ids[part.agent] if len(part) else [], pa.string()),
        "time_ns": scene.clock.times_ns[part.step],
        "confidence": part.confidence,
        "provenance": part.provenance,
        "detection": part.row,
    }
    columns |= {name: part.std[:, column] for column, name in enumerate(_STD)}
    return pa.table(columns)


def read_labels(store: Store, scene: str) -> Labels:
    """Return the labels of a scene of a store that `label` wrote.

    Args:
        store: The store.
        scene: Id of the scene, or a part of it that is unique.

    Raises:
        InputError: There is no such scene, or it holds no labels.
    """
    name = store.find(scene)
    whole = store.scene(name)
    rows = store.rows(CELLS, f"scene_id = {sql(name)}")
    if rows.num_rows == 0 and len(whole.agents) > (whole.ego is not None):
        raise InputError(
            "empty",
            "the scene holds no labels",
            where=f"{store.uri}, scene {name}",
            remedy="name a store that `kerbstone label` wrote",
        )
    agents = whole.agents
    others = [row for row in range(len(agents)) if row != whole.ego]
    number = {agents.ids[row]: place for place, row in enumerate(others)}
    agent = np.array([number[each] for each in rows["agent"].to_pylist()], np.int64)
    step = (rows["time_ns"].to_numpy() - whole.clock.start_ns) // whole.clock.dt_ns
    order = np.lexsort((step, agent))
    agent, step = agent[order], step[order].astype(np.int64)
    row = np.array(others, np.int64)[agent]
    columns = {name: rows[name].to_numpy()[order] for name in rows.column_names if name != "agent"}
    return Labels(
        scene=hide_agents(whole),
        ids=tuple(agents.ids[each] for each in others),
        kind=agents.kind[others],
        name=tuple(agents.label[each] for each in others),
        size=agents.size[others],
        agent=agent,
        step=step,
        place=agents.centre[row, step],
        heading=agents.heading[row, step],
        velocity=agents.velocity[row, step],
        std=np.column_stack([columns[name] for name in _STD]).reshape(-1, 4),
        confidence=columns["confidence"].astype(np.float64),
        provenance=columns["provenance"].astype(np.uint8),
        row=columns["detection"].astype(np.int64),
    )


def write_reviewed(store: Store, scene: str, labels: Labels, *, run: str = "") -> None:
    """Put reviewed labels in the place of those that a store has of a scene.

    The other scenes of the same log stay as they are. The log is marked as reviewed: `label` leaves
    it alone from then on, or says that it would be lost.

    Args:
        store: The store.
        scene: Id of the scene.
        labels: The reviewed labels, of `read_labels`.
        run: Id of the run that writes.

    Raises:
        InputError: There is no such scene, or the store cannot be written.
    """
    import pyarrow as pa

    name = store.find(scene)
    table = store.scenes(["id", "log_key"])
    logs = dict(zip(table["id"].to_pylist(), table["log_key"].to_pylist(), strict=True))
    log = logs[name]
    siblings = [each for each, key in logs.items() if key == log]
    cells: list[pa.Table] = []

    def scenes() -> Iterator[Scene]:
        for sibling in siblings:
            known = labels if sibling == name else read_labels(store, sibling)
            made, part = known.to_scene()
            cells.append(cell_table(made, part))
            yield made

    written = list(scenes())
    mark = store.fingerprints()[log].partition(_REVIEWED)[0]
    rows = pa.concat_tables(cells)
    digest = hashlib.blake2b(digest_size=8)
    for column in rows.columns:
        for chunk in column.chunks:
            for buffer in filter(None, chunk.buffers()):
                digest.update(buffer)
    for made in written:
        digest.update(np.nan_to_num(made.agents.centre).tobytes())
        digest.update(made.agents.size.tobytes() + made.agents.kind.tobytes())
    store.put_rows(CELLS, rows, log=log, run=run)
    store.add(written, log=log, fingerprint=f"{mark}{_REVIEWED}{digest.hexdigest()}", run=run)


def is_current(fingerprint: str | None, mark: str, where: str) -> bool:
    """Tell whether a store holds labels of this mark, made or reviewed.

    Args:
        fingerprint: That of the log in the store, or None.
        mark: What labels would be made of now.
        where: The store and the log, for the error.

    Raises:
        InputError: Other labels would take the place of reviewed ones.
    """
    if fingerprint is None:
        return False
    made, reviewed, _ = fingerprint.partition(_REVIEWED)
    if reviewed and made != mark:
        raise InputError(
            "usage",
            "new labels would take the place of reviewed ones",
            where=where,
            why="the detections, the profile, the model or the configuration are others now",
            remedy="give another store with --out",
        )
    return made == mark
