import pickle

import numpy as np
import pyarrow as pa
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.detections import find_detections, read_detections, stored_detections
from kerbstone.formats.sumo import simulate_detections
from kerbstone.scene import Kind
from kerbstone.store import Store
from scenes import random_scene


@pytest.fixture(scope="module")
def scenes():
    return [random_scene(seed, agents=6, gaps=0.0) for seed in range(3)]


@pytest.fixture(scope="module")
def store(tmp_path_factory, scenes):
    """Return a store of three scenes, of which the first two have detections."""
    store = Store.create(str(tmp_path_factory.mktemp("stored")))
    for number, scene in enumerate(scenes):
        if number < 2:
            seen = simulate_detections(scene)
            store.put_rows("detections", seen.detections, log=scene.id)
            store.put_rows("detection_truth", seen.truth, log=scene.id)
        store.add([scene], log=scene.id, fingerprint="1")
    return store


def test_scenes_with_detections_are_found(store, scenes):
    sources = stored_detections(store)
    assert [source.name for source in sources] == [scene.id for scene in scenes[:2]]
    assert stored_detections(store, scenes=["000001"]) == [sources[1]]


def test_what_is_read_is_what_was_simulated(store, scenes):
    expected = simulate_detections(scenes[0]).detections
    log = read_detections(stored_detections(store)[0])
    found = log.detections
    assert len(found) == expected.num_rows > 0
    step = np.searchsorted(scenes[0].clock.times_ns, expected["time_ns"].to_numpy())
    np.testing.assert_array_equal(found.step, step)
    for number, name in enumerate(("x", "y", "z", "heading", "length", "width", "height")):
        np.testing.assert_allclose(found.box[:, number], expected[name].to_numpy(), atol=1e-12)
    np.testing.assert_array_equal(found.kind, expected["kind"].to_numpy())
    assert log.labels.tolist() == [Kind(kind).name.lower() for kind in found.kind]
    assert log.rejects.total == 0


def test_the_truth_does_not_leak(store, scenes):
    scene = read_detections(stored_detections(store)[0]).scene
    assert scene.agents.ids == (scenes[0].agents.ids[scenes[0].ego],)
    assert scene.ego == 0
    assert not any(name.startswith("_") for name in vars(scene))
    np.testing.assert_array_equal(scene.agents.centre[0], scenes[0].agents.centre[scenes[0].ego])
    np.testing.assert_array_equal(scene.map.points, scenes[0].map.points)
    again = pickle.loads(pickle.dumps(scene))
    assert len(again.agents) == 1


def test_sources_can_be_sent_to_another_process(store):
    source = stored_detections(store)[1]
    again = read_detections(pickle.loads(pickle.dumps(source)))
    np.testing.assert_array_equal(again.detections.box, read_detections(source).detections.box)


def test_tables_and_scenes_that_are_not_there_are_refused(store, scenes):
    with pytest.raises(InputError, match="no table 'detection'"):
        stored_detections(store, "detection")
    with pytest.raises(InputError, match="no detections of the scene"):
        stored_detections(store, scenes=[scenes[2].id])
    with pytest.raises(InputError) as caught:
        stored_detections(store, scenes=["nowhere"])
    assert caught.value.code == "scene-missing"


def test_a_table_of_something_else_is_refused(store, scenes):
    (source, _) = stored_detections(store, "detection_truth")
    with pytest.raises(InputError) as caught:
        read_detections(source)
    assert caught.value.code == "column"
    assert "detection_truth" in caught.value.where


def test_a_quote_in_an_id_is_no_condition(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    scene = random_scene(4, id="it's", gaps=0.0)
    seen = simulate_detections(scene)
    store.put_rows("detections", seen.detections, log="log")
    store.add([scene], log="log", fingerprint="1")
    (source,) = stored_detections(store)
    assert len(read_detections(source).detections) == seen.detections.num_rows


def test_detections_without_a_scene_are_not_found(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    scene = random_scene(4, gaps=0.0)
    rows = simulate_detections(scene).detections
    others = rows.set_column(0, "scene_id", pa.array(["another"] * rows.num_rows))
    store.put_rows("detections", others, log="log")
    store.add([scene], log="log", fingerprint="1")
    assert stored_detections(store) == []


def test_a_store_is_not_found_by_a_path(store):
    with pytest.raises(InputError) as caught:
        find_detections([store.uri])
    assert caught.value.code == "format-unknown"
    with pytest.raises(InputError) as caught:
        find_detections([store.uri], format="store")
    assert caught.value.code == "usage"
