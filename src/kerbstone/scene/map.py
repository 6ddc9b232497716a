"""The road: polylines by kind, and the graph of its lanes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float64, Int8, Int64, UInt8

from kerbstone.errors import InputError
from kerbstone.scene.kinds import LaneKind, Marking, PieceKind, Tristate


@dataclass(frozen=True, eq=False)
class LaneGraph:
    """How lanes follow and border one another. References are row numbers, -1 for none.

    Args:
        ids: The format's own name of each lane, unique.
        kind: `LaneKind` of each lane.
        centre: The map piece that is the lane's centre line, in driving direction.
        left_boundary: The piece that bounds it on the left; it may be shared and run either way.
        right_boundary: The piece that bounds it on the right.
        area: The piece that is the lane's surface, where a format gives one.
        left: The neighbouring lane on the left (it may run the other way).
        right: The neighbouring lane on the right.
        next_lanes: Lanes that follow, of all lanes one after the other.
        next_offsets: Where each lane's followers start and end in `next_lanes`.
        width: Typical width [m], NaN if not known.
        speed_limit: [m/s], NaN if not known.
        in_intersection: `Tristate` of each lane.

    Raises:
        InputError: The arrays do not fit together or refer to a lane that is not there.
    """

    ids: tuple[str, ...]
    kind: UInt8[np.ndarray, " lane"]
    centre: Int64[np.ndarray, " lane"]
    left_boundary: Int64[np.ndarray, " lane"]
    right_boundary: Int64[np.ndarray, " lane"]
    area: Int64[np.ndarray, " lane"]
    left: Int64[np.ndarray, " lane"]
    right: Int64[np.ndarray, " lane"]
    next_lanes: Int64[np.ndarray, " edge"]
    next_offsets: Int64[np.ndarray, " lane_plus_1"]
    width: Float64[np.ndarray, " lane"]
    speed_limit: Float64[np.ndarray, " lane"]
    in_intersection: Int8[np.ndarray, " lane"]

    def __post_init__(self) -> None:
        n = len(self.ids)
        for name in (
            "kind",
            "centre",
            "left_boundary",
            "right_boundary",
            "area",
            "left",
            "right",
            "width",
            "speed_limit",
            "in_intersection",
        ):
            if getattr(self, name).shape != (n,):
                raise InputError(
                    "shape",
                    f"lanes.{name} does not fit",
                    why=f"{getattr(self, name).shape}, expected ({n},)",
                )
        offsets = self.next_offsets
        if offsets.shape != (n + 1,) or offsets[0] != 0 or offsets[-1] != len(self.next_lanes):
            raise InputError("shape", "lanes.next_offsets does not fit the lanes")
        for name in ("left", "right", "next_lanes"):
            values = getattr(self, name)
            if values.size and (values.min() < -1 or values.max() >= n):
                raise InputError("reference", f"lanes.{name} refers to a lane that is not there")

    def __len__(self) -> int:
        return len(self.ids)

    def successors(self, lane: int) -> Int64[np.ndarray, " next"]:
        """Return the lanes that follow `lane`."""
        return self.next_lanes[self.next_offsets[lane] : self.next_offsets[lane + 1]]

    def predecessors(self, lane: int) -> Int64[np.ndarray, " previous"]:
        """Return the lanes that `lane` follows."""
        offsets, lanes = self._previous
        return lanes[offsets[lane] : offsets[lane + 1]]

    @cached_property
    def _previous(self) -> tuple[np.ndarray, np.ndarray]:
        source = np.repeat(np.arange(len(self)), np.diff(self.next_offsets))
        order = np.argsort(self.next_lanes, kind="stable")
        counts = np.bincount(self.next_lanes, minlength=len(self))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), source[order]


@dataclass(frozen=True, eq=False)
class Map:
    """The polylines of a town or of a log's surroundings, packed, with its lanes.

    Args:
        id: Name of the map: the same id always stands for the same content.
        ids: The format's own name of each piece ("" where it has none).
        kind: `PieceKind` of each piece.
        marking: `Marking` of each piece; only lane boundaries are painted.
        points: The vertices of all pieces one after the other, world frame [m]; z may be NaN.
        offsets: Where each piece starts and ends in `points`.
        lanes: The lane graph.

    Raises:
        InputError: The arrays do not fit together.
    """

    id: str
    ids: tuple[str, ...]
    kind: UInt8[np.ndarray, " piece"]
    marking: UInt8[np.ndarray, " piece"]
    points: Float64[np.ndarray, "point 3"]
    offsets: Int64[np.ndarray, " piece_plus_1"]
    lanes: LaneGraph

    def __post_init__(self) -> None:
        n = len(self.ids)
        offsets = self.offsets
        fits = (
            self.kind.shape == (n,)
            and self.marking.shape == (n,)
            and offsets.shape == (n + 1,)
            and offsets[0] == 0
            and offsets[-1] == len(self.points)
            and (np.diff(offsets) > 0).all()
        )
        if not fits:
            raise InputError(
                "shape",
                "the pieces of a map do not fit together",
                why=f"{n} ids, kind {self.kind.shape}, marking {self.marking.shape}, "
                f"offsets {offsets.shape}, {len(self.points)} points",
            )
        for name in ("centre", "left_boundary", "right_boundary", "area"):
            pieces = getattr(self.lanes, name)
            if pieces.size and (pieces.min() < -1 or pieces.max() >= n):
                raise InputError("reference", f"lanes.{name} refers to a piece that is not there")

    def __len__(self) -> int:
        return len(self.ids)

    def piece(self, index: int) -> Float64[np.ndarray, "point 3"]:
        """Return the vertices of one piece [m]."""
        return self.points[self.offsets[index] : self.offsets[index + 1]]

    def pieces_of(self, *kinds: PieceKind) -> Int64[np.ndarray, " piece"]:
        """Return the numbers of the pieces of these kinds."""
        return np.flatnonzero(np.isin(self.kind, np.array(kinds, np.uint8)))

    def centre_line(self, lane: int) -> Float64[np.ndarray, "point 3"]:
        """Return the centre line of a lane, in driving direction [m]."""
        return self.piece(int(self.lanes.centre[lane]))

    @cached_property
    def bounds(self) -> Float64[np.ndarray, " 4"]:
        """Smallest x, smallest y, largest x, largest y of all points [m]."""
        return np.concatenate([self.points[:, :2].min(axis=0), self.points[:, :2].max(axis=0)])


@dataclass
class MapBuilder:
    """Collects pieces and lanes by the format's own names, and resolves them into a `Map`.

    Neighbours and successors that the map does not hold are left out: maps are cut at their
    border.

    Example:
        >>> from kerbstone.scene.kinds import LaneKind
        >>> road = MapBuilder()
        >>> centre = road.add_piece(PieceKind.LANE_CENTRE, [[0, 0, 0], [10, 0, 0]])
        >>> road.add_lane("a", LaneKind.VEHICLE, centre, successors=["b"], width=3.5)
        >>> road.build("town").lanes.ids
        ('a',)
    """

    _points: list[np.ndarray] = field(default_factory=list)
    _kind: list[int] = field(default_factory=list)
    _marking: list[int] = field(default_factory=list)
    _ids: list[str] = field(default_factory=list)
    _lanes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add_piece(
        self,
        kind: PieceKind,
        points: Sequence[Sequence[float]] | np.ndarray,
        *,
        id: str = "",  # noqa: A002 - it is an id
        marking: Marking | int = 0,
    ) -> int:
        """Add a polyline of [n, 2] or [n, 3] points [m] and return its number.

        Raises:
            InputError: It has no points, or one that is not finite.
        """
        array = np.asarray(points, np.float64)
        if array.ndim != 2 or array.shape[1] not in (2, 3) or len(array) == 0:
            raise InputError("geometry", f"map piece {id!r} has no usable points", why=str(array))
        if array.shape[1] == 2:
            array = np.column_stack([array, np.full(len(array), np.nan)])
        if not np.isfinite(array[:, :2]).all():
            raise InputError("geometry", f"map piece {id!r} has a point that is not a number")
        self._points.append(array)
        self._kind.append(int(kind))
        self._marking.append(int(marking))
        self._ids.append(id)
        return len(self._ids) - 1

    def add_lane(
        self,
        id: str,  # noqa: A002 - it is an id
        kind: LaneKind,
        centre: int,
        *,
        left_boundary: int = -1,
        right_boundary: int = -1,
        area: int = -1,
        left: str | None = None,
        right: str | None = None,
        successors: Iterable[str] = (),
        width: float = np.nan,
        speed_limit: float = np.nan,
        in_intersection: Tristate | bool = Tristate.UNKNOWN,
    ) -> None:
        """Add a lane whose lines were added before; other lanes are named, known yet or not.

        Raises:
            InputError: There is a lane of that id already.
        """
        if id in self._lanes:
            raise InputError("duplicate", f"lane {id!r} appears twice in the map")
        self._lanes[id] = {
            "kind": int(kind),
            "centre": centre,
            "left_boundary": left_boundary,
            "right_boundary": right_boundary,
            "area": area,
            "left": left,
            "right": right,
            "next": list(dict.fromkeys(successors)),
            "width": width,
            "speed_limit": speed_limit,
            "in_intersection": int(in_intersection),
        }

    def build(self, id: str) -> Map:  # noqa: A002 - it is an id
        """Return the map.

        Raises:
            InputError: Nothing was added.
        """
        if not self._points:
            raise InputError("empty", f"map {id!r} has no pieces")
        row = {name: i for i, name in enumerate(self._lanes)}
        lanes = list(self._lanes.values())

        def column(name: str, dtype: type[np.generic]) -> np.ndarray:
            return np.array([lane[name] for lane in lanes], dtype)

        def neighbour(name: str) -> np.ndarray:
            return np.array([row.get(lane[name], -1) for lane in lanes], np.int64)

        following = [[row[name] for name in lane["next"] if name in row] for lane in lanes]
        counts = [len(lane) for lane in following]
        graph = LaneGraph(
            ids=tuple(self._lanes),
            kind=column("kind", np.uint8),
            centre=column("centre", np.int64),
            left_boundary=column("left_boundary", np.int64),
            right_boundary=column("right_boundary", np.int64),
            area=column("area", np.int64),
            left=neighbour("left"),
            right=neighbour("right"),
            next_lanes=np.array([lane for lanes in following for lane in lanes], np.int64),
            next_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            width=column("width", np.float64),
            speed_limit=column("speed_limit", np.float64),
            in_intersection=column("in_intersection", np.int8),
        )
        return Map(
            id=id,
            ids=tuple(self._ids),
            kind=np.array(self._kind, np.uint8),
            marking=np.array(self._marking, np.uint8),
            points=np.concatenate(self._points),
            offsets=np.concatenate([[0], np.cumsum([len(p) for p in self._points])]).astype(
                np.int64
            ),
            lanes=graph,
        )
