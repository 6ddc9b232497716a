"""What is slow to derive from a scene, kept in its store: a query never derives it twice.

These are the lanes under road users, the signals that measure distances to shapes of the map or lines
of sight, and, where the store was indexed, the ranges of signals between two road users. A column
holds exactly what would be derived, so a query answers the same with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.lang import Facts, formula, known_signals
from kerbstone.lang.ranges import PairRange, measure_range
from kerbstone.lang.stays import Stays, lay_out
from kerbstone.lang.version import language_version
from kerbstone.scene import LaneCandidates, Scene
from kerbstone.store import Store

SIGNALS = (
    "distance_to_crosswalk",
    "distance_to_intersection",
    "distance_to_stop_line",
    "distance_to_stop_sign",
    "in_drivable_area",
    "off_road",
    "on_sidewalk",
    "visible_share",
    "waiting_at_signal",
)
"""The signals that take more than a few milliseconds for a scene of 20 s."""
RANGES = (
    "adjacent_lane",
    "approaching",
    "closing_speed",
    "crosses_behind",
    "crosses_in_front",
    "distance",
    "following",
    "gap",
    "in_path",
    "lateral_gap",
    "merging_lanes",
    "opposite_lane",
    "overtaking",
    "passing",
    "post_encroachment_time",
    "required_deceleration",
    "required_lateral_acceleration",
    "rss_unsafe",
    "same_lane",
    "time_headway",
    "time_to_collision",
    "time_to_collision_turning",
    "time_to_react",
    "touching",
)
"""The signals of two road users whose ranges an index derives: they are slow, or rule most pairs out."""
STAYS = "stays"

Row = dict[str, Any]


class Columns:
    """The columns of some scenes of a store, read when a query first asks for them.

    Args:
        store: The store.
        parts: Which versions of scenes they are, as the store's `scenes` table says.
        wanted: Names of columns that are read together once one of them is asked for.
    """

    def __init__(
        self, store: Store, parts: Iterable[int], wanted: frozenset[str] = frozenset()
    ) -> None:
        self._store = store
        self._parts = list(parts)
        self._wanted = wanted
        self._loaded: dict[str, dict[int, Row]] = {}
        self._new: list[Row] = []

    def facts(self, scene: Scene, part: int) -> Facts:
        """Return the facts of a scene, which take from the columns what is there."""
        return Facts(scene, stored=partial(self._find, scene, part))

    def take(self, facts: Facts, part: int) -> None:
        """Note what was derived of a scene and is in no column yet."""
        for name in (STAYS, *SIGNALS):
            key = _key_of(name)
            if facts.has(key) and part not in self._loaded.get(name, {}):
                self._note(part, name, _pack(name, facts.kept(key), facts))

    def take_ranges(self, facts: Facts, part: int) -> None:
        """Derive the ranges of signals between road users, and note them."""
        signals = known_signals()
        for name in RANGES:
            self._note(part, _range_name(name), _pack_range(measure_range(signals[name], facts)))

    def write(self) -> None:
        """Write what was noted into the store, unless it is a store as it was."""
        if self._new and self._store.pinned is None:
            version = {"version": language_version()}
            self._store.append("columns", [row | version for row in self._new])
        self._new.clear()

    def _note(self, part: int, name: str, row: Row) -> None:
        self._new.append(row | {"scene_part": part, "name": name})

    def _find(self, scene: Scene, part: int, key: Any) -> Any:
        name = _name_of(key)
        if name is None:
            return None
        if name not in self._loaded:
            self._read(self._wanted if name in self._wanted else {name})
        row = self._loaded[name].get(part)
        return None if row is None else _unpack(name, row, scene)

    def _read(self, names: Iterable[str]) -> None:
        parts, some = ", ".join(map(str, self._parts)), ", ".join(f"'{name}'" for name in names)
        rows = self._store.cached(
            "columns",
            f"name IN ({some}) AND version = '{language_version()}' AND scene_part IN ({parts})",
        )
        self._loaded |= {name: {} for name in names}
        for row in rows:
            self._loaded[row["name"]][row["scene_part"]] = row


def wanted_by(query: formula.Compiled) -> frozenset[str]:
    """Return the names of the ranges of all signals that a query measures."""
    parts = formula.walk(query.body)
    signals = {p.signal.name for p in parts if isinstance(p, formula.Measure | formula.Claim)}
    return frozenset(map(_range_name, signals & set(RANGES)))


def missing_columns(store: Store, parts: Sequence[int]) -> dict[int, set[str]]:
    """Return for each version of a scene the names of columns that a store has not, if any.

    Args:
        store: The store.
        parts: The versions of scenes.
    """
    rows = store.rows(
        "columns", f"version = '{language_version()}'", columns=["scene_part", "name"]
    )
    present: dict[int, set[str]] = {}
    for part, name in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        present.setdefault(part, set()).add(name)
    wanted = {STAYS, *SIGNALS, *map(_range_name, RANGES)}
    missing = {part: wanted - present.get(part, set()) for part in parts}
    return {part: names for part, names in missing.items() if names}


def derive_columns(facts: Facts) -> None:
    """Derive all that is kept of a scene."""
    facts.keep(STAYS, lambda: facts.stays)
    signals = known_signals()
    for name in SIGNALS:
        facts.keep(_key_of(name), partial(signals[name].measure, facts))


def _range_name(signal: str) -> str:
    return f"range of {signal}"


def _key_of(name: str) -> Any:
    """Return the key under which facts keep what a column holds."""
    return name if name == STAYS else (name, ())


def _name_of(key: Any) -> str | None:
    if key == STAYS:
        return STAYS
    if isinstance(key, tuple) and key[0] == "range" and key[1] in RANGES:
        return _range_name(key[1])
    is_signal = isinstance(key, tuple) and key[1:] == ((),) and key[0] in SIGNALS
    return key[0] if is_signal else None


def _pack(name: str, value: Any, facts: Facts) -> Row:
    """Return a column; one without shape says that there is nothing to keep."""
    valid = facts.agents.valid
    if value is None or (name != STAYS and not np.isnan(value[~valid]).all()):
        return _row((), [], [])
    return _pack_stays(value) if name == STAYS else _row(value.shape, [value[valid]], [])


def _unpack(name: str, row: Row, scene: Scene) -> Any:
    if not len(row["shape"]):
        return None
    if name == STAYS:
        return _unpack_stays(row)
    if name not in SIGNALS:
        return _unpack_range(row)
    values = np.full(scene.agents.valid.shape, np.nan)
    values[scene.agents.valid] = row["floats"]
    return values


def _pack_stays(stays: Stays) -> Row:
    found = stays.candidates
    chosen = stays.places.lane.ravel()[found.point] == found.lane
    floats = [found.s, found.d, found.heading, found.half_width]
    # Differences are small, and small numbers take little space.
    step = np.diff(found.point, prepend=0)
    return _row(stays.number.shape, floats, [step, found.lane, chosen.astype(np.int64)])


def _unpack_stays(row: Row) -> Stays:
    shape = (int(row["shape"][0]), int(row["shape"][1]))
    floats: Float64[np.ndarray, "4 row"] = row["floats"].reshape(4, -1)
    step, lane, chosen = row["integers"].reshape(3, -1)
    found = LaneCandidates(
        points=shape[0] * shape[1],
        point=np.cumsum(step),
        lane=lane,
        s=floats[0],
        d=floats[1],
        heading=floats[2],
        half_width=floats[3],
    )
    return lay_out(found, np.flatnonzero(chosen), shape)


def _pack_range(known: PairRange) -> Row:
    says_something = (known.low > -np.inf) | (known.high < np.inf) | known.is_known
    pairs = np.flatnonzero(says_something)
    # Half of the digits, rounded outwards, are bounds as well, and take half of the space.
    low, high = known.low.ravel()[pairs], known.high.ravel()[pairs]
    floats = [_round(low, -np.inf), _round(high, np.inf)]
    integers = [np.diff(pairs, prepend=0), known.is_known.ravel()[pairs].astype(np.int64)]
    return _row(known.low.shape, floats, integers)


def _unpack_range(row: Row) -> PairRange:
    shape = (int(row["shape"][0]), int(row["shape"][1]))
    step, known = row["integers"].reshape(2, -1)
    pairs = np.cumsum(step)
    low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
    is_known = np.zeros(shape, bool)
    low.ravel()[pairs], high.ravel()[pairs] = row["floats"].reshape(2, -1)
    is_known.ravel()[pairs] = known > 0
    return PairRange(low, high, is_known)


def _round(values: Float64[np.ndarray, " pair"], outwards: float) -> Float64[np.ndarray, " pair"]:
    """Return values of single precision that are not farther in."""
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    wrong = near.astype(np.float64) > values if outwards < 0 else near.astype(np.float64) < values
    return np.where(wrong, np.nextafter(near, np.float32(outwards)), near).astype(np.float64)


def _row(shape: tuple[int, ...], floats: list[np.ndarray], integers: list[np.ndarray]) -> Row:
    return {
        "shape": np.array(shape, np.int32),
        "floats": np.concatenate([np.zeros(0), *floats]),
        "integers": np.concatenate([np.zeros(0, np.int64), *integers]),
    }
