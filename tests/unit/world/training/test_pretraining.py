"""Whole runs of a toy: they are exact, go on after a kill, and end when they should."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.store import Store
from kerbstone.world.training.checkpoint import RunFolder
from kerbstone.world.training.config import Budget, PretrainConfig
from kerbstone.world.training.loop import count_checks
from kerbstone.world.training.model_file import read_model_as
from kerbstone.world.training.pretraining import make_checks, plan_training, train_on_store
from streets import damage_scene, put_scenes, street
from training_toys import (
    TOY_SETTINGS,
    ToyConfig,
    build_toy,
    make_toy_example,
    toy_loss,
    toy_task,
    train_toy,
)

_TESTS = Path(__file__).parents[3]
_TIMES = ("seconds", "examples_per_s", "waiting")


def model_of(out):
    return read_model_as(out, ToyConfig, build_toy)[0]


def model_file_header(out):
    return read_model_as(out, ToyConfig, build_toy)[1]


def curve(out):
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in _TIMES} for line in lines]


def last_state(out):
    """Return the bytes of the last checkpoint's arrays."""
    data = max(out.glob("state-*")).read_bytes()
    return data[data.index(b"\n") + 1 : -32]


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def stop_at(step):
    def stop(progress):
        if progress.step >= step:
            raise StoppedError

    return stop


def test_a_run_learns_and_tells_of_it(towns, tmp_path):
    seen = []
    report = train_toy(towns, tmp_path / "out", steps=200, on_progress=seen.append)
    assert report.best_loss < 0.5 * report.first_loss
    assert (report.steps, report.examples, report.ended) == (200, 800, "steps")
    assert report.held_out == ("There",)
    assert 0 <= report.waiting < 1
    assert report.examples_per_s > 0
    assert [progress.step for progress in seen][-1] == 200
    assert curve(tmp_path / "out")[0]["held_out_loss"] == report.first_loss
    (run,) = [row for row in towns.runs().to_pylist() if row["command"] == "pretrain"]
    assert run["outcome"] == "done"
    assert run["id"] == report.run
    assert json.loads(run["metrics"])["best_loss"] == report.best_loss
    _, header = read_model_as(report.path, ToyConfig, build_toy)
    assert header["held_out_loss"] == report.best_loss
    assert header["data"]["held_out"] == ["There"]
    assert header["training"]["config"]["batch"] == 4
    assert header["run"] == report.run


def test_the_same_seed_gives_the_same_weights_and_another_does_not(towns, tmp_path, whole):
    train_toy(towns, tmp_path / "same")
    train_toy(towns, tmp_path / "other", seed=1)
    assert eqx.tree_equal(model_of(tmp_path / "same"), model_of(whole))
    assert curve(tmp_path / "same") == curve(whole)
    assert not eqx.tree_equal(model_of(tmp_path / "other"), model_of(whole))


def test_a_run_that_was_stopped_goes_on_as_if_it_was_not(towns, tmp_path, whole):
    parts = tmp_path / "parts"
    with pytest.raises(StoppedError):
        train_toy(towns, parts, on_progress=stop_at(35))
    report = train_toy(towns, parts)
    assert report.went_on_from == 30
    assert last_state(parts) == last_state(whole)
    assert eqx.tree_equal(model_of(parts), model_of(whole))
    assert curve(parts) == curve(whole)


