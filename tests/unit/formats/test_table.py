import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyarrow import parquet

from kerbstone.errors import InputError
from kerbstone.formats.table import Table, write_table
from kerbstone.scene import Agents, Clock, Kind, Scene, Source
from laws.format_laws import FormatLaws, assert_same, read_all, refused, walk

READER = Table()

STEPS = 30


def csv_lines() -> list[str]:
    """Return a recording car at 6 m/s along x, and somebody who crosses from step 3 on."""
    lines = ["time_s,agent,kind,x,y,heading,length,width,ego,note"]
    for k in range(STEPS):
        lines.append(f"{0.1 * k:.1f},me,car,{0.6 * k:.3f},2.0,0.0,4.5,1.8,true,a")
        if k >= 3:
            lines.append(f"{0.1 * k:.1f},7,pedestrian,20,{0.13 * k:.3f},,,,false,b")
    return lines


def write(path: Path, lines: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write(folder / "mine" / "drive.csv", csv_lines())


class TestLawsOnParquetOfSeveralScenes(FormatLaws):
    reader = READER

    def write_log(self, folder):
        (scene,) = read_all(write(folder / "mine" / "drive.csv", csv_lines()), READER)
        write_table([scene, rename(scene, "other/2")], folder / "both.parquet")
        return folder / "both.parquet"


def rename(scene: Scene, id_: str) -> Scene:
    return Scene(id_, scene.clock, scene.agents, scene.ego, scene.source)


def read(tmp_path, lines: list[str] | None = None) -> Scene:
    (scene,) = read_all(write(tmp_path / "drive.csv", lines or csv_lines()), READER)
    return scene


def test_rows_become_agents(tmp_path):
    scene = read(tmp_path)
    assert scene.agents.ids == ("me", "7")
    assert scene.agents.label == ("car", "pedestrian")
    assert [Kind(k) for k in scene.agents.kind] == [Kind.CAR, Kind.PEDESTRIAN]
    assert scene.ego == 0
    assert (scene.clock.steps, scene.clock.hz) == (STEPS, 10.0)
    assert scene.id == f"table/{tmp_path.name}/drive"
    np.testing.assert_allclose(scene.agents.centre[0, 10], [6.0, 2.0, np.nan])
    np.testing.assert_array_equal(scene.agents.size[0], [4.5, 1.8, np.nan])


def test_what_is_not_given_is_derived_or_unknown(tmp_path):
    scene = read(tmp_path)
    assert scene.source.derived == ("velocity",)
    np.testing.assert_allclose(scene.agents.velocity[0], [[6.0, 0.0]] * STEPS, atol=1e-6)
    assert np.isnan(scene.agents.heading[1]).all()  # an empty cell of a given column
    assert np.isnan(scene.agents.size[1]).all()
    without = [",".join(np.delete(line.split(","), 5)) for line in csv_lines()]
    scene = read(tmp_path, without)
    assert set(scene.source.derived) == {"velocity", "heading"}
    np.testing.assert_allclose(scene.agents.heading[1, 3:], np.pi / 2, atol=1e-6)


def test_rows_may_come_in_any_order(tmp_path):
    lines = csv_lines()
    np.random.default_rng(3).shuffle(rows := lines[1:])
    shuffled = read(tmp_path / "a", [lines[0], *rows]).agents
    expected = read(tmp_path / "b").agents
    for name in expected.ids:
        np.testing.assert_array_equal(
            shuffled.centre[shuffled.index(name)], expected.centre[expected.index(name)]
        )


def test_scenes_come_in_the_order_of_their_rows_with_names_of_their_own(tmp_path):
    lines = ["scene,time_ns,agent,kind,x,y"]
    lines += [f"{scene},{k * 10**8},a,car,{k},0" for scene in ("z", "b") for k in range(3)]
    scenes = read_all(write(tmp_path / "two.csv", lines), READER)
    assert [scene.id.rpartition("/")[2] for scene in scenes] == ["z", "b"]
    assert scenes[0].source.log.endswith("two/z")


def test_gaps_become_steps_in_which_nobody_is_there(tmp_path):
    lines = csv_lines()
    kept = [line for line in lines if not line.startswith(("1.0,", "1.1,"))]
    scene = read(tmp_path, kept)
    assert scene.clock.steps == STEPS
    assert not scene.agents.valid[:, 10:12].any()


def test_other_tables_are_left_alone(tmp_path):
    header = csv_lines()[0]
    for missing in ("time_s", "agent", "kind", "x", "y"):
        write(tmp_path / f"{missing}.csv", [header.replace(missing, "other", 1)])
    (tmp_path / "wide.csv.gz").write_bytes(gzip.compress(b"\xff\xfe\x00"))
    parquet.write_table(pa.table({"time_s": [0.0], "agent": ["a"]}), tmp_path / "few.parquet")
    assert walk(tmp_path, READER) == []


def test_packed_tables_are_read(tmp_path):
    path = tmp_path / "drive.csv.gz"
    path.write_bytes(gzip.compress("\n".join(csv_lines()).encode()))
    (scene,) = read_all(path, READER)
    assert scene.id.endswith("/drive")


def row(number: int, column: str, value: str):
    """Return a change of one cell."""

    def change(lines: list[str]) -> list[str]:
        cells = lines[number + 1].split(",")
        cells[lines[0].split(",").index(column)] = value
        return [*lines[: number + 1], ",".join(cells), *lines[number + 2 :]]

    return change


@pytest.mark.parametrize(
    ("code", "change", "place"),
    [
        ("empty", lambda lines: lines[:1], ""),
        ("label", row(0, "kind", "tank"), ""),
        ("value", row(4, "x", "nan"), "step"),
        ("value", row(4, "y", ""), "step"),
        ("value", row(4, "time_s", ""), "row 4"),
        ("value", row(4, "time_s", "1e300"), "row 4"),
        ("value", lambda lines: [line.replace(",4.5,", ",-4.5,") for line in lines], ""),
        ("value", row(0, "ego", ""), "row 0"),
        ("duplicate", row(2, "time_s", "0.1"), "agent 'me'"),
        ("duplicate", row(4, "ego", "true"), ""),
        ("clock", row(4, "time_s", "0.36"), ""),
        ("syntax", row(4, "x", "far"), ""),
        ("syntax", lambda lines: [*lines[:5], "0.2,me"], ""),
    ],
)
def test_malformed_tables_are_refused_with_their_place(tmp_path, code, change, place):
    path = write(tmp_path / "drive.csv", change(csv_lines()))
    error = refused(code, path, READER)
    assert place in error.where
    assert str(path) in error.where or error.where.startswith("scene ")


def test_a_table_without_time_is_refused_when_named_as_one(tmp_path):
    path = write(tmp_path / "drive.csv", [line.replace("time_s", "t") for line in csv_lines()])
    log = walk(write(tmp_path / "good" / "drive.csv", csv_lines()), READER)[0]
    log = type(log)(log.format, log.name, path, (path,))
    with pytest.raises(InputError, match="time_s") as caught:
        list(READER.read(log))
    assert caught.value.code == "column"


def test_a_parquet_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    write_table(read(tmp_path), path)
    (log,) = walk(path, READER)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError) as caught:
        list(READER.read(log))
    assert caught.value.code == "truncated"


