"""Samples: the windows of a domain that its cells are measured on, drawn by a seed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from kerbstone.errors import InputError
from kerbstone.judge.generality.events import Event, read_events
from kerbstone.scene import Scene
from kerbstone.store import Store
from kerbstone.world.masks import MaskFamily
from kerbstone.world.observed import Observed, hide
from kerbstone.world.windows import PATCH, STEP, Window, cut_window

PAST = 2.0
"""What is seen before the present [s]: the shortest recordings are of 5 s."""
AHEAD = 5.0
"""What comes after it [s]."""
PATCHES = round((PAST + AHEAD) / PATCH)
PRESENT = round(PAST / STEP) - 1
"""The last step that is seen of the past."""
MOST_AGENTS = 60
_ATTEMPTS = 5
_HELD = 64
"""Whole scenes that are held in memory."""


class Listed(NamedTuple):
    """A scene to draw windows of.

    Args:
        id: Its id.
        log: Its log; what happens in one is alike.
        duration: Its length [s].
    """

    id: str
    log: str
    duration: float


@dataclass(frozen=True, eq=False)
class Drawn:
    """A window that was drawn.

    Args:
        scene: The scene that it is of.
        log: Its log.
        window: The window, of at most `MOST_AGENTS` road users: those nearest to one of them.
    """

    scene: Scene
    log: str
    window: Window


@dataclass(frozen=True, eq=False)
class Sample:
    """Windows of a domain, and what was computed of them.

    Args:
        drawn: The windows.
        scenes: Scenes for those tasks that are about whole ones.
        open: Reads a scene by its id.
        events: What was planted in scenes, by their ids.
        seed: Of the masks.
        is_own: Whether the generalist was trained in the domain.
    """

    drawn: tuple[Drawn, ...]
    scenes: tuple[Listed, ...]
    open: Callable[[str], Scene]
    events: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    seed: int = 0
    is_own: bool = True
    _kept: dict[Any, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.drawn)

    def keep(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` returned when it was first asked for under this key."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def observe(self, name: str, family: MaskFamily) -> list[Observed]:
        """Return what a mask leaves of each window; the same each time.

        Args:
            name: Name of the mask.
            family: The mask.
        """

        def mask() -> list[Observed]:
            rng = np.random.default_rng([self.seed, _number(name)])
            return [hide(each.window, family(each.window, rng)) for each in self.drawn]

        return self.keep(("observed", name), mask)


def draw_sample(
    store: Store,
    scenes: Sequence[Listed],
    count: int,
    *,
    seed: int = 0,
    name: str = "",
    is_own: bool = True,
) -> Sample:
    """Draw windows of scenes: from one log after the other, so that no log has most of them.

    Args:
        store: The store.
        scenes: The scenes.
        count: How many windows.
        seed: Of all chance.
        name: Name of the domain, which is part of the seed.
        is_own: Whether the generalist was trained in the domain.
    """
    rng = np.random.default_rng([seed, _number(name)])
    logs: dict[str, list[Listed]] = defaultdict(list)
    for scene in sorted(scenes):
        logs[scene.log].append(scene)
    order = [logs[log] for log in rng.permutation(sorted(logs)).tolist()]
    chosen = []
    for place in range(count if order else 0):
        members = order[place % len(order)]
        scene = members[int(rng.integers(len(members)))]
        free = max(int((scene.duration - PAST - AHEAD) / STEP), 0)
        chosen.append((scene, rng.integers(0, free + 1, _ATTEMPTS) * STEP, rng.integers(2**32)))
    # Whole scenes are read once for all their windows.
    drawn: dict[int, Drawn] = {}
    for place in sorted(range(len(chosen)), key=lambda place: chosen[place][0]):
        listed, starts, own_seed = chosen[place]
        scene = _read(store, listed.id, drawn)
        found = _cut(scene, starts, np.random.default_rng(int(own_seed)))
        if found is not None:
            drawn[place] = Drawn(scene, listed.log, found)
    # Scenes come in turn by log too.
    width = max(map(len, order), default=0)
    turns = [each[turn] for turn in range(width) for each in order if turn < len(each)]
    return Sample(
        tuple(drawn[place] for place in sorted(drawn)),
        tuple(turns[: max(count // 5, LEAST_SCENES)]),
        lru_cache(_HELD)(store.scene),
        read_events(store),
        seed,
        is_own,
    )


LEAST_SCENES = 4
"""Scenes of a domain for tasks about whole ones: a fifth of its windows, and at least this."""


def _read(store: Store, scene: str, drawn: dict[int, Drawn]) -> Scene:
    last = next(reversed(drawn.values()), None)
    if last is not None and last.scene.id == scene:
        return last.scene
    return store.scene(scene)


def _cut(scene: Scene, starts: np.ndarray, rng: np.random.Generator) -> Window | None:
    """Return the first of some windows in which somebody is seen now, with the nearest of them."""
    for start in starts.tolist():
        try:
            window = cut_window(scene, min(start, max(scene.clock.duration - STEP, 0.0)), PATCHES)
        except InputError:
            return None
        here = np.flatnonzero(window.valid[:, PRESENT])
        if not len(here):
            continue
        focus = window.ego if window.ego in here else int(rng.choice(here))
        if len(window) <= MOST_AGENTS:
            return window
        # Who is not there at the present cannot be chosen by where it will be.
        away = np.linalg.norm(
            window.position[:, PRESENT] - window.position[focus, PRESENT], axis=-1
        )
        near = np.argsort(np.where(np.isfinite(away), away, np.inf), kind="stable")
        return window.select(np.sort(near[:MOST_AGENTS]))
    return None


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")
