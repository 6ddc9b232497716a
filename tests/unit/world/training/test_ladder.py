"""Ladders of runs, with a toy in place of the network."""

import dataclasses
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from kerbstone.app import scale_commands
from kerbstone.app.cli import _guard
from kerbstone.errors import InputError, UsageError
from kerbstone.world.training import ladder
from kerbstone.world.training.config import Budget
from kerbstone.world.training.ladder import count_parameters, plan_rungs, train_ladder
from kerbstone.world.training.pretraining import plan_training
from kerbstone.world.training.splits import Listed, split_scenes, split_store, thin_split
from streets import put_scenes, street
from training_toys import TOY_SETTINGS, ToyConfig, toy_task, train_toy


def toy(_, model):
    return toy_task(ToyConfig(min(model.width, 64)))


@pytest.fixture
def toys(monkeypatch):
    monkeypatch.setattr(ladder, "make_task", toy)


def climb(store, out, **options):
    rungs = plan_rungs(widths=[16, 32], shares=[0.34, 1.0])
    options = {"config": TOY_SETTINGS, "held_out": ("There",), **options}
    return train_ladder(store, out, rungs, Budget(steps=10), **options)


def test_smaller_shares_are_within_larger_ones_and_the_held_out_side_stays():
    scenes = [
        Listed(f"{n:03}", "made", f"town-{n // 2}", f"log-{n}", "1", 9.0, 9) for n in range(80)
    ]
    split = split_scenes(scenes, 0.2)
    thin = [thin_split(split, share) for share in (0.01, 0.1, 0.5, 1.0)]
    kept = [{scene.id for scene in each.train} for each in thin]
    assert kept[0] < kept[1] < kept[2] < kept[3]
    assert thin[3] == split
    assert {each.held_out for each in thin} == {split.held_out}
    # Whole towns, of two scenes here.
    towns = len({scene.town for scene in split.train})
    assert [len(ids) for ids in kept] == [
        2,
        2 * round(0.1 * towns),
        2 * round(0.5 * towns),
        2 * towns,
    ]
    assert thin_split(split, 0.5, seed=1).train != thin[2].train
    for share in (0.0, 1.1):
        with pytest.raises(InputError, match="share"):
            thin_split(split, share)


def test_a_run_on_a_share_is_another_run(towns, tmp_path):
    train_toy(towns, tmp_path / "out", steps=5, share=0.4)
    with pytest.raises(UsageError, match="another run"):
        train_toy(towns, tmp_path / "out", steps=5)
    report = train_toy(towns, tmp_path / "out", steps=5, share=0.4)
    assert report.was_finished


def test_a_run_on_everything_is_the_run_that_it_was(towns, tmp_path):
    told = {"held_out": ("There",), "config": TOY_SETTINGS}
    plan = plan_training(towns, tmp_path / "out", toy_task(), Budget(steps=5), **told)
    assert "share" not in plan.folder.identity
    assert plan.split == split_store(towns, None, ("There",))


def test_a_ladder_has_a_run_of_each_size_and_share(towns, tmp_path, toys):
    seen = []
    results = climb(towns, tmp_path / "out", on_rung=lambda rung: seen.append(rung.name))
    assert seen == ["width16-0.34-0", "width16-1-0", "width32-0.34-0", "width32-1-0"]
    assert [result.name for result in results] == seen
    assert [result.scenes for result in results] == [1, 3, 1, 3]
    assert results[1].hours == pytest.approx(3 * results[0].hours)
    assert results[0].parameters == 4 * 16 + 16 + 16 * 2 + 2 + 4
    assert all(result.loss is not None and result.steps == 10 for result in results)
    again = climb(towns, tmp_path / "out", on_report=lambda r: seen.append(r.was_finished))
    assert seen[4:] == [True] * 4
    assert [r.loss for r in again] == [r.loss for r in results]


def test_a_ladder_whose_store_grew_a_held_out_scene_is_refused(towns, tmp_path, toys):
    told = {"config": TOY_SETTINGS, "held_out": ("There",)}
    rungs = plan_rungs(widths=[16], shares=[0.34, 1.0])
    train_ladder(towns, tmp_path / "out", rungs[:1], Budget(steps=5), **told)
    put_scenes(towns, "log-9", street("log-9/0", town="There", log="log-9"))
    with pytest.raises(UsageError, match="hold out different scenes"):
        train_ladder(towns, tmp_path / "out", rungs, Budget(steps=5), **told)


