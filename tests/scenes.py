"""Small random scenes that hold together, for the tests of every room.

`random_scene` gives one for a seed, `scenes` is the Hypothesis strategy over them. Its scenes are
odd on purpose: gaps, agents that are never there, NaN heights, negative zeros, no map, no ego.
`assert_same` holds two of them to be equal to the last bit.
"""

from __future__ import annotations

import random
from dataclasses import fields, is_dataclass

import numpy as np
from hypothesis import strategies as st

from kerbstone.scene import (
    NS_PER_S,
    Agents,
    Camera,
    Clock,
    DrivingSide,
    EgoPoses,
    Kind,
    LaneKind,
    Lidar,
    Map,
    MapBuilder,
    Marking,
    PieceKind,
    Scene,
    Signals,
    SignalState,
    Source,
)

ODD_FLOATS = np.array([-0.0, 5e-324, -1e-310, 1e300, np.nextafter(1.0, 2.0), 0.1 + 0.2])


def random_scene(
    seed: int,
    *,
    id: str | None = None,  # noqa: A002 - it is an id
    agents: int = 5,
    steps: int = 40,
    hz: int = 10,
    road: Map | None = None,
    has_map: bool = True,
    has_signals: bool = True,
    has_sensors: bool = True,
    has_poses: bool = True,
    has_ego: bool = True,
    has_jitter: bool = True,
    gaps: float = 0.2,
    odd: bool = False,
) -> Scene:
    """Return a scene of road users that drive smooth curves, drawn from a seed.

    Args:
        seed: The same seed and arguments give the same scene.
        id: Its id; named after the seed if not given.
        agents: Number of agents; 0 leaves no ego.
        steps: Number of time steps.
        hz: Steps per second.
        road: The map to use; a random one if not given.
        has_map: Whether it has a map.
        has_signals: Whether it has traffic lights.
        has_sensors: Whether it has cameras and a lidar.
        has_poses: Whether it has ego poses.
        has_ego: Whether the first agent is the recording car.
        has_jitter: Whether the measured times are off the clock's.
        gaps: Share of the cells at which an agent is missing.
        odd: Whether to put in values that are easily lost: -0.0, denormals, NaN where allowed.
    """
    rng = np.random.default_rng(seed)
    if has_map and road is None:
        road = random_map(rng, f"town-{seed}")
    clock = Clock(
        start_ns=int(rng.integers(0, 2**60)),
        dt_ns=NS_PER_S // hz,
        steps=steps,
        offset_ns=rng.integers(-(10**6), 10**6, steps) if has_jitter else None,
    )
    return Scene(
        id=id or f"random/{seed:06d}",
        clock=clock,
        agents=_random_agents(rng, agents, steps, 1 / hz, gaps, odd=odd),
        ego=0 if has_ego and agents else None,
        source=Source(
            dataset="random",
            log=f"log-{seed:06d}",
            town=f"town-{seed % 7}",
            licence="made up",
            driving_side=DrivingSide(int(rng.integers(3))),
            path=f"/logs/{seed}",
            split=("train", "val", "")[seed % 3],
            simulated=bool(seed % 2),
            derived=("velocity", "heading")[: seed % 3],
            extra={"seed": seed, "share": float(rng.random()), "tags": ["a", None]},
        ),
        map=road if has_map else None,
        signals=_random_signals(rng, road if has_map else None, steps) if has_signals else None,
        ego_poses=_random_poses(rng, clock) if has_poses else None,
        cameras=_random_cameras(rng, clock) if has_sensors else (),
        lidars=_random_lidars(rng, clock) if has_sensors else (),
    ).check()


def random_map(rng: np.random.Generator, name: str, *, lanes: int = 4) -> Map:
    """Return lanes side by side that are each followed by one, with a crosswalk and a stop line."""
    road = MapBuilder()
    for lane in range(lanes):
        along = np.linspace(0.0, rng.uniform(50, 200), int(rng.integers(2, 12)))
        line = np.column_stack(
            [along, 3.5 * lane + np.sin(along / 30), rng.normal(size=len(along))]
        )
        centre = road.add_piece(PieceKind.LANE_CENTRE, line, id=f"c{lane}")
        left = road.add_piece(
            PieceKind.LANE_BOUNDARY, line[:, :2] + [0.0, 1.75], marking=Marking.DASHED
        )
        road.add_lane(
            f"lane-{lane}",
            LaneKind.VEHICLE,
            centre,
            left_boundary=left,
            left=f"lane-{lane + 1}",
            successors=[f"lane-{lane + 1}", "beyond"][: lane % 3],
            width=3.5,
            speed_limit=float(rng.choice([13.9, np.nan])),
        )
    ring = [[0.0, 0.0], [4.0, 0.0], [4.0, 9.0], [0.0, 0.0]]
    road.add_piece(PieceKind.CROSSWALK, np.array(ring) + rng.normal(), id="ß-crossing")
    road.add_piece(PieceKind.STOP_LINE, [[-0.0, 0.0, 1.0], [0.0, 9.0, np.nan]])
    return road.build(name)