def test_a_run_that_was_killed_goes_on_to_the_same_bits(towns, tmp_path, whole):
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "training_toys", towns.uri, str(killed)],
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
    )
    try:
        deadline = time.monotonic() + 60
        while not any(path.name >= "state-000000020" for path in killed.glob("state-*")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    report = train_toy(towns, killed)
    assert 15 <= report.went_on_from < 60
    assert last_state(killed) == last_state(whole)
    assert eqx.tree_equal(model_of(killed), model_of(whole))
    assert curve(killed) == curve(whole)
    outcomes = [row["outcome"] for row in towns.runs().to_pylist() if row["command"] == "pretrain"]
    assert sorted(outcomes) == ["done", "running"]


def test_a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same(towns, tmp_path, whole):
    parts = tmp_path / "parts"
    with pytest.raises(StoppedError):
        train_toy(towns, parts, on_progress=stop_at(30))
    newest = max(parts.glob("state-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    report = train_toy(towns, parts)
    assert report.went_on_from == 20
    assert newest.name in report.notes[0]
    assert last_state(parts) == last_state(whole)
    assert curve(parts) == curve(whole)


def test_scenes_that_come_later_do_not_change_a_run(towns, tmp_path, whole):
    parts = tmp_path / "parts"
    with pytest.raises(StoppedError):
        train_toy(towns, parts, on_progress=stop_at(30))
    put_scenes(towns, "log-9", street("log-9/0", speed=3.0, town="Here", log="log-9"))
    put_scenes(
        towns, "log-0", street("log-0/0", speed=1.0, town="Here", log="log-0"), fingerprint="2"
    )
    train_toy(Store.open(towns.uri), parts)
    assert last_state(parts) == last_state(whole)


def test_a_finished_run_says_so_and_does_nothing(towns, finished):
    before = {path: path.read_bytes() for path in finished.glob("*.*")}
    report = train_toy(towns, finished)
    assert report.was_finished
    assert report.best_loss == model_file_header(finished)["held_out_loss"]
    assert {path: path.read_bytes() for path in finished.glob("*.*")} == before
    assert not [row for row in towns.runs().to_pylist() if row["command"] == "pretrain"]


def test_a_lost_model_of_a_finished_run_is_written_again(towns, finished, whole):
    (finished / "model.kst").unlink()
    train_toy(towns, finished)
    assert eqx.tree_equal(model_of(finished), model_of(whole))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": 5}, "seed is 0 there, 5 here"),
        ({"steps": 9}, "budget.steps is 60 there, 9 here"),
        ({"held_out": ()}, "held_out is ['There'] there, not set here"),
        ({"where": "agents > 0"}, "where is not set there"),
        ({"task": toy_task(ToyConfig(width=4))}, "model.width is 8 there, 4 here"),
    ],
)
def test_another_run_does_not_go_on_in_a_folder(towns, finished, options, told):
    with pytest.raises(UsageError, match="another run") as error:
        train_toy(towns, finished, **options)
    assert told in error.value.why


def test_another_store_does_not_go_on_in_a_folder(tmp_path, finished):
    other = Store.create(str(tmp_path / "other"))
    for number, town in enumerate(("Here", "There")):
        log = f"log-{number}"
        put_scenes(other, log, street(f"{log}/0", town=town, log=log))
    with pytest.raises(UsageError, match="on other scenes"):
        train_toy(other, finished)


def rising_loss(model, batch, key):
    """Return a loss that gets better on what is trained on, and worse on what is held out."""
    loss, told = toy_loss(model, batch, key)
    is_held_out = jnp.abs(batch.seen[0, 0]) > 0.11
    return jnp.where(is_held_out, 1.0 / (0.01 + loss), loss), told


def test_training_stops_where_nothing_gets_better_and_the_best_weights_are_kept(towns, tmp_path):
    settings = PretrainConfig(**{**vars(TOY_SETTINGS), "patience": 2, "average": 0.0})
    report = train_toy(
        towns, tmp_path / "out", task=toy_task(loss=rising_loss), steps=60, config=settings
    )
    assert report.ended == "patience"
    assert report.steps == report.best_step + 2 * 10
    _, header = read_model_as(report.path, ToyConfig, build_toy)
    assert header["step"] == report.best_step
    again = train_toy(
        towns, tmp_path / "out", task=toy_task(loss=rising_loss), steps=60, config=settings
    )
    assert again.was_finished


def test_a_loss_that_stays_infinite_ends_the_run_with_an_error(towns, tmp_path):
    def never(model, batch, key):
        loss, told = toy_loss(model, batch, key)
        return loss * jnp.inf, told

    with pytest.raises(InputError, match="not finite") as error:
        train_toy(towns, tmp_path / "out", task=toy_task(loss=never), steps=100)
    assert "step 49" in error.value.where
    assert towns.runs().to_pylist()[-1]["outcome"] == "failed"


def test_damaged_scenes_are_reported_at_the_end_even_if_found_before_a_stop(towns, tmp_path):
    damage_scene(towns, "log-1/0")
    store = Store.open(towns.uri)
    with pytest.raises(StoppedError):
        train_toy(store, tmp_path / "out", on_progress=stop_at(50))
    report = train_toy(store, tmp_path / "out")
    assert list(report.damaged) == ["log-1/0"]


def test_minutes_fix_the_number_of_steps_which_a_second_start_keeps(towns, tmp_path):
    def slowly(window, rng):
        time.sleep(0.005)
        return make_toy_example(window, rng)

    folder = RunFolder(tmp_path / "out", {})
    options = {"held_out": ("There",), "config": TOY_SETTINGS}
    budget = Budget(minutes=0.06)
    began = time.monotonic()
    with pytest.raises(StoppedError):
        train_on_store(
            towns, folder.path, toy_task(make=slowly), budget, on_progress=stop_at(10), **options
        )
    plan = plan_training(towns, folder.path, toy_task(), budget, **options)
    total = plan.checkpoint.position.total
    # 20 ms a step, in what compiling leaves of 3.6 s; never more than all of it.
    assert 1 <= total <= 180
    report = train_on_store(towns, folder.path, toy_task(), budget, **options)
    assert (report.total, report.steps) == (total, total)
    assert time.monotonic() - began < 30


def test_a_short_run_does_not_spend_its_time_on_validating():
    config = PretrainConfig(batch=32, validation_examples=256, validations=20)
    assert count_checks(10, config) == 1
    assert count_checks(200, config) == 7
    assert count_checks(100_000, config) == 20


def test_a_plan_writes_nothing(towns, tmp_path):
    plan = plan_training(towns, tmp_path / "out", toy_task(), Budget(steps=5), held_out=("There",))
    assert [scene.id for scene in plan.split.held_out] == ["log-3/0"]
    assert plan.checkpoint is None
    assert not (tmp_path / "out").exists()


def test_held_out_examples_are_the_same_each_time(towns, tmp_path):
    plan = plan_training(towns, tmp_path / "none", toy_task(), Budget(steps=1), held_out=("There",))
    one, other = (
        make_checks(towns, plan.split.held_out, make_toy_example, TOY_SETTINGS)[0] for _ in "ab"
    )
    assert len(one) == 2
    np.testing.assert_array_equal(one[1].seen, other[1].seen)


def test_each_data_set_has_as_many_held_out_examples(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    sets = {"big": 6, "small": 1, "empty": 1}
    for dataset, count in sets.items():
        for number in range(count):
            scene = street(
                f"{dataset}-{number}/0", speed=8.0, town=dataset, log=f"{dataset}-{number}"
            )
            source = replace(scene.source, dataset=dataset)
            put_scenes(store, f"{dataset}-{number}", replace(scene, source=source))
    plan = plan_training(
        store, tmp_path / "none", toy_task(), Budget(steps=1), held_out=("small", "empty")
    )
    asked = []

    def make(window, rng):
        asked.append(window.scene.split("-")[0])
        return None if window.scene.startswith("empty") else make_toy_example(window, rng)

    scenes = [*plan.split.train, *plan.split.held_out]
    batches, damaged = make_checks(store, scenes, make, TOY_SETTINGS)
    size = len(batches) * TOY_SETTINGS.batch
    assert asked.count("big") == asked.count("small") == size // 2
    assert [name for name in damaged if "empty" in name] == ["all held out of empty"]
    with pytest.raises(InputError):
        make_checks(store, [s for s in scenes if s.dataset == "empty"], make, TOY_SETTINGS)
