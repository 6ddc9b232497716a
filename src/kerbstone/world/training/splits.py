"""Which scenes are trained on and which are held out: whole towns or logs, never windows.

A window of a road resembles every other window of that road, so a split within a town, or within
a log, would only tell how well a model remembers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kerbstone.errors import InputError, suggest_name
from kerbstone.store import Store

_COLUMNS = ("id", "dataset", "town", "log_key", "fingerprint", "duration", "agents", "steps")
_SIDE = re.compile(r"[-_ ](left|right)$")
_FEW = 10
"""Of fewer places no share is taken."""


class Listed(NamedTuple):
    """A scene as a store lists it.

    Args:
        id: Its id.
        dataset: Where it comes from.
        town: Its town; "" where not known.
        log: Key of its log.
        fingerprint: Changes when the log does.
        duration: Its length [s].
        cells: Agents times steps, by which its size in memory goes.
    """

    id: str
    dataset: str
    town: str
    log: str
    fingerprint: str
    duration: float
    cells: int


@dataclass(frozen=True)
class Split:
    """Scenes on both sides of a split, in the order of their ids.

    Args:
        train: Scenes to learn from.
        held_out: Scenes to look at how well it goes.
        places: What was held out: towns, or keys of logs.
    """

    train: tuple[Listed, ...]
    held_out: tuple[Listed, ...]
    places: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the datasets on either side."""
        return tuple(sorted({scene.dataset for scene in (*self.train, *self.held_out)}))

    @property
    def fingerprint(self) -> str:
        """A mark that changes when a scene of either side does, or the split."""
        digest = hashlib.blake2b(digest_size=16)
        for side in (self.train, self.held_out):
            for scene in side:
                digest.update(repr(tuple(scene)).encode())
            digest.update(b"|")
        return digest.hexdigest()


def split_store(
    store: Store,
    where: str | None = None,
    held_out: float | Sequence[str] = 0.1,
    *,
    seed: int = 0,
) -> Split:
    """Split the scenes of a store by town, or by log in datasets that know one town only.

    What is held out is chosen by a hash of its name, so scenes that come later change the side of
    none that were there. Two things may: a dataset that gets its second town, and a choice among
    so few places that none, or all, would be held out.

    Args:
        store: The store.
        where: An SQL condition on the scenes.
        held_out: Share of the places that are held out, or their names: towns, or keys of logs.
        seed: Of the hash.

    Raises:
        InputError: There are no scenes, or all are of one place, or a name is not known.
    """
    rows = store.scenes(list(_COLUMNS), where).to_pylist()
    scenes = [
        Listed(
            row["id"],
            row["dataset"] or "",
            row["town"] or "",
            row["log_key"],
            row["fingerprint"],
            float(row["duration"]),
            int(row["agents"]) * int(row["steps"]),
        )
        for row in rows
    ]
    if not scenes:
        raise InputError(
            "empty",
            "there are no scenes to learn from",
            where=store.uri,
            why=f"none has {where}" if where else "the store is empty",
            remedy="'kerbstone scenes' lists what there is",
        )
    return split_scenes(scenes, held_out, seed=seed, where=store.uri)


def split_scenes(
    scenes: Sequence[Listed],
    held_out: float | Sequence[str] = 0.1,
    *,
    seed: int = 0,
    where: str = "",
) -> Split:
    """Split listed scenes; see `split_store`.

    Args:
        scenes: The scenes.
        held_out: Share of the places that are held out, or their names.
        seed: Of the hash.
        where: What errors name as their place.
    """
    places = name_places(scenes)
    if len(set(places)) < 2:
        raise InputError(
            "empty",
            "there is only one town, or log, so none can be held out",
            where=where,
            why=f"all {len(scenes)} scenes are of {places[0]!r}" if places else "no scenes",
            remedy="ingest or simulate more towns or logs",
        )
    if isinstance(held_out, int | float):
        chosen = _choose(set(places), float(held_out), seed)
    else:
        chosen = _look_up(held_out, scenes, places, where)
    ordered = sorted(zip(scenes, places, strict=True), key=lambda pair: pair[0].id)
    split = Split(
        tuple(scene for scene, place in ordered if place not in chosen),
        tuple(scene for scene, place in ordered if place in chosen),
        tuple(sorted(chosen)),
    )
    if not split.train:
        raise InputError(
            "empty",
            "everything is held out, so there is nothing to learn from",
            where=where,
            why=", ".join(split.places[:5]),
            remedy="hold out fewer towns",
        )
    check_apart(split)
    return split


