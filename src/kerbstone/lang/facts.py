"""What signals read of a scene, computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.lang.roads import Road, road_of
from kerbstone.lang.routes import Routes, find_routes
from kerbstone.lang.stays import Stays, find_stays
from kerbstone.scene import BevIndex, LanePositions, Scene

_RECENT = 8
"""How many large things are kept for the next signal."""


class Facts:
    """A scene, with what is derived from it kept.

    Args:
        scene: The scene.
        stored: Returns what is known already of these facts under a key of `keep`, None where it
            is not. What it returns must be what would be derived.
    """

    def __init__(self, scene: Scene, *, stored: Callable[[Facts, Any], Any] | None = None) -> None:
        self.scene = scene
        self._stored = stored
        self.agents = scene.agents
        self.dt = scene.clock.dt
        self.steps = scene.clock.steps
        self._kept: dict[Any, Any] = {}
        self._recent: OrderedDict[Any, Any] = OrderedDict()

    def keep(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` returned when it was first asked for under this key."""
        if key not in self._kept:
            known = None if self._stored is None else self._stored(self, key)
            self._kept[key] = make() if known is None else known
        return self._kept[key]

    def has(self, key: Any) -> bool:
        """Whether something is kept under a key."""
        return key in self._kept

    def kept(self, key: Any) -> Any:
        """Return what is kept under a key, None where nobody has asked for it yet."""
        return self._kept.get(key)

    def keep_recent(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` returned, as `keep` does, for what is too large to be kept for long.

        Signals on the same pairs of road users come one after the other.
        """
        if key in self._recent:
            self._recent.move_to_end(key)
            return self._recent[key]
        made = make()
        self._recent[key] = made
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        return made

    def offsets(
        self, a: Int64[np.ndarray, " pair"], b: Int64[np.ndarray, " pair"]
    ) -> tuple[Float64[np.ndarray, "pair time"], Float64[np.ndarray, "pair time"]]:
        """Return how far a is ahead of b and to its left, in b's frame [m]."""

        def measure() -> tuple[np.ndarray, np.ndarray]:
            x, y = (
                self.point[a, :, 0] - self.point[b, :, 0],
                self.point[a, :, 1] - self.point[b, :, 1],
            )
            cos, sin = self.ahead[b, :, 0], self.ahead[b, :, 1]
            return cos * x + sin * y, cos * y - sin * x

        return self.keep_recent(("offsets", a.tobytes(), b.tobytes()), measure)

    @cached_property
    def boxes(self) -> Float64[np.ndarray, "agent time 5"]:
        """Boxes from above, columns as in `BevIndex`; NaN where an agent is not there."""
        boxes = np.empty((*self.agents.valid.shape, len(BevIndex)))
        boxes[..., : BevIndex.HEADING] = self.point
        boxes[..., BevIndex.HEADING] = self.agents.heading
        boxes[..., BevIndex.LENGTH :] = self.agents.size[:, None, :2]
        return boxes

    @cached_property
    def point(self) -> Float64[np.ndarray, "agent time 2"]:
        """Centres from above [m]."""
        return self.agents.centre[..., :2]

    @cached_property
    def ahead(self) -> Float64[np.ndarray, "agent time 2"]:
        """Unit vectors of the headings."""
        return np.stack([np.cos(self.agents.heading), np.sin(self.agents.heading)], axis=-1)

    @cached_property
    def moves(self) -> Bool[np.ndarray, " agent"]:
        """Which agents ever go faster than a slow walk: over 0.5 m/s."""
        speed = np.where(self.agents.valid, self.agents.speed, 0.0)
        return np.nanmax(speed, axis=1, initial=0.0) > 0.5

    @cached_property
    def road(self) -> Road | None:
        """What is derived from the map, None without one."""
        return None if self.scene.map is None else road_of(self.scene.map)

    @cached_property
    def stays(self) -> Stays | None:
        """Who is on which lane, None without a map or lanes to drive on."""
        road = self.road
        if road is None or not road.is_driven.any():
            return None
        return self.keep("stays", lambda: find_stays(road, self.point, self.agents.heading))

    @cached_property
    def places(self) -> LanePositions | None:
        """On which lane each agent is at each time, None without a map or lanes to drive on."""
        return None if self.stays is None else self.stays.places

    @cached_property
    def routes(self) -> Routes | None:
        """How the lanes that agents are on lie to one another, None as for `places`."""
        road, stays = self.road, self.stays
        if road is None or stays is None:
            return None
        return self.keep("routes", lambda: find_routes(road, stays, self.agents.valid))

    def derive(
        self, values: Float64[np.ndarray, "agent time"]
    ) -> Float64[np.ndarray, "agent time"]:
        """Return the rate of change: central differences, one-sided beside a missing cell.

        A cell without a neighbour, and a missing one, is NaN.
        """
        back = np.full_like(values, np.nan)
        back[:, 1:] = np.diff(values, axis=1) / self.dt
        forth = np.full_like(values, np.nan)
        forth[:, :-1] = back[:, 1:]
        both = (back + forth) / 2
        one = np.where(np.isnan(back), forth, back)
        return np.where(np.isnan(both), one, both)
