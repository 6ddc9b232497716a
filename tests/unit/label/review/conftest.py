"""A labelled drive past cars and people, whose truth is known, as each format can tell it."""

from dataclasses import replace

import numpy as np
import pytest

from kerbstone.label.labelling import label_detections
from kerbstone.label.profile import Profile
from kerbstone.scene import (
    SE3,
    Agents,
    Camera,
    Clock,
    EgoPoses,
    Kind,
    Scene,
    Source,
    detections_from_rows,
    pack_boxes,
)

STEPS = 60
DT = 0.1
SIZES = {Kind.CAR: (4.5, 1.9, 1.6), Kind.PEDESTRIAN: (0.7, 0.7, 1.75)}
NOISE = np.array([0.08, 0.08, 0.05, 0.03, 0.1, 0.05, 0.05])
CAMERA_AXES = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def true_boxes():
    """Return kind and boxes over time of the road users: `[time, 7]`, NaN where they are not."""
    time = np.arange(STEPS) * DT
    still = np.zeros(STEPS)

    def boxes(kind, x, y, heading):
        centre = np.column_stack([x, y, still + SIZES[kind][2] / 2])
        size = np.tile(np.array(SIZES[kind]), (STEPS, 1))
        return kind, pack_boxes(centre, heading + still, size)

    ahead = boxes(Kind.CAR, 15 + 7.5 * time, still, 0.0)
    oncoming = boxes(Kind.CAR, 70 - 9 * time, still + 4.0, np.pi)
    parked = boxes(Kind.CAR, still + 60.0, still - 4.0, 0.0)
    walker = boxes(Kind.PEDESTRIAN, still + 45.0, -5 + 1.3 * time, np.pi / 2)
    walker[1][:10] = np.nan
    return [ahead, oncoming, parked, walker]


def make_scene(start=0):
    clock = Clock(start, int(DT * 1e9), STEPS)
    centre = np.column_stack([6.0 * np.arange(STEPS) * DT, np.zeros(STEPS), np.full(STEPS, 0.8)])
    agents = Agents(
        ids=("ego",),
        kind=np.array([Kind.CAR], np.uint8),
        label=("ego",),
        size=np.array([[4.8, 1.9, 1.6]]),
        centre=centre[None],
        heading=np.zeros((1, STEPS)),
        velocity=np.tile([6.0, 0.0], (1, STEPS, 1)),
        valid=np.ones((1, STEPS), bool),
    )
    poses = SE3.from_euler(
        roll=np.full(STEPS, 0.004),
        pitch=np.full(STEPS, -0.006),
        yaw=0.01 * np.sin(np.arange(STEPS) / 9),
        translation=centre - [0.0, 0.0, 0.5],
    )
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = CAMERA_AXES, (1.0, 0.0, 1.0)
    cameras = tuple(
        Camera(
            name=name,
            paths=(),
            times_ns=np.zeros(0, np.int64),
            width_px=1242,
            height_px=375,
            intrinsics=np.array([[720.0, 0, 620], [0, 720, 180], [0, 0, 1]]),
            distortion=np.zeros(0),
            model="pinhole",
            ego_from_camera=pose,
        )
        for name in ("image_00", "image_02")
    )
    return Scene(
        id="made-up/0007",
        clock=clock,
        agents=agents,
        ego=0,
        source=Source(
            dataset="made-up",
            log="0007",
            extra={"sample_tokens": [f"sample-{step}" for step in range(STEPS)]},
        ),
        ego_poses=EgoPoses(clock.times_ns, poses.translation, poses.rotation),
        cameras=cameras,
    )


def detect(scene, seed=3):
    """Return noisy detections of all road users but for some that are missed."""
    draw = np.random.default_rng(seed)
    step, box, kind, score = [], [], [], []
    for number, (each, boxes) in enumerate(true_boxes()):
        for t in range(STEPS):
            # The car ahead is hidden for a while.
            hidden = number == 0 and 25 <= t < 32
            if np.isnan(boxes[t, 0]) or hidden or draw.random() < 0.08:
                continue
            step.append(t)
            box.append(boxes[t] + NOISE * draw.normal(size=7))
            kind.append(each)
            score.append(draw.uniform(0.6, 0.95))
    return detections_from_rows(
        clock=scene.clock,
        step=np.array(step, np.int64),
        box=np.array(box),
        kind=np.array(kind, np.uint8),
        score=np.array(score),
    )[0]


@pytest.fixture
def profile():
    return Profile()


@pytest.fixture(scope="session")
def _made():
    scene = make_scene()
    detections = detect(scene)
    labels, _ = label_detections(detections, scene, Profile())
    return detections, labels


@pytest.fixture
def labels(_made):
    return _made[1]


@pytest.fixture
def detections(_made):
    return _made[0]


@pytest.fixture
def other_log(_made):
    scene = replace(make_scene(), id="made-up/0008")
    return replace(_made[1], scene=scene)
