"""Small hand-made roads, and scenes staged on them, for the tests of the scenario language.

The roads lie along x through the origin. A road user is a `Track`: a line that it goes along, or
points, with its kind. `stage` makes a scene of them:

    road = straight_road(lanes=4)
    ego = Track("ego", drive(EAST_INNER, start=0, speed=10))
    other = Track("v", drive(EAST_INNER, start=20, speed=5))
    scene = stage(road, [ego, other])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerbstone.scene import (
    NS_PER_S,
    SE2,
    SE3,
    Agents,
    Clock,
    DrivingSide,
    Kind,
    LaneKind,
    Map,
    MapBuilder,
    PieceKind,
    Scene,
    Signals,
    SignalState,
    Source,
    Tristate,
    arc_length,
    derive_heading,
    derive_velocity,
    from_frenet,
)

STEPS, DT = 100, 0.1
WIDTH = 3.5
SIZES = {
    Kind.CAR: (4.5, 1.8, 1.5),
    Kind.TRUCK: (9.0, 2.5, 3.5),
    Kind.BUS: (12.0, 2.5, 3.2),
    Kind.TRAILER: (8.0, 2.5, 3.0),
    Kind.MOTORCYCLE: (2.1, 0.8, 1.4),
    Kind.CYCLIST: (1.8, 0.7, 1.7),
    Kind.BICYCLE: (1.8, 0.6, 1.1),
    Kind.PEDESTRIAN: (0.5, 0.5, 1.7),
    Kind.RIDER: (1.2, 0.6, 1.7),
    Kind.ANIMAL: (0.9, 0.4, 0.6),
    Kind.OBJECT: (0.5, 0.5, 0.7),
}

EAST, WEST = np.array([[-200.0, -1.75], [200, -1.75]]), np.array([[200.0, 1.75], [-200, 1.75]])
"""The lanes next to the middle of a straight road, in their directions."""
EAST_OUTER = np.array([[-200.0, -5.25], [200, -5.25]])
WEST_OUTER = np.array([[200.0, 5.25], [-200, 5.25]])
"""The outer lanes of one with four lanes."""
ARMS = ("west", "south", "east", "north")
"""The arms of the crossing, counter-clockwise."""
STOP = 14.0
"""How far from the middle of the crossing one stops [m]."""
_EXITS = {"through": 2, "left": 3, "right": 1}
"""How many arms further on each way through the crossing leads."""
RADIUS = 30.0
"""Of the inner lane of the curve [m]."""


@dataclass
class Track:
    """A road user of a staged scene.

    Args:
        name: Its id.
        points: Where it is at each time; NaN where it is not there.
        kind: What it is.
        heading: Its heading, if it is not where it goes [rad].
        size: Length, width, height, if not usual for its kind [m].
    """

    name: str
    points: np.ndarray
    kind: Kind = Kind.CAR
    heading: float | np.ndarray | None = None
    size: tuple[float, float, float] | None = None


def drive(
    line: np.ndarray,
    *,
    start: float,
    speed: float | np.ndarray,
    offset: float | np.ndarray = 0.0,
    steps: int = STEPS,
    dt: float = DT,
) -> np.ndarray:
    """Return points along a line.

    Args:
        line: Where to go along; it goes on straight beyond its ends [m].
        start: Arc length at the first step [m].
        speed: The speed, or that from each step to the next [m/s].
        offset: How far to the left of the line, always or at each step [m].
        steps: How many points.
        dt: Time from one to the next [s].
    """
    travelled = np.cumsum(np.broadcast_to(speed, (steps,)) * dt)
    s = start + np.concatenate([[0.0], travelled[:-1]])
    return from_frenet(s, np.broadcast_to(np.asarray(offset, float), (steps,)), line)


def stand(x: float, y: float, *, steps: int = STEPS) -> np.ndarray:
    """Return points that stay in one place [m]."""
    return np.tile([float(x), float(y)], (steps, 1))


def walk(
    start: Sequence[float], end: Sequence[float], *, first: int = 0, last: int = STEPS - 1,
    steps: int = STEPS,
) -> np.ndarray:  # fmt: skip
    """Return points from a start to an end, between two steps; before and after it stands [m]."""
    share = np.clip((np.arange(steps) - first) / max(last - first, 1), 0, 1)[:, None]
    return np.asarray(start, float) * (1 - share) + np.asarray(end, float) * share


def ramp(before: float, after: float, *, first: int, last: int, steps: int = STEPS) -> np.ndarray:
    """Return values that go from one to another between two steps, smoothly."""
    share = np.clip((np.arange(steps) - first) / max(last - first, 1), 0, 1)
    return before + (after - before) * (3 * share**2 - 2 * share**3)


def stage(
    road: Map | None,
    tracks: Sequence[Track],
    *,
    ego: str | None = "ego",
    lights: Mapping[str, object] | None = None,
    side: DrivingSide = DrivingSide.RIGHT,
    dt: float = DT,
) -> Scene:
    """Return a scene of road users on a road.

    Args:
        road: The map.
        tracks: The road users.
        ego: Which one is the recording car; nobody if there is none of that name.
        lights: For each arm of the crossing its light's state, always or at each step; None for a
            scene without lights.
        side: On which side one drives.
        dt: Time from step to step [s].
    """
    points = np.stack([np.asarray(track.points, float) for track in tracks])
    count, steps, _ = points.shape
    valid = np.isfinite(points).all(axis=-1)
    centre = np.full((count, steps, 3), np.nan)
    centre[..., :2] = points
    kind = np.array([track.kind for track in tracks], np.uint8)
    size = np.array([track.size or SIZES[track.kind] for track in tracks])
    centre[..., 2] = np.where(valid, size[:, 2:] / 2, np.nan)
    heading = derive_heading(centre, valid)
    heading = np.where(np.isnan(heading), 0.0, heading)
    for row, track in enumerate(tracks):
        if track.heading is not None:
            heading[row] = track.heading
    clock = Clock(0, round(dt * NS_PER_S), steps)
    names = [track.name for track in tracks]
    return Scene(
        id="made/staged",
        clock=clock,
        agents=Agents(
            ids=tuple(names),
            kind=kind,
            label=tuple(track.kind.name for track in tracks),
            size=size,
            centre=centre,
            heading=np.where(valid, heading, np.nan),
            velocity=derive_velocity(centre, valid, dt) if steps > 1 else np.zeros_like(points),
            valid=valid,
        ),
        ego=names.index(ego) if ego in names else None,
        source=Source("made", "staged", driving_side=side),
        map=road,
        signals=None if lights is None or road is None else _signals(road, lights, steps),
    ).check()


def moved(scene: Scene, motion: SE2, *, order: Sequence[int] | None = None) -> Scene:
    """Return a scene that is turned and shifted as a whole, its road users in another order."""
    agents, road, signals = scene.agents, scene.map, scene.signals

    def shift(points: np.ndarray) -> np.ndarray:
        flat = motion @ points[..., :2].reshape(-1, 2)
        return np.concatenate([flat.reshape(*points.shape[:-1], 2), points[..., 2:]], axis=-1)

    turned = np.angle(np.exp(1j * (agents.heading + float(motion.angle))))
    velocity = motion.rotate(agents.velocity.reshape(-1, 2)).reshape(agents.velocity.shape)
    agents = replace(agents, centre=shift(agents.centre), heading=turned, velocity=velocity)
    poses = scene.ego_poses
    if poses is not None:
        turn = SE3.from_yaw(motion.angle, np.append(motion.translation, 0.0))
        world = turn @ poses.world_from_ego
        poses = replace(poses, translation=world.translation, rotation=world.rotation)
    ego = scene.ego
    if order is not None:
        agents = agents.select(np.asarray(order))
        ego = None if ego is None else list(order).index(ego)
    return replace(
        scene,
        agents=agents,
        ego=ego,
        ego_poses=poses,
        map=None if road is None else replace(road, points=shift(road.points)),
        signals=None if signals is None else replace(signals, stop_point=shift(signals.stop_point)),
    )


def straight_road(
    *,
    lanes: int = 2,
    left_hand: bool = False,
    drivable: bool = False,
    crosswalk: float | None = None,
    speed_limit: float = 13.9,
) -> Map:
    """Return a street from x = -200 to 200 m, with as many lanes in each direction.

    Its lanes are in pieces of 100 m: "east 1 0" is the western end of the lane next to the middle,
    "west 2 3" that of the outer lane of the other direction. On either side lie 2.5 m of parking
    and 3 m of sidewalk.

    Args:
        lanes: Of both directions together.
        left_hand: Whether one drives on the left.
        drivable: Whether the map has drivable areas.
        crosswalk: Where the middle of a crosswalk is, 4 m wide [m].
        speed_limit: [m/s].
    """
    town = MapBuilder()
    count = lanes // 2
    side = 1.0 if left_hand else -1.0
    for name, sign in (("east", 1.0), ("west", -1.0)):
        for lane in range(1, count + 1):
            y = sign * side * (lane - 0.5) * WIDTH
            for part in range(4):
                x = sign * np.array([-200.0 + 100 * part, -100.0 + 100 * part])
                opposite = f"{'west' if sign > 0 else 'east'} 1 {3 - part}"
                inner = f"{name} {lane - 1} {part}" if lane > 1 else opposite
                outer = f"{name} {lane + 1} {part}" if lane < count else None
                left, right = (outer, inner) if left_hand else (inner, outer)
                town.add_lane(
                    f"{name} {lane} {part}",
                    LaneKind.VEHICLE,
                    town.add_piece(PieceKind.LANE_CENTRE, np.column_stack([x, [y, y]])),
                    left=left,
                    right=right,
                    successors=[f"{name} {lane} {part + 1}"],
                    width=WIDTH,
                    speed_limit=speed_limit,
                    in_intersection=Tristate.NO,
                )
    edge = count * WIDTH
    for sign in (1.0, -1.0):
        kerb, path = sign * (edge + 2.5), sign * (edge + 5.5)
        town.add_piece(PieceKind.PARKING, _ring(-200, sign * edge, 200, kerb))
        town.add_piece(PieceKind.SIDEWALK, _ring(-200, kerb, 200, path))
    if drivable:
        town.add_piece(PieceKind.DRIVABLE_AREA, _ring(-200, -edge - 2.5, 200, edge + 2.5))
    if crosswalk is not None:
        town.add_piece(
            PieceKind.CROSSWALK, _ring(crosswalk - 2, -edge - 2.5, crosswalk + 2, edge + 2.5)
        )
    return town.build("straight")


def crossing_road(*, stop_signs: bool = False, length: float = 100.0) -> Map:
    """Return two streets that cross at the origin, one lane in each direction.

    Each arm has the lanes "west in", "west out", "west through", "west left" and "west right", a
    stop line 14 m from the middle, and a crosswalk from 9 to 13 m. Sidewalks lie along the arms.

    Args:
        stop_signs: Whether there is a stop sign on each arm.
        length: Of each arm, from the middle [m].
    """
    town = MapBuilder()
    for arm, name in enumerate(ARMS):
        following = {"in": [f"{name} {way}" for way in _EXITS], "out": []}
        following |= {way: [f"{ARMS[(arm + by) % 4]} out"] for way, by in _EXITS.items()}
        for way, line in _ways(arm, length).items():
            town.add_lane(
                f"{name} {way}",
                LaneKind.VEHICLE,
                town.add_piece(PieceKind.LANE_CENTRE, line),
                left={"in": f"{name} out", "out": f"{name} in"}.get(way),
                successors=following[way],
                width=WIDTH,
                speed_limit=13.9,
                in_intersection=Tristate(int(way in _EXITS)),
            )
        town.add_piece(PieceKind.STOP_LINE, _turn([[-STOP, 0], [-STOP, -WIDTH]], arm))
        town.add_piece(PieceKind.CROSSWALK, _turn(_ring(-13, -WIDTH, -9, WIDTH), arm))
        for sign in (1, -1):
            ring = _ring(-length, sign * WIDTH, -WIDTH, sign * (WIDTH + 3))
            town.add_piece(PieceKind.SIDEWALK, _turn(ring, arm))
        if stop_signs:
            town.add_piece(PieceKind.STOP_SIGN, _turn([[-STOP, -WIDTH - 1]] * 2, arm))
    return town.build("crossing")


def way_through(arm: str, way: str, *, length: float = 100.0) -> np.ndarray:
    """Return the line of a movement, as in `way_through("west", "left")`.

    It begins `length` before the middle: the stop line is at arc length `length - STOP`.
    """
    number = ARMS.index(arm)
    exit_ways = _ways((number + _EXITS[way]) % 4, length)
    ways = _ways(number, length)
    return np.concatenate([ways["in"][:-1], ways[way][:-1], exit_ways["out"]])


def merging_road() -> Map:
    """Return two lanes, "main" and "slip", that lead into one, "onward", at the origin."""
    town = MapBuilder()
    lines = {
        "main": [[-150, 0], [0, 0]],
        "slip": [[-150, -20], [-60, -8], [-20, -1.5], [0, 0]],
        "onward": [[0, 0], [150, 0]],
    }
    for name, line in lines.items():
        town.add_lane(
            name,
            LaneKind.RAMP if name == "slip" else LaneKind.VEHICLE,
            town.add_piece(PieceKind.LANE_CENTRE, np.array(line, float)),
            successors=[] if name == "onward" else ["onward"],
            width=WIDTH,
            in_intersection=Tristate.NO,
        )
    return town.build("merge")


def curved_road(*, pieces: int = 3) -> Map:
    """Return two lanes in one direction on half a circle, counter-clockwise about the origin.

    The inner lanes "inner 0", "inner 1", … have the radius `RADIUS`, the outer ones 3.5 m more.
    """
    town = MapBuilder()
    for name, radius in (("inner", RADIUS), ("outer", RADIUS + WIDTH)):
        for piece in range(pieces):
            angle = np.linspace(piece, piece + 1, 60) * np.pi / pieces
            other = "outer" if name == "inner" else "inner"
            town.add_lane(
                f"{name} {piece}",
                LaneKind.VEHICLE,
                town.add_piece(PieceKind.LANE_CENTRE, _circle(radius, angle)),
                left=f"{other} {piece}" if name == "outer" else None,
                right=f"{other} {piece}" if name == "inner" else None,
                successors=[f"{name} {piece + 1}"],
                width=WIDTH,
                in_intersection=Tristate.NO,
            )
    return town.build("curve")


def roundabout_road() -> Map:
    """Return a roundabout of 15 m radius with four entries and exits, driven counter-clockwise.

    The lanes "ring 0" … "ring 3" begin where the entries "in 0" … join; "out 0" … leave there too.
    """
    town = MapBuilder()
    radius = 15.0
    for arm in range(4):
        angle = np.linspace(arm, arm + 1, 30) * np.pi / 2
        tangent = np.array([-np.sin(angle[0]), np.cos(angle[0])])
        radial = np.array([np.cos(angle[0]), np.sin(angle[0])])
        joint = radius * radial
        lines = {
            "ring": _circle(radius, angle),
            "in": np.array([joint + 60 * radial - 20 * tangent, joint - 8 * tangent, joint]),
            "out": np.array([joint, joint + 8 * tangent, joint + 60 * radial + 20 * tangent]),
        }
        onward = [f"ring {(arm + 1) % 4}", f"out {(arm + 1) % 4}"]
        following = {"ring": onward, "in": [f"ring {arm}"], "out": []}
        for name, line in lines.items():
            town.add_lane(
                f"{name} {arm}",
                LaneKind.VEHICLE,
                town.add_piece(PieceKind.LANE_CENTRE, line),
                successors=following[name],
                width=WIDTH,
                in_intersection=Tristate.NO,
            )
    return town.build("roundabout")


def _circle(radius: float, angle: np.ndarray) -> np.ndarray:
    return radius * np.column_stack([np.cos(angle), np.sin(angle)])


def _ring(west: float, south: float, east: float, north: float) -> np.ndarray:
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return np.array(corners, float)


def _turn(points: Sequence[Sequence[float]] | np.ndarray, arm: int) -> np.ndarray:
    """Return points beside the western arm turned to another arm: exactly, by quarter turns."""
    turned = np.asarray(points, float)
    for _ in range(arm):
        turned = np.column_stack([-turned[:, 1], turned[:, 0]])
    return turned


def _ways(arm: int, length: float) -> dict[str, np.ndarray]:
    """Return the centre lines of an arm's lanes."""
    half = WIDTH / 2
    quarter = np.linspace(0, np.pi / 2, 16)
    wide, tight = STOP + half, STOP - half
    # About the corner on the left, and about that on the right.
    left = np.column_stack([-STOP + wide * np.sin(quarter), STOP - wide * np.cos(quarter)])
    right = np.column_stack([-STOP + tight * np.sin(quarter), -STOP + tight * np.cos(quarter)])
    lines = {
        "in": [[-length, -half], [-STOP, -half]],
        "out": [[-STOP, half], [-length, half]],
        "through": [[-STOP, -half], [STOP, -half]],
        "left": left,
        "right": right,
    }
    return {name: _turn(line, arm) for name, line in lines.items()}


def _signals(road: Map, lights: Mapping[str, object], steps: int) -> Signals:
    lanes, points, states = [], [], []
    for arm, state in lights.items():
        for way in ("through", "left", "right"):
            lane = road.lanes.ids.index(f"{arm} {way}")
            lanes.append(lane)
            points.append(road.centre_line(lane)[0])
            states.append(np.broadcast_to(np.asarray(state, np.uint8), (steps,)))
    return Signals(
        np.array(lanes, np.int64),
        np.array(points, float).reshape(-1, 3),
        np.array(states, np.uint8).reshape(-1, steps),
    )


def switch(*parts: tuple[SignalState, int], steps: int = STEPS) -> np.ndarray:
    """Return a light's states: each from a step on, as in `switch((RED, 0), (GREEN, 40))`."""
    states = np.full(steps, parts[0][0], np.uint8)
    for state, first in parts:
        states[first:] = state
    return states


def length_of(line: np.ndarray) -> float:
    """Return the length of a line [m]."""
    return float(arc_length(line)[-1])
