"""The commands that search: what they print, what they write, how they end."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands import run, run_json
from drives import write_drive
from kerbstone.formats import ingest
from kerbstone.store import Store
from small.sumo import write_run
from streets import damage_scene

FAST = "vehicle v: speed(v) > 7 m/s"
PASSING = "vehicle v, pedestrian p: distance(v, p) < 20 m and approaching(v, p)"


@pytest.fixture(scope="module")
def _road(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    for name, speed in (("a", 10.0), ("b", 8.0), ("c", 6.0)):
        write_drive(folder / "logs" / f"{name}.csv", speed=speed)
    write_run(folder / "logs" / "town")
    ingest([folder / "logs"], folder / "road")
    return folder / "road"


@pytest.fixture
def road(_road, tmp_path) -> Path:
    """A store of three small drives and a simulated one, for the test alone."""
    shutil.copytree(_road, tmp_path / "road")
    return tmp_path / "road"


def test_find_prints_ranked_matches_then_near_misses_and_the_query_on_stderr(road):
    result = run("find", FAST, "--store", road, "--near-misses", 2)
    assert "query  vehicle v: speed(v) > 7 m/s" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("3 matches in 4 scenes")
    rows = [line.split() for line in lines if line.strip()[:1].isdigit() and "match" not in line]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert {row[1] for row in rows[:3]} >= {"table/logs/a", "table/logs/b"}
    missed = lines[lines.index("Near misses") :]
    assert "speed(v) 6 m/s, needs > 7 m/s" in "\n".join(missed)


def test_find_is_json_on_request(road):
    found = run_json("find", PASSING, "--store", road, "--top", 2)
    assert (found["query"], found["scenes"]) == (PASSING, 4)
    assert len(found["matches"]) == 2
    match = found["matches"][0]
    assert match["witnesses"]["p"] == {"agent": "p", "kind": "pedestrian"}
    assert {"start", "end", "robustness", "atoms"} <= set(match)
    near = match["atoms"][0]
    assert (near["operator"], near["unit"], near["right"]) == ("<", "m", 20.0)
    assert near["left"] < 20


def test_a_second_find_is_the_same_finding(road):
    first, again = (run_json("find", FAST, "--store", road) for _ in range(2))
    assert first == again
    commands = [row["command"] for row in run_json("runs", "--store", road)]
    assert commands.count("find") == 1


def test_a_new_log_is_searched_and_what_was_known_is_not(road, tmp_path):
    run("find", FAST, "--store", road)
    ingest([write_drive(tmp_path / "more" / "d.csv", speed=12.0)], road)
    found = run_json("find", FAST, "--store", road)
    assert found["total"] == 4
    (newest, *_) = [row for row in run_json("runs", "--store", road) if row["command"] == "find"]
    metrics = json.loads(json.loads(run("runs", newest["id"], "--store", road).stdout)["metrics"])
    assert (metrics["scenes"], metrics["known"]) == (5, 4)


def test_where_top_and_near_misses_narrow_it_down(road):
    found = run_json("find", FAST, "--store", road, "--where", "dataset = 'sumo'")
    assert (found["scenes"], found["total"]) == (1, 1)
    assert run_json("find", FAST, "--store", road, "--top", 1)["total"] == 3
    assert run_json("find", FAST, "--store", road, "--near-misses", 0)["near_misses"] == []


def test_plain_words_and_scenarios_are_found_and_shown(road, tmp_path):
    words = run("find", "stopped car", "--store", road)
    assert "query  car c: " in words.stderr
    own = tmp_path / "own.scenario"
    own.write_text('scenario dashing(vehicle v, least = 7 m/s): "It is fast." speed(v) > least')
    found = run_json("find", "dashing", "--store", road, "--scenarios", own)
    assert (found["query"], found["total"]) == ("vehicle v: dashing(v)", 3)


def test_two_workers_find_what_one_finds(road):
    one = run_json("find", PASSING, "--store", road)
    Store.open(str(road)).forget("answers", "true")
    two = run_json("find", PASSING, "--store", road, "--workers", 2, "--top", 49)
    assert [m["robustness"] for m in one["matches"]] == [m["robustness"] for m in two["matches"]]


def test_a_dry_run_and_check_show_the_query_and_touch_no_store(tmp_path):
    nowhere = tmp_path / "nowhere"
    dry = run_json("find", PASSING, "--store", nowhere, "--dry-run")
    assert dry == run_json("check", PASSING)
    assert dry["variables"][1] == {"name": "p", "kinds": ["pedestrian"]}
    assert dry["atoms"] == [
        {"text": "distance(v, p) < 20 m", "compares": True, "unit": "m"},
        {"text": "approaching(v, p)", "compares": False, "unit": None},
    ]
    assert not nowhere.exists()
    assert "distance(v, p) < 20 m" in run("check", PASSING).stdout


def test_scenarios_are_listed_with_arguments_and_what_they_are(tmp_path):
    own = tmp_path / "own.scenario"
    own.write_text('scenario dashing(vehicle v, least = 7 m/s): "It is fast." speed(v) > least')
    listed = {row["name"]: row for row in run_json("scenarios", "--scenarios", own)}
    assert listed["dashing"] == {
        "name": "dashing",
        "arguments": ["vehicle v", "least = 7 m/s"],
        "doc": "It is fast.",
        "built_in": False,
    }
    assert all(row["doc"] for row in listed.values())
    assert "vehicle v, least = 7 m/s" in run("scenarios", "--scenarios", own).stdout


def test_signals_are_listed_with_unit_and_what_they_say():
    listed = {row["name"]: row for row in run_json("signals")}
    assert listed["speed"]["unit"] == "m/s"
    assert (listed["approaching"]["arguments"], listed["approaching"]["unit"]) == (["a", "b"], None)
    assert listed["is_a"]["arguments"] == ["a", '"…"']
    text = run("signals").stdout
    assert "distance(a, b)" in text
    assert "claim" in text


def test_index_tells_what_it_did_and_does_it_once(road):
    assert run_json("index", "--store", road)["known"] == 0
    assert run_json("index", "--store", road, "--workers", 2)["known"] == 4
    assert "4 were already" in run("index", "--store", road).stdout


def test_a_damaged_scene_is_told_the_rest_is_found_and_the_exit_code_says_so(road):
    damage_scene(Store.open(str(road)), "table/logs/b")
    result = run("find", FAST, "--store", road, code=3)
    assert "1 scene could not be searched" in result.stderr
    assert "error[store-damaged]" in result.stderr
    assert "in 3 scenes" in result.stdout
    as_json = run("find", FAST, "--store", road, "--json", code=3)
    assert json.loads(as_json.stdout)["failed"][0]["code"] == "store-damaged"
    assert run_json("runs", "--store", road)[0]["outcome"] == "partial"
    assert "could not be indexed" in run("index", "--store", road, code=3).stderr


def test_the_page_and_the_file_are_written_where_one_says(road, tmp_path):
    page, out = tmp_path / "found.html", tmp_path / "found.json"
    found = run_json("find", PASSING, "--store", road, "--html", page, "--out", out)
    assert found["page"] == str(page)
    text = page.read_text()
    assert "<canvas" in text
    assert "distance(v, p) &lt; 20 m" in text
    whole = json.loads(out.read_text())
    assert whole["finding"] == found["finding"]
    assert len(whole["matches"][0]["trace"]["robustness"]) > 5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["find", FAST, "--store", "nowhere"], 3, "error[store-missing]"),
        (["find", "vehicle v: sped(v) > 3 m/s"], 3, "did you mean 'speed'"),
        (["find", "vehicle v: speed(v) > 3 kg"], 3, "error[query-syntax]"),
        (["find", "no_such_scenario_at_all"], 3, "there is no scenario"),
        (["find", FAST, "--scenarios", "none.scenario"], 3, "error[unreadable]"),
        (["find", FAST, "--workers", "many"], 2, "error[usage]"),
        (["find", FAST, "--top", "-1"], 2, "top"),
        (["check", "vehicle v: stopped(w)"], 3, "no road user 'w'"),
        (["index", "--store", "nowhere"], 3, "error[store-missing]"),
        (["find", "vehicle v: surprise(v) > 2", "--store", "road"], 4, "error[model-missing]"),
        (["find", FAST, "--store", "road", "--where", "agnts > 5"], 3, "agnts"),
        (["find", FAST, "--store", "road", "--html", "no/x.html"], 3, "--html"),
        (["find", FAST, "--store", "road", "--out", "no/x.json"], 3, "--out"),
        (["find", "train a: true", "--store", "road", "--html", "x.html"], 3, "nothing to show"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(road, monkeypatch, arguments, code, message):
    monkeypatch.chdir(road.parent)
    result = run(*arguments, code=code)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_checking_a_query_loads_no_store_and_no_map(tmp_path):
    script = (
        "import sys; from typer.testing import CliRunner; from kerbstone.app.cli import app\n"
        "assert CliRunner().invoke(app, ['check', 'car c: stopped(c)']).exit_code == 0\n"
        "print([m for m in ('lance', 'pyarrow', 'jax', 'ray', 'shapely') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
