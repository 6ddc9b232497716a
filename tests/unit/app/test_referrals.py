import json

import numpy as np
import pytest
from typer.testing import CliRunner

from drives import write_drive
from kerbstone.app.cli import app
from kerbstone.app.referrals import export_referrals, read_prompts
from kerbstone.errors import InputError, UsageError
from kerbstone.formats import ingest
from kerbstone.formats.pickles import read_pickle
from kerbstone.scene import Kind
from kerbstone.store import Store
from scenes import random_scene

FAST = "car v: speed(v) > 8 m/s"
NEAR = "pedestrian p, car v: distance(p, v) < 5 m"


@pytest.fixture
def road(tmp_path):
    for name in ("a", "b"):
        write_drive(tmp_path / "logs" / f"{name}.csv")
    write_drive(tmp_path / "logs" / "slow.csv", speed=2.0)
    ingest([tmp_path / "logs"], tmp_path / "road")
    return str(tmp_path / "road")


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["find", *map(str, arguments)])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def labels_of(sequence):
    return np.array([frame["label"] for frame in sequence])


def test_every_log_has_a_sequence_for_every_prompt_also_without_a_match(road, tmp_path):
    report = export_referrals([FAST, NEAR], road, tmp_path / "out.pkl")
    found = read_pickle(tmp_path / "out.pkl")
    logs = Store.open(road).scenes(["log"]).column("log").to_pylist()
    assert sorted(found) == sorted((log, prompt) for log in logs for prompt in (FAST, NEAR))
    assert report.sequences == len(found) == 6
    slow = next(log for log in logs if "slow" in log)
    assert (labels_of(found[slow, FAST]) == 2).all()
    assert report.tracks[FAST] == 2  # ego of a and of b
    assert report.timestamps[FAST] == 40


def test_all_matches_count_however_many_there_are(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    scene = random_scene(1, agents=90, gaps=0.0)
    store.add([scene], log="log", fingerprint="1")
    report = export_referrals(["any a: speed(a) >= 0 m/s"], store, tmp_path / "out.pkl")
    users = int((~scene.agents.is_kind(Kind.OBJECT)).sum())
    assert report.tracks == {"any a: speed(a) >= 0 m/s": users}
    assert users > 50


def test_plain_words_are_the_prompt_as_they_are(road, tmp_path):
    report = export_referrals(["Moving car!"], road, tmp_path / "out.pkl")
    assert {prompt for _, prompt in read_pickle(tmp_path / "out.pkl")} == {"Moving car!"}
    (row,) = report.rows()
    assert row["prompt"] == "Moving car!"
    assert row["query"].startswith("car ")


def test_a_prompt_that_comes_twice_is_written_once(road, tmp_path):
    assert export_referrals([FAST, FAST], road, tmp_path / "out.pkl").sequences == 3


def test_a_prompt_that_is_not_understood_refers_to_nobody(road, tmp_path):
    report = export_referrals([FAST, "blorp the quux"], road, tmp_path / "out.pkl")
    found = read_pickle(tmp_path / "out.pkl")
    assert len(found) == 6
    for (_, prompt), sequence in found.items():
        assert (labels_of(sequence) == 2).all() or prompt == FAST
    ((prompt, why),) = report.unclear
    assert (prompt, why.code) == ("blorp the quux", "words")
    assert report.rows()[1] == {
        "prompt": "blorp the quux", "query": None, "tracks": 0, "timestamps": 0
    }  # fmt: skip


def test_where_no_prompt_is_understood_nothing_is_written(road, tmp_path):
    with pytest.raises(InputError, match="not understood"):
        export_referrals(["blorp the quux"], road, tmp_path / "out.pkl")
    assert not (tmp_path / "out.pkl").exists()


def test_a_scene_without_a_recording_car_is_reported_and_the_rest_is_written(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    for seed, has_ego in ((1, True), (2, False)):
        store.add([random_scene(seed, has_ego=has_ego)], log=f"log-{seed}", fingerprint="1")
    report = export_referrals(["any a: speed(a) > 1 m/s"], store, tmp_path / "out.pkl")
    assert report.sequences == 1
    assert [scene for scene, _ in report.failed] == ["random/000002"]
    narrowed = export_referrals(
        ["any a: speed(a) > 1 m/s"], store, tmp_path / "out.pkl", where="ego is not null"
    )
    assert narrowed.failed == []


def test_prompts_and_frames_must_be_there(road, tmp_path):
    with pytest.raises(UsageError):
        export_referrals([], road, tmp_path / "out.pkl")
    with pytest.raises(UsageError):
        export_referrals([FAST], road, tmp_path / "out.pkl", every=0)


def test_prompts_are_the_lines_of_a_file(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("\ufeffstopped car\n\n  car near a bus \n", encoding="utf-8")
    assert read_prompts(path) == ["stopped car", "car near a bus"]
    for bad in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError) as caught:
            read_prompts(bad)
        assert caught.value.code == "unreadable"


def test_find_writes_referred_tracks(road, tmp_path):
    prompts, out = tmp_path / "prompts.txt", tmp_path / "out.pkl"
    prompts.write_text(f"{NEAR}\n", encoding="utf-8")
    options = ("--store", road, "--format", "av2", "--out", out)
    shown = run(FAST, *options, "--prompts", prompts).stdout
    assert "6 log and prompt pairs" in shown
    found = read_pickle(out)
    assert {prompt for _, prompt in found} == {FAST, NEAR}
    assert {len(sequence) for sequence in found.values()} == {4}
    plain = json.loads(run("--prompts", prompts, *options, "--every", 1, "--json").stdout)
    assert (plain["sequences"], plain["path"]) == (3, str(out))
    assert {len(sequence) for sequence in read_pickle(out).values()} == {20}


def test_find_says_what_an_export_lacks(road, tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("blorp\n", encoding="utf-8")
    run(FAST, "--store", road, "--format", "av2", code=2)
    run(FAST, "--store", road, "--format", "pickle", code=2)
    run("--store", road, code=2)
    run(FAST, "--store", road, "--prompts", prompts, code=2)
    both = ("--store", road, "--format", "av2", "--out", tmp_path / "x.pkl")
    assert "blorp" in run(FAST, *both, "--prompts", prompts, code=3).output
