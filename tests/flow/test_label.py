"""The commands around labels: what they write, what they say, and that nothing is lost."""

import json

import jax
import numpy as np
import pytest

from commands import run, run_json
from kerbstone.formats import ingest
from kerbstone.label import Provenance, read_labels, read_profile
from kerbstone.store import Store
from kerbstone.world import ModelConfig, build_model
from kerbstone.world.training.model_file import write_model
from small.detected_road import (
    CARS,
    HIDDEN,
    detected_table,
    true_rows,
    write_detections,
    write_truth,
)
from small.detections import write_kitti


@pytest.fixture
def seen(tmp_path):
    """Detections of two roads in one file."""
    return write_detections(tmp_path / "seen.parquet", ("a", 1), ("b", 2))


@pytest.fixture
def road(seen, tmp_path):
    """A store with the labels of both roads."""
    run("label", seen, "--out", tmp_path / "labels")
    return tmp_path / "labels"


def test_label_finds_the_road_users_and_fills_a_gap_of_two_seconds(road):
    labels = read_labels(Store.open(str(road)), "a")
    truth = true_rows(1)
    long = [agent for agent in range(len(labels.ids)) if (labels.agent == agent).sum() > 80]
    assert len(long) == CARS + 1
    first = min(long, key=lambda agent: abs(labels.place[labels.agent == agent][0, 1]))
    cells = (labels.agent == first) & (labels.step >= HIDDEN[0]) & (labels.step < HIDDEN[1])
    assert (labels.provenance[cells] == Provenance.INTERPOLATED).all()
    assert cells.sum() == HIDDEN[1] - HIDDEN[0]
    true = (truth["who"] == 0) & (truth["step"] >= HIDDEN[0]) & (truth["step"] < HIDDEN[1])
    off = np.hypot(
        labels.place[cells, 0] - truth["x"][true], labels.place[cells, 1] - truth["y"][true]
    )
    assert off.max() < 0.4


def test_label_goes_on_where_it_was_and_does_not_do_it_twice(seen, tmp_path):
    out = tmp_path / "labels"
    first = run_json("label", seen, "--out", out)
    assert (first["logs"], first["known"], first["failed"]) == (2, 0, 0)
    again = run_json("label", seen, "--out", out)
    assert (again["logs"], again["known"], again["tracks"]) == (2, 2, 0)
    other = run_json("label", seen, "--out", out, "--keep", 0.9)
    assert other["known"] == 0
    assert sum(other["confidence"][:9]) == 0


def test_label_with_two_processes_gives_the_same_labels(seen, road, tmp_path):
    run("label", seen, "--out", tmp_path / "two", "--workers", 2)
    for name in ("a", "b"):
        one, two = (read_labels(Store.open(str(s)), name) for s in (road, tmp_path / "two"))
        assert one.ids == two.ids
        np.testing.assert_array_equal(one.place, two.place)
        np.testing.assert_array_equal(one.confidence, two.confidence)


def test_label_writes_result_files_behaviours_and_a_page(seen, tmp_path):
    out, page = tmp_path / "labels", tmp_path / "page.html"
    result = run(
        "label",
        seen,
        "--out",
        out,
        "--format",
        "table",
        "--html",
        page,
        "--behaviour",
        "stopped_in_lane",
        "--behaviour",
        "hard_braking",
    )
    assert "tracks" in result.stdout
    assert sorted(path.name for path in (tmp_path / "labels-table").iterdir()) == [
        "a.parquet",
        "b.parquet",
    ]
    text = page.read_text(encoding="utf-8")
    assert "Joined and extended" in text
    assert "before" in text
    assert "filled in over 2.2 s" in text


def test_label_says_what_is_wrong(seen, tmp_path):
    assert "from files or from a store" in run("label", code=2).output
    assert "there is no profile" in run("label", seen, "--profile", "kiti", code=3).output
    assert "--format is one of" in run("label", seen, "--format", "coco", code=2).output
    assert (
        "no scenario"
        in run("label", seen, "--behaviour", "jaywalkin", "--out", tmp_path / "l", code=3).output
    )


