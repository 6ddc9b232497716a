"""Findings: what is found, in which order, why, and that it is written down once."""

import json
import shutil

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.lang import Facts, measure_atoms
from kerbstone.lang.library import prepare
from kerbstone.mine import Finding, find, find_finding, list_findings
from kerbstone.store import Store
from streets import damage_scene, put_scenes, street

FAST = "vehicle v: speed(v) > 10.5 m/s"
NEAR = "vehicle v, pedestrian p: then(distance(v, p) < 20 m, stopped(v), within 2 s)"


def assert_alike(one: Finding, other: Finding) -> None:
    assert json.dumps(one.to_dict(traces=True)) == json.dumps(other.to_dict(traces=True))


def test_the_strongest_match_comes_first_and_near_misses_after_all_matches(streets):
    found = find(FAST, streets, top=100, near_misses=4)
    matches = [match for match in found.matches if match.is_match]
    missed = found.matches[len(matches) :]
    assert [match.rank for match in found.matches] == list(range(1, len(found.matches) + 1))
    assert not any(match.is_match for match in missed)
    strengths = [match.robustness for match in found.matches]
    assert strengths == sorted(strengths, reverse=True)
    assert (len(matches), len(missed), found.total) == (3, 4, 3)
    assert {match.scene for match in matches} == {"plain/2"}
    assert (found.scenes, found.seconds) == (6, pytest.approx(60.0))


def test_only_so_many_are_listed_but_all_are_counted(streets):
    found = find(FAST, streets, top=1, near_misses=0)
    assert (len(found.matches), found.total) == (1, 3)
    assert find(FAST, streets, top=0, near_misses=0).total == 3


def test_a_match_tells_who_when_and_how_strongly(streets):
    (match,) = find("vehicle v: deceleration(v) > 3 m/s2", streets, near_misses=0).matches
    (witness,) = match.witnesses
    assert (match.scene, witness.variable, witness.agent, witness.kind) == (
        "brake/0", "v", "lead", "car",
    )  # fmt: skip
    assert 3.9 < match.start < 4.2
    assert 5.5 < match.end < 6.0
    assert match.robustness == pytest.approx(3.0)
    assert match.start <= match.best * match.dt < match.end
    assert match.missed_by == ()


def test_a_trace_shows_the_atoms_from_before_to_after(streets):
    query = "vehicle v: deceleration(v) > 3 m/s2 and speed(v) > 7.2 km/h"
    (match,) = find(query, streets, near_misses=0).matches
    trace = match.trace
    assert trace.first == max(match.first - 50, 0)
    assert len(trace.robustness) == min(match.last + 50, 99) - trace.first + 1
    scene = streets.scene(match.scene)
    row = np.array([[scene.agents.index("lead")]])
    atoms = measure_atoms(prepare(query), Facts(scene), row)
    for shown, whole in zip(trace.atoms, atoms, strict=True):
        part = slice(trace.first, trace.first + len(trace.robustness))
        assert (shown.text, shown.unit) == (whole.text, whole.unit)
        np.testing.assert_array_equal(shown.robustness, whole.robustness[0, part])
        np.testing.assert_array_equal(shown.left, whole.left[0, part])
    held = trace.robustness[match.first - trace.first : match.last - trace.first + 1]
    assert (held > 0).all()
    assert held.max() == match.robustness
    assert trace.robustness[match.first - trace.first - 1] < 0


def test_a_query_that_looks_ahead_has_a_longer_trace(streets):
    plain = find("vehicle v: speed(v) > 10.5 m/s", streets, top=1, where="id = 'plain/2'")
    ahead = find("vehicle v: deceleration(v) < 1 m/s2 and eventually[0 s, 3 s](deceleration(v) > 3 m/s2)",
                 streets, top=1, near_misses=0)  # fmt: skip
    assert plain.matches[0].trace.first == 0
    (match,) = ahead.matches
    assert len(match.trace.robustness) == min(match.last + 80, 99) - match.trace.first + 1


def test_a_near_miss_tells_what_it_missed_by_in_the_atoms_own_unit(streets):
    found = find("vehicle v: speed(v) > 41.4 km/h", streets, near_misses=1)
    (miss,) = found.matches
    assert miss.missed_by == ("speed(v) 39.6 km/h, needs > 41.4 km/h",)
    assert miss.robustness == pytest.approx(-0.25)


