from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from crossing import crossing_scene
from kerbstone.errors import InputError
from kerbstone.formats.appearance import USUAL_SIZE, agent_colours, piece_colour, split_colours
from kerbstone.formats.stage import (
    ego_track,
    find_frames,
    find_video,
    map_layers,
    read_points,
    set_stage,
    steps_at,
    writing_whole,
)
from kerbstone.scene import Agents, Camera, Kind, Marking, PieceKind


def camera(paths, times_ns, name="front"):
    return Camera(
        name=name,
        paths=tuple(paths),
        times_ns=np.asarray(times_ns, np.int64),
        width_px=8,
        height_px=6,
        intrinsics=np.array([[7.0, 0.0, 4.0], [0.0, 7.0, 3.0], [0.0, 0.0, 1.0]]),
        distortion=np.zeros(0),
        model="pinhole",
        ego_from_camera=np.eye(4),
    )


def test_the_stage_is_near_zero_and_leads_back_to_the_world():
    scene = crossing_scene(shift=(412_345.6, 5_498_765.4))
    stage = set_stage(scene)
    there = scene.agents.valid
    assert np.abs(stage.centre[there]).max() < 100
    np.testing.assert_allclose(
        (stage.centre + stage.origin)[there][:, :2], scene.agents.centre[there][:, :2], atol=1e-9
    )
    assert np.isnan(stage.centre[~there]).all()
    assert (stage.origin == np.rint(stage.origin)).all()


def test_what_a_format_does_not_give_is_filled_in_for_display_only():
    scene = crossing_scene()
    centre = scene.agents.centre.copy()
    centre[..., 2] = np.nan
    flat = replace(scene, agents=replace(scene.agents, centre=centre))
    stage = set_stage(flat)
    ghost, gap = scene.agents.index("ghost"), scene.agents.index("gap")
    assert tuple(stage.size[ghost]) == USUAL_SIZE[Kind.UNKNOWN]
    assert tuple(stage.size[gap]) == (4.5, 1.8, USUAL_SIZE[Kind.CAR][2])
    there = scene.agents.valid
    standing = np.broadcast_to(stage.size[:, None, 2] / 2, there.shape)
    np.testing.assert_allclose(stage.centre[there][:, 2], standing[there])
    assert np.isfinite(stage.rotation).all()
    assert np.isnan(flat.agents.centre[..., 2]).all()


def test_lines_without_a_height_lie_on_the_ground_that_the_others_have():
    scene = crossing_scene()
    points = scene.map.points.copy()
    points[::2, 2] = 30.0
    raised = replace(scene, map=replace(scene.map, points=points))
    stage = set_stage(raised)
    assert stage.ground == 30.0
    for layer in map_layers(raised, stage):
        for line in layer.lines:
            np.testing.assert_array_equal(line[:, 2], 30.0)


def test_the_layers_of_a_map_hold_every_piece():
    scene = crossing_scene()
    layers = list(map_layers(scene, set_stage(scene)))
    assert sum(len(layer.lines) for layer in layers) == len(scene.map)
    assert all(len(layer.lines) == len(layer.colour) for layer in layers)
    assert [layer.name for layer in layers][:2] == ["lane_centre", "lane_boundary"]
    bare = replace(scene, map=None, signals=None)
    assert list(map_layers(bare, set_stage(bare))) == []


def test_paint_has_its_own_colour_and_what_is_not_painted_that_of_its_kind():
    boundary = PieceKind.LANE_BOUNDARY
    assert piece_colour(boundary, Marking.SOLID_YELLOW) != piece_colour(boundary, Marking.SOLID)
    bare = piece_colour(boundary, Marking.NONE)
    assert bare == piece_colour(boundary, Marking.VIRTUAL)
    assert bare != piece_colour(boundary, Marking.SOLID)


def test_the_ego_has_a_colour_of_its_own():
    scene = crossing_scene()
    colours = agent_colours(scene)
    assert tuple(colours[0]) not in {tuple(rgb) for rgb in colours[1:]}
    np.testing.assert_array_equal(
        agent_colours(replace(scene, ego=None))[0], agent_colours(scene)[1]
    )
    assert split_colours([0x123456]).tolist() == [[0x12, 0x34, 0x56]]