def test_a_table_is_written_only_as_what_can_be_read(tmp_path):
    scene = read(tmp_path)
    with pytest.raises(InputError, match=r"\.parquet or \.csv"):
        write_table(scene, tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="no scene"):
        write_table([], tmp_path / "a.csv")


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=6)
NUMBERS = st.floats(-1e6, 1e6)


@st.composite
def parts(draw) -> dict[str, Any]:
    """Draw what makes up a scene in which somebody is there at every step, and nobody never."""
    count, steps = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    valid = draw(hnp.arrays(bool, (count, steps)))
    valid[0] = True
    valid[:, 0] = True
    unknown = st.just(np.nan)

    def array(elements: st.SearchStrategy, *shape: int) -> np.ndarray:
        return draw(hnp.arrays(np.float64, shape, elements=elements))

    def cells(elements: st.SearchStrategy, *tail: int) -> np.ndarray:
        values = array(elements, count, steps, *tail)
        values[~valid] = np.nan
        return values

    kinds = st.sampled_from([int(kind) for kind in Kind])
    return {
        "start_ns": draw(st.integers(0, 10**18)),
        "dt_ns": draw(st.integers(1, 500)) * 10**6,
        "ids": tuple(draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))),
        "kind": draw(hnp.arrays(np.uint8, count, elements=kinds)),
        "label": tuple(draw(st.lists(NAMES, min_size=count, max_size=count))),
        "size": array(st.floats(0.1, 100) | unknown, count, 3),
        "centre": cells(NUMBERS, 3),
        "heading": cells(st.floats(-np.pi, np.pi) | unknown),
        "velocity": cells(NUMBERS | unknown, 2),
        "valid": valid,
        "ego": draw(st.none() | st.integers(0, count - 1)),
    }


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@settings(max_examples=40)
@given(parts=parts())
def test_what_is_written_is_read_again_to_the_last_bit(tmp_path_factory, ending, parts):
    path = tmp_path_factory.mktemp("table") / f"a.{ending}"
    ego = parts.pop("ego")
    clock = Clock(parts.pop("start_ns"), parts.pop("dt_ns"), parts["valid"].shape[1])
    scene = Scene("scene", clock, Agents(**parts), ego, Source("test", "test"))
    write_table(scene, path)
    (again,) = read_all(path, READER)
    if clock.steps > 1:  # one moment has no step
        assert_same(again.clock, clock)
    assert_same(again.agents, scene.agents)
    assert again.ego == ego
    assert again.source.derived == ()
