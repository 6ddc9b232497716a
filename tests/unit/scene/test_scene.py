from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import (
    Camera,
    Clock,
    EgoPoses,
    Kind,
    Lidar,
    Scene,
    Signals,
    SignalState,
    Source,
    agents_from_rows,
)


def scene(**changes) -> Scene:
    agents = agents_from_rows(
        track=["e", "e", "e", "p"],
        step=np.array([0, 1, 2, 1]),
        steps=3,
        dt=0.1,
        label=["car", "car", "car", "person"],
        kinds={"car": Kind.CAR, "person": Kind.PEDESTRIAN},
        centre=np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 0]]),
        size=np.array([[4.0, 2, 1.5]] * 3 + [[0.5, 0.5, 1.8]]),
    )
    signals = Signals(
        lane=np.array([-1]),
        stop_point=np.zeros((1, 3)),
        state=np.array([[SignalState.RED, SignalState.RED, SignalState.GREEN]], np.uint8),
    )
    parts = {
        "id": "test/1",
        "clock": Clock(0, 100_000_000, 3),
        "agents": agents,
        "ego": 0,
        "source": Source(dataset="test", log="1"),
        "signals": signals,
    }
    return Scene(**{**parts, **changes})


def test_a_window_is_a_view_of_agents_and_signals():
    whole = scene()
    part = whole.window(0.1, 0.2)
    assert part.clock.steps == 2
    assert part.clock.start_ns == 100_000_000
    assert np.shares_memory(part.agents.centre, whole.agents.centre)
    assert part.signals.state.tolist() == [[SignalState.RED, SignalState.GREEN]]
    assert part.ego == 0


def test_a_window_beyond_the_scene_is_an_error():
    with pytest.raises(InputError, match="beyond"):
        scene().window(0.2, 0.2)


@pytest.mark.parametrize("start", [0.0, 0.04, 0.05, 0.06, 0.149, 0.15, 0.25])
def test_a_window_without_a_length_goes_to_the_end(start):
    whole = scene()
    part = whole.window(start)
    assert part.clock.times_ns[-1] == whole.clock.times_ns[-1]
    assert abs(part.clock.start_ns / 1e9 - start) <= 0.05 + 1e-9


@pytest.mark.parametrize("duration", [0.0, 1e-9, -0.1])
def test_a_window_without_a_step_is_an_error(duration):
    with pytest.raises(InputError, match="holds no step"):
        scene().window(0.1, duration)


@pytest.mark.parametrize("window", [(np.nan,), (np.inf,), (0.0, np.nan), (0.0, np.inf)])
def test_a_window_that_is_not_finite_is_an_error(window):
    with pytest.raises(InputError, match="not finite"):
        scene().window(*window)


def test_parts_that_do_not_fit_are_an_error():
    with pytest.raises(InputError, match="clock"):
        scene(clock=Clock(0, 1, 4))
    with pytest.raises(InputError, match="signals"):
        scene(signals=Signals.empty(4))
    with pytest.raises(InputError, match="ego"):
        scene(ego=2)


def broken(name: str, cell: tuple, value: float) -> Scene:
    agents = scene().agents
    array = getattr(agents, name).copy()
    array[cell] = value
    return scene(agents=replace(agents, **{name: array}))


@pytest.mark.parametrize(
    ("name", "cell", "value", "message"),
    [
        ("centre", (0, 1, 0), np.nan, "agent 'e', step 1"),
        ("centre", (1, 0, 0), 0.0, "agent 'p', step 0"),
        ("velocity", (1, 2, 1), 0.0, "agent 'p', step 2"),
        ("heading", (0, 2), 4.0, "agent 'e', step 2"),
        ("size", (1, 0), 0.0, "agent 'p'"),
    ],
)
def test_check_finds_what_other_rooms_cannot_live_with(name, cell, value, message):
    assert scene().check().id == "test/1"
    with pytest.raises(InputError) as caught:
        broken(name, cell, value).check()
    assert message in caught.value.where


def test_check_finds_a_signal_of_a_lane_that_is_not_there():
    signals = replace(scene().signals, lane=np.array([0]))
    with pytest.raises(InputError, match="missing lane"):
        scene(signals=signals).check()


def test_ego_poses_are_interpolated_between_records():
    half = np.sqrt(0.5)
    poses = EgoPoses(
        times_ns=np.array([0, 100]),
        translation=np.array([[0.0, 0, 0], [10, 0, 0]]),
        rotation=np.array([[1.0, 0, 0, 0], [half, 0, 0, half]]),
    )
    world_from_ego = poses.at(np.array([0, 50]))
    np.testing.assert_allclose(world_from_ego.translation, [[0, 0, 0], [5, 0, 0]])
    np.testing.assert_allclose(world_from_ego.yaw, [0, np.pi / 4])


@pytest.mark.parametrize(("times", "count"), [([], 0), ([0, 1], 3), ([1, 1], 2), ([2, 1], 2)])
@pytest.mark.usefixtures("unchecked")
def test_ego_poses_that_make_no_track_are_an_error(times, count):
    with pytest.raises(InputError):
        EgoPoses(np.array(times, np.int64), np.zeros((count, 3)), np.zeros((count, 4)))


@pytest.mark.usefixtures("unchecked")
def test_signals_that_do_not_fit_are_an_error():
    with pytest.raises(InputError, match="fit"):
        Signals(np.zeros(1, np.int64), np.zeros((2, 3)), np.zeros((1, 3), np.uint8))


def camera(paths: tuple[str, ...], frames: int) -> Camera:
    return Camera(
        name="front",
        paths=paths,
        times_ns=np.arange(frames),
        width_px=640,
        height_px=360,
        intrinsics=np.eye(3),
        distortion=np.zeros(0),
        model="pinhole",
        ego_from_camera=np.eye(4),
    )


def test_a_camera_has_a_file_per_frame_or_one_video():
    assert camera(("a.mp4",), 5).is_video
    assert not camera(("a.png", "b.png"), 2).is_video
    with pytest.raises(InputError, match="front"):
        camera(("a.png", "b.png"), 3)
    with pytest.raises(InputError, match="top"):
        Lidar("top", ("a.bin", "b.bin"), np.arange(3), np.eye(4))
