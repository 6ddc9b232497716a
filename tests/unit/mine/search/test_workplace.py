"""How a worker comes to a store: to the scenes that are meant, or to an error."""

import pickle

import pytest

from kerbstone.errors import InputError
from kerbstone.mine.search import workplace
from kerbstone.mine.search.workplace import Place, cut, open_at
from kerbstone.store import Store
from streets import put_scenes, street


def scenes_of(store: Store) -> tuple[tuple[str, int], ...]:
    return tuple((row["id"], row["part"]) for row in store.scenes(["id", "part"]).to_pylist())


@pytest.fixture
def road(store):
    workplace._open.cache_clear()
    put_scenes(store, "a", street("made/a", log="a"))
    put_scenes(store, "b", street("made/b", log="b"))
    return store


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (16, [16]), (17, [16, 1]), (40, [16, 16, 8])]
)
def test_scenes_are_cut_into_pieces_in_their_order(count, sizes):
    scenes = [(str(number), number) for number in range(count)]
    pieces = list(cut(scenes, 16))
    assert [len(piece) for piece in pieces] == sizes
    assert [scene for piece in pieces for scene in piece] == scenes


def test_a_place_goes_to_another_process_and_leads_to_the_same_scenes(road):
    place = pickle.loads(pickle.dumps(Place.of(road)))
    found = open_at(place, scenes_of(road))
    assert found.scene("made/a").agents.ids == road.scene("made/a").agents.ids


def test_the_store_itself_is_taken_as_it_is(road):
    assert open_at(road, scenes_of(road)) is road


def test_a_worker_that_opened_the_store_long_ago_sees_new_scenes(road):
    open_at(Place.of(road), scenes_of(road))
    put_scenes(road, "c", street("made/c", log="c"))
    assert open_at(Place.of(road), scenes_of(road)).scene("made/c").id == "made/c"


def test_a_worker_that_opened_the_store_long_ago_sees_the_new_version_of_a_scene(road):
    before = scenes_of(road)
    open_at(Place.of(road), before)
    put_scenes(road, "a", street("made/a", log="a", speed=3.0), fingerprint="2")
    after = scenes_of(road)
    assert before != after
    assert open_at(Place.of(road), after).parts(["made/a"]) == [dict(after)["made/a"]]


def test_a_scene_that_was_replaced_meanwhile_is_an_error_and_not_another_answer(road):
    before = scenes_of(road)
    put_scenes(road, "a", street("made/a", log="a", speed=3.0), fingerprint="2")
    with pytest.raises(InputError, match="replaced while it was searched") as error:
        open_at(Place.of(road), before)
    assert error.value.code == "scene-missing"
    assert "made/a" in error.value.where


def test_the_store_as_it_was_has_the_scenes_that_it_had(road):
    with road.run(command="x") as run:
        pass
    before = scenes_of(road)
    put_scenes(road, "a", street("made/a", log="a", speed=3.0), fingerprint="2")
    past = road.at(run.id)
    assert open_at(Place.of(past), before).parts(["made/a"]) == [dict(before)["made/a"]]
    # The store of today has another one; both may be open in a worker.
    assert open_at(Place.of(road), scenes_of(road)).parts(["made/a"]) != [dict(before)["made/a"]]