def test_a_log_that_fails_leaves_the_others_labelled(seen, tmp_path):
    ragged = tmp_path / "bad.csv"
    ragged.write_text(
        "time_s,x,y,z,heading,length,width,height,kind,score\n0,1,2,3,0,4,2,1.5,starship,0.5\n"
    )
    result = run("label", seen, ragged, "--out", tmp_path / "labels", "--skip-bad", code=3)
    assert "starship" in result.output
    assert len(Store.open(str(tmp_path / "labels")).scenes(["id"])) == 2


def write_untrained(folder, seed=0, objective="masked"):
    """Write a model that has learned nothing."""
    config = ModelConfig(width=8, heads=2, layers=1, modes=2)
    model = build_model(config, key=jax.random.key(seed))
    folder.mkdir(exist_ok=True)
    write_model(folder / "model.kst", model, config=config, objective=objective, told={})
    return folder


def test_label_asks_a_model_about_gaps_and_does_it_again_for_another_one(seen, tmp_path):
    out, model = tmp_path / "labels", write_untrained(tmp_path / "model")
    plain = run_json("label", seen, "--out", out)
    assert plain["infilling"] is None
    page = tmp_path / "page.html"
    told = run_json("label", seen, "--out", out, "--model", model, "--html", page)
    assert told["known"] == 0
    gaps = sum(row["gaps"] for row in told["infilling"])
    assert gaps >= 2
    assert {row["group"] for row in told["infilling"]} == {"wheeled"}
    assert all(row["held_out"] and row["smoother"] for row in told["infilling"])
    made = told["cells_interpolated"] + told["cells_infilled"]
    assert made == plain["cells_interpolated"]
    stored = [read_labels(Store.open(str(out)), name) for name in ("a", "b")]
    infilled = sum((each.provenance == Provenance.INFILLED).sum() for each in stored)
    assert infilled == told["cells_infilled"]
    assert "Gaps that the scene model filled" in page.read_text(encoding="utf-8")
    assert stored[0].scene.source.extra["labels"]["model"]
    assert run_json("label", seen, "--out", out, "--model", model)["known"] == 2
    write_untrained(model, seed=1)
    result = run("label", seen, "--out", out, "--model", model)
    assert "0 in" in result.stdout
    assert "smoother nats" in result.stdout


def test_label_says_which_models_cannot_fill_gaps(seen, tmp_path):
    out = tmp_path / "labels"
    missing = run("label", seen, "--out", out, "--model", tmp_path / "nowhere", code=3)
    assert "there is no such model" in missing.output
    other = write_untrained(tmp_path / "next", objective="next")
    assert "cannot fill gaps" in run("label", seen, "--out", out, "--model", other, code=3).output
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "model.kst").write_bytes(b"no model")
    run("label", seen, "--out", out, "--model", tmp_path / "bad", code=3)
    assert not out.exists()


