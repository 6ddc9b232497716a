import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from kerbstone.errors import InputError
from kerbstone.formats.av2_sensor import Av2Sensor
from kerbstone.formats.detections import (
    find_detections,
    join_tracks,
    read_detections,
    write_tracks,
)
from kerbstone.scene import Kind
from laws.format_laws import read_all
from small import av2 as small
from small.detections import assert_same_boxes, label_scene

LOGS = ("log-a", "log-b")


def annotations(folder):
    table = feather.read_table(folder / "annotations.feather")
    count = table.num_rows
    names = [f"{axis}_m" for axis in ("tx", "ty", "tz", "length", "width", "height")]
    names += ["qw", "qx", "qy", "qz", "category", "timestamp_ns"]
    found = table.select(names)
    found = found.append_column("score", pa.array(np.linspace(0.1, 0.9, count)))
    return found.append_column("log_id", pa.array([folder.name] * count))


@pytest.fixture
def root(tmp_path):
    parts = []
    for name in LOGS:
        small.write_sensor_log(tmp_path / "logs" / "val" / name)
        parts.append(annotations(tmp_path / "logs" / "val" / name))
    feather.write_feather(pa.concat_tables(parts), tmp_path / "found.feather")
    return tmp_path


def find(root, name="found.feather", **options):
    return find_detections([root / name], logs=root / "logs", **options)


def rewrite(root, **columns):
    table = feather.read_table(root / "found.feather")
    for name, change in columns.items():
        values = change(table.column(name).to_pylist())
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    feather.write_feather(table, root / "found.feather")


def read_all_of(root, **options):
    return [read_detections(source) for source in find(root, **options)]


def refused(code, root, **options):
    with pytest.raises(InputError) as caught:
        read_all_of(root, **options)
    assert caught.value.code == code
    return caught.value


def put(row, value):
    return lambda values: [*values[:row], value, *values[row + 1 :]]


def test_detections_stand_where_annotations_of_the_same_boxes_stand(root):
    sources = find(root)
    assert [s.name for s in sources] == ["av2-sensor/log-a", "av2-sensor/log-b"]
    log = read_detections(sources[1])
    truth = read_all(root / "logs" / "val" / "log-b", Av2Sensor())[0]
    agent, step = np.nonzero(truth.agents.valid)
    others = agent != truth.ego
    found = np.sort(log.detections.box[:, :3], axis=0)
    expected = np.sort(truth.agents.centre[agent[others], step[others]], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert log.scene.clock.steps == truth.clock.steps
    np.testing.assert_array_equal(log.scene.clock.measured_ns, truth.clock.measured_ns)


def test_annotated_road_users_are_left_out_of_the_scene(root):
    for annotated in (root / "logs").rglob("annotations.feather"):
        annotated.unlink()
    scene = read_detections(find(root)[0]).scene.check()
    assert (scene.ego, scene.agents.ids) == (0, ("ego",))
    assert scene.map is not None
    assert scene.ego_poses is not None
    assert scene.id == "av2-sensor/log-a"


def test_parquet_packed_files_and_files_per_log_are_read_alike(root):
    expected = read_detections(find(root)[0])
    table = feather.read_table(root / "found.feather")
    parquet.write_table(table, root / "found.parquet")
    small._pack(root / "found.parquet", ".xz")
    (root / "each").mkdir()
    for name in LOGS:
        part = table.filter(pa.compute.equal(table["log_id"], name)).drop_columns(["log_id"])
        feather.write_feather(part, root / "each" / f"{name}.feather")
    for name in ("found.parquet.xz", "each"):
        found = read_detections(find(root, name)[0])
        assert found.name == expected.name
        np.testing.assert_array_equal(found.detections.box, expected.detections.box)


def test_shuffled_rows_give_the_same_detections(root):
    expected = read_detections(find(root)[0])
    table = feather.read_table(root / "found.feather")
    order = np.random.default_rng(0).permutation(table.num_rows)
    feather.write_feather(table.take(order), root / "found.feather")
    found = read_detections(find(root)[0])
    np.testing.assert_array_equal(found.detections.box, expected.detections.box)
    assert found.labels.tolist() == expected.labels.tolist()


def test_what_is_no_box_or_outside_the_poses_is_counted(root):
    rewrite(
        root,
        tx_m=put(0, float("nan")),
        width_m=put(1, 0.0),
        timestamp_ns=put(2, small.START_NS - 10**12),
    )
    table = feather.read_table(root / "found.feather")
    zero = table.slice(3, 1)
    for name in ("qw", "qx", "qy", "qz"):
        zero = zero.set_column(zero.column_names.index(name), name, pa.array([0.0]))
    feather.write_feather(
        pa.concat_tables([table, table.slice(5, 1), zero]), root / "found.feather"
    )
    log = read_detections(find(root)[0])
    assert dataclasses.astuple(log.rejects) == (3, 1, 1)


def test_times_of_another_log_are_refused(root):
    rewrite(root, timestamp_ns=lambda times: [time + 10**12 for time in times])
    assert "ego poses" in refused("reference", root).why


def test_unknown_logs_and_categories_are_refused(root):
    rewrite(root, category=put(7, "TANK"))
    assert refused("label", root).where.endswith("found.feather, row 7")
    rewrite(root, log_id=put(7, "../logs/val/log-a"))
    assert refused("reference", root).where == str(root / "found.feather")


def test_files_that_are_no_tables_of_detections_are_refused(root):
    path = root / "found.feather"
    content = path.read_bytes()
    table = feather.read_table(path).drop_columns(["qz"])
    path.write_bytes(content[: len(content) // 2])
    refused("format-unknown", root)
    refused("truncated", root, format="av2")
    feather.write_feather(table, path)
    refused("column", root, format="av2")


def test_tracks_come_back_as_they_were(root, tmp_path):
    logs = [read_detections(source) for source in find(root)]
    files = [
        path
        for log in logs
        for path in write_tracks(*label_scene(log), tmp_path / "out", format="av2")
    ]
    assert [path.name for path in files] == ["log-a.feather", "log-b.feather"]
    join_tracks(files, tmp_path / "tracks.feather", format="av2")
    back = [read_detections(source) for source in find(root, "tracks.feather")]
    for one, log in zip(back, logs, strict=True):
        assert_same_boxes(one.detections, log.detections, atol=1e-6)
        assert sorted(one.labels) == sorted(log.labels)
    tracks = feather.read_table(files[0]).column("track_uuid").to_pylist()
    assert len(set(tracks)) == len(tracks) == len(logs[0].detections)


def test_kinds_without_a_category_are_not_written(root, tmp_path):
    scene, score = label_scene(read_detections(find(root)[0]))
    count = len(scene.agents)
    agents = dataclasses.replace(
        scene.agents,
        label=("?",) * count,
        kind=np.where(np.arange(count) % 2, Kind.OBJECT, Kind.CYCLIST).astype(np.uint8),
    )
    scene = dataclasses.replace(scene, agents=agents)
    (path,) = write_tracks(scene, score, tmp_path, format="av2")
    assert set(feather.read_table(path).column("category").to_pylist()) == {"BICYCLIST"}


def test_logs_that_are_there_twice_are_not_joined(root, tmp_path):
    files = write_tracks(*label_scene(read_detections(find(root)[0])), tmp_path, format="av2")
    with pytest.raises(InputError) as caught:
        join_tracks(files * 2, tmp_path / "tracks.feather", format="av2")
    assert caught.value.code == "duplicate"
