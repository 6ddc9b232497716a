import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kerbstone.formats.av2_forecasting import KINDS, Av2Forecasting
from kerbstone.scene import Kind, Scene
from laws.format_laws import FormatLaws, read_all, refused, share_along_lanes, share_on_road, walk
from small.av2 import START_NS, cut, set_cell, set_column, write_scenario

READER = Av2Forecasting()
DATA = "av2/forecasting"


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_scenario(folder / "train" / "0a1e")


class TestLawsOfAFileAmongOthers(FormatLaws):
    reader = READER

    def write_log(self, folder):
        whole = write_scenario(folder / "0a1e")
        for path in whole.iterdir():
            path.rename(folder / path.name)
        whole.rmdir()
        return folder / "scenario_0a1e.parquet"


@pytest.mark.data
class TestLawsOnRealScenarios(FormatLaws):
    reader = READER
    data = DATA


def small(tmp_path, **changes) -> Scene:
    return read_all(write_scenario(tmp_path / "0a1e", **changes), READER)[0]


def test_tracks_are_taken_as_they_are(tmp_path):
    scene = small(tmp_path)
    agents = scene.agents
    assert agents.ids == ("AV", "focal", "walker")
    assert agents.kind.tolist() == [Kind.CAR, Kind.CAR, Kind.PEDESTRIAN]
    assert agents.valid.sum(axis=1).tolist() == [110, 110, 40]
    np.testing.assert_allclose(agents.centre[1, :, 0], 5.0 + 0.8 * np.arange(110))
    np.testing.assert_allclose(agents.velocity[1], np.tile([8.0, 0.0], (110, 1)))
    np.testing.assert_allclose(agents.heading[2, 20:60], np.pi)
    assert np.isnan(agents.size).all()
    assert scene.ego == 0
    assert scene.source.derived == ()


def test_a_scenario_keeps_its_clock_place_and_roles(tmp_path):
    scene = small(tmp_path)
    assert scene.clock.start_ns == pytest.approx(START_NS, abs=64)
    assert (scene.clock.dt, scene.clock.steps) == (0.1, 110)
    assert scene.source.town == "Detroit"
    assert scene.source.extra == {
        "focal_track": "focal",
        "observed_steps": 50,
        "track_categories": {"AV": 1, "focal": 3, "walker": 0},
    }


def test_a_scenario_of_the_test_split_ends_where_it_was_observed(tmp_path):
    scene = small(tmp_path, steps=50)
    assert scene.clock.steps == 50
    assert scene.source.extra["observed_steps"] == 50


def test_a_scenario_without_a_map_or_recording_car_is_read(tmp_path):
    folder = write_scenario(
        tmp_path / "0a1e",
        tracks=lambda table: table.filter(pa.compute.not_equal(table["track_id"], "AV")),
    )
    next(folder.glob("log_map_archive*")).unlink()
    (scene,) = read_all(folder, READER)
    assert scene.map is None
    assert scene.ego is None


def test_every_published_type_has_a_kind():
    assert len(KINDS) == 10
    assert KINDS["riderless_bicycle"] == Kind.BICYCLE


def test_malformed_scenarios_are_told(tmp_path):
    cases = {
        "column": lambda table: table.drop_columns(["heading"]),
        "label": set_cell("object_type", 0, "spaceship"),
        "value": set_cell("position_x", 7, float("inf")),
        "duplicate": set_cell("timestep", 1, 0),
        "empty": lambda table: table.slice(0, 0),
        "clock": set_cell("timestep", 3, 110),
    }
    for code, edit in cases.items():
        folder = write_scenario(tmp_path / code, tracks=edit)
        assert ".parquet" in refused(code, folder, READER).where
    backwards = set_column("end_timestamp", lambda end: end - 2e10)
    refused("clock", write_scenario(tmp_path / "back", tracks=backwards), READER)
    missing = set_cell("velocity_x", 3, None)
    error = refused("value", write_scenario(tmp_path / "null", tracks=missing), READER)
    assert "row 3" in error.where
    negative = set_cell("timestep", 0, -1)
    refused("clock", write_scenario(tmp_path / "negative", tracks=negative), READER)


def test_files_that_are_cut_off_are_told(tmp_path):
    for number, name in enumerate(("*.parquet", "*.json")):
        folder = write_scenario(tmp_path / str(number))
        path = next(folder.glob(name))
        cut(path)
        assert str(path) in refused("truncated", folder, READER).where


@pytest.fixture(scope="module")
def real(data_root) -> Scene:
    return read_all(data_root / DATA, READER)[0]


@pytest.mark.data
def test_real_counts_are_those_of_the_file(data_root, real):
    (log,) = walk(data_root / DATA, READER)
    table = parquet.read_table(log.files[0])
    assert real.agents.valid.sum() == table.num_rows == 2434
    assert set(real.agents.ids) == set(table["track_id"].to_pylist())
    assert real.source.town == "Austin"
    assert real.agents.ids[real.ego] == "AV"
    focal = real.agents.index(real.source.extra["focal_track"])
    assert real.agents.valid[focal].all()


@pytest.mark.data
def test_real_vehicles_are_on_the_road_and_follow_their_lanes(real):
    assert share_on_road(real) > 0.95
    assert share_along_lanes(real) > 0.95
