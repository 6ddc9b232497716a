import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from kerbstone.errors import InputError
from kerbstone.formats import find_logs, read_log
from kerbstone.formats.detections import (
    find_detections,
    join_tracks,
    read_detections,
    write_tracks,
)
from kerbstone.formats.table import Table, write_table
from kerbstone.scene import BoxIndex, Kind
from laws.format_laws import read_all
from scenes import random_scene
from small import nuscenes as small_nuscenes
from small.detections import assert_same_boxes, label_scene

BOX = ("x", "y", "z", "heading", "length", "width", "height")


def columns(steps=8, each=3, scenes=("a", "b"), seed=0):
    rng = np.random.default_rng(seed)
    count = steps * each * len(scenes)
    found = {name: rng.uniform(1, 3, count) for name in BOX}
    found["scene_id"] = np.repeat(scenes, steps * each).astype(object)
    found["time_ns"] = np.tile(np.repeat(np.arange(steps) * 100_000_000, each), len(scenes))
    found["kind"] = np.tile(np.array(["car", "pedestrian", "truck"], object), count // 3)
    found["score"] = rng.random(count)
    return found


def write(path, found=None, **changes):
    found = {**(columns() if found is None else found), **changes}
    table = pa.table({name: column for name, column in found.items() if column is not None})
    kinds = {"csv": csv.write_csv, "parquet": parquet.write_table, "feather": feather.write_feather}
    kinds[path.suffix[1:]](table, path)
    return path


def refused(code, path, **options):
    with pytest.raises(InputError) as caught:
        read_all_of(path, **options)
    assert caught.value.code == code
    return caught.value


def read_all_of(*paths, **options):
    return [read_detections(source) for source in find_detections(paths, **options)]


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather"])
def test_a_table_is_split_into_its_logs(tmp_path, ending):
    found = columns()
    logs = read_all_of(write(tmp_path / f"found.{ending}", found))
    assert [log.name for log in logs] == ["a", "b"]
    for number, log in enumerate(logs):
        rows = slice(24 * number, 24 * (number + 1))
        assert log.scene.agents.ids == ()
        assert log.scene.ego is None
        assert log.scene.clock.steps == 8
        expected = np.column_stack([found[name][rows] for name in BOX])
        order = np.lexsort(log.detections.box.T)
        np.testing.assert_allclose(log.detections.box[order], expected[np.lexsort(expected.T)])
        np.testing.assert_array_equal(np.bincount(log.detections.step), [3] * 8)


def test_kinds_are_told_by_name_or_number(tmp_path):
    numbers = np.tile(np.array([Kind.CAR, Kind.PEDESTRIAN, Kind.TRUCK], np.uint8), 16)
    (one, _) = read_all_of(write(tmp_path / "names.parquet"))
    (other, _) = read_all_of(write(tmp_path / "numbers.parquet", kind=numbers))
    np.testing.assert_array_equal(one.detections.kind, other.detections.kind)
    assert set(other.labels) == {"car", "pedestrian", "truck"}


def test_a_table_of_one_log_is_named_by_its_file(tmp_path):
    path = write(tmp_path / "drive.csv", columns(scenes=("a",)), scene_id=None)
    (log,) = read_all_of(path)
    assert log.name == log.scene.id == f"table/{tmp_path.name}/drive"


def test_seconds_are_times_too(tmp_path):
    found = columns()
    seconds = found["time_ns"] / 1e9
    (one, _) = read_all_of(write(tmp_path / "s.csv", found, time_ns=None, time_s=seconds))
    assert one.scene.clock.dt_ns == 100_000_000
    refused("column", write(tmp_path / "no.csv", found, time_ns=None), format="table")


def test_deviations_probabilities_and_labels_go_with_their_rows(tmp_path):
    found = columns(scenes=("a",))
    rank = np.arange(24.0)
    more = {
        "std_x": rank + 1,
        "prob_car": rank / 24,
        "label": np.array([f"n{r}" for r in range(24)]),
    }
    (log,) = read_all_of(write(tmp_path / "more.parquet", found, **more))
    got = log.detections
    row = got.std[:, BoxIndex.X].astype(int) - 1
    np.testing.assert_array_equal(found["score"][row], got.score)
    assert np.isnan(got.std[:, BoxIndex.Y :]).all()
    np.testing.assert_allclose(got.probability[:, Kind.CAR], row / 24)
    assert (got.probability[:, Kind.BUS] == 0).all()
    assert log.labels.tolist() == [f"n{r}" for r in row]


def test_a_column_of_a_kind_that_is_not_there_is_refused(tmp_path):
    path = write(tmp_path / "found.parquet", prob_lorry=np.ones(48))
    assert "prob_lorry" in refused("column", path).what


def test_what_is_no_box_or_repeats_is_counted_and_dropped_frames_stay_empty(tmp_path):
    found = columns(scenes=("a",))
    found["x"][4], found["score"][7], found["height"][8] = np.nan, np.nan, -1.0
    for name in (*BOX, "kind"):
        found[name][10] = found[name][9]
    kept = found["time_ns"] != 500_000_000
    (log,) = read_all_of(
        write(tmp_path / "found.csv", {name: column[kept] for name, column in found.items()})
    )
    assert dataclasses.astuple(log.rejects) == (3, 1, 0)
    assert np.bincount(log.detections.step, minlength=8).tolist() == [3, 2, 1, 2, 3, 0, 3, 3]


@pytest.mark.parametrize(
    ("code", "changes", "place"),
    [
        ("label", {"kind": np.array(["car"] * 30 + ["tank"] + ["car"] * 17)}, "row 30"),
        ("column", {"z": None}, "found.csv"),
        ("syntax", {"z": np.array(["high"] * 48)}, "found.csv"),
        (
            "clock",
            {"time_ns": np.tile(np.repeat(np.array([0, 100, 130, 1000]), 6), 2)},
            "found.csv",
        ),
    ],
)
def test_malformed_tables_are_refused_with_their_place(tmp_path, code, changes, place):
    path = write(tmp_path / "found.csv", **changes)
    assert place in refused(code, path, format="table").where


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = write(tmp_path / "found.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    refused("format-unknown", path)
    refused("truncated", path, format="table")
    empty = tmp_path / "found.csv"
    empty.write_text("")
    refused("empty", empty, format="table")


def test_with_logs_the_scene_is_theirs_without_its_road_users(tmp_path):
    folder = small_nuscenes.write_release(tmp_path / "release")
    truth = next(read_log(find_logs([folder])[1]))
    times = np.repeat(truth.clock.measured_ns[:8], 3)
    found = columns(scenes=(truth.id,))
    path = write(tmp_path / "found.parquet", found, time_ns=times)
    (log,) = read_all_of(path, logs=tmp_path / "release")
    assert log.scene.agents.label == ("vehicle.ego",)
    assert log.scene.map is not None
    assert log.scene.clock.steps == truth.clock.steps
    np.testing.assert_array_equal(np.bincount(log.detections.step), [3] * 8)


def test_a_log_is_known_by_the_last_part_of_its_name(tmp_path):
    small_nuscenes.write_release(tmp_path / "release")
    times = small_nuscenes.sample_times_us()[:8].repeat(3) * 1000
    path = write(tmp_path / "found.parquet", columns(scenes=("scene-0103",)), time_ns=times)
    (log,) = read_all_of(path, logs=tmp_path / "release")
    assert log.scene.source.log == "scene-0103"
    path = write(tmp_path / "more.parquet", columns(scenes=("scene-0104",)), time_ns=times)
    assert "scene-0103" in refused("reference", path, logs=tmp_path / "release").remedy


def test_times_outside_the_log_are_counted(tmp_path):
    small_nuscenes.write_release(tmp_path / "release")
    times = small_nuscenes.sample_times_us()[:8].repeat(3) * 1000
    times[:2], times[2], times[3] = 0, np.iinfo(np.int64).min, np.iinfo(np.int64).max
    path = write(tmp_path / "found.parquet", columns(scenes=("scene-0103",)), time_ns=times)
    (log,) = read_all_of(path, logs=tmp_path / "release")
    assert log.rejects.outside == 4
    assert len(log.detections) == 20


def test_files_of_one_log_are_joined(tmp_path):
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "one.csv", columns(seed=1))
    write(tmp_path / "in" / "two.parquet", columns(seed=2))
    logs = read_all_of(tmp_path / "in")
    assert [len(log.detections) for log in logs] == [48, 48]


def test_tracks_come_back_as_they_were_to_the_last_bit(tmp_path):
    scene = random_scene(5, id="made/up/5", odd=False)
    score = np.random.default_rng(0).random(scene.agents.valid.shape)
    (path,) = write_tracks(scene, score, tmp_path, format="table")
    assert path == tmp_path / "made" / "up" / "5.parquet"
    back = read_all(path, Table())[0]
    others = [row for row in range(len(scene.agents)) if row != scene.ego]
    expected = scene.agents.select(others)
    assert back.agents.ids == expected.ids
    assert back.agents.label == expected.label
    first = int(np.flatnonzero(expected.valid.any(axis=0))[0])
    for name in ("centre", "heading", "velocity"):
        np.testing.assert_array_equal(
            getattr(back.agents, name),
            getattr(expected, name)[:, first : first + back.clock.steps],
        )
    rows = parquet.read_table(path)
    agent = np.array([expected.ids.index(name) for name in rows["agent"].to_pylist()])
    step = np.searchsorted(scene.clock.times_ns, rows["time_ns"].to_numpy())
    np.testing.assert_array_equal(rows["score"].to_numpy(), score[others][agent, step])


def test_tracks_are_detections_again(tmp_path):
    logs = read_all_of(write(tmp_path / "found.parquet"))
    files = []
    for log in logs:
        files += write_tracks(*label_scene(log), tmp_path / "out", format="table")
    join_tracks(files, tmp_path / "tracks.parquet", format="table")
    for log, back in zip(logs, read_all_of(tmp_path / "tracks.parquet"), strict=True):
        assert_same_boxes(back.detections, log.detections, atol=0.0)


def test_an_id_cannot_lead_out_of_the_folder(tmp_path):
    scene = dataclasses.replace(random_scene(5, id="x"), id="../../etc/../x y/ü/")
    score = np.zeros(scene.agents.valid.shape)
    (path,) = write_tracks(scene, score, tmp_path / "out", format="table")
    assert (tmp_path / "out") in path.resolve().parents
    assert path.is_file()


def test_a_table_of_road_users_is_no_table_of_detections(tmp_path):
    write_table(random_scene(1), tmp_path / "road.parquet")
    refused("format-unknown", tmp_path / "road.parquet")
