import gzip
import lzma

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from kerbstone.errors import InputError
from kerbstone.formats.sumo.recordings import read_stretches
from small.sumo import draw_drive

ROWS = {
    "timestep_time": [0.0, 0.0, 0.1, 0.1],
    "vehicle_id": ["v", "p", "v", "p"],
    "vehicle_x": [10.0, 50.0, 11.0, 50.12],
    "vehicle_y": [-3.4, -6.0, -3.4, -6.0],
    "vehicle_angle": [90.0, 0.0, 90.0, 270.0],
    "vehicle_type": ["car", "walker", "car", "walker"],
    "vehicle_speed": [10.0, 1.2, 10.0, 1.2],
    "vehicle_lane": ["ab_1", None, "ab_1", None],
}


def read(*paths, duration=60.0):
    return list(read_stretches(list(paths), duration=duration))


def columns(rows):
    return (
        rows.time_ns.tolist(), rows.id.to_pylist(), rows.type.to_pylist(), rows.lane.to_pylist(),
        rows.front.round(6).tolist(), rows.heading.round(6).tolist(), rows.speed.tolist(),
    )  # fmt: skip


def write_table(path, **changes):
    table = pa.table({**ROWS, **changes})
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    else:
        csv.write_csv(table, path, csv.WriteOptions(delimiter=";", quoting_style="none"))
    return path


def write_text(path, text):
    path.write_text(text)
    return path


def test_all_ways_to_write_a_recording_say_the_same(tmp_path):
    text = draw_drive(steps=5)
    (tmp_path / "packed.xml.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "packed.xml.xz").write_bytes(lzma.compress(text.encode()))
    (plain,) = read(write_text(tmp_path / "fcd.xml", text))
    table = pa.table(
        {
            "timestep_time": plain.time_ns / 1e9,
            "vehicle_id": plain.id,
            "vehicle_x": plain.front[:, 0],
            "vehicle_y": plain.front[:, 1],
            "vehicle_angle": np.full(len(plain), 90.0),
            "vehicle_type": plain.type,
            "vehicle_speed": plain.speed,
            "vehicle_lane": plain.lane,
        }
    )
    parquet.write_table(table, tmp_path / "fcd.parquet")
    csv.write_csv(table, tmp_path / "fcd.csv", csv.WriteOptions(delimiter=";"))
    short = table.rename_columns([name.rpartition("_")[2] for name in table.column_names])
    csv.write_csv(short, tmp_path / "short.csv")
    for name in ("packed.xml.gz", "packed.xml.xz", "fcd.parquet", "fcd.csv", "short.csv"):
        (rows,) = read(tmp_path / name)
        assert columns(rows) == columns(plain), name


def test_an_angle_is_clockwise_from_north(tmp_path):
    (rows,) = read(write_table(tmp_path / "fcd.parquet"))
    np.testing.assert_allclose(rows.heading, [0.0, np.pi / 2, 0.0, -np.pi], atol=1e-12)


def test_vehicles_and_persons_may_have_columns_of_their_own(tmp_path):
    mixed = {"timestep_time": ROWS["timestep_time"]}
    for who, there in (("vehicle", [1, 0, 1, 0]), ("person", [0, 1, 0, 1])):
        for name in ("id", "x", "y", "angle", "type", "speed"):
            values = ROWS[f"vehicle_{name}"]
            mixed[f"{who}_{name}"] = [v if t else None for v, t in zip(values, there, strict=True)]
    mixed["vehicle_lane"] = ROWS["vehicle_lane"]
    parquet.write_table(pa.table(mixed), tmp_path / "mixed.parquet")
    (rows,) = read(tmp_path / "mixed.parquet")
    (plain,) = read(write_table(tmp_path / "fcd.parquet"))
    assert columns(rows) == columns(plain)


def test_stretches_follow_one_another_without_a_gap(tmp_path):
    path = write_text(tmp_path / "fcd.xml", draw_drive(steps=25))
    parts = read(path, duration=1.0)
    assert [len(np.unique(part.time_ns)) for part in parts] == [10, 10, 5]
    times = np.concatenate([np.unique(part.time_ns) for part in parts])
    np.testing.assert_array_equal(times, 100_000_000 * np.arange(25))


def test_files_of_one_simulation_are_read_side_by_side(tmp_path):
    text = draw_drive(steps=25)
    cars = write_text(tmp_path / "fcd.xml", text.replace("person ", "skipped "))
    people = write_text(tmp_path / "persons.xml", text.replace("vehicle ", "skipped "))
    both = read(write_text(tmp_path / "both.xml", text), duration=1.0)
    apart = read(cars, people, duration=1.0)
    for one, two in zip(both, apart, strict=True):
        assert sorted(zip(one.time_ns, one.id.to_pylist(), strict=True)) == sorted(
            zip(two.time_ns, two.id.to_pylist(), strict=True)
        )


def test_a_step_without_anybody_is_no_row(tmp_path):
    text = draw_drive(steps=3).replace("</fcd-export>", '<timestep time="0.3"/></fcd-export>')
    (rows,) = read(write_text(tmp_path / "fcd.xml", text))
    assert rows.time_ns.max() == 200_000_000


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("fcd.xml", draw_drive()[:2000], "truncated"),
        ("fcd.xml", draw_drive().replace('x="10.00"', 'x="nan"', 1), "value"),
        ("fcd.xml", draw_drive().replace('x="10.00"', 'x="here"', 1), "value"),
        ("fcd.xml", draw_drive().replace('x="10.00"', "", 1), "value"),
        ("fcd.xml", draw_drive().replace('type="car"', "", 1), "value"),
        ("fcd.xml", draw_drive().replace('time="0.30"', 'time="0.10"', 1), "clock"),
        ("fcd.xml", "<net></net>", "syntax"),
        ("fcd.xml", "<fcd-export></fcd-export>", "empty"),
        ("fcd.csv", "timestep_time;vehicle_id\n0.0;v\n", "column"),
        ("fcd.csv", "time;id;x;y;angle;type;speed\n0;v;here;0;0;car;0\n", "syntax"),
        ("fcd.parquet", "PAR1 no more", "truncated"),
    ],
)
def test_a_broken_recording_is_refused(tmp_path, name, text, code):
    path = write_text(tmp_path / name, text)
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.code == code, str(caught.value)
    assert str(path) in caught.value.where


@pytest.mark.parametrize("name", ["fcd.xml", "fcd.csv", "fcd.parquet"])
def test_a_missing_recording_is_refused(tmp_path, name):
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert caught.value.code == "missing-file"


def test_the_error_for_a_lost_value_names_the_road_user_and_the_time(tmp_path):
    path = write_table(tmp_path / "fcd.parquet", vehicle_speed=[10.0, 1.2, np.nan, 1.2])
    with pytest.raises(InputError) as caught:
        read(path)
    assert "'v' at time 0.1 s" in caught.value.where