@st.composite
def scenes(draw: st.DrawFn, *, max_agents: int = 6, max_steps: int = 150) -> Scene:
    """Give random scenes of every make-up, to hold laws against."""
    flags = ("has_map", "has_signals", "has_sensors", "has_poses", "has_ego", "has_jitter", "odd")
    made_up = {
        "seed": draw(st.integers(0, 2**31 - 1)),
        "id": draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)),
        "agents": draw(st.integers(0, max_agents)),
        "steps": draw(st.integers(1, max_steps)),
        "hz": draw(st.sampled_from([2, 10, 25, 30])),
        "gaps": draw(st.sampled_from([0.0, 0.3, 1.0])),
        **{flag: draw(st.booleans()) for flag in flags},
    }
    # The run-time type checker draws from `random`, which Hypothesis wants left alone.
    state = random.getstate()
    scene = random_scene(**made_up)
    random.setstate(state)
    return scene


def assert_same(found: object, expected: object, place: str = "scene") -> None:
    """Assert that two scenes, or parts of them, are equal: types, shapes and every bit of floats."""
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray), place
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), place
        assert found.tobytes() == expected.tobytes(), place
    elif is_dataclass(expected):
        for field in fields(expected):
            part = f"{place}.{field.name}"
            assert_same(getattr(found, field.name), getattr(expected, field.name), part)
    elif isinstance(expected, tuple) and any(map(is_dataclass, expected)):
        assert len(found) == len(expected), place
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{place}[{i}]")
    else:
        assert type(found) is type(expected), place
        assert found == expected, place


def _random_agents(
    rng: np.random.Generator, count: int, steps: int, dt: float, gaps: float, *, odd: bool
) -> Agents:
    valid = rng.random((count, steps)) >= gaps
    heading = rng.uniform(-3, 3, (count, 1)) + rng.normal(0, 0.1 * dt, (count, steps)).cumsum(1)
    heading = np.clip(heading, -np.pi, np.pi)
    speed = rng.uniform(0, 15, (count, 1)) + rng.normal(0, dt, (count, steps)).cumsum(1)
    velocity = speed[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    centre = np.empty((count, steps, 3))
    centre[..., :2] = rng.uniform(-500, 500, (count, 1, 2)) + dt * velocity.cumsum(axis=1)
    centre[..., 2] = rng.normal(0, 0.02, (count, steps)).cumsum(axis=1)
    size = rng.uniform(0.3, 12, (count, 3))
    if odd:
        for array in (centre, velocity):
            cells = rng.random(array.shape) < 0.2
            array[cells] = rng.choice(ODD_FLOATS, cells.sum())
        for array in (centre[..., 2], heading, velocity):
            array[rng.random(array.shape) < 0.2] = np.nan
        size[:, 2] = np.nan
    for array in (centre, heading, velocity):
        array[~valid] = np.nan
    kinds = rng.integers(0, len(Kind), count)
    return Agents(
        ids=tuple(f"agent-{i:03d}" for i in range(count)),
        kind=kinds.astype(np.uint8),
        label=tuple(f"Label {kind}" for kind in kinds),
        size=size,
        centre=centre,
        heading=heading,
        velocity=velocity,
        valid=valid,
    )


def _random_signals(rng: np.random.Generator, road: Map | None, steps: int) -> Signals:
    count = int(rng.integers(0, 4))
    lanes = 0 if road is None else len(road.lanes)
    return Signals(
        lane=rng.integers(-1, lanes, count),
        stop_point=np.column_stack([rng.normal(size=(count, 2)), np.full(count, np.nan)]),
        state=rng.integers(0, len(SignalState), (count, steps)).astype(np.uint8),
    )


def _random_poses(rng: np.random.Generator, clock: Clock) -> EgoPoses:
    count = 2 * clock.steps
    rotation = rng.normal(size=(count, 4))
    return EgoPoses(
        times_ns=clock.start_ns + (clock.dt_ns // 2) * np.arange(count),
        translation=rng.normal(size=(count, 3)).cumsum(axis=0),
        rotation=rotation / np.linalg.norm(rotation, axis=1, keepdims=True),
    )


def _random_cameras(rng: np.random.Generator, clock: Clock) -> tuple[Camera, ...]:
    times = clock.times_ns[::3]
    pose = np.eye(4)
    pose[:3, 3] = rng.normal(size=3)
    files = (tuple(f"front/{t}.jpg" for t in times), ("rear.mp4",))
    return tuple(
        Camera(
            name=name,
            paths=paths,
            times_ns=times,
            width_px=1920,
            height_px=1200,
            intrinsics=np.diag([1000.0, 1000.0, 1.0]) + rng.random((3, 3)),
            distortion=rng.normal(size=3 * number),
            model=("pinhole", "argoverse")[number],
            ego_from_camera=pose,
        )
        for number, (name, paths) in enumerate(zip(("front", "rear"), files, strict=True))
    )


def _random_lidars(rng: np.random.Generator, clock: Clock) -> tuple[Lidar, ...]:
    times = clock.times_ns
    return (Lidar("top", tuple(f"sweeps/{t}.bin" for t in times), times, np.eye(4)),)