def thin_split(split: Split, share: float, *, seed: int = 0) -> Split:
    """Return a split of which only some of the places are trained on; the same are held out.

    They are chosen by a hash of their names, so that those of a smaller share are among those of a
    larger one. Where the training side has fewer than ten places, logs are chosen instead.

    Args:
        split: The split.
        share: Share of the places that are trained on; at least one is.
        seed: Of the hash.

    Raises:
        InputError: The share is not above 0, or above 1.
    """
    if not 0 < share <= 1:
        raise InputError("value", "a share of the scenes is out of range", why=f"{share:g}")
    places = name_places([*split.train, *split.held_out])[: len(split.train)]
    if len(set(places)) < _FEW:
        places = [scene.log for scene in split.train]
    ranked = sorted(set(places), key=lambda place: (hash_name(place, seed), place))
    kept = set(ranked[: max(round(share * len(ranked)), 1)])
    train = [scene for scene, place in zip(split.train, places, strict=True) if place in kept]
    return Split(tuple(train), split.held_out, split.places)


def name_places(scenes: Iterable[Listed]) -> list[str]:
    """Return what each scene is held out with: its town, or else its log.

    The two driving sides of one simulated network are one town, and a town is one in all datasets.
    """
    scenes = list(scenes)
    towns: dict[str, set[str]] = {}
    for scene in scenes:
        towns.setdefault(scene.dataset, set()).add(name_town(scene.town))
    known = {town for names in towns.values() if len(names) > 1 for town in names} - {""}
    named = [name_town(scene.town) for scene in scenes]
    return [town if town in known else scene.log for scene, town in zip(scenes, named, strict=True)]


def check_apart(split: Split) -> None:
    """Check that no place is on both sides.

    Raises:
        InputError: One is.
    """
    places = name_places([*split.train, *split.held_out])
    both = set(places[: len(split.train)]) & set(places[len(split.train) :])
    both |= {scene.log for scene in split.train} & {scene.log for scene in split.held_out}
    if both:
        raise InputError(
            "duplicate",
            "a town, or a log, is learned from and held out at once",
            where=", ".join(sorted(both)[:5]),
            remedy="hold out whole towns, and give each log one town",
        )


def name_town(town: str) -> str:
    """Return the name of a town without the side on which a simulated one drives."""
    return _SIDE.sub("", town)


def _choose(places: set[str], share: float, seed: int) -> set[str]:
    """Return the places whose hash is below a share, but never none and never all."""
    ranked = sorted((hash_name(place, seed), place) for place in places)
    count = sum(value < share for value, _ in ranked)
    return {place for _, place in ranked[: min(max(count, 1), len(ranked) - 1)]}


def hash_name(name: str, seed: int = 0) -> float:
    """Return a number from 0 to 1 for a name, as if drawn, and always the same."""
    digest = hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _look_up(
    names: Sequence[str], scenes: Sequence[Listed], places: Sequence[str], where: str
) -> set[str]:
    """Return the places of some towns or logs, by any of their names."""
    known: dict[str, set[str]] = {}
    for scene, place in zip(scenes, places, strict=True):
        for name in {scene.town, name_town(scene.town), scene.log, place} - {""}:
            known.setdefault(name, set()).add(place)
    chosen: set[str] = set()
    for name in names:
        if name not in known:
            towns = {scene.town for scene in scenes} - {""}
            raise InputError(
                "name",
                f"there is no town or log {name!r} to hold out",
                where=where,
                remedy=suggest_name(name, towns or known),
            )
        chosen |= known[name]
    if not chosen:
        raise InputError("empty", "no town is named to hold out", where=where)
    return chosen
