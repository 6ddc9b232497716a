"""Whole commands on small logs: what they print, what they write, how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import run, run_json
from drives import write_drive
from kerbstone.formats import find_logs, intake
from kerbstone.store import Store


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        write_drive(tmp_path / "logs" / f"{name}.csv")
    return tmp_path / "logs"


def test_ingest_then_scenes_then_show(logs, tmp_path):
    road = tmp_path / "road"
    done = run_json("ingest", logs, "--store", road)
    assert (done["logs"], done["scenes"], done["agents"], done["agent_frames"]) == (3, 3, 9, 180)

    listed = run_json("scenes", "--store", road)
    assert [scene["id"] for scene in listed["scenes"]] == [f"table/logs/{n}" for n in "abc"]
    assert listed["scenes"][0]["kinds"] == {"car": 2, "pedestrian": 1}
    (dataset,) = listed["datasets"]
    assert dataset["scenes"] == 3
    assert dataset["hours"] == pytest.approx(3 * 2.0 / 3600, abs=1e-3)

    page = tmp_path / "b.html"
    run("show", "logs/b", "--store", road, "--out", page)
    assert "<canvas" in page.read_text()


def test_a_second_ingest_adds_nothing_and_a_changed_log_replaces_its_scenes(logs, tmp_path):
    road = tmp_path / "road"
    run("ingest", logs, "--store", road)
    again = run_json("ingest", logs, "--store", road)
    assert (again["known"], again["scenes"]) == (3, 0)

    write_drive(logs / "b.csv", steps=30)
    changed = run_json("ingest", logs, "--store", road)
    assert (changed["known"], changed["scenes"]) == (2, 1)
    scenes = {scene["id"]: scene for scene in run_json("scenes", "--store", road)["scenes"]}
    assert len(scenes) == 3
    assert scenes["table/logs/b"]["duration"] == 3.0


def test_two_workers_read_the_same_as_one(logs, tmp_path):
    run("ingest", logs, "--store", tmp_path / "one")
    run("ingest", logs, "--store", tmp_path / "two", "--workers", "2")
    one, two = Store.open(str(tmp_path / "one")), Store.open(str(tmp_path / "two"))
    ids = sorted(one.scenes().column("id").to_pylist())
    assert ids == sorted(two.scenes().column("id").to_pylist())
    for name in ids:
        left, right = one.scene(name).agents, two.scene(name).agents
        assert left.centre.tobytes() == right.centre.tobytes()


def break_log(path: Path) -> None:
    path.write_text(path.read_text().replace("0.5,7,car,", "0.5,7,spaceship,"))


def test_a_bad_log_stops_the_ingest_with_its_place_and_keeps_what_was_read(logs, tmp_path):
    break_log(logs / "b.csv")
    road = tmp_path / "road"
    result = run("ingest", logs, "--store", road, code=3)
    assert "spaceship" in result.stderr
    assert str(logs / "b.csv") in result.stderr
    assert "--skip-bad" in result.stderr
    kept = [scene["id"] for scene in run_json("scenes", "--store", road)["scenes"]]
    assert kept == ["table/logs/a"]


def test_skip_bad_reads_the_rest_lists_the_failures_and_says_so_in_the_exit_code(logs, tmp_path):
    break_log(logs / "b.csv")
    road = tmp_path / "road"
    result = run("ingest", logs, "--store", road, "--skip-bad", code=3)
    assert "1 of 3 logs could not be read" in result.stderr
    assert "spaceship" in result.stderr
    kept = [scene["id"] for scene in run_json("scenes", "--store", road)["scenes"]]
    assert kept == ["table/logs/a", "table/logs/c"]
    (row,) = run_json("runs", "--store", road)
    assert row["outcome"] == "partial"


def test_a_mended_log_is_read_by_the_next_ingest(logs, tmp_path):
    road = tmp_path / "road"
    break_log(logs / "b.csv")
    run("ingest", logs, "--store", road, "--skip-bad", code=3)
    write_drive(logs / "b.csv")
    done = run_json("ingest", logs, "--store", road)
    assert (done["known"], done["scenes"]) == (2, 1)


def test_an_ingest_that_was_killed_goes_on_without_duplicates(tmp_path):
    logs, road = tmp_path / "logs", tmp_path / "road"
    count = 40
    for i in range(count):
        write_drive(logs / f"{i:02}.csv", steps=60)
    command = [sys.executable, "-m", "kerbstone", "ingest", str(logs), "--store", str(road)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    states = road / "states.lance" / "_versions"
    while time.monotonic() < deadline and not (states.is_dir() and len(list(states.iterdir())) > 5):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    before = len(Store.open(str(road)).scenes())
    assert 0 < before < count
    done = run_json("ingest", logs, "--store", road)
    assert done["known"] == before
    ids = [scene["id"] for scene in run_json("scenes", "--store", road, "--limit", 0)["scenes"]]
    assert len(ids) == len(set(ids)) == count


def test_interrupting_keeps_what_is_done_and_says_how_to_go_on(tmp_path):
    logs, road = tmp_path / "logs", tmp_path / "road"
    for i in range(60):
        write_drive(logs / f"{i:02}.csv", steps=60)
    process = subprocess.Popen(
        [sys.executable, "-m", "kerbstone", "ingest", str(logs), "--store", str(road)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    versions = road / "scenes.lance" / "_versions"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (
        versions.is_dir() and len(list(versions.iterdir())) > 4
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "error[interrupted]" in errors
    assert "Traceback" not in errors
    assert len(Store.open(str(road)).scenes()) > 0
    assert run_json("runs", "--store", road)[0]["outcome"] == "interrupted"


def test_logs_that_are_called_alike_never_replace_one_another(tmp_path):
    write_drive(tmp_path / "one" / "logs" / "a.csv")
    write_drive(tmp_path / "two" / "logs" / "a.csv", steps=30)
    road = tmp_path / "road"
    both = run("ingest", tmp_path / "one", tmp_path / "two", "--store", road, code=3)
    assert "error[duplicate]: two logs are called 'table/logs/a'" in both.stderr
    assert str(tmp_path / "one/logs/a.csv") in both.stderr
    assert str(tmp_path / "two/logs/a.csv") in both.stderr
    assert run_json("scenes", "--store", road)["count"] == 0

    skipped = run("ingest", tmp_path, "--store", road, "--skip-bad", code=3)
    assert "1 of 2 logs" in skipped.stderr
    later = run("ingest", tmp_path / "two", "--store", road, code=3)
    assert "error[duplicate]" in later.stderr
    (scene,) = run_json("scenes", "--store", road)["scenes"]
    assert scene["path"] == str(tmp_path / "one/logs/a.csv")
    assert scene["duration"] == 2.0


def test_a_log_that_was_moved_is_the_same_log_at_its_new_place(tmp_path):
    write_drive(tmp_path / "old" / "logs" / "a.csv")
    road = tmp_path / "road"
    run("ingest", tmp_path / "old", "--store", road)
    (tmp_path / "old").rename(tmp_path / "new")
    assert run_json("ingest", tmp_path / "new", "--store", road)["scenes"] == 1
    (scene,) = run_json("scenes", "--store", road)["scenes"]
    assert scene["path"] == str(tmp_path / "new/logs/a.csv")


def test_the_same_log_by_several_paths_is_read_once(logs, tmp_path):
    (tmp_path / "link").symlink_to(logs)
    paths = [logs, f"{logs}/", logs / "a.csv", tmp_path / "link", logs / ".." / "logs"]
    assert run_json("ingest", *paths, "--store", tmp_path / "road")["logs"] == 3


def test_a_folder_that_may_not_be_read_is_told_and_not_passed_over(logs, tmp_path, monkeypatch):
    locked = logs / "locked"
    locked.mkdir()
    scan = os.scandir

    def refuse(path):
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = run("ingest", logs, "--store", tmp_path / "road", code=3)
    assert "error[unreadable]" in result.stderr
    assert str(locked) in result.stderr


def test_a_file_that_may_not_be_read_is_told(logs, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "a.csv")
    result = run("ingest", logs / "a.csv", "--store", tmp_path / "road", code=3)
    assert "error[unreadable]" in result.stderr
    assert "Permission denied" in result.stderr


def test_a_log_that_another_process_finished_meanwhile_counts_as_known(logs, tmp_path):
    (log,) = find_logs([logs / "a.csv"])
    store = Store.create(str(tmp_path / "road"))
    work = intake._Work(log, intake.fingerprint(log), store.uri, "run", "")
    first, second = intake._ingest_log(work), intake._ingest_log(work)
    assert (first.scenes, first.is_known) == (1, False)
    assert (second.scenes, second.is_known) == (0, True)


def test_what_was_counted_is_kept_where_an_ingest_stops(logs, tmp_path):
    break_log(logs / "b.csv")
    road = tmp_path / "road"
    run("ingest", logs, "--store", road, code=3)
    (row,) = run_json("runs", "--store", road)
    metrics = json.loads(json.loads(run("runs", row["id"], "--store", road).stdout)["metrics"])
    assert (row["outcome"], metrics["scenes"], metrics["failed"]) == ("failed", 1, 1)


def test_skipped_logs_are_json_on_both_streams_where_json_is_asked_for(logs, tmp_path):
    break_log(logs / "b.csv")
    result = run("ingest", logs, "--store", tmp_path / "road", "--skip-bad", "--json", code=3)
    (failed,) = json.loads(result.stdout)["failed_logs"]
    assert failed["log"] == "table/logs/b"
    assert json.loads(result.stderr)["error"]["code"] == "label"


def test_runs_tell_what_was_written_from_which_versions(logs, tmp_path):
    road = tmp_path / "road"
    run("ingest", logs, "--store", road)
    (row,) = run_json("runs", "--store", road)
    assert (row["command"], row["outcome"]) == ("ingest", "done")
    assert "scenes: 1 →" in row["wrote"]
    whole = json.loads(run("runs", row["id"][:12], "--store", road).stdout)
    assert json.loads(whole["config"])["paths"] == [str(logs)]
    assert json.loads(whole["metrics"])["scenes"] == 3
    assert run("runs", "nothing", "--store", road, code=3).stderr.startswith("error[name]")


def test_dry_run_lists_logs_and_writes_nothing(logs, tmp_path):
    rows = run_json("ingest", logs, "--store", tmp_path / "road", "--dry-run")
    assert [row["format"] for row in rows] == ["table"] * 3
    assert not (tmp_path / "road").exists()


def test_scenes_are_narrowed_down_and_cut_off(logs, tmp_path):
    road = tmp_path / "road"
    run("ingest", logs, "--store", road)
    assert run_json("scenes", "--store", road, "--where", "agents > 5")["count"] == 0
    result = run("scenes", "--store", road, "--limit", 1)
    assert "2 more" in result.stderr
    wrong = run("scenes", "--store", road, "--where", "agnts > 5", code=3)
    assert "error[" in wrong.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["ingest", "nowhere", "--store", "road"], 3, "no such file"),
        (["ingest", "empty", "--store", "road"], 3, "error[format-unknown]"),
        (["ingest", "empty", "--format", "kitty-tracking"], 3, "did you mean 'kitti-tracking'"),
        (["ingest", ""], 3, "no such file"),
        (["ingest", "x" * 5000], 3, "error[unreadable]"),
        (["ingest", "empty", "--store", ""], 2, "empty"),
        (["ingest", "empty", "--format", "table"], 3, "CSV or Parquet with columns time_s"),
        (["ingest", "empty", "--workers", "many"], 2, "error[usage]"),
        (["ingest", "empty", "--dry-run", "--workers", "-3"], 2, "error[usage]"),
        (["scenes", "--store", "nowhere"], 3, "kerbstone ingest"),
        (["show", "x", "--store", "nowhere"], 3, "error[store-missing]"),
        (["show", "x", "--store", "nowhere", "--rerun", "--mcap"], 2, "one at a time"),
        (["runs", "--store", "nowhere"], 3, "error[store-missing]"),
        (["frobnicate"], 2, "frobnicate"),
        (["scenes", "--limit", "-1"], 2, "limit"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = run(*arguments, code=code)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_errors_are_json_where_json_is_asked_for(tmp_path):
    result = run("scenes", "--store", tmp_path / "none", "--json", code=3)
    assert json.loads(result.stderr)["error"]["code"] == "store-missing"
    assert result.stdout == ""


def test_a_scene_that_is_not_there_is_told_with_the_nearest(logs, tmp_path):
    road = tmp_path / "road"
    run("ingest", logs, "--store", road)
    assert "table/logs/a" in run("show", "table/logs/d", "--store", road, code=3).stderr
    assert "give more of the id" in run("show", "table", "--store", road, code=3).stderr


def test_show_writes_a_stretch(logs, tmp_path):
    road = tmp_path / "road"
    run("ingest", logs, "--store", road)
    whole = run_json("show", "logs/a", "--store", road, "--out", tmp_path / "w.html")
    part = run_json(
        "show", "logs/a", "--store", road, "--out", tmp_path / "p.html", "--start", 1,
        "--duration", 0.5,
    )  # fmt: skip
    assert part["bytes"] < whole["bytes"]
    beyond = run("show", "logs/a", "--store", road, "--start", 1, "--duration", 9, code=3)
    assert "beyond" in beyond.stderr


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (("--start", 2), "holds no step"),
        (("--duration", 0), "holds no step"),
        (("--duration", 1e-9), "holds no step"),
        (("--duration", -1), "holds no step"),
        (("--start", 2.5), "reaches beyond"),
        (("--start", 1e300), "reaches beyond"),
        (("--start", "inf"), "not finite"),
        (("--duration", "inf"), "not finite"),
        (("--duration", "nan"), "not finite"),
    ],
)
def test_a_stretch_that_is_none_is_told(logs, tmp_path, window, message):
    run("ingest", logs / "a.csv", "--store", tmp_path / "road")
    out = tmp_path / "p.html"
    result = run("show", "logs/a", "--store", tmp_path / "road", "--out", out, *window, code=3)
    assert message in result.stderr
    assert not out.exists()


@pytest.mark.parametrize("out", ["", "nowhere/p.html", "a-file/p.html"])
def test_a_file_that_cannot_be_written_is_told(logs, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    run("ingest", logs / "a.csv", "--store", "road")
    assert "error[output]" in run("show", "logs/a", "--out", out, code=3).stderr


def test_show_names_its_file_after_the_scene(logs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("ingest", logs, "--store", "road")
    run("show", "logs/a")
    assert (tmp_path / "table-logs-a.html").is_file()


@pytest.mark.parametrize(
    ("flag", "suffix", "module"), [("--rerun", "rrd", "rerun"), ("--mcap", "mcap", "foxglove")]
)
def test_show_writes_other_viewers_files(logs, tmp_path, flag, suffix, module):
    pytest.importorskip(module, reason=f"the extra for {flag} is not installed")
    road = tmp_path / "road"
    run("ingest", logs, "--store", road)
    out = tmp_path / f"scene.{suffix}"
    done = run_json("show", "logs/a", "--store", road, flag, "--out", out)
    assert done["path"] == str(out)
    assert out.stat().st_size > 1000


def test_formats_and_doctor_tell_what_is_there():
    names = {row["name"] for row in run_json("formats")}
    assert {"av2-sensor", "kitti-tracking", "nuscenes", "sumo", "table"} <= names
    assert all(row["reads"] for row in run_json("formats"))
    assert {row["name"] for row in run_json("doctor")} >= {"python", "numpy", "[sumo]"}


def test_output_into_a_closed_pipe_ends_quietly(tmp_path):
    write_drive(tmp_path / "a.csv")
    done = subprocess.run(  # noqa: S602 - the pipe is what is tested
        f"{sys.executable} -m kerbstone formats | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("target", "code"), [("/dev/full", 3), ("&-", 0)])
def test_output_that_goes_nowhere_leaves_no_traceback(target, code):
    if target == "/dev/full" and not Path(target).exists():
        pytest.skip("needs /dev/full")
    done = subprocess.run(  # noqa: S602 - the shell closes the stream
        f"{sys.executable} -m kerbstone formats >{target}",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert ("error[system]" in done.stderr) == (code == 3)
