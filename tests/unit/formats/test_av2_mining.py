import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from kerbstone.errors import InputError
from kerbstone.formats.av2_mining import CATEGORIES, Referral, Role, find_ego, write_referrals
from kerbstone.formats.av2_sensor import EGO_CENTRE, Av2Sensor
from kerbstone.formats.pickles import read_pickle
from laws.format_laws import read_all
from queries import moving_scene
from scenes import random_scene
from small.av2 import STEPS, ego_track, write_sensor_log

LOG = "3b3570b4-7b0b-3268-a571-b0889dbf40b6"
ARRAYS = {
    "translation_m": ("float64", 3),
    "size": ("float32", 3),
    "yaw": ("float32", 0),
    "velocity_m_per_s": ("float64", 3),
    "label": ("int32", 0),
    "name": ("<U15", 0),
    "track_id": ("int32", 0),
    "score": ("float32", 0),
}


def nobody(scene, prompt="stopped car"):
    shape = scene.agents.valid.shape
    return Referral(scene, prompt, np.full(shape, Role.OTHER, np.uint8), np.zeros(shape))


def somebody(scene, prompt="stopped car", *, agent=1, steps=slice(None), score=0.5):
    found = nobody(scene, prompt)
    found.role[agent, steps] = Role.REFERRED
    found.score[agent, steps] = score
    return found


def written(tmp_path, *referrals, **options):
    path = tmp_path / "referred.pkl"
    write_referrals(path, referrals, **options)
    return read_pickle(path)


def frames_of(tmp_path, referral, **options):
    (frames,) = written(tmp_path, referral, **options).values()
    return frames


@pytest.fixture
def small(tmp_path):
    (scene,) = read_all(write_sensor_log(tmp_path / "log-1", has_ego=True), Av2Sensor())
    return scene


@pytest.fixture(scope="module")
def real(data_root):
    (scene,) = read_all(data_root / "av2" / LOG, Av2Sensor())
    return scene


def test_the_categories_are_those_of_the_evaluator():
    assert CATEGORIES == ("REFERRED_OBJECT", "RELATED_OBJECT", "OTHER_OBJECT")


def test_the_sequence_is_named_by_log_and_prompt(tmp_path, small):
    sequences = written(tmp_path, nobody(small, "a"), somebody(small, "it's b"))
    assert list(sequences) == [("log-1", "a"), ("log-1", "it's b")]
    frame = sequences["log-1", "it's b"][0]
    assert (frame["seq_id"], frame["description"]) == (("log-1", "it's b"), "it's b")


def test_every_array_has_a_row_for_each_object(tmp_path, small):
    # The evaluator applies one mask to every array of a frame, so there may be no other.
    for frame in frames_of(tmp_path, somebody(small)):
        count = len(frame["track_id"])
        shapes = {
            key: (value.dtype.str.lstrip("<") if key != "name" else value.dtype.str, value.shape)
            for key, value in frame.items()
            if isinstance(value, np.ndarray)
        }
        assert shapes == {
            key: (
                dtype if key == "name" else np.dtype(dtype).str.lstrip("<"),
                (count, columns) if columns else (count,),
            )
            for key, (dtype, columns) in ARRAYS.items()
        }
        assert [type(frame[key]) for key in ("timestamp_ns", "ego_translation_m")] == [int, list]
        assert len(frame["ego_translation_m"]) == 3
        assert "is_positive" not in frame


def test_roles_and_scores_are_those_of_the_referral(tmp_path, small):
    referral = somebody(small, agent=2, steps=slice(3, 7), score=0.25)
    referral.role[1, 5], referral.score[1, 5] = Role.RELATED, 0.75
    frames = frames_of(tmp_path, referral)
    labels = np.array([frame["label"] for frame in frames])
    assert np.array_equal(np.flatnonzero(labels[:, 2] == 0), [3, 4, 5, 6])
    assert np.argwhere(labels == 1).tolist() == [[5, 1]]
    for frame in frames:
        assert frame["name"].tolist() == [CATEGORIES[label] for label in frame["label"]]
    assert frames[5]["score"].tolist()[:3] == [0.0, 0.75, 0.25]


