"""What comes out of a store is what went in, and what is wrong is told."""

import pickle
from dataclasses import replace

import lance
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.scene import Scene, Source
from kerbstone.store import Store
from scenes import assert_same, random_map, random_scene, scenes


@pytest.fixture(scope="module")
def growing(tmp_path_factory):
    """Return a store that takes one scene after the other."""
    return Store.create(str(tmp_path_factory.mktemp("growing")))


@settings(max_examples=30)
@given(scene=scenes(), cut=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_scene_and_any_window_of_it_come_back_to_the_last_bit(growing, scene, cut):
    log = f"{scene.id}'\\{len(growing.fingerprints())}"
    scene = replace(scene, id=log)
    assert growing.add([scene], log=log, fingerprint="1") == 1
    assert_same(growing.scene(log), scene)
    first = int(cut[0] * (scene.clock.steps - 1))
    steps = 1 + int(cut[1] * (scene.clock.steps - first - 1))
    start, duration = first * scene.clock.dt, steps * scene.clock.dt
    assert_same(growing.window(log, start, duration), scene.window(start, duration))
    assert_same(growing.scene(log).window(start, duration), scene.window(start, duration))


def test_every_bit_of_a_nan_in_a_valid_cell_is_kept(store):
    scene = random_scene(0, gaps=0.0)
    bits = np.array([0x7FF8_0000_0000_0123, 0xFFF8_0000_0000_0001], np.uint64).view(np.float64)
    scene.agents.heading[0, :2] = bits
    store.add([scene], log="a", fingerprint="1")
    assert store.scene(scene.id).agents.heading[0, :2].tobytes() == bits.tobytes()


def test_a_window_beyond_the_scene_is_refused_as_the_scene_itself_does(filled):
    with pytest.raises(InputError, match="reaches beyond") as stored:
        filled.window("random/000001", 9.0, 2.0)
    with pytest.raises(InputError) as plain:
        random_scene(1, steps=100).window(9.0, 2.0)
    assert str(stored.value) == str(plain.value)


def test_two_maps_of_one_name_are_not_mixed_up(store):
    roads = [random_map(np.random.default_rng(seed), "town") for seed in range(2)]
    twins = [random_scene(i, id=f"s{i}", road=roads[i % 2], has_signals=False) for i in range(4)]
    for scene in twins:
        store.add([scene], log=scene.id, fingerprint="1")
    for scene in twins:
        assert_same(store.scene(scene.id).map, scene.map)
    assert store.rows("maps").num_rows == 2
    assert store.rows("pieces").num_rows == len(roads[0]) + len(roads[1])


def test_scenes_are_listed_with_what_they_hold(filled):
    listed = {row["id"]: row for row in filled.scenes().to_pylist()}
    assert len(listed) == 6
    scene, row = random_scene(3, steps=100), listed["random/000003"]
    centre = scene.agents.centre[scene.agents.valid]
    assert row["agents"] == 5
    assert row["duration"] == 10.0
    assert row["agent_frames"] == scene.agents.valid.sum() == len(centre)
    assert sum(row["kinds"].values()) == 5
    assert [row["min_x"], row["max_y"]] == [centre[:, 0].min(), centre[:, 1].max()]
    assert (row["cameras"], row["lidars"], row["map"]) == (2, 1, "town-3")
    assert (row["log_key"], row["fingerprint"]) == ("log-1", "1")


def test_distance_counts_steps_from_one_valid_cell_to_the_next(store):
    scene = random_scene(0, agents=2, steps=4, gaps=0.0)
    scene.agents.centre[..., :2] = [
        [[0, 0], [3, 4], [3, 4], [3, 5]],
        [[0, 0], [1, 0], [9, 9], [9, 8]],
    ]
    scene.agents.valid[1, 1] = False
    for array in (scene.agents.centre, scene.agents.velocity, scene.agents.heading):
        array[1, 1] = np.nan
    store.add([scene], log="a", fingerprint="1")
    row = store.scenes(["ego_distance", "agent_distance"]).to_pylist()[0]
    assert row == {"ego_distance": 6.0, "agent_distance": 7.0}


def test_scenes_are_chosen_by_sql_and_read_column_by_column(filled):
    table = filled.scenes(["id"], filter="simulated AND town != 'town-1' AND kinds.car >= 0")
    assert table.column_names == ["id"]
    assert table.column("id").to_pylist() == ["random/000003", "random/000005"]
    assert filled.scenes(filter="split = 'val'").num_rows == 2


@pytest.mark.parametrize("wrong", ["town = ", "speed > 3", "town > 3 and", "town"])
def test_a_wrong_condition_names_the_columns(filled, wrong):
    with pytest.raises(InputError, match="condition") as error:
        filled.scenes(filter=wrong)
    assert error.value.where == wrong
    assert ".rs" not in error.value.why
    assert "town" in error.value.remedy


def test_an_unknown_column_offers_the_nearest(filled):
    with pytest.raises(InputError, match="'twon'") as error:
        filled.scenes(["twon"])
    assert "did you mean 'town'" in error.value.remedy


def test_a_scene_is_found_by_any_part_of_its_id_that_is_unique(filled):
    assert filled.find("random/000002") == "random/000002"
    assert filled.find("2") == "random/000002"
    with pytest.raises(InputError, match="6 scenes") as error:
        filled.find("random")
    assert "random/000000" in error.value.why
    with pytest.raises(InputError, match="no scene 'randm/000001'") as error:
        filled.find("randm/000001")
    assert "random/000001" in error.value.remedy


def test_an_unknown_scene_is_told_with_the_nearest(filled):
    for read in (filled.scene, lambda name: filled.window(name, 0, 1)):
        with pytest.raises(InputError) as error:
            read("random/00003")
        assert error.value.code == "scene-missing"
        assert "random/000003" in error.value.remedy


def test_another_process_scene_is_found_without_opening_the_store_again(filled, store):
    reader = Store.open(store.uri)
    assert reader.scenes().num_rows == 0
    store.add([random_scene(1)], log="a", fingerprint="1")
    assert_same(reader.scene("random/000001"), random_scene(1))


def test_the_name_of_a_scene_of_another_log_is_refused(store):
    store.add([random_scene(1)], log="a", fingerprint="1")
    with pytest.raises(InputError, match="another log") as error:
        store.add([random_scene(1)], log="b", fingerprint="1")
    assert error.value.code == "duplicate"
    with pytest.raises(InputError, match="twice"):
        store.add([random_scene(2), random_scene(2)], log="c", fingerprint="1")
    assert store.fingerprints() == {"a": "1"}


def test_a_scene_that_does_not_hold_together_is_refused(store):
    scene = random_scene(1, gaps=0.0)
    scene.agents.heading[0] = 4.0
    with pytest.raises(InputError, match="heading"):
        store.add([random_scene(2), scene], log="a", fingerprint="1")
    assert store.scenes().num_rows == 0


@pytest.mark.parametrize("extra", [{"a": np.float64(1)}, {"a": {1, 2}}])
def test_extra_that_is_no_json_is_refused_with_the_scene(store, extra):
    source = Source(dataset="d", log="l", extra=extra | {"b": np.zeros(2)})
    with pytest.raises(InputError, match="JSON") as error:
        store.add([replace(random_scene(1), source=source)], log="a", fingerprint="1")
    assert error.value.where == "scene random/000001"


def test_text_that_is_no_unicode_is_refused_with_the_log(store):
    source = Source(dataset="\ud800", log="l")
    with pytest.raises(InputError, match="'dataset'") as error:
        store.add([replace(random_scene(1), source=source)], log="a", fingerprint="1")
    assert error.value.where == "log a"


def test_a_stored_scene_reads_its_map_only_when_asked(filled, monkeypatch):
    scene = filled.window("random/000004", 1.0, 2.0)
    assert not {"map", "source", "ego_poses", "cameras", "lidars"} & set(vars(scene))
    later = scene.window(0.5, 1.0)
    assert "map" not in vars(later)
    assert_same(later, random_scene(4, steps=100).window(1.5, 1.0))
    assert later.map is filled.scene("random/000004").map


def test_a_stored_scene_goes_to_another_process_whole(filled):
    scene = pickle.loads(pickle.dumps(filled.scene("random/000001")))
    assert type(scene) is Scene
    assert_same(scene, random_scene(1, steps=100))
    assert_same(replace(filled.scene("random/000001"), id="b"), replace(scene, id="b"))


def test_a_store_goes_to_another_process(filled):
    again = pickle.loads(pickle.dumps(filled))
    assert again.scenes().equals(filled.scenes())


def test_rows_of_any_table_are_read(filled):
    cameras = filled.rows("sensors", "sensor = 'camera' AND scene = 'random/000001'", ["name"])
    assert cameras.to_pylist() == [{"name": "front"}, {"name": "rear"}]
    assert set(filled.rows("pieces", "kind = 4").column("map").to_pylist()) == {
        f"town-{i}" for i in range(6)
    }
    assert filled.rows("scenes", columns=["id"]).num_rows == 6
    assert filled.rows("states", columns=["cells"]).num_rows == 12
    with pytest.raises(InputError, match="no table 'sensor'") as error:
        filled.rows("sensor")
    assert "did you mean 'sensors'" in error.value.remedy


def test_of_two_rows_of_one_id_the_first_counts(store):
    """No merge leaves two, but another writer of Lance tables might."""
    store.add([random_scene(1)], log="a", fingerprint="1")
    other = Store.create(store.uri + "-other")
    other.add([replace(random_scene(2), id="random/000001")], log="b", fingerprint="1")
    lance.write_dataset(
        lance.dataset(other.uri + "/scenes.lance").to_table(),
        store.uri + "/scenes.lance",
        mode="append",
    )
    again = Store.open(store.uri)
    assert again.scenes(["log_key"]).to_pylist() == [{"log_key": "a"}]
    assert_same(again.scene("random/000001"), random_scene(1))


def test_no_store_is_told_with_the_command_that_makes_one(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nothing", tmp_path / "file", tmp_path):
        with pytest.raises(InputError) as error:
            Store.open(str(path))
        assert error.value.code == "store-missing"
        assert f"kerbstone ingest PATH --store {path}" in error.value.remedy


def test_a_store_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as error:
        Store.create(str(tmp_path / "file"))
    assert error.value.code == "store-write"
    assert str(tmp_path / "file") in error.value.where


def test_making_a_store_that_is_there_opens_it(filled):
    assert Store.create(filled.uri).scenes().num_rows == 6


def test_a_store_of_a_newer_layout_is_refused(store):
    _write_empty(store.uri, metadata={"kerbstone:layout": "2"})
    with pytest.raises(InputError, match="newer") as error:
        Store.open(store.uri)
    assert error.value.code == "store-version"


def test_a_foreign_lance_table_is_refused(store):
    _write_empty(store.uri, metadata=None)
    with pytest.raises(InputError, match="not a table of a Kerbstone store") as error:
        Store.open(store.uri)
    assert error.value.code == "store-damaged"


def _write_empty(uri, metadata):
    schema = pa.schema([("id", pa.string())], metadata=metadata)
    lance.write_dataset(schema.empty_table(), uri + "/scenes.lance", mode="overwrite")
