"""The search through a store: what is asked, what is known already, and what fails."""

import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError, KerbstoneError, MissingError
from kerbstone.lang import Facts, evaluate
from kerbstone.lang.library import prepare, read_scenarios
from kerbstone.lang.signals import models
from kerbstone.mine import search_store
from kerbstone.mine.search import answering
from kerbstone.mine.search.search import question_key
from streets import damage_scene, put_scenes, street

BRAKES = "vehicle v: deceleration(v) > 3 m/s2"
CLOSE = "vehicle v, pedestrian p: distance(v, p) < 5 m"


@pytest.fixture
def asked(monkeypatch):
    """The ids of scenes that are really searched."""
    names = []
    answer = answering._answer_scene

    def note(work, scene, part, columns):
        if not isinstance(scene, KerbstoneError):
            names.append(scene.id)
        return answer(work, scene, part, columns)

    monkeypatch.setattr(answering, "_answer_scene", note)
    return names


def found_in(search, scene: str) -> list[tuple]:
    place = search.scenes.index(scene)
    answers = search.answers
    rows = np.flatnonzero(answers.scene == place)
    return [(*answers.agent[row], round(float(answers.robustness[row]), 9)) for row in rows]


def test_it_finds_in_each_scene_what_the_language_finds(streets):
    found = search_store(prepare(BRAKES), streets)
    assert set(found.scenes) == set(streets.scenes(["id"]).column("id").to_pylist())
    for scene in found.scenes:
        facts = Facts(streets.scene(scene))
        answer = evaluate(prepare(BRAKES), facts)
        ids = facts.agents.ids
        best = {
            ids[a]: round(float(np.nanmax(r)), 9)
            for (a,), r in zip(answer.rows, answer.robustness, strict=True)
        }
        listed = dict(found_in(found, scene))
        near = {name: value for name, value in best.items() if value > answering.FLOOR}
        assert listed == near
    assert found.answers.total.sum() == 1


def test_a_scene_answers_once(streets, asked):
    first = search_store(prepare(BRAKES), streets)
    assert sorted(asked) == sorted(first.scenes)
    asked.clear()
    again = search_store(prepare(BRAKES), streets)
    assert (asked, again.known) == ([], len(first.scenes))
    np.testing.assert_array_equal(again.answers.robustness, first.answers.robustness)
    assert again.answers.agent.tolist() == first.answers.agent.tolist()


def test_only_new_scenes_and_changed_ones_are_asked(streets, asked):
    search_store(prepare(BRAKES), streets)
    asked.clear()
    put_scenes(streets, "more", street("more/0", log="more"))
    put_scenes(streets, "brakes", street("brake/0", log="brakes"), fingerprint="2")
    found = search_store(prepare(BRAKES), streets)
    assert sorted(asked) == ["brake/0", "more/0"]
    assert found.answers.total.sum() == 0


def test_the_same_question_in_other_words_is_known(streets, asked):
    search_store(prepare("vehicle v: deceleration(v) > 3 m/s2"), streets)
    asked.clear()
    search_store(prepare("vehicle w: (deceleration(w) > 300 cm / 100 cm * 1 m/s2)"), streets)
    assert asked, "another formula may answer differently"
    asked.clear()
    search_store(prepare("vehicle other: deceleration(other)>3.0 m/s2  # the same"), streets)
    assert asked == []


def test_a_scenario_that_was_rewritten_is_asked_anew(streets, tmp_path, asked):
    file = tmp_path / "own.scenario"

    def ask(least: str) -> int:
        file.write_text(f'scenario brakes(vehicle v): "It brakes." deceleration(v) > {least}')
        query = prepare("vehicle v: brakes(v)", scenarios=read_scenarios([file]))
        return int(search_store(query, streets).answers.total.sum())

    assert ask("3 m/s2") == 1
    asked.clear()
    assert ask("30 m/s2") == 0
    assert asked
    asked.clear()
    assert ask("3 m/s2") == 1
    assert asked == []


def test_other_code_is_asked_anew(streets, monkeypatch, asked):
    search_store(prepare(BRAKES), streets)
    asked.clear()
    monkeypatch.setattr("kerbstone.lang.version.language_version", lambda: "another")
    search_store(prepare(BRAKES), streets)
    assert asked


def test_other_code_of_the_search_asks_anew(streets, monkeypatch, asked):
    search_store(prepare(BRAKES), streets)
    asked.clear()
    monkeypatch.setattr("kerbstone.mine.search.search.code_version", lambda _: "another")
    search_store(prepare(BRAKES), streets)
    assert asked


def test_scenes_without_the_road_users_of_the_query_are_passed_over(streets, asked):
    found = search_store(prepare(CLOSE), streets)
    assert sorted(asked) == ["walk/0", "walk/1"]
    assert len(found.scenes) == 6
    asked.clear()
    assert search_store(prepare("train a, train b: true"), streets).answers.total.sum() == 0
    assert asked == []


def test_two_of_a_kind_need_two_and_ego_must_be_there(store, asked):
    scene = street("one/0", lead=None, oncoming=0)
    put_scenes(store, "one", scene, dataclasses.replace(scene, id="one/1", ego=None))
    search_store(prepare("car v, car w: true"), store)
    assert asked == []
    search_store(prepare("speed(ego) > 1 m/s"), store)
    assert asked == ["one/0"]


