"""How worker processes come to a store: opened once in each, at the versions of who sent them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from kerbstone.errors import InputError
from kerbstone.store import Store

AT_ONCE = 32
"""Scenes that a worker takes at a time."""

Scenes = tuple[tuple[str, int], ...]
"""Id of each scene, and which version of it is meant."""


@dataclass(frozen=True)
class Place:
    """Where a store is, and at which versions.

    Args:
        uri: Its folder or URI.
        versions: The version of each table, if it is the store as it was.
    """

    uri: str
    versions: tuple[tuple[str, int], ...] | None

    @classmethod
    def of(cls, store: Store) -> Place:
        """Return the place of an open store."""
        return cls(store.uri, None if store.pinned is None else tuple(store.pinned.items()))


def open_at(place: Store | Place, scenes: Scenes) -> Store:
    """Return the store, where it has these versions of scenes.

    Args:
        place: The store itself, or where it is.
        scenes: The scenes that will be read.

    Raises:
        InputError: A scene was replaced, or is gone.
    """
    if isinstance(place, Store):
        return place
    wanted = [part for _, part in scenes]
    names = [name for name, _ in scenes]
    if _open(place).parts(names) != wanted:
        # A process of a cluster may have opened the store long ago.
        _open.cache_clear()
        if _open(place).parts(names) != wanted:
            raise InputError(
                "scene-missing",
                "a scene was replaced while it was searched",
                where=f"{place.uri}, scenes {names[0]} to {names[-1]}",
                remedy="the same command again searches the new one",
            )
    return _open(place)


def cut(scenes: Sequence[tuple[str, int]], size: int) -> Iterator[Scenes]:
    """Give scenes in pieces that a worker takes at a time."""
    pending = iter(scenes)
    while some := tuple(islice(pending, size)):
        yield some


@cache
def _open(place: Place) -> Store:
    store = Store.open(place.uri)
    return store if place.versions is None else store.at(dict(place.versions))