def test_boxes_stand_where_the_scene_has_them(tmp_path, small):
    agents = small.agents
    for step, frame in enumerate(frames_of(tmp_path, nobody(small))):
        others = frame["track_id"] != small.ego
        rows = frame["track_id"][others]
        np.testing.assert_array_equal(frame["translation_m"][others], agents.centre[rows, step])
        np.testing.assert_allclose(frame["yaw"][others], agents.heading[rows, step], atol=1e-6)
        np.testing.assert_allclose(frame["size"], agents.size[frame["track_id"]], rtol=1e-6)
        moves = frame["velocity_m_per_s"]
        np.testing.assert_array_equal(moves[:, :2], agents.velocity[frame["track_id"], step])
        assert not moves[:, 2].any()


def test_the_recording_car_stands_at_its_rear_axle_as_in_the_truth(tmp_path, small):
    frames = frames_of(tmp_path, nobody(small))
    assert len(frames) == STEPS
    position, yaw = ego_track(np.array([frame["timestamp_ns"] for frame in frames]))
    for frame, where, turn in zip(frames, position, yaw, strict=True):
        (row,) = np.flatnonzero(frame["track_id"] == small.ego)
        np.testing.assert_allclose(frame["ego_translation_m"], where, atol=1e-9)
        np.testing.assert_allclose(frame["translation_m"][row], where, atol=1e-9)
        np.testing.assert_allclose(frame["yaw"][row], turn, atol=1e-6)


def test_without_poses_the_recording_car_stands_in_its_box(tmp_path):
    scene = moving_scene(np.ones((2, 3, 2)) * [[[5.0, 2.0]], [[7.0, 1.0]]], ego=1)
    for frame in frames_of(tmp_path, nobody(scene)):
        assert frame["ego_translation_m"] == [7.0, 1.0, 0.0]


def test_frames_have_the_times_of_measurement(tmp_path):
    scene = random_scene(4, gaps=0.0)
    frames = frames_of(tmp_path, nobody(scene))
    assert [frame["timestamp_ns"] for frame in frames] == scene.clock.measured_ns.tolist()
    assert (scene.clock.measured_ns != scene.clock.times_ns).any()


def test_every_fifth_frame_begins_with_the_first(tmp_path, small):
    times = [frame["timestamp_ns"] for frame in frames_of(tmp_path, somebody(small))]
    fewer = frames_of(tmp_path, somebody(small, steps=slice(5, 8)), every=5)
    assert [frame["timestamp_ns"] for frame in fewer] == times[::5]
    assert [int(frame["label"][1]) for frame in fewer] == [2, 0, 2, 2, 2]


def test_only_who_is_there_is_in_a_frame(tmp_path):
    points = np.zeros((3, 4, 2))
    points[1, 2] = np.nan
    points[0, 3] = np.nan
    scene = moving_scene(points, ego=0)
    frames = frames_of(tmp_path, somebody(scene))
    # At the last step the recording car is not there, and no distance could be measured.
    assert [frame["track_id"].tolist() for frame in frames] == [[0, 1, 2], [0, 1, 2], [0, 2]]


def test_what_a_format_does_not_give_is_no_nan(tmp_path):
    scene = random_scene(3, odd=True, has_poses=False)
    scene.agents.centre[..., 2] = np.nan
    scene.agents.heading[...] = np.nan
    scene.agents.size[...] = np.nan
    for frame in frames_of(tmp_path, nobody(scene)):
        assert all(
            np.isfinite(frame[key]).all()
            for key in ("translation_m", "size", "yaw", "velocity_m_per_s")
        )
        assert (frame["size"] > 0).all()


def test_the_same_referrals_give_the_same_file(tmp_path, small):
    for name in ("a", "b"):
        write_referrals(tmp_path / name, [somebody(small, "x"), nobody(small, "y")])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_prompts_of_one_scene_share_its_boxes_in_the_file(tmp_path, small):
    write_referrals(tmp_path / "one", [nobody(small, "0")])
    write_referrals(tmp_path / "ten", [nobody(small, str(number)) for number in range(10)])
    assert (tmp_path / "ten").stat().st_size < 3 * (tmp_path / "one").stat().st_size


def test_no_referrals_give_an_empty_file(tmp_path):
    assert written(tmp_path) == {}