def test_calibrate_learns_a_profile_that_label_takes(seen, tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        write_truth(tmp_path / "truth" / f"{name}.csv", seed)
    ingest([tmp_path / "truth"], tmp_path / "truth-road")
    profile = tmp_path / "mine.toml"
    learned = run_json("calibrate", seen, "--truth", tmp_path / "truth-road", "--out", profile)
    assert {row["kind"] for row in learned["kinds"]} == {"car", "pedestrian"}
    car = next(row for row in learned["kinds"] if row["kind"] == "car")
    assert 0.07 < car["noise"] < 0.13
    assert read_profile(profile).confidence
    report = run_json("label", seen, "--profile", profile, "--out", tmp_path / "labels")
    assert report["profile"] == str(profile)
    assert report["tracks"] >= 2 * (CARS + 1)


def test_review_takes_an_edit_back_and_label_does_not_undo_it(seen, road, tmp_path):
    queue = run_json("review", "--store", road, "--top", 3)
    assert queue
    assert {"scene", "agent", "start", "end", "worth", "why"} <= set(queue[0])
    folder = tmp_path / "review"
    run("review", "--store", road, "--scene", "a", "--export", "label-studio", "--out", folder)
    assert (
        "nothing was edited"
        in run("review", "--store", road, "--scene", "a", "--import", folder).output
    )
    task = next(path for path in folder.iterdir() if path.name == "task.json")
    tasks = json.loads(task.read_text(encoding="utf-8"))
    box = tasks[0]["predictions"][0]["result"][0]["value"]["sequence"][0]
    box["x"] += 0.2
    task.write_text(json.dumps(tasks), encoding="utf-8")
    before = read_labels(Store.open(str(road)), "a")
    run("review", "--store", road, "--scene", "a", "--import", folder)
    store = Store.open(str(road))
    after = read_labels(store, "a")
    assert (after.provenance == Provenance.REVIEWED).sum() == 1
    changed = np.unique(after.agent[(after.place != before.place).any(axis=1)])
    assert len(changed) == 1
    marks = store.fingerprints()
    assert [log for log in marks if ":reviewed:" in marks[log]] == ["a"]
    assert run_json("label", seen, "--out", road)["known"] == 2
    refused = run("label", seen, "--out", road, "--keep", 0.6, code=3)
    assert "reviewed" in refused.output
    np.testing.assert_array_equal(read_labels(Store.open(str(road)), "a").place, after.place)


def test_reviewed_labels_are_read_as_they_were_written(road):
    labels = read_labels(Store.open(str(road)), "b")
    assert (np.diff(labels.agent) >= 0).all()
    assert np.isfinite(labels.std).all()
    assert set(np.unique(labels.provenance)) <= {1, 2, 3}


def test_detections_of_a_store_are_labelled_into_another_one(tmp_path):
    write_truth(tmp_path / "truth" / "a.csv", 1)
    ingest([tmp_path / "truth"], tmp_path / "road")
    store = Store.open(str(tmp_path / "road"))
    (scene,) = store.scenes(["id"])["id"].to_pylist()
    (log,) = store.scenes(["log_key"])["log_key"].to_pylist()
    rows = detected_table(scene, 1).rename_columns({"log": "scene_id"})
    store.put_rows("detections", rows, log=log)
    own = run("label", "--store", tmp_path / "road", "--out", tmp_path / "road", code=3)
    assert "labels would replace" in own.output
    report = run_json("label", "--store", tmp_path / "road", "--out", tmp_path / "labels")
    assert report["tracks"] >= CARS + 1
    # The truth does not leak: no agent carries one of its names.
    assert not set(read_labels(Store.open(str(tmp_path / "labels")), scene).ids) & set(
        store.scene(scene).agents.ids
    )


def test_result_files_hold_all_logs_also_those_labelled_before(seen, tmp_path):
    out, files = tmp_path / "labels", tmp_path / "files"
    run("label", seen, "--out", out)
    report = run_json("label", seen, "--out", out, "--format", "table", "--files", files)
    assert report["known"] == 2
    assert sorted(path.name for path in files.iterdir()) == ["a.parquet", "b.parquet"]


def test_behaviours_of_tracks_that_are_no_more_are_no_more(seen, tmp_path):
    out = tmp_path / "labels"
    run("label", seen, "--out", out, "--behaviour", "all")
    store = Store.open(str(out))
    before = store.rows("behaviours")
    assert before.column_names[:2] == ["scene_id", "behaviour"]
    run("label", seen, "--out", out, "--keep", 1.0)
    assert len(Store.open(str(out)).rows("behaviours")) == 0


def test_detections_of_two_formats_need_a_profile_that_is_named(seen, tmp_path):
    write_kitti(tmp_path / "kitti")
    both = (seen, tmp_path / "kitti")
    refused = run("label", *both, "--out", tmp_path / "labels", code=3)
    assert "several formats" in refused.output
    report = run_json("label", *both, "--out", tmp_path / "labels", "--profile", "default")
    assert report["logs"] == 3


def test_a_log_without_any_detection_kept_has_a_scene_without_road_users(seen, tmp_path):
    run("label", seen, "--out", tmp_path / "labels", "--keep", 1.0)
    labels = read_labels(Store.open(str(tmp_path / "labels")), "a")
    assert len(labels) == 0
    assert "nothing" not in run("review", "--store", tmp_path / "labels").output
