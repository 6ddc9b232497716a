"""The commands that choose, from the command line to files, on streets and on simulated roads."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from commands import run, run_json
from kerbstone.mine.examples import like
from kerbstone.mine.moments.describing import describe
from kerbstone.mine.moments.embeddings import read_vectors
from kerbstone.store import Store
from streets import put_scenes, street


@pytest.fixture
def road(tmp_path) -> Path:
    store = Store.create(str(tmp_path / "road"))
    for number in range(3):
        put_scenes(store, f"plain-{number}", street(f"plain/{number}", speed=9.0 + number))
    put_scenes(store, "walkers", street("walk/0", walker=True), street("walk/1", walker=True))
    put_scenes(store, "brakes", street("brake/0", brake=True, lead=25.0, town="There"))
    return tmp_path / "road"


@pytest.fixture
def library(tmp_path) -> Path:
    path = tmp_path / "mine.scenario"
    path.write_text(
        'scenario braking_hard(vehicle v): "Brakes." deceleration(v) > 4 m/s2\n'
        'scenario flying(vehicle v): "Never." speed(v) > 300 m/s\n'
    )
    return path


def test_like_finds_the_other_walker_and_plays_it(road, tmp_path):
    page = tmp_path / "like.html"
    found = run_json("like", "walk/0@4-8", "--store", road, "--top", 3, "--html", page)
    assert [row["rank"] for row in found["found"]] == [1, 2, 3]
    assert found["found"][0]["scene"] == "walk/1"
    assert found["page"] == str(page)
    assert "<canvas" in page.read_text("utf-8")
    table = run("like", "walk/0@4-8", "--store", road, "--top", 3).stdout
    assert "walk/1" in table
    there = run_json("like", "walk/0", "--store", road, "--where", "town = 'There'")
    assert [row["scene"] for row in there["found"]] == ["brake/0"]


def test_rare_says_what_is_unusual(road, tmp_path):
    page = tmp_path / "rare.html"
    found = run_json("rare", "--store", road, "--top", 2, "--html", page)["found"]
    assert found[0]["reasons"]
    assert found[0]["score"] >= found[1]["score"]
    assert page.exists()
    critical = run_json("rare", "--store", road, "--by", "criticality", "--top", 1)["found"]
    assert (critical[0]["scene"], set(critical[0]["agents"])) == ("brake/0", {"ego", "lead"})
    assert "criticality" in run("rare", "--store", road, "--by", "criticality").stdout


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_select_writes_its_choice(road, tmp_path, suffix):
    path = tmp_path / f"choice.{suffix}"
    chosen = run_json("select", 3, "--store", road, "--out", path)
    names = [item["scene"] for item in chosen["items"]]
    assert len(set(names)) == 3
    text = path.read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines())) if suffix == "csv" else json.loads(text)["items"]
    assert [row["scene"] for row in rows] == names
    again = run_json("select", 3, "--store", road)
    assert [item["scene"] for item in again["items"]] == names
    further = run_json("select", 9, "--store", road, "--name", "second")
    assert not {item["scene"] for item in further["items"]} & set(names)


def test_select_says_when_there_is_no_more(road):
    result = run("select", 9, "--store", road, "--criticality", 0)
    assert "6 scenes of 6" in result.stdout
    assert "no more scenes" in result.stderr


def test_coverage_counts_and_draws(road, library, tmp_path):
    page = tmp_path / "coverage.html"
    arguments = ("coverage", "--store", road, "--scenarios", library)
    only = ("--scenario", "braking_hard", "--scenario", "flying")
    found = run_json(*arguments, *only, "--html", page)
    rows = {(row["scenario"], row["group"]): row for row in found["rows"]}
    assert rows["braking_hard", "all"]["count"] == 1
    assert rows["braking_hard", "There"]["per_hour"]["rate"] == pytest.approx(360.0)
    assert rows["flying", "all"]["per_hour"]["low"] == 0.0
    assert rows["flying", "all"]["per_hour"]["high"] > 0
    assert "<svg" in page.read_text("utf-8")
    table = run(*arguments, *only, "--by", "none").stdout
    assert "< " in table
    assert "There" not in table


def test_tables_say_times_alike_and_have_no_column_without_a_word(road):
    for arguments in (
        ("like", "walk/0@4-8", "--top", 2),
        ("rare", "--top", 2),
        ("select", 2, "--unit", "moment"),
    ):
        lines = run(*arguments, "--store", road).stdout.splitlines()
        heading = next(line for line in lines if "from s" in line)
        rows = [line for line in lines if line.split()[:1] in (["1"], ["2"]) and "/" in line]
        place = heading.index("to s") + len("to s")
        times = [float(line[:place].split()[-1]) for line in rows]
        assert len(rows) == 2
        assert all(
            line[:place].endswith(f" {time:.1f}") for line, time in zip(rows, times, strict=True)
        )
    assert " who" not in run("rare", "--top", 1, "--store", road).stdout
    critical = run("rare", "--by", "criticality", "--top", 1, "--store", road).stdout
    assert " who" in critical
    assert "ego" in critical


def test_what_fits_no_scene_is_told_and_no_empty_table_shown(road):
    nowhere = ("--store", road, "--where", "town = 'Nowhere'")
    for arguments in (("rare",), ("rare", "--by", "criticality"), ("like", "walk/0@4-8")):
        assert run(*arguments, *nowhere).stdout == "nothing was found\n"
        assert run_json(*arguments, *nowhere) == {"found": []}


def test_the_pages_say_what_their_lists_are(road, tmp_path):
    page = tmp_path / "page.html"
    for arguments, heading in (
        (("like", "walk/0@4-8"), "Most alike"),
        (("rare",), "Moments"),
    ):
        run(*arguments, "--store", road, "--top", 1, "--html", page)
        assert f">{heading}</h2>" in page.read_text("utf-8")


def test_describe_goes_on_where_it_stopped_and_is_recorded(road):
    assert run_json("describe", "--store", road)["logs"] == 5
    assert run_json("describe", "--store", road)["logs"] == 0
    # The same scenes have the same statistics.
    assert "5 known already" in run("describe", "--store", road, "--refit").stdout
    runs = run_json("runs", "--store", road)
    assert [row["command"] for row in runs].count("fit-descriptor") == 2
    assert {row["outcome"] for row in runs} == {"done"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["like", "nowhere"], 3, "error[scene-missing]"),
        (["like", "walk/0@x"], 2, "not numbers"),
        (["like", "walk/0@5-99"], 3, "beyond its scene"),
        (["like", "walk/0", "--embedding", "world"], 3, "no embedding 'world'"),
        (["like", "walk/0", "--where", "towm = 1"], 3, "condition"),
        (["like", "walk/0", "--top", "0"], 2, "top"),
        (["like", "walk/0", "--html", "no/such/folder.html"], 3, "error[output]"),
        (["rare", "--by", "beauty"], 2, "'beauty'"),
        (["rare", "--workers", "many"], 2, "error[usage]"),
        (["select", "0"], 2, "K"),
        (["select", "2", "--method", "magic"], 2, "'magic'"),
        (["select", "2", "--criticality", "2"], 2, "between 0 and 1"),
        (["select", "2", "--out", "choice.xls"], 2, ".csv or .json"),
        (["select", "2", "--known", "nowhere"], 3, "error[scene-missing]"),
        (["select", "2", "--where", "town = 'Nowhere'"], 3, "nothing to choose from"),
        (["coverage", "--scenario", "flyign"], 3, "no scenario 'flyign'"),
        (["coverage", "--by", "country"], 2, "grouped"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(
    road, tmp_path, monkeypatch, arguments, code, message
):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--store", road, code=code)
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.fixture(scope="module")
def towns(tmp_path_factory):
    """Simulated roads of four logs with planted events, and nothing else."""
    pytest.importorskip("sumo", reason="the extra 'sumo' is not installed")
    folder = tmp_path_factory.mktemp("towns")
    config = folder / "towns.toml"
    config.write_text(
        "duration = 240\nagents = 80\nevent_pause = 4.0\nwarm_up = 20\nseed = 40\n"
        'events = ["slow-vehicle", "stopped-vehicle", "emergency-braking", "tailgating"]\n'
    )
    run(
        *("simulate", "--store", folder / "road", "--config", config, "--workers", 2),
        *("--town", "grid", "--town", "spider", "--side", "both"),
    )
    return Store.open(str(folder / "road"))


def events_of(store):
    """Return kind, scene, start and end [s] of what was planted, as far as it is in its scene."""
    scenes = {row["id"]: row for row in store.scenes(["id", "start_ns", "duration"]).to_pylist()}
    events = []
    for row in store.rows("events").to_pylist():
        scene = scenes[row["scene_id"]]
        times = [(row[name] - scene["start_ns"]) / 1e9 for name in ("start_ns", "end_ns")]
        start, end = np.clip(times, 0.0, scene["duration"] - 0.1)
        events.append((row["kind"], scene["id"], float(start), float(end)))
    return events


def test_events_of_the_same_kind_are_nearer_than_chance_has_it(towns):
    describe(towns)
    rows, events = read_vectors(towns), events_of(towns)
    log_of = dict(zip(rows.scene, rows.log, strict=True))
    place = {key: i for i, key in enumerate(zip(rows.scene, rows.start, strict=True))}
    ends = rows.start + rows.duration
    precision, base = [], []
    for kind, scene, start, end in events:
        shows = np.zeros(len(rows), bool)
        for other_kind, other, first, last in events:
            if other_kind == kind:
                shows |= (rows.scene == other) & (rows.start < last) & (ends > first)
        elsewhere = rows.log != log_of[scene]
        found = like(f"{scene}@{(start + end) / 2:.2f}", towns, top=200)
        others = [one for one in found if log_of[one.scene] != log_of[scene]][:5]
        precision.append(np.mean([shows[place[one.scene, one.start]] for one in others]))
        base.append(shows[elsewhere].mean())
    assert len(events) >= 10
    assert np.mean(precision) > 2 * np.mean(base), (np.mean(precision), np.mean(base))