def test_a_log_and_prompt_may_come_but_once(tmp_path, small):
    with pytest.raises(InputError, match="come twice") as caught:
        write_referrals(tmp_path / "x", [nobody(small), somebody(small)])
    assert caught.value.code == "duplicate"
    assert not (tmp_path / "x").exists()


def test_a_scene_needs_a_recording_car(tmp_path):
    scene = moving_scene(np.zeros((1, 3, 2)))
    with pytest.raises(InputError, match="no recording car"):
        find_ego(scene)
    with pytest.raises(InputError) as caught:
        write_referrals(tmp_path / "x", [nobody(scene)])
    assert (caught.value.code, caught.value.where) == ("value", "scene test/made")


def test_roles_must_fit_the_scene(unchecked, small):
    with pytest.raises(InputError, match="role does not fit"):
        Referral(small, "x", np.zeros((1, 2), np.uint8), np.zeros((1, 2)))
    with pytest.raises(InputError, match="score does not fit"):
        Referral(small, "x", nobody(small).role, np.zeros((1, 2)))


def test_the_folder_must_be_there(tmp_path, small):
    with pytest.raises(InputError) as caught:
        write_referrals(tmp_path / "nowhere" / "x.pkl", [nobody(small)])
    assert caught.value.code == "missing-file"


@pytest.mark.data
def test_real_boxes_are_those_of_the_annotations_to_a_millimetre(tmp_path, data_root, real):
    frames = frames_of(tmp_path, nobody(real))
    table = feather.read_table(data_root / "av2" / LOG / "annotations_with_ego.feather")
    poses = feather.read_table(data_root / "av2" / LOG / "city_SE3_egovehicle.feather")
    pose_row = {time: row for row, time in enumerate(poses["timestamp_ns"].to_pylist())}
    times = np.unique(table["timestamp_ns"].to_numpy())
    assert [frame["timestamp_ns"] for frame in frames] == times.tolist()
    for frame in frames[::13]:
        boxes = table.filter(pa.compute.equal(table["timestamp_ns"], frame["timestamp_ns"]))
        city = rigid(poses.slice(pose_row[frame["timestamp_ns"]], 1))[0] @ rigid(boxes)
        ids = [real.agents.ids[row] for row in frame["track_id"]]
        place = [ids.index(track) for track in boxes["track_uuid"].to_pylist()]
        assert sorted(place) == list(range(len(ids)))
        np.testing.assert_allclose(frame["translation_m"][place], city[:, :3, 3], atol=1e-3)
        turn = frame["yaw"][place] - np.arctan2(city[:, 1, 0], city[:, 0, 0])
        np.testing.assert_allclose(np.sin(turn), 0.0, atol=1e-3)
        size = np.column_stack([boxes[f"{name}_m"] for name in ("length", "width", "height")])
        np.testing.assert_allclose(frame["size"][place], size, atol=1e-3)


@pytest.mark.data
def test_the_real_log_is_found_in_the_text_that_the_evaluator_cuts(tmp_path, real):
    (name,) = written(tmp_path, nobody(real, "it's a 'stopped' car"))
    assert str(name)[2:38] == LOG
    (plain,) = written(tmp_path, nobody(real, "stopped car"))
    assert str(plain)[42:-2] == "stopped car"


@pytest.mark.data
def test_the_real_ego_box_is_moved_back_to_the_axle(tmp_path, real):
    frame = frames_of(tmp_path, nobody(real))[0]
    row = int(np.flatnonzero(frame["track_id"] == real.ego)[0])
    moved = real.agents.centre[real.ego, 0] - frame["translation_m"][row]
    np.testing.assert_allclose(np.linalg.norm(moved), np.linalg.norm(EGO_CENTRE), atol=1e-6)


def rigid(table):
    """Return the poses of a table as matrices, from the quaternions alone."""
    w, x, y, z = (table[name].to_numpy() for name in ("qw", "qx", "qy", "qz"))
    matrix = np.tile(np.eye(4), (len(w), 1, 1))
    matrix[:, 0, :3] = np.stack(
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], 1
    )
    matrix[:, 1, :3] = np.stack(
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], 1
    )
    matrix[:, 2, :3] = np.stack(
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], 1
    )
    for axis, name in enumerate(("tx_m", "ty_m", "tz_m")):
        matrix[:, axis, 3] = table[name].to_numpy()
    return matrix
