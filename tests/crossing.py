"""A made-up crossing with everything a scene can hold, for tests of what shows scenes."""

from __future__ import annotations

import numpy as np

from kerbstone.scene import (
    Agents,
    Clock,
    DrivingSide,
    EgoPoses,
    Kind,
    LaneKind,
    Map,
    MapBuilder,
    Marking,
    PieceKind,
    Scene,
    Signals,
    SignalState,
    Source,
    Tristate,
)

START_NS = 1_700_000_000_123_456_789
DT_NS = 100_000_000


def crossing_scene(
    *,
    steps: int = 60,
    shift: tuple[float, float] = (0.0, 0.0),
    ego: bool = True,
    road: bool = True,
    id: str = "made/crossing",  # noqa: A002 - it is an id
) -> Scene:
    """Return two streets that cross, with one agent of every kind.

    The ego drives north at 8 m/s and is at (1.75, -20) at step 0. The agent "ghost" has neither
    size nor heading nor velocity, the agent "gap" is away in the middle of the scene, and the
    agent "late" comes in the second half.

    Args:
        steps: Length of the scene.
        shift: Added to all positions [m].
        ego: Whether one of the agents is the recording car.
        road: Whether there is a map with lights.
        id: Id of the scene.
    """
    move = np.array([*shift, 0.0])
    clock = Clock(START_NS, DT_NS, steps)
    agents = _agents(steps, clock.dt, move)
    town = _town(move) if road else None
    x, y = agents.centre[0, :, 0], agents.centre[0, :, 1]
    poses = EgoPoses(
        times_ns=clock.times_ns,
        translation=np.column_stack([x, y - 1.4, np.zeros(steps)]),
        rotation=np.tile([np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)], (steps, 1)),
    )
    return Scene(
        id=id,
        clock=clock,
        agents=agents,
        ego=0 if ego else None,
        source=Source(
            "made", "crossing", town="Nowhere", driving_side=DrivingSide.RIGHT, licence="CC0"
        ),
        map=town,
        signals=_lights(town, steps, move) if town else None,
        ego_poses=poses if ego else None,
    ).check()


# Name, kind, label, size, start, velocity.
_ROWS = [
    ("ego", Kind.CAR, "EGO", (4.8, 2.0, 1.5), (1.75, -20.0), (0.0, 8.0)),
    ("car", Kind.CAR, "REGULAR_VEHICLE", (4.5, 1.8, 1.5), (-1.75, 30.0), (0.0, -6.0)),
    ("truck", Kind.TRUCK, "BOX_TRUCK", (9.0, 2.5, 3.5), (-40.0, -1.75), (5.0, 0.0)),
    ("trailer", Kind.TRAILER, "TRAILER", (7.0, 2.5, 3.5), (-49.0, -1.75), (5.0, 0.0)),
    ("bus", Kind.BUS, "BUS", (12.0, 2.6, 3.2), (45.0, 1.75), (-6.0, 0.0)),
    ("train", Kind.TRAIN, "TRAM", (30.0, 2.6, 3.5), (20.0, -40.0), (0.0, 3.0)),
    ("motorcycle", Kind.MOTORCYCLE, "MOTORCYCLE", (2.1, 0.8, 1.4), (1.75, -34.0), (0.0, 9.0)),
    ("cyclist", Kind.CYCLIST, "BICYCLIST", (1.8, 0.7, 1.7), (4.2, -12.0), (0.0, 4.0)),
    ("bicycle", Kind.BICYCLE, "BICYCLE", (1.8, 0.6, 1.1), (7.0, 12.0), (0.0, 0.0)),
    ("pedestrian", Kind.PEDESTRIAN, "PEDESTRIAN", (0.5, 0.6, 1.7), (-8.0, -6.5), (1.4, 0.0)),
    ("rider", Kind.RIDER, "SCOOTER", (1.2, 0.6, 1.7), (8.0, 20.0), (0.0, -3.0)),
    ("animal", Kind.ANIMAL, "DOG", (0.9, 0.4, 0.6), (-9.0, -10.0), (0.5, 1.0)),
    ("object", Kind.OBJECT, "CONE", (0.4, 0.4, 0.7), (5.5, 9.0), (0.0, 0.0)),
    ("ghost", Kind.UNKNOWN, "UNKNOWN", (np.nan, np.nan, np.nan), (12.0, 14.0), (np.nan, np.nan)),
    ("gap", Kind.CAR, "REGULAR_VEHICLE", (4.5, 1.8, np.nan), (-30.0, -5.25), (4.0, 0.0)),
    ("late", Kind.PEDESTRIAN, "PEDESTRIAN", (0.5, 0.6, 1.7), (8.0, 8.0), (-1.2, 0.0)),
]


