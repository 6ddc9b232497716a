"""Windows to judge models by: a bounded number of them, drawn evenly over logs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerbstone.errors import InputError
from kerbstone.scene import Scene
from kerbstone.store import Store
from kerbstone.world.training.splits import Listed
from kerbstone.world.windows import PATCH, STEP, Window, cut_window

MOST_AGENTS = 32
"""Of more road users, those that are nearest to one of them at the present are kept."""
_ATTEMPTS = 5


@dataclass(frozen=True, eq=False)
class Drawn:
    """A window that was drawn.

    Args:
        log: Its log; what happens in one is alike.
        window: The window.
    """

    log: str
    window: Window


def draw_windows(
    store: Store,
    scenes: Sequence[Listed],
    count: int,
    *,
    past: float,
    ahead: float,
    seed: int = 0,
) -> list[Drawn]:
    """Draw windows of one log after the other, so that no log has most of them.

    There may be fewer: scenes that cannot be read are left out, and so are places where nobody is
    seen at the present.

    Args:
        store: The store.
        scenes: Its scenes to draw from.
        count: How many windows.
        past: What a window holds before the present [s]; a whole number of patches.
        ahead: What it holds after the present [s]; the same.
        seed: Of all chance.
    """
    rng = np.random.default_rng(seed)
    logs: dict[str, list[Listed]] = defaultdict(list)
    for scene in sorted(scenes):
        logs[scene.log].append(scene)
    order = [logs[log] for log in rng.permutation(sorted(logs)).tolist()]
    chosen: list[tuple[Listed, np.ndarray, int]] = []
    for place in range(count if order else 0):
        members = order[place % len(order)]
        scene = members[int(rng.integers(len(members)))]
        free = max(int((scene.duration - past - ahead) / STEP + 1e-6), 0)
        starts = STEP * rng.integers(0, free + 1, _ATTEMPTS)
        chosen.append((scene, starts, int(rng.integers(2**32))))
    drawn: dict[int, Drawn] = {}
    patches, present = round((past + ahead) / PATCH), round(past / STEP) - 1
    last: tuple[str, Scene | None] = ("", None)
    # Each scene is read once for all its windows.
    for place in sorted(range(len(chosen)), key=lambda place: chosen[place][0]):
        listed, starts, own_seed = chosen[place]
        if last[0] != listed.id:
            last = (listed.id, _read(store, listed.id))
        if last[1] is None:
            continue
        window = _cut(last[1], starts, patches, present, np.random.default_rng(own_seed))
        if window is not None:
            drawn[place] = Drawn(listed.log, window)
    return [drawn[place] for place in sorted(drawn)]


def _read(store: Store, scene: str) -> Scene | None:
    try:
        return store.scene(scene)
    except InputError:
        return None


def _cut(
    scene: Scene, starts: np.ndarray, patches: int, present: int, rng: np.random.Generator
) -> Window | None:
    """Return the first of some windows in which somebody is seen at the present, or None."""
    for start in starts.tolist():
        try:
            window = cut_window(scene, start, patches)
        except InputError:
            # A map is read as late as this.
            return None
        here = np.flatnonzero(window.valid[:, present])
        if not len(here):
            continue
        focus = window.ego if window.ego in here else int(rng.choice(here))
        place = window.position[:, present]
        away = np.hypot(*(place - place[focus]).T)
        # Who is not there at the present must not be chosen by where it will be.
        near = np.argsort(np.where(np.isfinite(away), away, np.inf), kind="stable")
        return window.select(np.sort(near[:MOST_AGENTS]))
    return None
