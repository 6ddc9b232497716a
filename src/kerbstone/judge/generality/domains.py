"""Domains: kinds of road, traffic and recorder, as named conditions on the scenes of a store."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kerbstone.errors import InputError, UsageError
from kerbstone.judge.generality.sampling import Listed
from kerbstone.mine.moments.rows import quote, quote_all, scenes_where
from kerbstone.scene import DrivingSide
from kerbstone.store import Store
from kerbstone.world.training.splits import Listed as Place
from kerbstone.world.training.splits import name_places, split_store

_COLUMNS = (
    *("id", "dataset", "town", "log", "log_key", "fingerprint", "duration", "agents", "steps"),
    *("driving_side", "simulated"),
)
_VARIANT = re.compile(r"(-\d+)?[-_ ](left|right)$")
_MOTORWAY = "motorway"
_SIDES = {"left-hand": DrivingSide.LEFT, "right-hand": DrivingSide.RIGHT}


@dataclass(frozen=True)
class Domain:
    """A kind of road, traffic or recorder.

    Args:
        name: Its name.
        where: The SQL condition on the scenes that makes it.
        is_own: Whether the generalist was trained on scenes of it; those that it is measured on
            are of other places, or logs, than those.
        is_simulated: Whether its scenes are simulated.
        scenes: Scenes of it that the generalist was not trained on.
    """

    name: str
    where: str
    is_own: bool
    is_simulated: bool
    scenes: tuple[Listed, ...]

    @property
    def logs(self) -> int:
        """Number of logs."""
        return len({scene.log for scene in self.scenes})


@dataclass(frozen=True)
class Trained:
    """What a model was trained on.

    Args:
        scenes: The scenes, as windows are drawn of them.
        places: Their towns, or logs.
        logs: Their logs.
        is_same: Whether the store is still what the model was trained on.
    """

    scenes: tuple[Listed, ...]
    places: frozenset[str]
    logs: frozenset[str]
    is_same: bool


def find_trained(store: Store, header: Mapping[str, Any]) -> Trained:
    """Return which scenes of a store a model was trained on.

    Args:
        store: The store that it was trained on.
        header: Header of the model's file.

    Raises:
        InputError: The model does not say what it was trained on, or it was another store.
    """
    data, training = header.get("data"), header.get("training")
    if not isinstance(data, dict) or not isinstance(training, dict) or not data.get("held_out"):
        raise InputError(
            "value",
            "a model does not say what it was trained on",
            remedy="take the folder as `kerbstone pretrain` made it",
        )
    split = split_store(store, training.get("where"), tuple(data["held_out"]))
    rows = {row["id"]: row for row in _rows(store)}
    chosen = [rows[scene.id] for scene in split.train]
    return Trained(
        scenes=tuple(_list(row) for row in chosen),
        places=frozenset(name_places(split.train)),
        logs=frozenset(_log(row) for row in chosen),
        is_same=split.fingerprint == data.get("data"),
    )


def find_domains(
    store: Store,
    trained: Trained,
    *,
    is_training: bool,
    more: Mapping[str, str] | None = None,
    own: Collection[str] = (),
) -> list[Domain]:
    """Return the domains that a store has scenes of which a model was not trained on.

    Simulated scenes: each network of roads, left- and right-hand traffic, all roads but motorways,
    and each population of drivers. Recorded ones: each set of data, and left-hand traffic. Of domains with the very same scenes the first counts.

    Args:
        store: The store.
        trained: What the model was trained on.
        is_training: Whether that is this store.
        more: Domains of one's own: SQL conditions by their names.
        own: Names of domains that it was trained on in another store.

    Raises:
        InputError: A condition is wrong.
        UsageError: A domain of one's own has the name of another one.
    """
    rows = _rows(store)
    places = dict(zip((row["id"] for row in rows), name_places(map(_place, rows)), strict=True))
    learned = {scene.id for scene in trained.scenes} if is_training else set()
    fresh = {
        row["id"]: row
        for row in rows
        if _log(row) not in trained.logs
        # Elsewhere a simulated town is the same one by its name; a recorded one may be told anew.
        and not ((is_training or row["simulated"]) and places[row["id"]] in trained.places)
    }
    told = list(_conditions(store, rows))
    if taken := sorted({name for name, _ in told} & set(more or {})):
        raise UsageError(
            "name",
            f"there is a domain {taken[0]!r} already",
            where="--domain",
            remedy="give yours another name",
        )
    found: dict[tuple[frozenset[str], bool], Domain] = {}
    for name, where in [*told, *(more or {}).items()]:
        inside = scenes_where(store, where)
        members = [fresh[scene] for scene in sorted(inside & fresh.keys())]
        if not members and name not in (more or {}):
            continue
        is_own = name in own or bool(inside & learned)
        is_simulated = bool(members) and all(row["simulated"] for row in members)
        key = (frozenset(row["id"] for row in members), is_own)
        domain = Domain(name, where, is_own, is_simulated, tuple(map(_list, members)))
        found.setdefault(key, domain)
    return list(found.values())


def name_own(store: Store, trained: Trained) -> set[str]:
    """Return the names of the domains of which a model was trained on some scenes.

    Args:
        store: The store that it was trained on.
        trained: What it was trained on.
    """
    learned = {scene.id for scene in trained.scenes}
    told = _conditions(store, _rows(store))
    return {name for name, where in told if scenes_where(store, where) & learned}


def name_network(town: str) -> str:
    """Return the network of a simulated town, without its variant and driving side.

    Example:
        >>> name_network("grid-11-right"), name_network("berlin-left"), name_network("Miami")
        ('grid', 'berlin', 'Miami')
    """
    return _VARIANT.sub("", town)


def _conditions(store: Store, rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    simulated = [row for row in rows if row["simulated"]]
    recorded = [row for row in rows if not row["simulated"]]
    networks = sorted({name_network(row["town"] or "") for row in simulated} - {""})
    for network in networks:
        own = {row["town"] for row in simulated if name_network(row["town"] or "") == network}
        one = next(iter(own))
        like = f"town = {quote(one)}" if own == {network} else f"town LIKE {quote(network + '-%')}"
        yield network, f"simulated AND {like}"
    for dataset in sorted({row["dataset"] for row in recorded}):
        yield dataset, f"NOT simulated AND dataset = {quote(dataset)}"
    if len({row["driving_side"] for row in simulated} & set(_SIDES.values())) > 1:
        for side, value in _SIDES.items():
            yield side, f"simulated AND driving_side = {int(value)}"
    # Right-hand traffic is nearly all that is recorded, and is told set by set.
    yield "recorded left-hand", f"NOT simulated AND driving_side = {int(DrivingSide.LEFT)}"
    if _MOTORWAY in networks and len(networks) > 1:
        yield "city", f"simulated AND town NOT LIKE '{_MOTORWAY}-%'"
    populations = _populations(store)
    for population in sorted({populations.get(row["log"], "") for row in simulated} - {""}):
        logs = sorted({r["log"] for r in simulated if populations.get(r["log"]) == population})
        yield f"{population} drivers", f"simulated AND log IN {quote_all(logs)}"


def _populations(store: Store) -> dict[str, str]:
    """Return how the drivers of each simulated log are, by the records of the simulations."""
    from kerbstone.formats.sumo import SimulationConfig
    from kerbstone.formats.sumo.batch import log_name
    from kerbstone.settings import read_config

    found = {}
    for run in store.runs().to_pylist():
        if run["command"] != "simulate":
            continue
        for values in json.loads(run["config"]).get("logs", ()):
            try:
                config = read_config(SimulationConfig, overrides=values)
            except InputError:  # of another version, whose logs have other names too
                continue
            found[log_name(config)] = config.population
    return found


def _rows(store: Store) -> list[dict[str, Any]]:
    return store.scenes(list(_COLUMNS)).to_pylist()


def _log(row: Mapping[str, Any]) -> str:
    # Some data sets number the logs of each town anew. Keys tell of files, which another store may
    # have read from elsewhere.
    return f"{row['dataset']}/{row['town'] or ''}/{row['log']}"


def _list(row: Mapping[str, Any]) -> Listed:
    return Listed(row["id"], _log(row), float(row["duration"]))


def _place(row: Mapping[str, Any]) -> Place:
    return Place(
        row["id"],
        row["dataset"] or "",
        row["town"] or "",
        row["log_key"],
        row["fingerprint"],
        float(row["duration"]),
        int(row["agents"]) * int(row["steps"]),
    )