def test_what_fails_at_another_time_is_told_with_its_time(streets):
    text = "vehicle v: deceleration(v) > 3 m/s2 and once[0 s, 2 s](speed(v) > 10.5 m/s)"
    (miss,) = find(text, streets, near_misses=1).matches
    (said,) = miss.missed_by
    assert said.startswith("speed(v) 10 m/s, needs > 10.5 m/s at ")
    assert miss.start - 2.01 <= float(said.split()[-2]) < miss.start


def test_asked_again_the_store_gives_the_same_finding_back(streets):
    first = find(NEAR, streets)
    again = find(NEAR, streets)
    assert_alike(first, again)
    assert first.run == again.run
    assert streets.rows("findings").num_rows == 1
    assert [run["command"] for run in streets.runs().to_pylist()] == ["find"]


def test_another_question_or_other_scenes_make_another_finding(streets):
    found = [
        find(FAST, streets),
        find(FAST, streets, top=3),
        find(FAST, streets, near_misses=3),
        find(FAST, streets, where="town = 'There'"),
        find("vehicle w: speed(w) > 10.5 m/s", streets),
        find(FAST, streets, given="fast cars"),
    ]
    put_scenes(streets, "more", street("more/0", speed=12.0, log="more"))
    found.append(find(FAST, streets))
    assert len({finding.id for finding in found}) == 7
    assert (found[0].total, found[-1].total) == (3, 6)


def test_a_finding_is_read_back_as_it_was(streets):
    for text in (FAST, NEAR, "speed(ego) > 9.5 m/s", "vehicle v: speed(v) > 99 m/s"):
        found = find(text, streets)
        assert_alike(find_finding(streets, found.id), found)
        assert_alike(find_finding(Store.open(streets.uri), found.id[:8]), found)


def test_findings_are_listed_the_newest_first(streets):
    one, other = find(FAST, streets), find(NEAR, streets)
    listed = list_findings(streets)
    assert [row["finding"] for row in listed] == [other.id, one.id]
    assert (listed[1]["query"], listed[1]["matches"]) == (FAST, 3)


def test_a_finding_that_is_not_there_is_told_with_the_nearest(streets):
    with pytest.raises(InputError, match="no finding"):
        find_finding(streets, "abc")
    found = find(FAST, streets)
    with pytest.raises(InputError) as error:
        find_finding(streets, found.id[:-1] + "_")
    assert found.id in error.value.remedy
    find(NEAR, streets)
    with pytest.raises(InputError, match="more than one"):
        find_finding(streets, "")


def test_a_run_tells_what_was_asked_and_from_which_scenes_it_was_found(streets):
    found = find(FAST, streets, where="town = 'There'")
    (run,) = streets.runs().to_pylist()
    assert (run["id"], run["outcome"]) == (found.run, "done")
    config, metrics = json.loads(run["config"]), json.loads(run["metrics"])
    assert (config["query"], config["where"]) == (FAST, "town = 'There'")
    assert (metrics["finding"], metrics["matches"], metrics["scenes"]) == (found.id, 3, 3)
    assert "findings" in dict(run["versions_after"])


def test_a_scenario_is_found_by_its_name_and_from_a_file_of_ones_own(streets, tmp_path):
    file = tmp_path / "own.scenario"
    file.write_text('scenario rushing(vehicle v): "It is fast." speed(v) > 10.5 m/s')
    found = find("rushing", streets, scenarios=[file])
    assert (found.query, found.given, found.total) == ("vehicle v: rushing(v)", "rushing", 3)
    assert [atom.text for atom in found.matches[0].trace.atoms] == ["speed(v) > 10.5 m/s"]


def test_a_damaged_scene_is_told_and_the_finding_is_partial(streets):
    damage_scene(streets, "brake/0")
    store = Store.open(streets.uri)
    found = find(FAST, store)
    assert len(found.failed) == 1
    assert store.runs().to_pylist()[-1]["outcome"] == "partial"
    again = find(FAST, store)
    assert [name for name, _ in again.failed] == [name for name, _ in found.failed]


def test_a_wrong_query_leaves_no_trace_in_the_store(streets):
    for text in ("vehicle v: sped(v) > 3 m/s", "vehicle v: speed(v) >", "no_such_scenario"):
        with pytest.raises(InputError):
            find(text, streets)
    assert streets.runs().num_rows == 0


