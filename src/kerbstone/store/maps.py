"""Maps: a row of `maps` with the lane graph, and a row of `pieces` for each polyline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.scene import LaneGraph, Map
from kerbstone.store.columns import arrays, packed
from kerbstone.store.heads import bounds_of
from kerbstone.store.layout import LANE_LISTS


def map_key(road: Map) -> str:
    """Return a digest of a map's whole content: two maps of one id are told apart by it."""
    digest = hashlib.sha256(json.dumps([road.id, road.ids, road.lanes.ids]).encode())
    arrays = [
        (road.kind, np.uint8),
        (road.marking, np.uint8),
        (road.points, np.float64),
        (road.offsets, np.int64),
        *((getattr(road.lanes, name), item.to_pandas_dtype()) for name, item in LANE_LISTS.items()),
    ]
    for values, dtype in arrays:
        digest.update(np.ascontiguousarray(values, dtype).ravel().data)
    return digest.hexdigest()


def map_row(road: Map) -> dict[str, Any]:
    """Return a map's own columns of its row in `maps`."""
    lanes = {f"lane_{name}": getattr(road.lanes, name) for name in LANE_LISTS}
    return {
        "id": road.id,
        "pieces": len(road),
        "lanes": len(road.lanes),
        "lane_id": road.lanes.ids,
        **lanes,
        **bounds_of(road.points),
    }


def piece_rows(road: Map) -> Iterator[dict[str, Any]]:
    """Give a map's own columns of its rows in `pieces`."""
    for number, name in enumerate(road.ids):
        points = road.piece(number)
        yield {
            "number": number,
            "map": road.id,
            "id": name,
            "kind": int(road.kind[number]),
            "marking": int(road.marking[number]),
            "x": points[:, 0],
            "y": points[:, 1],
            "z": points[:, 2],
        }


def read_map(rows: pa.Table, pieces: pa.Table) -> Map:
    """Return the map that a row of `maps` and its rows of `pieces` hold.

    Raises:
        InputError: They were changed since they were written.
    """
    where = f"map {rows.column('id')[0]}"
    lanes: dict[str, Any] = {name: arrays(rows, f"lane_{name}")[0] for name in LANE_LISTS}
    flat = [packed(pieces, name) for name in "xyz"]
    try:
        road = Map(
            id=rows.column("id")[0].as_py(),
            ids=tuple(pieces.column("id").to_pylist()),
            kind=pieces.column("kind").to_numpy(),
            marking=pieces.column("marking").to_numpy(),
            points=np.column_stack([values for values, _ in flat]),
            offsets=flat[0][1],
            lanes=LaneGraph(
                ids=tuple(rows.column("lane_id")[0].as_py()),
                **{name: values.copy() for name, values in lanes.items()},
            ),
        )
    except (InputError, ValueError) as error:
        raise InputError(
            "store-damaged", "the rows of a map do not fit", where=where, why=str(error)
        ) from error
    if map_key(road) != rows.column("key")[0].as_py():
        raise InputError("store-damaged", "the rows of a map were changed", where=where)
    return road