def _agents(steps: int, dt: float, move: np.ndarray) -> Agents:
    size = np.array([row[3] for row in _ROWS])
    start = np.array([row[4] for row in _ROWS])
    velocity = np.array([row[5] for row in _ROWS])
    speed = np.hypot(*velocity.T)
    heading = np.where(speed > 0, np.arctan2(velocity[:, 1], velocity[:, 0]), 0.0)
    heading[np.isnan(speed)] = np.nan
    time = np.arange(steps) * dt
    ground = start[:, None] + np.nan_to_num(velocity)[:, None] * time[:, None]
    height = np.nan_to_num(size[:, 2]) / 2
    centre = np.concatenate(
        [ground, np.broadcast_to(height[:, None, None], (*ground.shape[:2], 1))], axis=2
    )
    valid = np.ones((len(_ROWS), steps), bool)
    names = [row[0] for row in _ROWS]
    valid[names.index("gap"), steps // 3 : 2 * steps // 3] = False
    valid[names.index("late"), : steps // 2] = False
    return Agents(
        ids=tuple(names),
        kind=np.array([row[1] for row in _ROWS], np.uint8),
        label=tuple(row[2] for row in _ROWS),
        size=size,
        centre=np.where(valid[..., None], centre + move, np.nan),
        heading=np.where(valid, heading[:, None], np.nan),
        velocity=np.where(valid[..., None], velocity[:, None], np.nan),
        valid=valid,
    )


def _town(move: np.ndarray) -> Map:
    town = MapBuilder()

    def add(kind: PieceKind, points: list, **more: object) -> int:
        flat = np.asarray(points, float)
        return town.add_piece(kind, flat + move[:2], **more)  # type: ignore[arg-type]

    def ring(west: float, south: float, east: float, north: float) -> list:
        return [(west, south), (east, south), (east, north), (west, north), (west, south)]

    add(PieceKind.DRIVABLE_AREA, ring(-8, -60, 8, 60))
    add(PieceKind.SIDEWALK, ring(8, 8, 12, 60))
    add(PieceKind.PARKING, ring(-14, 20, -8, 40))
    add(PieceKind.CROSSWALK, ring(-7, -8, 7, -5), id="south crossing")
    add(PieceKind.STOP_LINE, [(0, -9), (3.5, -9)])
    add(PieceKind.ROAD_EDGE, [(8, -60), (8, -8), (60, -8)])
    add(PieceKind.SPEED_BUMP, [(-3.5, 40), (3.5, 40)])
    add(PieceKind.STOP_SIGN, [(4.5, -9), (4.5, -9)])
    add(PieceKind.DRIVEWAY, [(-8, 45), (-14, 45), (-14, 50), (-8, 50)])
    middle = add(
        PieceKind.LANE_BOUNDARY,
        [(0, -60), (0, -40), (0.0, -9.0)],
        marking=Marking.DOUBLE_SOLID_YELLOW,
    )
    side = add(PieceKind.LANE_BOUNDARY, [(3.5, -60), (3.5, -9)], marking=Marking.DASHED)
    # The same line once more, from its other side.
    add(PieceKind.LANE_BOUNDARY, [(3.5, -9), (3.5, -60)], marking=Marking.DASHED)
    for x, marking in zip((-3.5, 5.0), (Marking.SOLID_DASHED, Marking.VIRTUAL), strict=True):
        add(PieceKind.LANE_BOUNDARY, [(x, 9), (x, 60)], marking=marking)

    lanes = {
        "north in": ([(1.75, -60), (1.75, -9)], LaneKind.VEHICLE, False),
        "north through": ([(1.75, -9), (1.75, 9)], LaneKind.VEHICLE, True),
        "east through": ([(-9, -1.75), (9, -1.75)], LaneKind.VEHICLE, True),
        "south out": ([(-1.75, 60), (-1.75, 9)], LaneKind.VEHICLE, False),
        "bicycles": ([(4.2, -60), (4.2, -9)], LaneKind.BICYCLE, False),
        "buses": ([(60, 1.75), (9, 1.75)], LaneKind.BUS, False),
    }
    for name, (points, kind, inside) in lanes.items():
        bounded = name == "north in"
        town.add_lane(
            name,
            kind,
            add(PieceKind.LANE_CENTRE, points),
            left_boundary=middle if bounded else -1,
            right_boundary=side if bounded else -1,
            width=1.5 if kind == LaneKind.BICYCLE else 3.5,
            in_intersection=Tristate.YES if inside else Tristate.NO,
        )
    return town.build("nowhere")


def _lights(town: Map, steps: int, move: np.ndarray) -> Signals:
    north, east = town.lanes.ids.index("north through"), town.lanes.ids.index("east through")
    half = np.arange(steps) < steps // 2
    return Signals(
        lane=np.array([north, east]),
        stop_point=np.array([[1.75, -9.0, np.nan], [-9.0, -1.75, np.nan]]) + move,
        state=np.stack(
            [
                np.where(half, SignalState.RED, SignalState.GREEN),
                np.where(half, SignalState.GREEN, SignalState.RED),
            ]
        ).astype(np.uint8),
    )