def test_real_models_are_counted_without_being_made():
    rungs = plan_rungs(sizes=["tiny"], widths=[128, 16], shares=[1.0, 0.5, 0.5], seeds=2)
    assert [rung.name for rung in rungs[:6]] == [
        "width16-0.5-0",
        "width16-1-0",
        "tiny-0.5-0",
        "tiny-1-0",
        "width128-0.5-0",
        "width128-1-0",
    ]
    assert len(rungs) == 12
    count = [count_parameters(ladder.make_task("masked", rung.model)) for rung in rungs[::2]]
    assert count[0] < 0.1 * count[1]
    assert 2e5 < count[1] < 4e5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sizes": ["tinny"]}, "no size"),
        ({"widths": [20]}, "multiple of 16"),
        ({"widths": [0]}, "multiple of 16"),
        ({"widths": [16], "shares": [1.5]}, "up to 1"),
        ({"widths": [16], "shares": []}, "needs a size"),
        ({}, "needs a size"),
    ],
)
def test_a_wrong_ladder_is_told(options, told):
    with pytest.raises(UsageError, match=told):
        plan_rungs(**options)


@pytest.fixture
def run(towns, tmp_path, monkeypatch, toys):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command("scale")(_guard(scale_commands.scale))
    app.callback()(lambda: None)
    values = dataclasses.asdict(TOY_SETTINGS)
    lines = [f"{name} = {values[name]}\n" for name in ("batch", "validation_examples", "group")]
    (tmp_path / "toy.toml").write_text("".join(lines))

    def call(*arguments):
        given = ["scale", "--store", "road", "--held-out", "There", "--config", "toy.toml"]
        return CliRunner().invoke(app, [*given, *arguments])

    return call


def test_the_command_writes_curves_and_says_what_a_short_ladder_cannot(run, tmp_path):
    result = run("--widths", "16,32", "--fractions", "0.34,1", "--steps", "5")
    assert result.exit_code == 0, result.output
    assert "it takes 3 values of parameters at least" in result.stdout
    page = (tmp_path / "road-scale-masked" / "scale.html").read_text()
    assert page.count("<circle") == 8
    told = json.loads((tmp_path / "road-scale-masked" / "scale.json").read_text())
    assert len(told["runs"]) == 4
    again = run("--widths", "16,32", "--fractions", "0.34,1", "--steps", "5", "--json")
    both = json.loads(again.stdout)
    assert both.pop("page").endswith("scale.html")
    assert both == told


def test_a_dry_run_of_a_ladder_writes_nothing(run, tmp_path):
    result = run("--dry-run", "--json", "--minutes", "9", "--seeds", "2")
    rows = json.loads(result.stdout)
    assert len(rows) == 18
    assert [row["scenes"] for row in rows[:3]] == [1, 1, 3]
    assert not (tmp_path / "road-scale-masked").exists()
    assert "width64-1-0" in run("--dry-run").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--objective", "mask"], "masked"),
        (["--widths", "16,wide"], "numbers between commas"),
        (["--fractions", "2"], "up to 1"),
        (["--steps", "5", "--minutes", "1"], "both are given"),
    ],
)
def test_a_wrong_call_of_scale_is_told(run, arguments, told):
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_runs_that_did_not_finish_learning_are_noted():
    result = ladder.RungResult(
        "a", "a", 10, 1.0, 1.0, 3, 0, 0.5, 100, 100, "steps", 1.0, "model.kst"
    )
    results = [
        dataclasses.replace(result, hours=float(h), loss=1 / h, best_step=step)
        for h, step in ((1, 100), (2, 50), (3, 50), (4, 100), (5, 50))
    ]
    results.append(dataclasses.replace(result, loss=None, best_step=0))
    fit, notes = scale_commands._fit(results)
    assert fit.runs == 5
    assert np.isfinite(fit.loss)
    assert "of 100 steps" in notes[0]
    assert "1 run had no finite loss" in notes[1]
    assert "2 of 6 runs" in notes[2]
