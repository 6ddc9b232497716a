"""A run record says who wrote what, from which versions to which, and how it ended."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import kerbstone
from kerbstone.errors import InputError
from kerbstone.store import Store, runs
from scenes import assert_same, random_scene


def only(store):
    [row] = store.runs().to_pylist()
    return row


def test_a_run_is_recorded_with_its_versions_and_metrics(store):
    config = {"paths": [Path("logs")], "workers": 2}
    before = datetime.now(UTC)
    with store.run(command="ingest", config=config, seed=7, inputs=["logs"]) as run:
        store.add([random_scene(1)], log="a", fingerprint="1", run=run.id)
        run.metrics["scenes"] = 1
        assert only(store)["outcome"] == "running"
    row = only(store)
    assert (row["id"], row["command"], row["outcome"], row["seed"]) == (run.id, "ingest", "done", 7)
    assert json.loads(row["config"]) == {"paths": ["logs"], "workers": 2}
    assert json.loads(row["inputs"]) == ["logs"]
    assert json.loads(row["metrics"]) == {"scenes": 1}
    assert before - timedelta(seconds=1) < row["started"] <= row["ended"] <= datetime.now(UTC)
    assert row["code"].startswith(kerbstone.__version__)
    assert "CPUs" in row["device"]
    assert row["error"] is None
    was, became = dict(row["versions_before"]), dict(row["versions_after"])
    assert was["scenes"] < became["scenes"] == store.versions()["scenes"]
    assert was.keys() == became.keys() == {"states", "sensors", "pieces", "maps", "scenes"}
    assert store.scenes(["run"]).to_pylist() == [{"run": run.id}]


@pytest.mark.parametrize(
    ("error", "outcome", "text"),
    [
        (InputError("value", "no good", where="a.csv"), "failed", "error[value]: no good\n  in"),
        (InputError("interrupted", "stopped"), "interrupted", "error[interrupted]: stopped"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt: "),
        (ZeroDivisionError("zero"), "failed", "ZeroDivisionError: zero"),
    ],
)
def test_a_run_that_does_not_end_well_says_why(store, error, outcome, text):

    def fail():
        with store.run(command="ingest") as run:
            run.metrics["logs"] = 3
            raise error

    with pytest.raises(type(error)):
        fail()
    row = only(store)
    assert row["outcome"] == outcome
    assert row["error"].startswith(text)
    assert json.loads(row["metrics"]) == {"logs": 3}


def test_a_run_may_name_its_own_outcome(store):
    with store.run(command="ingest", device="H200") as run:
        run.outcome = "partial"
    assert (only(store)["outcome"], only(store)["device"]) == ("partial", "H200")


def test_the_store_is_read_as_a_run_left_it(store):
    ids = []
    for i in range(3):
        with store.run(command="ingest") as run:
            store.add([random_scene(i)], log="a", fingerprint=str(i))
            store.put_rows("events", store.scenes(["id"]), log="a")
        ids.append(run.id)
    assert store.runs().column("id").to_pylist() == ids
    for i, run_id in enumerate(ids):
        past = store.at(run_id)
        assert past.scenes(["id"]).column("id").to_pylist() == [f"random/{i:06d}"]
        assert_same(past.scene(f"random/{i:06d}"), random_scene(i))
        assert past.rows("events", columns=["id"]).to_pylist() == [{"id": f"random/{i:06d}"}]
        assert (
            past.versions()["scenes"]
            == dict(store.runs().to_pylist()[i]["versions_after"])["scenes"]
        )
    start = dict(store.runs().to_pylist()[0]["versions_before"])
    assert store.at(start).scenes().num_rows == 0
    with pytest.raises(InputError, match="no table 'events'"):
        store.at(start).rows("events")


def test_the_past_cannot_be_written(store):
    past = store.at(store.versions())
    writes = (
        lambda: past.add([], log="a", fingerprint=""),
        lambda: past.put_rows("events", past.scenes(["id"]), log="a"),
        lambda: past.run(command="ingest"),
        past.vacuum,
    )
    for write in writes:
        with pytest.raises(InputError, match="cannot be written"):
            write()


def test_an_unknown_run_and_a_version_that_is_gone_are_told(store):
    with store.run(command="ingest") as run:
        store.add([random_scene(0)], log="a", fingerprint="1")
    store.add([random_scene(1)], log="b", fingerprint="1")
    with pytest.raises(InputError, match="no finished run 'x'") as error:
        store.at("x")
    assert run.id in error.value.remedy
    store.vacuum()
    assert store.at(run.id).scenes().num_rows == 1
    store.vacuum(keep=timedelta(0))
    with pytest.raises(InputError, match="is gone") as error:
        store.at(run.id)
    assert error.value.code == "store-missing"
    assert store.scenes().num_rows == 2


def test_the_commit_is_read_from_a_checkout_without_running_git(tmp_path):
    git = tmp_path / ".git"
    assert runs._checked_out(git) == ""
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("0123abcd\n")
    assert runs._checked_out(git) == "0123abcd"
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\n4567ef refs/heads/main\n89 refs/heads/x\n")
    assert runs._checked_out(git) == "4567ef"
    (git / "refs" / "heads" / "main").write_text("fedcba\n")
    assert runs._checked_out(git) == "fedcba"


def test_a_store_opened_anew_knows_the_runs(store):
    with store.run(command="simulate", seed=1):
        pass
    assert only(Store.open(store.uri))["command"] == "simulate"
