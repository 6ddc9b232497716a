import importlib.util
import sys

import numpy as np
import pyarrow as pa
import pytest

from kerbstone.errors import MissingError
from kerbstone.formats.py123d import Py123d
from kerbstone.scene import (
    DrivingSide,
    Kind,
    LaneKind,
    Marking,
    PieceKind,
    Scene,
    SignalState,
    Tristate,
)
from laws.format_laws import FormatLaws, read_all, refused, walk
from small.py123d import SPEED, STEPS, YAW, write_log

READER = Py123d()

needs_py123d = pytest.mark.skipif(
    importlib.util.find_spec("py123d") is None,
    reason="py123d is not installed: pip install 'kerbstone[py123d]'",
)
pytestmark = pytest.mark.filterwarnings("ignore")  # what py123d's own libraries warn of


def test_a_log_without_the_extra_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "py123d.api.scene.arrow.arrow_scene_api", None)
    folder = tmp_path / "logs" / "nuplan_val" / "log-1"
    folder.mkdir(parents=True)
    (folder / "sync.arrow").write_bytes(b"ARROW1")
    (log,) = walk(tmp_path, READER)
    assert log.name == "py123d/nuplan_val/log-1"
    with pytest.raises(MissingError, match="py123d") as caught:
        list(READER.read(log))
    assert caught.value.remedy == "pip install 'kerbstone[py123d]'"


@needs_py123d
class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_log(folder)


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Scene:
    return read_all(write_log(tmp_path_factory.mktemp("root")), READER)[0]


@needs_py123d
def test_the_car_and_the_boxes_become_agents(scene):
    agents = scene.agents
    assert agents.ids == ("ego_vehicle", "a", "b")
    assert agents.label == ("EGO", "VEHICLE", "BICYCLE")
    assert [Kind(k) for k in agents.kind] == [Kind.CAR, Kind.CAR, Kind.CYCLIST]
    assert scene.ego == 0
    assert (scene.clock.steps, scene.clock.hz) == (STEPS, 10.0)
    assert agents.valid[2].tolist() == [False] * 3 + [True] * (STEPS - 3)
    np.testing.assert_allclose(agents.centre[1, 0], [20, 8, 0.8])
    np.testing.assert_allclose(agents.heading[1], -1.0)
    np.testing.assert_allclose(agents.size[1], [4.6, 1.9, 1.6])


@needs_py123d
def test_the_car_is_placed_by_the_middle_of_its_box(scene):
    forward = np.array([np.cos(YAW), np.sin(YAW)])
    np.testing.assert_allclose(scene.agents.centre[0, 0, :2], 1.5 * forward)
    np.testing.assert_allclose(scene.agents.centre[0, 0, 2], 0.9)
    np.testing.assert_allclose(scene.agents.size[0], [5.2, 2.3, 1.8])
    np.testing.assert_allclose(scene.ego_poses.translation[3, :2], 0.3 * SPEED * forward)


@needs_py123d
def test_velocities_are_given_or_derived(scene):
    assert scene.source.derived == ("velocity",)
    np.testing.assert_array_equal(scene.agents.velocity[1], 0.0)
    np.testing.assert_allclose(scene.agents.velocity[2, 4], [0.0, 3.0], atol=1e-6)
    np.testing.assert_allclose(scene.agents.speed[0], SPEED)


@needs_py123d
def test_the_map_is_cut_around_what_happens(scene):
    road = scene.map
    lanes = road.lanes
    assert lanes.ids == ("1", "2")
    assert lanes.successors(0).tolist() == [1]
    assert lanes.speed_limit[0] == 13.0
    assert lanes.in_intersection.tolist() == [Tristate.NO, Tristate.YES]
    assert set(lanes.kind) == {LaneKind.VEHICLE}
    assert len(road.pieces_of(PieceKind.CROSSWALK)) == 1
    assert len(road.pieces_of(PieceKind.ROAD_EDGE)) == 1
    line = road.ids.index("41")
    assert Marking(road.marking[line]) == Marking.DASHED_YELLOW


@needs_py123d
def test_lights_show_their_states_on_their_lanes(scene):
    assert scene.map.lanes.ids[scene.signals.lane[0]] == "2"
    states = [SignalState(s).name for s in scene.signals.state[0]]
    assert states == ["RED"] * 5 + ["GREEN"] * (STEPS - 5)
    np.testing.assert_array_equal(scene.signals.stop_point[0], [20, 0, 0.5])


@needs_py123d
def test_cameras_are_referenced_with_their_calibration(scene):
    (camera,) = scene.cameras
    assert (camera.name, camera.width_px, camera.height_px) == ("front", 640, 480)
    assert camera.paths[2].endswith("front/2.jpg")
    assert camera.times_ns[1] - camera.times_ns[0] == 100_000_000
    assert camera.model == "opencv"
    np.testing.assert_allclose(camera.distortion, [-0.1, 0.01, 0.001, 0.002, 0.0])
    np.testing.assert_allclose(camera.intrinsics, [[900, 0, 320], [0, 910, 240], [0, 0, 1]])
    np.testing.assert_allclose(camera.ego_from_camera[:3, 3], [1.6, 0.1, 1.2])


@needs_py123d
def test_source_says_where_it_was(scene):
    source = scene.source
    assert (source.dataset, source.log, source.split) == ("nuplan", "log-1", "nuplan_val")
    assert source.driving_side == DrivingSide.RIGHT


@needs_py123d
def test_singapore_drives_on_the_left_and_a_log_may_have_no_map(tmp_path):
    folder = write_log(tmp_path, location="sg-one-north", has_map=False)
    (scene,) = read_all(folder, READER)
    assert scene.source.driving_side == DrivingSide.LEFT
    assert scene.map is None
    assert scene.signals.lane.tolist() == [-1]


@needs_py123d
@pytest.mark.parametrize("name", ["sync", "box_detections_se3", "ego_state_se3"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, name):
    folder = write_log(tmp_path)
    path = folder / f"{name}.arrow"
    path.write_bytes(path.read_bytes()[:100])
    assert str(folder) in refused("truncated", folder, READER).where


@needs_py123d
def test_labels_from_outside_py123d_are_not_imported(tmp_path):
    import msgpack

    folder = write_log(tmp_path)
    path = folder / "box_detections_se3.arrow"
    table = pa.ipc.open_file(path.read_bytes()).read_all()
    foreign = msgpack.packb({"box_detection_label_class": "antigravity.Label"})
    table = table.replace_schema_metadata({b"metadata": foreign})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert str(path) in refused("unsafe", folder, READER).where
    assert "antigravity" not in sys.modules
