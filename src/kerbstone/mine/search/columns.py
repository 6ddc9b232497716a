"""What is slow to derive from a scene, kept in its store: a query never derives it twice.

These are the lanes under road users, the signals that measure distances to shapes of the map or lines
of sight, and, where the store was indexed, the ranges of signals between two road users. A column
holds exactly what would be derived, so a query answers the same with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from kerbstone.lang import Facts, formula, known_signals
from kerbstone.lang.bindings import CLOSEST
from kerbstone.lang.ranges import measure_range
from kerbstone.lang.version import code_version, language_version
from kerbstone.mine.search import lane_packing, packing
from kerbstone.mine.search.packing import Packing, Row
from kerbstone.mine.search.readings import Reader
from kerbstone.scene import Scene
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
    "left_lane",
    "longitudinal_offset",
    "merging_lanes",
    "opposite_direction",
    "opposite_lane",
    "overtaking",
    "passing",
    "perpendicular",
    "post_encroachment_time",
    "required_deceleration",
    "required_lateral_acceleration",
    "right_lane",
    "rss_unsafe",
    "same_direction",
    "same_lane",
    "time_headway",
    "time_to_collision",
    "time_to_collision_turning",
    "time_to_react",
    "touching",
)
"""The signals of two road users whose ranges an index derives: they are slow, or rule most pairs out."""

DERIVED: dict[str, Packing] = {
    "stays": lane_packing.stays_packing(),
    "routes": lane_packing.routes_packing(),
    "leaders": lane_packing.leaders_packing(),
    "inside": packing.inside_packing(),
    "changes": packing.changes_packing(),
    **{name: packing.signal_packing(name) for name in SIGNALS},
}
"""What a query derives where no column has it, by the name of the column."""
_NAMES = {kept.key: name for name, kept in DERIVED.items()}


class Columns:
    """The columns of some scenes of a store, read when a query first asks for them.

    Args:
        store: The store.
        parts: Which versions of scenes they are, as the store's `scenes` table says.
        wanted: Names of columns that are read together once one of them is asked for. Those that
            turn out to be asked for are added: the next scenes need them too.
        reader: Reads what models wrote of them.
    """

    def __init__(
        self,
        store: Store,
        parts: Iterable[int],
        wanted: set[str] | None = None,
        *,
        reader: Reader | None = None,
    ) -> None:
        self._store = store
        self._parts = list(parts)
        self._wanted = set() if wanted is None else wanted
        self._reader = reader
        self._loaded: dict[str, dict[int, Row]] = {}
        self._new: list[Row] = []

    def facts(self, scene: Scene, part: int) -> Facts:
        """Return the facts of a scene, which take from the columns what is there."""
        return Facts(scene, stored=partial(self._find, part))

    def take(self, facts: Facts, part: int) -> None:
        """Note what was derived of a scene and is in no column yet."""
        for name, kept in DERIVED.items():
            if facts.has(kept.key) and part not in self._loaded.get(name, {}):
                self._note(part, name, kept.pack(facts.kept(kept.key), facts))

    def take_ranges(self, facts: Facts, part: int) -> None:
        """Derive the ranges of signals between road users and how near these come, and note them."""
        signals = known_signals()
        for name in RANGES:
            found = measure_range(signals[name], facts)
            self._note(part, _range_name(name), packing.pack_range(found))
        self._note(part, CLOSEST, packing.pack_closest(facts))

    def write(self) -> None:
        """Write what was noted into the store, unless it is a store as it was."""
        if self._new and self._store.pinned is None:
            version = {"version": columns_version()}
            self._store.append("columns", [row | version for row in self._new])
        self._new.clear()

    def _note(self, part: int, name: str, row: Row) -> None:
        self._new.append(row | {"scene_part": part, "name": name})

    def _find(self, part: int, facts: Facts, key: Any) -> Any:
        column = _column_of(key)
        if column is None:
            return None if self._reader is None else self._reader.find(part, facts, key)
        name, unpack = column
        if name not in self._loaded:
            self._wanted.add(name)
            self._read(self._wanted - self._loaded.keys())
        row = self._loaded[name].get(part)
        return None if row is None or not len(row["shape"]) else unpack(row, facts)

    def _read(self, names: Iterable[str]) -> None:
        parts, some = ", ".join(map(str, self._parts)), ", ".join(f"'{name}'" for name in names)
        rows = self._store.cached(
            "columns",
            f"name IN ({some}) AND version = '{columns_version()}' AND scene_part IN ({parts})",
        )
        self._loaded |= {name: {} for name in names}
        for row in rows:
            self._loaded[row["name"]][row["scene_part"]] = row


def wanted_by(query: formula.Compiled) -> set[str]:
    """Return the names of the columns that a query looks at: as it shows, and as scenes showed."""
    parts = formula.walk(query.body)
    signals = {p.signal.name for p in parts if isinstance(p, formula.Measure | formula.Claim)}
    pairs = {CLOSEST} if len(query.slots) + query.names_ego > 1 else set()
    wanted = _wanted(query.text)
    wanted |= {*pairs, *map(_range_name, signals & set(RANGES))}
    return wanted


@lru_cache(maxsize=8)
def _wanted(text: str) -> set[str]:
    """Return the set that belongs to a query in this process."""
    del text
    return set()


def missing_columns(store: Store, parts: Sequence[int]) -> dict[int, set[str]]:
    """Return for each version of a scene the names of columns that a store has not, if any.

    Args:
        store: The store.
        parts: The versions of scenes.
    """
    rows = store.rows("columns", f"version = '{columns_version()}'", columns=["scene_part", "name"])
    present: dict[int, set[str]] = {}
    for part, name in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        present.setdefault(part, set()).add(name)
    wanted = {*DERIVED, CLOSEST, *map(_range_name, RANGES)}
    missing = {part: wanted - present.get(part, set()) for part in parts}
    return {part: names for part, names in missing.items() if names}


def derive_columns(facts: Facts) -> None:
    """Derive all that is kept of a scene, but for ranges."""
    for kept in DERIVED.values():
        facts.keep(kept.key, partial(kept.derive, facts))


def _column_of(key: Any) -> tuple[str, Callable[[Row, Facts], Any]] | None:
    """Return in which column there is what facts keep under a key, and how it is unpacked."""
    if key == CLOSEST:
        return CLOSEST, packing.unpack_closest
    if isinstance(key, tuple) and key[0] == "range":
        return (_range_name(key[1]), packing.unpack_range) if key[1] in RANGES else None
    name = _NAMES.get(key)
    return None if name is None else (name, DERIVED[name].unpack)


def columns_version() -> str:
    """Return a digest of the code that derives columns and packs them."""
    return f"{language_version()}-{code_version(__package__)}"


def _range_name(signal: str) -> str:
    return f"range of {signal}"
