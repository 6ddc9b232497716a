import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from crossing import DT_NS, START_NS, crossing_scene
from kerbstone.errors import InputError, MissingError
from kerbstone.formats import find_logs, read_log
from kerbstone.formats.rerun import write_rerun
from kerbstone.scene import Agents, Camera, Lidar, SignalState

chunk_reader = pytest.importorskip("rerun.chunk", reason="reading back needs rerun-sdk 0.41")


def read_back(path):
    """Return the columns of a recording by entity: (those without time, those over time)."""
    parts = {}
    for chunk in chunk_reader.RrdReader(path).stream().to_chunks():
        columns = parts.setdefault(chunk.entity_path, ({}, {}))[not chunk.is_static]
        batch = chunk.to_record_batch()
        for i, name in enumerate(batch.schema.names):
            columns.setdefault(name, []).append(batch.column(i))
    return {
        entity: tuple({name: pa.concat_arrays(c) for name, c in kind.items()} for kind in kinds)
        for entity, kinds in parts.items()
    }


def count_of(column):
    """Return how many values each row of a column has."""
    return pc.list_value_length(column).to_pylist()


def times_of(columns):
    return columns["time"].cast("int64").to_numpy()


def write_and_read(scene, tmp_path, **options):
    write_rerun(scene, tmp_path / "scene.rrd", **options)
    return read_back(tmp_path / "scene.rrd")


def test_agents_are_boxes_at_their_places_in_space_and_time(tmp_path):
    scene = crossing_scene(shift=(412_000.0, 5_498_000.0))
    entities = write_and_read(scene, tmp_path)
    origin = np.array(entities["/__properties/scene"][0]["origin"][0].as_py())
    names = [name for name in entities if name.startswith("/world/agents/")]
    assert len(names) == len(scene.agents)
    static, moving = entities["/world/agents/truck/truck"]
    row = scene.agents.index("truck")
    np.testing.assert_array_equal(times_of(moving), scene.clock.times_ns)
    np.testing.assert_array_equal(moving["step"].to_numpy(), np.arange(60))
    centre = np.array(moving["Boxes3D:centers"].to_pylist())[:, 0] + origin
    np.testing.assert_allclose(centre, scene.agents.centre[row], atol=1e-4)
    half = np.array(moving["Boxes3D:half_sizes"].to_pylist())[:, 0]
    np.testing.assert_allclose(half, np.tile([4.5, 1.25, 1.75], (60, 1)))
    assert static["Boxes3D:class_ids"][0].as_py() == [2]
    assert static["Boxes3D:labels"][0].as_py() == ["truck"]
    assert static["label"][0].as_py() == ["BOX_TRUCK"]


