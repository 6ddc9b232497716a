"""The commands `find` and `findings` from end to end: what is kept, stopped, refused and odd."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import run, run_json
from drives import write_drive
from kerbstone.formats import ingest
from kerbstone.mine.search import answering
from kerbstone.store import Store
from streets import damage_scene, put_scenes, street

FAST = "vehicle v: speed(v) > 9.5 m/s"
CLOSE = "pedestrian p, vehicle v: distance(p, v) < 8 m"


@pytest.fixture(scope="module")
def _road(tmp_path_factory) -> Path:
    store = Store.create(str(tmp_path_factory.mktemp("finding") / "road"))
    for number in range(4):
        put_scenes(store, f"plain-{number}", street(f"plain/{number}", speed=8.0 + number))
    put_scenes(store, "walk", street("walk/0", walker=True))
    return Path(store.uri)


@pytest.fixture
def road(_road, tmp_path) -> Path:
    """A store of four plain streets and one with a walker, for the test alone."""
    return shutil.copytree(_road, tmp_path / "road")


@pytest.fixture
def empty(tmp_path) -> str:
    return Store.create(str(tmp_path / "empty")).uri


# What is kept, and shown again.


def test_a_finding_is_listed_and_shown_again_as_it_was(road, tmp_path):
    found = run_json("find", FAST, "--store", road)
    (listed,) = run_json("findings", "--store", road)
    assert (listed["finding"], listed["query"], listed["matches"]) == (
        found["finding"],
        FAST,
        found["total"],
    )
    assert run_json("findings", found["finding"][:6], "--store", road) == found
    out, page = tmp_path / "again.json", tmp_path / "again.html"
    shown = run_json("findings", found["finding"], "--store", road, "--out", out, "--html", page)
    assert shown["page"] == str(page)
    assert json.loads(out.read_text("utf-8"))["finding"] == found["finding"]
    assert "<canvas" in page.read_text("utf-8")


def test_shown_again_it_prints_the_same_table_and_what_was_asked(road):
    first = run("find", CLOSE, "--store", road, "--where", "town = 'Here'")
    name = first.stdout.split()[-1]
    again = run("findings", name, "--store", road)
    assert again.stdout == first.stdout
    assert f"query  {CLOSE}" in again.stderr
    assert "where  town = 'Here'" in again.stderr


def test_findings_are_listed_the_newest_first(road, empty):
    run("find", FAST, "--store", road)
    run("find", "stopped car", "--store", road)
    lines = [line for line in run("findings", "--store", road).stdout.splitlines() if ":" in line]
    assert "car c:" in lines[0]
    assert FAST in lines[1]
    assert "nothing was looked for yet" in run("findings", "--store", empty).stdout
    assert run_json("findings", "--store", empty) == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["findings", "zz"], 3, "no finding is called 'zz'"),
        (["findings", ""], 3, "more than one finding"),
        (["findings", "--html", "x.html"], 2, "name one of them"),
        (["findings", "--out", "x.json"], 2, "name one of them"),
        (["findings", "--store", "nowhere"], 3, "error[store-missing]"),
    ],
)
def test_a_mistake_with_findings_is_told(road, monkeypatch, arguments, code, message):
    monkeypatch.chdir(road.parent)
    for query in (FAST, CLOSE):
        run("find", query)
    assert message in run(*arguments, code=code).stderr


# What is stopped, and what fails.


def test_a_stopped_search_says_so_and_the_same_command_goes_on(road, monkeypatch):
    monkeypatch.setattr(answering, "AT_ONCE", 2)
    answer, asked = answering._answer_scene, []

    def stop(work, scene, part, columns):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(scene.id)
        return answer(work, scene, part, columns)

    monkeypatch.setattr(answering, "_answer_scene", stop)
    stopped = run("find", FAST, "--store", road, "--json", code=130)
    assert stopped.stdout == ""
    error = json.loads(stopped.stderr.splitlines()[-1])["error"]
    assert (error["code"], error["try"]) == (
        "interrupted",
        "the same command again goes on from there",
    )
    assert run_json("findings", "--store", road) == []
    monkeypatch.setattr(answering, "_answer_scene", answer)
    found = run_json("find", FAST, "--store", road)
    assert (found["scenes"], found["failed"]) == (5, [])
    metrics = json.loads(run_json("runs", found["run"], "--store", road)["metrics"])
    assert metrics["known"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_stops_a_search_by_workers_and_leaves_a_store_that_answers(road):
    store = Store.open(str(road))
    for number in range(20):
        put_scenes(store, f"more-{number}", street(f"more/{number}", oncoming=8))
    query = (
        "any a, any b, any c: distance(a, b) < 90 m and distance(b, c) < 90 m and approaching(a, c)"
    )
    command = [sys.executable, "-c", "from kerbstone.app.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "find", query, "--store", str(road), "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(0.4)  # well before it is done: at its very end Python leaves no time to say so
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # On a quick machine it may have been done by then.
    assert process.returncode in (0, 130), err
    assert "Traceback" not in err
    assert ("error[interrupted]" in err) == (process.returncode == 130)
    assert (out == "") == (process.returncode == 130)
    assert run_json("find", FAST, "--store", road)["scenes"] == 25


def test_a_damaged_scene_is_told_as_json_and_the_rest_is_found(road):
    damage_scene(Store.open(str(road)), "plain/3")
    result = run("find", FAST, "--store", road, "--json", code=3)
    found = json.loads(result.stdout)
    assert found["scenes"] == 4
    assert [row["scene"] for row in found["failed"]] == ["plain/3"]
    assert {match["scene"] for match in found["matches"]} == {"plain/2", "walk/0"}
    note, *errors = result.stderr.splitlines()[1:]
    assert note == "1 scene could not be searched:"
    assert [json.loads(line)["error"]["code"] for line in errors] == ["store-damaged"]
    # Shown again it tells so too; showing has not failed.
    again = run("findings", found["finding"], "--store", road)
    assert "1 scene could not be searched" in again.stderr


def test_where_the_page_cannot_be_written_the_finding_is_shown_nevertheless(road, tmp_path):
    result = run("find", FAST, "--store", road, "--html", tmp_path / "no" / "x.html", code=3)
    assert "error[output]" in result.stderr
    assert "matches in 5 scenes" in result.stdout
    nothing = ("find", "train a: true", "--store", road, "--html", tmp_path / "x.html")
    found = json.loads(run(*nothing, "--json", code=3).stdout)
    assert (found["total"], "page" in found) == (0, False)
    assert not (tmp_path / "x.html").exists()


def test_a_store_without_scenes_and_a_condition_that_fits_none_are_told(road, empty):
    result = run("find", FAST, "--store", empty)
    assert "0 matches in 0 scenes" in result.stdout
    assert "the store holds no scenes yet: kerbstone ingest" in result.stderr
    result = run("find", FAST, "--store", road, "--where", "town = 'Nowhere'")
    assert "no scene fits --where" in result.stderr
    assert run_json("find", FAST, "--store", empty)["matches"] == []


# What is refused.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is no query to find"),
        (["--format", "av2"], "and no --prompts"),
        ([FAST, "--format", "jsn"], "did you mean 'json'"),
        ([FAST, "--prompts", "p.txt"], "--format json takes no --prompts"),
        ([FAST, "--every", "2"], "--format json takes no --every"),
        ([FAST, "--format", "av2"], "--format av2 needs a file"),
        ([FAST, "--format", "av2", "--out", "x.pkl", "--html", "x.html"], "takes no --html"),
        (
            [FAST, "--format", "av2", "--out", "x.pkl", "--open", "--top", "3"],
            "no --top, no --open",
        ),
        ([FAST, "--format", "av2", "--out", "x.pkl", "--workers", "2"], "takes no --workers"),
        ([FAST, "--store", ""], "it is empty"),
        ([FAST, "--top", "x"], "--top"),
        ([FAST, "--workers", "0"], "--workers takes"),
        ([FAST, "--model-first"], "KERBSTONE_LLM_URL"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_and_writes_nothing(
    road, monkeypatch, arguments, message
):
    monkeypatch.chdir(road.parent)
    result = run("find", *arguments, code=2)
    assert message in result.stderr
    assert result.stdout == ""
    assert not list(road.parent.glob("x.*"))
    assert run_json("findings") == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("tailgatng", "tailgating"),
        ("vehicle v: tailgatng(v)", "did you mean 'tailgating'"),
        ("vehicle v: sped(v) > 3 m/s", "did you mean 'speed'"),
        ("vehicle v: speed(v) > 3", "write 3 m/s"),
        ("vehicle v: speed(v)", "compare it"),
        ("lorry v: stopped(v)", "no kind 'lorry'"),
        ("vehicle v:", "the text ends here"),
        ("", "nothing to look for"),
        ("vehicle v: " + "not " * 500 + "true", "error[query-limit]"),
        ("vehicle v: " + "true and " * 9000 + "true", "error[query-limit]"),
        ("__import__('os').system('touch pwned')", "error[query"),
        ("vehicle v: speed(v) > 3 m/s; DROP TABLE scenes", "error[query-syntax]"),
    ],
)
def test_a_wrong_query_is_told_with_what_was_meant_and_leaves_no_trace(
    road, monkeypatch, query, message
):
    monkeypatch.chdir(road.parent)
    result = run("find", query, code=3)
    assert message in result.stderr
    assert len(result.stderr) < 5000
    assert not (road.parent / "pwned").exists()
    assert run_json("findings") == []
    assert run_json("runs") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "cannot be read"),
        (b"\x00" * 4000, "error[query-syntax]"),
        (b"stopped car", "expected scenario"),
        (b'scenario x(vehicle v): "x" ' + b"not " * 5000 + b"true", "error[query-limit]"),
        (b'scenario x(vehicle v): "x" ' + b"x" * 2_000_000, "the file is too large"),
        (b'scenario tailgating(vehicle v): "x" true', "there is a scenario 'tailgating' already"),
    ],
    ids=["no text", "zeros", "words", "deep", "large", "taken"],
)
def test_a_file_that_is_no_file_of_scenarios_is_told_by_its_name(road, tmp_path, content, message):
    file = tmp_path / "ödd [name] #1.scenario"
    file.write_bytes(content)
    result = run("find", FAST, "--store", road, "--scenarios", file, code=3)
    assert message in result.stderr
    assert "ödd [name] #1.scenario" in result.stderr
    assert len(result.stderr) < 5000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('scenario x(vehicle v): "x" x(v)', "error[query-"),
        ('scenario a(vehicle v): "a" b(v)\nscenario b(vehicle v): "b" a(v)', "called 'b'"),
        ('scenario x(vehicle v): "x" speed(v) > 1', "units do not fit"),
        ('scenario x(vehicle v, vehicle v): "x" true', "the name 'v' is taken"),
    ],
    ids=["itself", "each other", "units", "twice"],
)
def test_a_scenario_that_makes_no_sense_is_told_though_the_query_does_not_call_it(
    road, tmp_path, content, message
):
    file = tmp_path / "own.scenario"
    file.write_text(content, encoding="utf-8")
    assert message in run("find", FAST, "--store", road, "--scenarios", file, code=3).stderr


def test_an_empty_file_of_scenarios_adds_none(road, tmp_path):
    file = tmp_path / "own.scenario"
    file.write_text("# nothing yet\n", encoding="utf-8")
    assert run_json("find", FAST, "--store", road, "--scenarios", file)["total"] > 0


# What is odd.


def test_files_and_stores_of_any_name_are_found_in_and_written(tmp_path):
    odd = "a b & 'c' [d] #é%20"
    for name in (odd, "日本"):
        write_drive(tmp_path / odd / f"{name}.csv", speed=12.0)
    road = tmp_path / f"{odd} road"
    ingest([tmp_path / odd], road)
    page, out = tmp_path / f"{odd}.html", tmp_path / f"{odd}.json"
    result = run("find", FAST, "--store", road, "--html", page, "--out", out)
    assert f"{odd}/{odd}" in result.stdout
    assert "日本" in result.stdout
    assert json.loads(out.read_text("utf-8"))["total"] == 2
    assert page.exists()
    with_quotes = 'any a: labelled(a, "it\'s [odd] %s {x}")'
    assert run_json("find", with_quotes, "--store", road)["query"] == with_quotes
    one = run_json("find", FAST, "--store", road, "--where", "id LIKE '%日本%'")
    assert (one["scenes"], one["where"]) == (1, "id LIKE '%日本%'")


def test_the_json_of_a_finding_has_the_documented_shape(road):
    found = run_json("find", CLOSE, "--store", road, "--near-misses", 2)
    assert set(found) == {
        "finding", "run", "query", "given", "where", "scenes", "seconds", "total", "matches",
        "near_misses", "failed",
    }  # fmt: skip
    for match in [*found["matches"], *found["near_misses"]]:
        assert set(match) == {
            "rank", "is_match", "scene", "witnesses", "start", "end", "best", "robustness",
            "missed_by", "atoms",
        }  # fmt: skip
        assert match["start"] <= match["best"] < match["end"]
        assert bool(match["missed_by"]) != match["is_match"]


def test_plain_words_keep_what_was_said_beside_the_query(road):
    found = run_json("find", "pedestrian within 8 meters of a vehicle", "--store", road)
    assert found["given"] == "pedestrian within 8 meters of a vehicle"
    assert found["query"] == CLOSE
    assert found["total"] > 0
    listed = run_json("findings", "--store", road)
    assert listed[0]["given"] == found["given"]


def test_a_dry_run_shows_the_query_once_and_a_claim_as_such(road):
    result = run("find", "stopped car", "--store", road, "--dry-run")
    assert result.stderr == ""
    assert result.stdout.count("car c:") == 1
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["stationary(c)", "claim"] in lines
    assert ["speed(c)", "<", "0.5", "m/s", "m/s"] in lines
    assert run_json("findings", "--store", road) == []


def test_a_dry_run_of_an_export_shows_what_each_prompt_is_taken_for(tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("stopped car\n\nflying saucer\ntailgating\nstopped car\n", encoding="utf-8")
    arguments = ("find", FAST, "--prompts", prompts, "--format", "av2", "--dry-run")
    result = run(*arguments, "--json", code=3)
    rows = json.loads(result.stdout)["prompts"]
    assert [(row["prompt"], row["by"]) for row in rows] == [
        (FAST, "language"),
        ("stopped car", "words"),
        ("flying saucer", None),
        ("tailgating", "scenario"),
    ]
    assert "'flying'" in result.stderr
    assert "vehicle v, vehicle w: tailgating(v, w)" in run(*arguments, code=3).stdout
    prompts.write_text("stopped car", encoding="utf-8")
    assert "car c:" in run(*arguments).stdout