def test_a_condition_chooses_scenes_and_a_part_of_them_may_be_known(streets, asked):
    there = search_store(prepare(BRAKES), streets, where="town = 'There'")
    assert sorted(there.scenes) == ["plain/0", "plain/1", "plain/2"]
    asked.clear()
    search_store(prepare(BRAKES), streets)
    assert sorted(asked) == ["brake/0", "walk/0", "walk/1"]
    asked.clear()
    assert len(search_store(prepare(BRAKES), streets, where="town = 'There'").scenes) == 3
    assert asked == []


def test_more_matches_than_were_kept_are_searched_for(streets, asked):
    query = prepare("vehicle v: true")
    search_store(query, streets, most=100)
    asked.clear()
    search_store(query, streets, most=101)
    assert asked


def test_without_near_misses_there_are_none(streets):
    query = prepare("vehicle v: speed(v) > 10.5 m/s")
    both = search_store(query, streets).answers
    assert (both.robustness < 0).any()
    found = search_store(query, streets, near_misses=0).answers
    np.testing.assert_array_equal(found.robustness, both.robustness[both.robustness > 0])


def test_workers_find_the_same_as_one_process(streets):
    query = prepare("vehicle v, vehicle w: distance(v, w) < 30 m and speed(v) > speed(ego)")
    two = search_store(query, streets, workers=2)
    streets.forget("answers", "true")
    one = search_store(query, streets)
    assert one.scenes == two.scenes
    np.testing.assert_array_equal(one.answers.robustness, two.answers.robustness)
    assert one.answers.agent.tolist() == two.answers.agent.tolist()
    assert (one.known, two.known) == (0, 0)


def test_what_was_answered_is_kept_where_a_search_is_stopped(streets, monkeypatch, asked):
    monkeypatch.setattr("kerbstone.mine.search.answering.AT_ONCE", 2)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_store(prepare(BRAKES), streets, on_result=stop)
    asked.clear()
    assert search_store(prepare(BRAKES), streets).known == 2
    assert len(asked) == 4


def test_it_tells_how_far_it_is(streets):
    told = []
    search_store(prepare(BRAKES), streets, on_start=told.append, on_result=told.append)
    assert told == [6, 6]
    told.clear()
    search_store(prepare(BRAKES), streets, on_start=told.append, on_result=told.append)
    assert told == [0]


def test_a_damaged_scene_is_listed_and_the_rest_is_searched(streets):
    damage_scene(streets, "brake/0")
    found = search_store(prepare(BRAKES), type(streets).open(streets.uri))
    assert len(found.failed) == 1
    assert found.failed[0][1].code == "store-damaged"
    assert len(found.scenes) == 5
    assert found.failed[0][0] not in found.scenes


def test_a_scene_that_failed_is_asked_again(streets, asked):
    damage_scene(streets, "brake/0")
    search_store(prepare(BRAKES), type(streets).open(streets.uri))
    asked.clear()
    again = search_store(prepare(BRAKES), type(streets).open(streets.uri))
    assert (len(again.failed), again.known, asked) == (1, 5, [])


def test_a_query_that_no_scene_can_answer_is_told_at_once(streets):
    with pytest.raises(InputError, match="no kind 'lorry'"):
        search_store(prepare('any v: is_a(v, "lorry")'), streets)
    with pytest.raises(MissingError, match="world model"):
        search_store(prepare("any v: surprise(v) > 2"), streets)


def test_a_query_too_large_for_a_scene_fails_there_alone(streets, monkeypatch):
    monkeypatch.setattr("kerbstone.lang.frames._MOST_CELLS", 1000)
    found = search_store(prepare(BRAKES), streets)
    ((name, error),) = found.failed
    assert (name, error.code) == ("brake/0", "query-limit")
    assert len(found.scenes) == 5


def test_answers_of_a_model_are_kept_only_under_its_version(streets, monkeypatch, asked):
    monkeypatch.setattr(models, "_PROVIDED", {})
    query = prepare("vehicle v: surprise(v) > 2")

    def measure(facts):
        return np.where(facts.agents.valid, 3.0, np.nan)

    models.provide("surprise", measure)
    assert question_key(query, near_misses=10) == ""
    assert search_store(query, streets, workers=2).answers.total.sum() > 0
    asked.clear()
    search_store(query, streets)
    assert asked
    models.provide("surprise", measure, version="1")
    search_store(query, streets)
    asked.clear()
    search_store(query, streets)
    assert asked == []
    models.provide("surprise", measure, version="2")
    search_store(query, streets)
    assert asked


def test_a_store_as_it_was_is_searched_as_it_was(streets):
    with streets.run(command="x") as run:
        pass
    put_scenes(streets, "more", street("more/0", log="more", brake=True, lead=25.0))
    past = streets.at(run.id)
    assert search_store(prepare(BRAKES), past).answers.total.sum() == 1
    assert search_store(prepare(BRAKES), past, workers=2).answers.total.sum() == 1
    assert streets.rows("answers").num_rows == 0
    assert search_store(prepare(BRAKES), streets).answers.total.sum() == 2


def test_an_empty_store_answers_nothing(store):
    found = search_store(prepare(BRAKES), store)
    assert (found.scenes, found.failed, found.known) == ((), (), 0)