def test_headings_are_quaternions_with_w_last(tmp_path):
    entities = write_and_read(crossing_scene(), tmp_path)
    _, moving = entities["/world/agents/car/ego"]
    turn = moving["Boxes3D:quaternions"][0].as_py()[0]
    np.testing.assert_allclose(turn, [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)


def test_an_agent_that_is_away_has_no_box(tmp_path):
    entities = write_and_read(crossing_scene(), tmp_path)
    boxes = entities["/world/agents/car/gap"][1]["Boxes3D:half_sizes"]
    assert count_of(boxes) == [1] * 20 + [0] * 20 + [1] * 20
    # A last row without one takes the box away when its agent leaves for good.
    entities = write_and_read(crossing_scene().window(0.0, 4.0), tmp_path)
    boxes = entities["/world/agents/car/gap"][1]["Boxes3D:half_sizes"]
    assert count_of(boxes) == [1] * 20 + [0]
    (late,) = entities["/world/agents/pedestrian/late"][1]["step"].to_numpy()[:1]
    assert late == 30


def test_lights_show_their_state_at_each_step(tmp_path):
    scene = crossing_scene()
    static, moving = write_and_read(scene, tmp_path)["/world/signals"]
    assert len(static["Points3D:positions"][0].as_py()) == 2
    shown = moving["Points3D:labels"].to_pylist()
    assert shown == [
        [SignalState(state).name.lower() for state in states] for states in scene.signals.state.T
    ]


def test_the_map_has_one_strip_per_piece(tmp_path):
    scene = crossing_scene()
    entities = write_and_read(scene, tmp_path)
    strips = [
        len(static["LineStrips3D:strips"][0].as_py())
        for name, (static, _) in entities.items()
        if name.startswith("/world/map/")
    ]
    assert sum(strips) == len(scene.map)


def test_the_ego_frame_moves_as_it_was_recorded(tmp_path):
    scene = crossing_scene()
    entities = write_and_read(scene, tmp_path)
    _, moving = entities["/world/ego"]
    np.testing.assert_array_equal(times_of(moving), scene.ego_poses.times_ns)
    speed = np.array(entities["/speed/ego"][1]["Scalars:scalars"].to_pylist())[:, 0]
    np.testing.assert_allclose(speed, 28.8)


def test_a_clock_that_starts_at_zero_counts_time_instead_of_giving_a_date(tmp_path):
    scene = crossing_scene()
    for start, kind in ((0, "duration[ns]"), (START_NS, "timestamp[ns]")):
        moved = replace(scene, clock=replace(scene.clock, start_ns=start), ego_poses=None)
        _, moving = write_and_read(moved, tmp_path)["/world/agents/car/car"]
        assert str(moving["time"].type) == kind
        assert times_of(moving)[-1] == start + 59 * DT_NS


def sensors_of(scene, folder):
    """Return the scene with a camera and a lidar that recorded at steps 0 and 1, and at 20."""
    times = scene.clock.times_ns[[0, 1, 20]]
    for i in range(3):
        Image.new("RGB", (8, 6), (200, 0, 0)).save(folder / f"{i}.png")
        np.full((i + 1, 4), float(i), "<f4").tofile(folder / f"{i}.bin")
    camera = Camera(
        name="front left",
        paths=("0.png", "1.png", "missing.png"),
        times_ns=times,
        width_px=8,
        height_px=6,
        intrinsics=np.array([[7.0, 0.0, 4.0], [0.0, 7.0, 3.0], [0.0, 0.0, 1.0]]),
        distortion=np.zeros(0),
        model="pinhole",
        ego_from_camera=np.eye(4),
    )
    lidar = Lidar("top", ("0.bin", "1.bin", "2.bin"), times, np.eye(4))
    source = replace(scene.source, path=str(folder))
    return replace(scene, source=source, cameras=(camera,), lidars=(lidar,))


def test_images_and_sweeps_are_put_in_as_far_as_they_are_there(tmp_path):
    scene = sensors_of(crossing_scene(), tmp_path)
    entities = write_and_read(scene, tmp_path)
    static, moving = entities["/world/ego/front\\ left"]
    np.testing.assert_array_equal(times_of(moving), scene.clock.times_ns[:2])
    blob = bytes(moving["EncodedImage:blob"][0].as_py()[0])
    assert blob == (tmp_path / "0.png").read_bytes()
    assert "Pinhole:image_from_camera" in static
    _, moving = entities["/world/ego/top"]
    order = np.argsort(times_of(moving))
    counts = np.array(count_of(moving["Points3D:positions"]))[order].tolist()
    # A sweep that none follows is taken away again.
    assert counts == [1, 2, 0, 3, 0]


def test_sensors_can_be_left_out(tmp_path):
    scene = sensors_of(crossing_scene(), tmp_path)
    assert "/world/ego/top" not in write_and_read(scene, tmp_path, sensors=False)


def test_a_recording_comes_with_a_blueprint_that_looks_down(tmp_path):
    write_rerun(crossing_scene(), tmp_path / "a.rrd")
    reader = chunk_reader.RrdReader(tmp_path / "a.rrd")
    (blueprint,) = reader.blueprints()
    names = [chunk.entity_path for chunk in reader.stream(store=blueprint).to_chunks()]
    assert any("EyeControls3D" in name for name in names)
    (recording,) = reader.recordings()
    assert recording.recording_id == "made/crossing"


def test_what_a_scene_lacks_is_left_out(tmp_path):
    scene = replace(crossing_scene(ego=False, road=False), agents=Agents.empty(60), ego_poses=None)
    entities = write_and_read(scene, tmp_path)
    assert not [name for name in entities if name.startswith(("/world/", "/speed"))]


def test_a_missing_folder_and_a_missing_extra_are_told(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such folder"):
        write_rerun(crossing_scene(), tmp_path / "no" / "a.rrd")
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingError, match="'rerun'"):
        write_rerun(crossing_scene(), tmp_path / "a.rrd")


@pytest.mark.data
def test_a_real_log_with_a_sweep_is_written(data_root, tmp_path):
    logs = find_logs([data_root / "av2"], format="av2-sensor")
    scene = next(scene for log in logs for scene in read_log(log) if scene.lidars)
    entities = write_and_read(scene, tmp_path)
    assert len([n for n in entities if n.startswith("/world/agents/")]) == len(scene.agents)
    _, moving = entities["/world/ego/lidar"]
    assert max(count_of(moving["Points3D:positions"])) > 10_000


@pytest.mark.data
def test_a_real_video_shows_the_image_of_each_time(data_root, tmp_path):
    (log,) = find_logs([data_root / "kitti_odometry_03"], format="kitti-odometry")
    scene = next(read_log(log)).window(10.0, 3.0)
    static, moving = write_and_read(scene, tmp_path)["/world/ego/image_0"]
    assert "AssetVideo:blob" in static
    taken = times_of(moving)
    assert np.ptp(taken) <= 3 * 10**9
    shown = np.array([row[0] for row in moving["VideoFrameReference:timestamp"].to_pylist()])
    frame = np.searchsorted(scene.cameras[0].times_ns, taken)
    per_frame = np.diff(shown) / np.diff(frame)
    np.testing.assert_allclose(per_frame, per_frame[0], rtol=0.02)
    assert shown[0] == pytest.approx(frame[0] * per_frame[0], rel=0.01)