def test_the_ego_frame_is_the_recorded_one_where_there_is_one():
    scene = crossing_scene().window(1.0, 2.0)
    times_ns, poses = ego_track(scene, set_stage(scene))
    np.testing.assert_array_equal(times_ns, scene.clock.times_ns)
    behind = scene.agents.centre[0, :, :2] - (poses.translation + set_stage(scene).origin)[:, :2]
    np.testing.assert_allclose(behind, np.tile([0.0, 1.4], (20, 1)), atol=1e-9)
    without = replace(scene, ego_poses=None)
    _, poses = ego_track(without, set_stage(without))
    np.testing.assert_allclose(poses.translation, set_stage(without).centre[0])
    nobody = replace(without, ego=None)
    assert ego_track(nobody, set_stage(nobody)) is None


def test_a_time_belongs_to_the_step_that_is_under_way():
    scene = crossing_scene()
    start, dt = scene.clock.start_ns, scene.clock.dt_ns
    times = np.array([start - 1, start, start + dt - 1, start + dt, start + 99 * dt])
    assert steps_at(scene, times).tolist() == [0, 0, 0, 1, 59]


def test_frames_are_those_of_the_scene_whose_files_are_there(tmp_path):
    scene = crossing_scene()
    times = scene.clock.times_ns[0] + np.array([-1, 0, 10, 70]) * scene.clock.dt_ns
    paths = [f"{i}.jpg" for i in range(4)]
    for name in ("0.jpg", "2.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(b"x")
    scene = replace(scene, source=replace(scene.source, path=str(tmp_path)))
    assert find_frames(scene, camera(paths, times)) == [(int(times[2]), tmp_path / "2.jpg")]
    log_file = tmp_path / "log.bag"
    log_file.touch()
    scene = replace(scene, source=replace(scene.source, path=str(log_file)))
    assert len(find_frames(scene, camera(paths, times))) == 1
    assert find_video(scene, camera(paths, times)) is None


def test_a_video_is_found_as_a_whole(tmp_path):
    scene = crossing_scene()
    scene = replace(scene, source=replace(scene.source, path=str(tmp_path)))
    film = camera(["front.mp4"], scene.clock.times_ns)
    assert find_video(scene, film) is None
    (tmp_path / "front.mp4").touch()
    assert find_video(scene, film) == tmp_path / "front.mp4"
    assert find_frames(scene, film) == []


def test_sweeps_of_three_formats_come_out_as_points(tmp_path):
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    table = {name: points[:, i].astype(np.float16) for i, name in enumerate("xyz")}
    feather.write_feather(pa.table({**table, "intensity": np.zeros(4)}), tmp_path / "1.feather")
    np.column_stack([points, np.ones(4)]).astype("<f4").tofile(tmp_path / "1.bin")
    np.column_stack([points, np.ones((4, 2))]).astype("<f4").tofile(tmp_path / "1.pcd.bin")
    for name in ("1.feather", "1.bin", "1.pcd.bin"):
        np.testing.assert_array_equal(read_points(tmp_path / name), points)
    assert read_points(tmp_path / "1.las") is None


def test_a_broken_sweep_names_its_file(tmp_path):
    (tmp_path / "1.feather").write_bytes(b"no table")
    (tmp_path / "1.bin").write_bytes(bytes(17))
    for name, code in (("1.feather", "syntax"), ("1.bin", "truncated")):
        with pytest.raises(InputError) as caught:
            read_points(tmp_path / name)
        assert caught.value.code == code
        assert name in caught.value.where


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    with writing_whole(path) as part:
        part.write_text("first")

    def write_half():
        with writing_whole(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="no such folder"), writing_whole(tmp_path / "b" / "c"):
        pass


def test_a_scene_in_which_nobody_is_has_a_stage():
    scene = replace(crossing_scene(ego=False), agents=Agents.empty(60))
    assert set_stage(scene).centre.shape == (0, 60, 3)
    assert set_stage(replace(scene, map=None, signals=None)).ground == 0.0
