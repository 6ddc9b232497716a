"""Who cannot be seen, and until when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.falsification.crowds import Crowd
from kerbstone.plan.falsification.streets import BEFORE
from kerbstone.plan.shield.surroundings import BlindPlaces, BlindStretches


@dataclass(frozen=True, eq=False)
class Blind:
    """Where ego cannot see, and who is in there.

    Args:
        places: Places off the lanes.
        stretches: Stretches of lanes.
        place_of: The place that each road user starts in; -1 where none.
        stretch_of: The stretch that it starts on; -1 where none.
    """

    places: BlindPlaces | None
    stretches: BlindStretches | None
    place_of: Int64[np.ndarray, "episode agent"]
    stretch_of: Int64[np.ndarray, "episode agent"]

    def hides(self, crowd: Crowd) -> Bool[np.ndarray, "episode agent"]:
        """Return who is wholly hidden now; who comes out is seen."""
        hidden = np.zeros(crowd.valid.shape, bool)
        if self.places is not None:
            inside = _is_inside(crowd, self.places, np.maximum(self.place_of, 0))
            hidden |= (self.place_of >= 0) & inside
        if self.stretches is not None:
            of = np.maximum(self.stretch_of, 0)
            middle, reach = crowd.along + BEFORE, crowd.length / 2.0
            start = np.take_along_axis(self.stretches.start, of, axis=1)
            end = np.take_along_axis(self.stretches.end, of, axis=1)
            hidden |= (self.stretch_of >= 0) & (start <= middle - reach) & (middle + reach <= end)
        return hidden & crowd.valid

    def find_edges(
        self, crowd: Crowd, half_width: Float64[np.ndarray, " lane"]
    ) -> Float64[np.ndarray, "episode agent 2"]:
        """Return how far to the right and left of its lane's middle each gets while hidden [m].

        On a stretch that is its lane's edges: beside them it would be seen. Infinite for those who
        are not hidden on one.

        Args:
            crowd: The others.
            half_width: Of each lane [m].
        """
        edges = np.full((*crowd.valid.shape, 2), np.inf)
        if self.stretches is not None:
            lane = np.take_along_axis(self.stretches.route, np.maximum(self.stretch_of, 0), axis=1)
            hidden = (self.stretch_of >= 0) & self.hides(crowd)
            edges[hidden] = half_width[lane[hidden]][:, None]
        return edges * [-1.0, 1.0]

    def reveal(self, seen: Bool[np.ndarray, "episode agent"]) -> Blind:
        """Return that those who were seen are not hidden again: ego keeps them in mind."""
        return replace(
            self,
            place_of=np.where(seen, -1, self.place_of),
            stretch_of=np.where(seen, -1, self.stretch_of),
        )

    def take(self, rows: Bool[np.ndarray, " episode"] | Int64[np.ndarray, " row"]) -> Blind:
        """Return some of the episodes."""
        places, stretches = self.places, self.stretches
        return Blind(
            None
            if places is None
            else BlindPlaces(**{name: value[rows] for name, value in vars(places).items()}),
            None
            if stretches is None
            else BlindStretches(**{name: value[rows] for name, value in vars(stretches).items()}),
            self.place_of[rows],
            self.stretch_of[rows],
        )


def see_all(crowd: Crowd) -> Blind:
    """Return that nothing is hidden."""
    nobody = np.full(crowd.valid.shape, -1, np.int64)
    return Blind(None, None, nobody, nobody)


def _is_inside(
    crowd: Crowd, places: BlindPlaces, of: Int64[np.ndarray, "episode agent"]
) -> Bool[np.ndarray, "episode agent"]:
    """Tell whose middle lies in its place, a thick segment."""
    start = np.take_along_axis(places.start, of[..., None], axis=1)
    end = np.take_along_axis(places.end, of[..., None], axis=1)
    radius = np.take_along_axis(places.radius, of, axis=1)
    return _from_segment(crowd.place, start, end) <= radius


def _from_segment(
    point: Float64[np.ndarray, "episode agent 2"],
    start: Float64[np.ndarray, "episode agent 2"],
    end: Float64[np.ndarray, "episode agent 2"],
) -> Float64[np.ndarray, "episode agent"]:
    way = end - start
    share = ((point - start) * way).sum(axis=-1) / np.maximum((way**2).sum(axis=-1), 1e-12)
    nearest = start + np.clip(share, 0.0, 1.0)[..., None] * way
    return np.sqrt(((point - nearest) ** 2).sum(axis=-1))
