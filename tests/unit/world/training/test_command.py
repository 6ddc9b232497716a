"""The command `pretrain`, with a toy in place of the network."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from kerbstone.app import world_commands
from kerbstone.app.cli import _guard
from kerbstone.world.comparing import ComparedRow
from kerbstone.world.metrics import Interval
from kerbstone.world.training import named
from training_toys import toy_task


@pytest.fixture
def run(towns, tmp_path, monkeypatch):
    monkeypatch.setattr(named, "name_task", lambda *_: toy_task())
    # A toy does not predict what could be usual.
    usual = "kerbstone.world.training.usual.keep_calibrated"

    def keep_calibrated(*_, on_scene, **__):
        for done in range(3):
            on_scene(done, 2)
        return True

    monkeypatch.setattr(usual, keep_calibrated)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command("pretrain")(_guard(world_commands.pretrain))
    app.callback()(lambda: None)
    (tmp_path / "toy.toml").write_text(
        "batch = 4\nvalidation_examples = 8\ngroup = 2\nlog_every = 5\nvalidations = 2\n"
    )

    def call(*arguments):
        given = ["pretrain", "--store", "road", "--held-out", "There", "--config", "toy.toml"]
        return CliRunner().invoke(app, [*given, *arguments])

    return call


def test_a_model_is_trained_beside_the_store_and_told_of(run, tmp_path):
    result = run("--steps", "10")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "road-masked-small" / "model.kst").exists()
    assert "held-out loss" in result.stdout
    assert result.stderr.count("looking at held-out scenes") == 1
    again = run("--steps", "10")
    assert "was finished before" in again.stderr


def test_json_is_the_report(run):
    result = run("--steps", "5", "--out", "out", "--json")
    report = json.loads(result.stdout)
    assert report["steps"] == 5
    assert report["held_out"] == ["There"]


def test_a_dry_run_shows_the_split_and_writes_nothing(run, tmp_path):
    result = run("--dry-run", "--json")
    (plan,) = json.loads(result.stdout)
    assert plan["scenes"] == 3
    assert plan["held_out"] == ["There"]
    assert not (tmp_path / "road-masked-small").exists()
    assert "held out: There" in run("--dry-run").stdout


def test_all_objectives_are_trained_with_one_budget_and_compared(run, tmp_path, monkeypatch):
    asked = []

    def compare(models, _, split, **__):
        asked.append((list(models), split))
        known, unknown = Interval(0.5, 0.4, 0.625, 3), Interval(np.nan, np.nan, np.nan, 0)
        return [ComparedRow(name, unknown, known, known, known) for name in models]

    monkeypatch.setattr("kerbstone.world.comparing.compare_objectives", compare)
    monkeypatch.setattr("kerbstone.world.training.model_file.read_model", lambda _: (None, {}))
    result = run("--objective", "all", "--steps", "5", "--out", "all")
    assert result.exit_code == 0, result.output
    for goal in ("masked", "next", "contrastive"):
        assert (tmp_path / "all" / goal / "model.kst").exists()
    assert "50 (40 to 62.5)" in result.stdout
    (names, split) = asked[0]
    assert names == ["masked", "next", "contrastive"]
    assert [len(split.train), len(split.held_out), split.places] == [3, 1, ("There",)]
    again = json.loads(run("--objective", "all", "--steps", "5", "--out", "all", "--json").stdout)
    assert [row["steps"] for row in again["runs"]] == [5, 5, 5]
    assert again["tests"][0]["min_ade_1"]["value"] is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--size", "smal"], "did you mean 'small'"),
        (["--objective", "nex"], "did you mean 'next'"),
        (["--steps", "5", "--minutes", "1"], "both are given"),
        (["--minutes", "0"], "some time"),
    ],
)
def test_a_wrong_call_is_told(run, arguments, told):
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_another_configuration_in_the_same_folder_is_told(run):
    run("--steps", "5", "--out", "out")
    result = run("--steps", "5", "--seed", "3", "--out", "out")
    assert result.exit_code == 2
    assert "seed is 0 there, 3 here" in result.stderr
