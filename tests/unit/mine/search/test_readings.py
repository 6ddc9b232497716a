"""Signals of a model in a search: read from the store, kept as long as they hold, else undefined."""

import numpy as np
import pytest

from kerbstone.errors import InputError, MissingError, UsageError
from kerbstone.lang.library import prepare
from kerbstone.lang.signals import models
from kerbstone.mine import embed, find, search_store, unread_scenes
from kerbstone.mine.moments.embeddings import read_vectors
from kerbstone.mine.search import answering
from kerbstone.mine.search.readings import Reader, find_readings, spread
from kerbstone.mine.search.referrals import refer_store
from kerbstone.store import Store
from learned_models import load_toy, write_toy
from streets import put_scenes, street

SURPRISING = "vehicle v: surprise(v) > 2.5"
LIKE_WALKS = 'similar("walk/0") > 0.9'
HELD_OUT = [street(f"held/{i}", speed=8.0 + 0.1 * i, oncoming=3) for i in range(12)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model with its calibration, whose surprises have no noise to speak of."""
    return write_toy(tmp_path_factory.mktemp("model"), HELD_OUT, noise=0.1)


@pytest.fixture
def embedded(streets, model):
    """The streets, with all that the model says of them."""
    embed(streets, model, load=load_toy)
    return streets


@pytest.fixture
def asked(monkeypatch):
    """The scenes that are searched from now on, in this process."""
    names = []
    answer = answering._answer_scene

    def note(work, scene, part, columns):
        names.append(scene.id)
        return answer(work, scene, part, columns)

    monkeypatch.setattr(answering, "_answer_scene", note)
    return names


def facts_of(store, query, name):
    readings = find_readings([prepare(query)], store)
    (part,) = store.parts([name])
    return Reader(store, readings, {name: part}).facts(store.scene(name), part)


# What values are, over time.


def test_a_step_has_the_value_of_the_window_around_it():
    start, duration, values = np.array([1.0, 2.0, 3.0]), np.full(3, 3.0), np.array([5.0, 6.0, 7.0])
    found = spread(start, duration, values, dt=0.5, steps=15)
    expected = [np.nan] * 2 + [5.0] * 5 + [6.0] * 2 + [7.0] * 4 + [np.nan] * 2
    np.testing.assert_array_equal(found, expected)


def test_a_gap_between_windows_is_undefined_where_none_covers_it():
    two = np.array([0.0, 8.0]), np.full(2, 3.0), np.array([1.0, 2.0])
    found = spread(*two, dt=1.0, steps=13)
    np.testing.assert_array_equal(np.isnan(found), [False] * 4 + [True] * 4 + [False] * 4 + [True])
    none = np.zeros(0)
    assert np.isnan(spread(none, none, none, dt=1.0, steps=3)).all()


def test_surprise_is_what_was_written_of_each_road_user(embedded):
    facts = facts_of(embedded, SURPRISING, "brake/0")
    values = facts.keep(("surprise", ()), lambda: None)
    rows = embedded.rows("surprise", "scene = 'brake/0' AND agent = 'lead'").to_pylist()
    lead = values[facts.agents.ids.index("lead")]
    # The window from 3 s on is the one around 4.5 s.
    assert lead[45] == rows[0]["surprise"][rows[0]["start"].index(3.0)]
    assert np.isnan(lead[:10]).all()
    assert np.isfinite(lead[10:]).all()


def test_similarity_is_the_cosine_to_the_mean_of_the_example(embedded):
    query = 'similar("walk/0@4-6") > 0.5'
    values = facts_of(embedded, query, "plain/1").keep(("similar", ("walk/0@4-6",)), lambda: None)
    rows = read_vectors(embedded, "world")
    example = rows.select((rows.scene == "walk/0") & (rows.start >= 3) & (rows.start <= 4))
    mean = example.values.mean(axis=0, dtype=float)
    own = rows.select((rows.scene == "plain/1") & (rows.start == 2.0)).values[0].astype(float)
    cosine = own @ mean / np.linalg.norm(own) / np.linalg.norm(mean)
    assert values[35] == pytest.approx(cosine, abs=1e-6)
    assert (np.abs(values) <= 1 + 1e-6).all()


def test_a_scene_is_most_like_itself(embedded):
    found = find('similar("brake/0@5-8") > 0.99', embedded)
    assert found.matches[0].scene == "brake/0"
    assert found.matches[0].start <= 6.5 <= found.matches[0].end


# How a search uses them.


@pytest.mark.parametrize("workers", [1, 2])
def test_who_brakes_is_found_by_its_surprise(embedded, workers):
    found = find(SURPRISING, embedded, workers=workers)
    assert {
        (match.scene, match.witnesses[0].agent) for match in found.matches if match.is_match
    } == {("brake/0", "lead")}
    assert np.nanmax(found.matches[0].trace.atoms[0].left) > 2.5
    assert found.failed == ()


@pytest.mark.parametrize("workers", [1, 2])
def test_scenes_with_walkers_are_found_by_likeness(embedded, workers):
    found = find(LIKE_WALKS, embedded, workers=workers)
    assert {match.scene for match in found.matches if match.is_match} == {"walk/0", "walk/1"}


def test_geometry_and_models_stand_side_by_side_and_names_may_be_short(embedded):
    query = 'vehicle v: surprise(v) > 2 and speed(v) > 3 m/s and not similar("walk/0") > 0.9'
    assert {m.scene for m in find(query, embedded).matches if m.is_match} == {"brake/0"}
    assert find('similar("brake") > 0.5', embedded).total > 0


def test_without_rows_a_signal_is_a_clear_error(streets):
    for query in (SURPRISING, LIKE_WALKS):
        with pytest.raises(MissingError) as caught:
            find(query, streets)
        assert caught.value.code == "model-missing"
        assert "kerbstone embed" in caught.value.remedy


def test_answers_are_kept_until_another_model_writes(embedded, model, asked, tmp_path):
    first = find(SURPRISING, embedded)
    asked.clear()
    assert find(SURPRISING, embedded).id == first.id
    search_store(prepare(SURPRISING), embedded)
    assert asked == []
    other = write_toy(tmp_path / "other", HELD_OUT, noise=0.1, version="2")
    embed(embedded, other, load=load_toy)
    again = find(SURPRISING, embedded)
    assert len(asked) == 6
    assert again.id != first.id


def test_answers_about_one_example_are_none_about_another(embedded, asked):
    find(LIKE_WALKS, embedded)
    put_scenes(embedded, "walkers", street("walk/0", log="walkers"), fingerprint="2")
    asked.clear()
    with pytest.raises(InputError, match="no vector to compare with") as caught:
        find(LIKE_WALKS, embedded)
    assert "kerbstone embed" in caught.value.remedy


def test_a_scene_that_no_model_has_seen_never_matches_and_is_asked_again_once_one_has(
    embedded, model, asked
):
    twin = street("twin/0", brake=True, lead=25.0, log="twin")
    put_scenes(embedded, "twin", twin)
    query = prepare(SURPRISING)
    first = find(query, embedded)
    assert {match.scene for match in first.matches if match.is_match} == {"brake/0"}
    assert find(prepare("vehicle v: not surprise(v) > 2"), embedded).matches[0].scene != "twin/0"
    assert unread_scenes(query, embedded) == ["twin/0"]
    embed(embedded, model, load=load_toy)
    assert unread_scenes(query, embedded) == []
    asked.clear()
    second = find(query, embedded)
    assert {match.scene for match in second.matches if match.is_match} == {"brake/0", "twin/0"}
    # The others had answered. Those of the first matches are not asked again, but looked at.
    assert asked == ["twin/0"]


def test_a_scene_that_was_replaced_has_no_values_until_it_is_embedded_again(embedded, model):
    put_scenes(embedded, "brakes", street("brake/0", log="brakes"), fingerprint="2")
    assert find(SURPRISING, embedded).total == 0
    assert unread_scenes(prepare(SURPRISING), embedded) == ["brake/0"]
    assert unread_scenes(prepare(SURPRISING), embedded, where="town = 'There'") == []
    assert unread_scenes(prepare("vehicle v: speed(v) > 1 m/s"), embedded) == []


def test_what_is_wrong_with_an_example_is_told_before_anything_is_searched(embedded, asked):
    for text, error in (("nowhere", InputError), ("walk/0@x", UsageError), ("walk", InputError)):
        with pytest.raises(error):
            find(f'similar("{text}") > 0.5', embedded)
    assert asked == []


def test_a_model_of_this_process_comes_before_the_store(embedded, monkeypatch):
    monkeypatch.setattr(models, "_PROVIDED", {})
    models.provide("surprise", lambda facts: np.full(facts.agents.valid.shape, 9.0), version="mine")
    found = search_store(prepare(SURPRISING), embedded, workers=2)
    assert found.answers.total.min() > 0
    assert find_readings([prepare(SURPRISING)], embedded).versions == {}


def test_two_stores_do_not_share_their_models(embedded, tmp_path, model):
    other = Store.create(str(tmp_path / "other"))
    put_scenes(other, "brakes", street("brake/0", brake=True, lead=25.0, log="brakes"))
    assert find(SURPRISING, embedded).total > 0
    with pytest.raises(MissingError):
        find(SURPRISING, other)
    embed(other, write_toy(tmp_path / "dull", HELD_OUT, noise=1000.0), load=load_toy)
    assert find(SURPRISING, other).total == 0
    assert find(SURPRISING, embedded).total > 0


def test_a_store_as_it_was_has_the_values_that_it_had(embedded, tmp_path):
    with embedded.run(command="x") as run:
        pass
    dull = write_toy(tmp_path / "dull", HELD_OUT, noise=1000.0, version="2")
    embed(embedded, dull, load=load_toy)
    assert find(SURPRISING, embedded).total == 0
    assert find(SURPRISING, embedded.at(run.id), workers=2).total > 0


def test_whom_a_query_refers_to_may_be_asked_of_a_model(embedded):
    queries = {"the surprising car": prepare(SURPRISING)}
    found = dict(refer_store(queries, embedded))
    (brake,) = found["brake/0"]
    assert brake.role[brake.scene.agents.ids.index("lead")].min() == 0
    (plain,) = found["plain/0"]
    assert plain.role.min() == 2


def test_many_scenes_are_read_some_at_a_time(store, tmp_path, monkeypatch):
    put_scenes(store, "many", *(street(f"many/{i}", brake=i == 3, lead=25.0) for i in range(5)))
    embed(store, write_toy(tmp_path / "model", HELD_OUT, noise=0.1), load=load_toy)
    monkeypatch.setattr("kerbstone.mine.search.readings._AT_ONCE", 2)
    assert {match.scene for match in find(SURPRISING, store).matches if match.is_match} == {
        "many/3"
    }
