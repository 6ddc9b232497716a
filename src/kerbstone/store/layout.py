"""The tables of a store: their columns, and how these lie on the disk."""

from __future__ import annotations

import pyarrow as pa

from kerbstone.scene import Kind

LAYOUT = 1
"""Number of this layout; a store of a higher one was written by a newer Kerbstone."""

LAYOUT_KEY = b"kerbstone:layout"

CHUNK_STEPS = 64
"""Time steps in one row of `states`: a short window reads one row or two."""

# Splitting floats into their bytes before compression shrinks smooth tracks by a fifth and
# centimetre-rounded ones by half, bit for bit, and costs a window less than half a millisecond.
_PACKED = {"lance-encoding:compression": "zstd", "lance-encoding:bss": "on"}
# What only saves computing it again is to be read quickly: in half the time, a seventh larger.
_QUICK = {"lance-encoding:compression": "lz4"}


def _list(name: str, item: pa.DataType) -> pa.Field:
    return pa.field(name, pa.list_(item))


def _floats(*names: str, packed: dict[str, str] = _PACKED) -> list[pa.Field]:
    item = pa.field("item", pa.float64(), metadata=packed)
    return [pa.field(name, pa.list_(item)) for name in names]


def _key(name: str, kind: pa.DataType) -> pa.Field:
    # Of two concurrent merges that insert the same primary key, Lance lets only one through.
    return pa.field(
        name, kind, nullable=False, metadata={"lance-schema:unenforced-primary-key": "true"}
    )


def _columns(kind: pa.DataType, *names: str) -> list[pa.Field]:
    return [pa.field(name, kind) for name in names]


_TEXT, _INT, _FLOAT, _BYTE = pa.string(), pa.int64(), pa.float64(), pa.uint8()
_TIME = pa.timestamp("us", "UTC")
_BOUNDS = _columns(_FLOAT, "min_x", "min_y", "max_x", "max_y")

SUMMARY = pa.schema(
    [
        _key("id", _TEXT),
        *_columns(_TEXT, "dataset", "log", "town", "split", "licence"),
        pa.field("driving_side", _BYTE),
        pa.field("simulated", pa.bool_()),
        *_columns(_INT, "start_ns", "dt_ns", "steps"),
        pa.field("duration", _FLOAT),
        *_columns(_INT, "agents", "agent_frames"),
        pa.field("kinds", pa.struct([pa.field(kind.name.lower(), pa.int32()) for kind in Kind])),
        *_columns(_FLOAT, "ego_distance", "agent_distance"),
        *_BOUNDS,
        *_columns(pa.int32(), "signals", "cameras", "lidars"),
        *_columns(_TEXT, "map", "path", "log_key", "fingerprint", "run"),
        pa.field("written", _TIME),
    ]
)
"""What is said about a scene: the columns that scenes are listed and chosen by."""

SCENES = pa.schema(
    [
        *SUMMARY,
        pa.field("part", _INT),
        pa.field("map_part", _INT),
        pa.field("has_offsets", pa.bool_()),
        pa.field("chunk_steps", pa.int32()),
        pa.field("ego", pa.int32()),
        _list("derived", _TEXT),
        pa.field("extra", _TEXT),
        _list("agent_id", _TEXT),
        _list("agent_kind", _BYTE),
        _list("agent_label", _TEXT),
        *_floats("agent_size"),
        _list("signal_lane", _INT),
        *_floats("signal_stop"),
        pa.field("checksum", _INT),
        _list("pose_time", _INT),
        *_floats("pose_translation", "pose_rotation"),
        *_columns(_INT, "source_checksum", "pose_checksum"),
    ],
    metadata={LAYOUT_KEY: str(LAYOUT).encode()},
)
"""One row for each scene: all that does not change with time. Written last, it is the commit."""

STATES = pa.schema(
    [
        pa.field("part", _INT),
        pa.field("chunk", pa.int32()),
        _list("agent", pa.int32()),
        _list("valid", _BYTE),
        *_floats("cells"),
        _list("offset_ns", _INT),
        _list("signal", _BYTE),
        pa.field("checksum", _INT),
        pa.field("written", _TIME),
    ]
)
"""One row for each scene and chunk of time, with the agents that are there in it.

`agent` are their rows and `valid` the packed bits of [agent, step]. `cells` are the values of the
valid cells alone, in that order: x of all of them, then y, z, heading, velocity in x and in y. One
column for all six is read in half the time that six take.
"""

SENSORS = pa.schema(
    [
        *_columns(_INT, "part", "number"),
        *_columns(_TEXT, "scene", "sensor", "name"),
        _list("path", _TEXT),
        _list("time_ns", _INT),
        *_columns(_INT, "width_px", "height_px"),
        *_floats("intrinsics", "distortion"),
        pa.field("model", _TEXT),
        *_floats("ego_from_sensor"),
        pa.field("checksum", _INT),
        pa.field("written", _TIME),
    ]
)
"""One row for each camera or lidar of a scene: references to what it recorded."""

LANE_LISTS = {
    "kind": _BYTE,
    "centre": _INT,
    "left_boundary": _INT,
    "right_boundary": _INT,
    "area": _INT,
    "left": _INT,
    "right": _INT,
    "next_lanes": _INT,
    "next_offsets": _INT,
    "width": _FLOAT,
    "speed_limit": _FLOAT,
    "in_intersection": pa.int8(),
}