def test_a_query_that_cannot_be_answered_is_a_run_that_failed(streets):
    with pytest.raises(InputError, match="lorry"):
        find('any v: is_a(v, "lorry")', streets)
    assert [run["outcome"] for run in streets.runs().to_pylist()] == ["failed"]


def test_in_a_store_as_it_was_nothing_is_written(streets):
    with streets.run(command="x") as run:
        pass
    past = streets.at(run.id)
    found = find(FAST, past)
    assert (found.total, found.run) == (3, "")
    assert streets.rows("findings").num_rows == 0


def test_json_holds_no_number_that_json_has_not(streets):
    found = find("vehicle v: speed(v) / (speed(v) - speed(v)) > 1", streets, near_misses=3)
    text = json.dumps(found.to_dict(traces=True), allow_nan=False)
    assert json.loads(text)["finding"] == found.id
    deep = find("vehicle v, vehicle w: time_to_collision(v, w) > 1 s", streets, top=3)
    json.dumps(deep.to_dict(traces=True), allow_nan=False)
    assert any("inf" in str(match.to_dict()) for match in deep.matches)


def test_of_equals_the_longer_comes_first(streets):
    found = find('vehicle v: stopped(v) or speed(v) > 5 m/s and is_a(v, "car")', streets, near_misses=0)  # fmt: skip
    alike = [m for m in found.matches if m.robustness == found.matches[-1].robustness]
    lengths = [m.last - m.first for m in alike]
    assert lengths == sorted(lengths, reverse=True)


def test_a_search_that_was_stopped_ends_as_if_it_had_not_been(streets, tmp_path, monkeypatch):
    other = Store.open(str(shutil.copytree(streets.uri, tmp_path / "other")))
    whole = find(FAST, streets)
    monkeypatch.setattr("kerbstone.mine.search.answering.AT_ONCE", 2)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(FAST, other, on_result=stop)
    assert other.rows("findings").num_rows == 0
    assert other.runs().to_pylist()[-1]["outcome"] != "done"
    told = []
    found = find(FAST, other, on_start=told.append)
    assert told == [4]
    assert found.to_dict(traces=True) | {"run": ""} == whole.to_dict(traces=True) | {"run": ""}


def test_an_empty_store_has_a_finding_of_nothing_which_is_kept_too(store):
    found = find(FAST, store)
    assert (found.total, found.matches, found.scenes, found.seconds) == (0, (), 0, 0.0)
    assert_alike(find_finding(store, found.id), found)
    put_scenes(store, "log", street("made/0", speed=11.0))
    assert find(FAST, store).total > 0


def test_more_matches_than_are_kept_of_a_scene_are_counted_and_listed_when_asked_for(store):
    scene = street("many/0", oncoming=6)
    put_scenes(store, "many", scene)
    text = "any a, any b: speed(a) > 1 m/s"
    few, all_of_them = find(text, store, top=3), find(text, store, top=500)
    assert (len(few.matches), few.total) == (3, all_of_them.total)
    assert len(all_of_them.matches) == all_of_them.total > 3
    first = [(m.robustness, m.witnesses) for m in few.matches]
    assert first == [(m.robustness, m.witnesses) for m in all_of_them.matches[:3]]


@pytest.mark.parametrize(
    "name", ["a b/c", "ä/日本", 'it\'s/"x"', "x/[bold]", "x/%; --", "a/" + "y" * 200]
)
def test_scenes_of_any_name_are_found_kept_and_read(store, name):
    put_scenes(store, name, street(name, speed=12.0, log=name))
    found = find(FAST, store)
    assert {match.scene for match in found.matches} == {name}
    assert_alike(find_finding(Store.open(store.uri), found.id), found)
    assert store.scene(found.matches[0].scene).id == name


def test_a_scene_that_came_and_went_is_searched_as_it_is_now(streets):
    before = find(FAST, streets)
    put_scenes(streets, "plain-2", street("plain/2", speed=5.0, log="plain-2"), fingerprint="2")
    after = find(FAST, streets)
    assert (before.total, after.total) == (3, 0)
    assert before.id != after.id
    # The old one still tells what was found then.
    assert_alike(find_finding(streets, before.id), before)
