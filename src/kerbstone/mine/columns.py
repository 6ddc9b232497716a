"""What is slow to derive from a scene, kept in its store: a query never derives it twice.

These are the lanes under road users, and the signals that measure distances to shapes of the map or
lines of sight. A column holds exactly what would be derived, so a query answers the same with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float64

from kerbstone.lang import Facts, known_signals
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
STAYS = "stays"

Row = dict[str, Any]


class Columns:
    """The columns of some scenes of a store, read when a query first asks for them.

    Args:
        store: The store.
        parts: Which versions of scenes they are, as the store's `scenes` table says.
    """

    def __init__(self, store: Store, parts: Iterable[int]) -> None:
        self._store = store
        self._parts = list(parts)
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
                row = _pack(name, facts.kept(key), facts)
                self._new.append(row | {"scene_part": part, "name": name})

    def write(self) -> None:
        """Write what was noted into the store, unless it is a store as it was."""
        if self._new and self._store.pinned is None:
            version = {"version": language_version()}
            self._store.append("columns", [row | version for row in self._new])
        self._new.clear()

    def _find(self, scene: Scene, part: int, key: Any) -> Any:
        name = _name_of(key)
        if name is None:
            return None
        if name not in self._loaded:
            self._loaded[name] = self._read(name)
        row = self._loaded[name].get(part)
        return None if row is None else _unpack(name, row, scene)

    def _read(self, name: str) -> dict[int, Row]:
        parts = ", ".join(map(str, self._parts))
        rows = self._store.cached(
            "columns",
            f"name = '{name}' AND version = '{language_version()}' AND scene_part IN ({parts})",
        )
        return {row["scene_part"]: row for row in rows}


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
    wanted = {STAYS, *SIGNALS}
    missing = {part: wanted - present.get(part, set()) for part in parts}
    return {part: names for part, names in missing.items() if names}


def derive_columns(facts: Facts) -> None:
    """Derive all that is kept of a scene."""
    facts.keep(STAYS, lambda: facts.stays)
    signals = known_signals()
    for name in SIGNALS:
        facts.keep(_key_of(name), partial(signals[name].measure, facts))


def _key_of(name: str) -> Any:
    """Return the key under which facts keep what a column holds."""
    return name if name == STAYS else (name, ())


def _name_of(key: Any) -> str | None:
    if key == STAYS:
        return STAYS
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


def _row(shape: tuple[int, ...], floats: list[np.ndarray], integers: list[np.ndarray]) -> Row:
    return {
        "shape": np.array(shape, np.int32),
        "floats": np.concatenate([np.zeros(0), *floats]),
        "integers": np.concatenate([np.zeros(0, np.int64), *integers]),
    }