MAPS = pa.schema(
    [
        _key("key", _TEXT),
        pa.field("id", _TEXT),
        *_columns(_INT, "part", "pieces", "lanes"),
        *_BOUNDS,
        _list("lane_id", _TEXT),
        *(_list(f"lane_{name}", item) for name, item in LANE_LISTS.items()),
        pa.field("written", _TIME),
    ]
)
"""One row for each map, with its lane graph. `key` is a digest of the content."""

PIECES = pa.schema(
    [
        *_columns(_INT, "part", "number"),
        *_columns(_TEXT, "map", "id"),
        *_columns(_BYTE, "kind", "marking"),
        *_floats("x", "y", "z"),
        pa.field("written", _TIME),
    ]
)
"""One row for each polyline of a map."""

RUNS = pa.schema(
    [
        _key("id", _TEXT),
        *_columns(_TEXT, "command", "outcome"),
        *_columns(_TIME, "started", "ended"),
        *_columns(_TEXT, "config", "inputs"),
        pa.field("seed", _INT),
        *_columns(_TEXT, "code", "device"),
        *_columns(pa.map_(_TEXT, _INT), "versions_before", "versions_after"),
        *_columns(_TEXT, "metrics", "error"),
    ]
)
"""One row for each command that wrote to the store; `config`, `inputs`, `metrics` are JSON."""

TABLES: dict[str, pa.Schema] = {
    "states": STATES,
    "sensors": SENSORS,
    "pieces": PIECES,
    "maps": MAPS,
    "runs": RUNS,
    # Last, so that a store that has it has them all.
    "scenes": SCENES,
}

FINDINGS = pa.schema(
    [
        _key("id", _TEXT),
        *_columns(_TEXT, "run", "query", "given", "where", "failed"),
        *_columns(pa.int32(), "top", "near_misses", "scenes"),
        *_columns(_INT, "matches", "part"),
        pa.field("seconds", _FLOAT),
        pa.field("written", _TIME),
    ]
)
"""One row for each finding: what was looked for, and where. Written last, it is the commit."""

MATCHES = pa.schema(
    [
        pa.field("part", _INT),
        pa.field("rank", pa.int32()),
        pa.field("is_match", pa.bool_()),
        pa.field("scene", _TEXT),
        pa.field("scene_part", _INT),
        *_columns(pa.int32(), "first", "last", "best"),
        *_columns(_FLOAT, "dt", "robustness"),
        _list("variable", _TEXT),
        _list("agent", _TEXT),
        _list("kind", _BYTE),
        _list("missed_by", _TEXT),
        pa.field("trace_first", pa.int32()),
        pa.field("trace_steps", pa.int32()),
        *_floats("trace"),
        *(_list(f"atom_{name}", _TEXT) for name in ("text", "operator", "unit")),
        *_floats("atom_robustness", "atom_left", "atom_right"),
        pa.field("written", _TIME),
    ]
)
"""One row for each match of a finding, and each near miss after them: `part` is the finding's.

`trace` is the robustness of the query over `trace_steps` steps of the scene from `trace_first` on,
`atom_robustness` that of each atom one after the other, and `atom_left` and `atom_right` what a
comparison compares; all of a claim's are NaN.
"""

ANSWERS = pa.schema(
    [
        pa.field("query", _TEXT),
        pa.field("most", pa.int32()),
        _list("scene_part", _INT),
        *(_list(name, pa.int32()) for name in ("total", "held", "kept", "first", "last", "best")),
        *_floats("robustness"),
        _list("agent", _TEXT),
        _list("kind", _BYTE),
        pa.field("checksum", _INT),
        pa.field("written", _TIME),
    ]
)
"""What a query found in some scenes, kept so that they need not be searched again.

`query` is a digest of what was asked for and of the code that answered. For each scene,
`scene_part` says which, `total` how many matches there are, `held` how many steps they last
together, and `kept` how many of the rows that follow are its own: `most` matches at most, and near
misses. Those have the agents of all road users of the query one after the other.
"""

COLUMNS = pa.schema(
    [
        pa.field("scene_part", _INT),
        *_columns(_TEXT, "name", "version"),
        _list("shape", pa.int32()),
        *_floats("floats", packed=_QUICK),
        _list("integers", _INT),
        pa.field("checksum", _INT),
        pa.field("written", _TIME),
    ]
)
"""What is derived from a scene and slow to compute: a row for each, by its name.

`version` says by which code. What the numbers stand for is for those to know who derive them.
"""

RESULTS: dict[str, pa.Schema] = {"matches": MATCHES, "findings": FINDINGS}
"""Tables of what was found, made when they are first written to."""

CACHES: dict[str, pa.Schema] = {"answers": ANSWERS, "columns": COLUMNS}
"""Tables of what could be computed again: no version of them belongs to a run."""

SIDE = pa.schema(
    [*_columns(_TEXT, "log_key", "run"), pa.field("part", _INT), pa.field("written", _TIME)]
)
"""What every row of a side table is marked with: a table of what else is known of each log."""
