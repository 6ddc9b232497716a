"""The matrix: own and new domains, the same by seed, resumed cell by cell, and shown as a page."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from kerbstone.app.generality_commands import generality
from kerbstone.app.generality_page import generality_page
from kerbstone.errors import InputError, UsageError
from kerbstone.judge.generality import matrix as matrices
from kerbstone.judge.generality import measure_generality
from kerbstone.judge.generality.domains import find_domains, find_trained, name_network
from kerbstone.judge.generality.matrix import CELLS
from kerbstone.judge.generality.sampling import PRESENT, draw_sample
from kerbstone.judge.generality.specialists import make_special, name_objective, read_specialists
from kerbstone.scene import DrivingSide
from kerbstone.store import Store
from kerbstone.world import ModelConfig, build_model, cut_window
from kerbstone.world.tokens import Limits
from kerbstone.world.training import Budget, PretrainConfig, pretraining
from kerbstone.world.training.model_file import read_model, write_model
from kerbstone.world.training.splits import split_store
from streets import put_scenes, street

CONFIG = ModelConfig(width=8, heads=1, layers=1, modes=6)
HELD_OUT = ("grid-1", "grid-2", "grid-3")
QUICK = ["forecast-1s", "infill-1s", "anomaly"]


def scene_of(name, town, *, dataset="sumo", simulated=True, side=DrivingSide.RIGHT, speed=10.0):
    scene = street(name, speed=speed, brake=True, walker=True, oncoming=2, town=town, log=name)
    source = dataclasses.replace(
        scene.source, dataset=dataset, simulated=simulated, driving_side=side
    )
    return dataclasses.replace(scene, source=source)


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """A store of six simulated towns, of which three are held out."""
    store = Store.create(str(tmp_path_factory.mktemp("judge") / "road"))
    for number in range(1, 7):
        side = DrivingSide.LEFT if number == 3 else DrivingSide.RIGHT
        town = f"grid-{number}-{'left' if number == 3 else 'right'}"
        put_scenes(
            store, f"log{number}", scene_of(f"g{number}", town, side=side, speed=7.0 + number)
        )
    return store


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A store of four recorded logs."""
    store = Store.create(str(tmp_path_factory.mktemp("judge") / "real"))
    for number in range(4):
        scene = scene_of(f"r{number}", "Here", dataset="dash<b>", simulated=False, speed=9.0)
        put_scenes(store, f"real{number}", scene)
    return store


@pytest.fixture(scope="module")
def model(road, tmp_path_factory):
    """The folder of a model that says that it was trained on the store."""
    split = split_store(road, None, HELD_OUT)
    told = {
        "training": {"budget": {"steps": 2}, "seed": 0, "where": None, "config": {}},
        "data": {"store": road.uri, "data": split.fingerprint, "held_out": list(split.places)},
    }
    folder = tmp_path_factory.mktemp("judge") / "model"
    folder.mkdir()
    write(folder, "masked", told)
    return folder


def write(folder, objective, told, config=CONFIG):
    folder.mkdir(exist_ok=True, parents=True)
    network = build_model(config, key=jax.random.key(0))
    write_model(folder / "model.kst", network, config=config, objective=objective, told=told)


def header_of(model):
    return read_model(model)[1]


def test_own_domains_hold_only_what_was_held_out(road, model):
    trained = find_trained(road, header_of(model))
    assert trained.is_same
    domains = {d.name: d for d in find_domains(road, trained, is_training=True)}
    assert [scene.id for scene in domains["grid"].scenes] == ["g1", "g2", "g3"]
    assert domains["grid"].is_own
    # Nothing was learned of left-hand traffic.
    assert [scene.id for scene in domains["left-hand"].scenes] == ["g3"]
    assert not domains["left-hand"].is_own
    assert domains["right-hand"].is_own
    assert set(domains) == {"grid", "left-hand", "right-hand"}


def test_what_another_store_has_of_the_training_logs_is_left_out(road, model, tmp_path):
    trained = find_trained(road, header_of(model))
    other = Store.create(str(tmp_path / "other"))
    for key, name, town in (("a", "g4", "grid-4-right"), ("b", "g4", "Far"), ("c", "new", "Far")):
        scene = scene_of(name, town, simulated=False)
        put_scenes(other, key, dataclasses.replace(scene, id=key))
    (domain,) = find_domains(other, trained, is_training=False)
    # Another town may have a log of the same name.
    assert [scene.id for scene in domain.scenes] == ["b", "c"]
    assert not domain.is_own


def test_domains_of_ones_own_are_conditions(road, model):
    trained = find_trained(road, header_of(model))
    found = find_domains(road, trained, is_training=True, more={"one": "town = 'grid-1-right'"})
    assert [scene.id for scene in found[-1].scenes] == ["g1"]
    with pytest.raises(InputError):
        find_domains(road, trained, is_training=True, more={"bad": "nonsense ="})
    with pytest.raises(UsageError, match="there is a domain 'grid' already"):
        find_domains(road, trained, is_training=True, more={"grid": "town = 'grid-1-right'"})


def test_a_model_that_does_not_say_what_it_learned_from_is_refused(road):
    with pytest.raises(InputError, match="does not say"):
        find_trained(road, {"objective": "masked"})


def test_a_domain_of_both_stores_is_measured_in_the_other_one(road, model, tmp_path):
    other = Store.create(str(tmp_path / "other"))
    for name, town in (
        ("learned", "grid-4-left"),  # of a town that was trained on
        ("fresh", "grid-9-left"),
        ("foreign", "spider-1-left"),
    ):
        side = DrivingSide.LEFT if name == "fresh" else DrivingSide.RIGHT
        put_scenes(other, name, scene_of(name, town, side=side))
    found = measure(model, road, other, tasks=["forecast-1s"])
    scenes = {domain.name: [each.id for each in domain.scenes] for domain in found.domains}
    own = {domain.name for domain in found.domains if domain.is_own}
    assert scenes["grid"] == ["fresh"]
    assert scenes["spider"] == ["foreign"]
    assert scenes["left-hand"] == ["fresh"]
    # Of the network it learned, of the other one and of the side it did not.
    assert "grid" in own
    assert not own & {"spider", "left-hand"}
    assert len(found.rows) == len(scenes)


def test_networks_are_towns_without_variant_and_side():
    assert name_network("roundabouts-7-left") == "roundabouts"
    assert name_network("my-town") == "my-town"


def test_windows_are_the_same_by_seed_and_of_all_logs_in_turn(road, model):
    scenes = find_trained(road, header_of(model)).scenes
    first, again, other = (draw_sample(road, scenes, 7, seed=seed, name="x") for seed in (1, 1, 2))
    starts = [[each.window.start for each in sample.drawn] for sample in (first, again, other)]
    assert starts[0] == starts[1] != starts[2]
    logs = [each.log for each in first.drawn]
    assert max(logs.count(log) for log in logs) - min(logs.count(log) for log in set(logs)) <= 1
    assert all(each.window.valid[:, PRESENT].any() for each in first.drawn)
    assert [len(draw_sample(road, some, 5)) for some in ((), scenes[:1])] == [0, 5]


def measure(model, road, real=None, tasks=QUICK, **options):
    return measure_generality(model, road, real=real, tasks=tasks, windows=12, **options)


def test_every_cell_is_told_and_finished_ones_are_not_measured_again(
    road, real, model, tmp_path, monkeypatch
):
    counts, rows = [], []
    found = measure(model, road, real, out=tmp_path, on_start=counts.append, on_row=rows.append)
    assert counts == [12]
    assert len(rows) == 12
    cells = {(row.task, row.domain): row for row in found.rows}
    own = cells["forecast-1s", "grid"]
    assert own.is_own
    assert own.is_defined
    assert own.logs == 3
    assert set(own.scores) == {
        *("generalist", "stand", "constant_velocity", "constant_turn_rate", "nearest_neighbour"),
    }
    far = cells["infill-1s", "dash<b>"]
    assert not far.is_own
    assert "rts, fitted there" in far.scores
    assert "simulated scenes only" in cells["anomaly", "dash<b>"].reason
    assert cells["forecast-1s", "left-hand"].reason == "1 log, at least 3 are needed"
    assert found.verdict.text.startswith("general over ")
    json.dumps(found.to_dict())

    # A kill cut the last line short: only that cell is measured again.
    lines = (tmp_path / CELLS).read_text().splitlines()
    (tmp_path / CELLS).write_text("\n".join(lines)[:-20])
    asked = []
    real_cell = matrices._measure_cell
    monkeypatch.setattr(
        matrices,
        "_measure_cell",
        lambda task, domain, *rest: asked.append(task.name) or real_cell(task, domain, *rest),
    )
    again = measure(model, road, real, out=tmp_path)
    assert asked == ["anomaly"]
    assert again.rows == found.rows
    assert measure(model, road, real, out=tmp_path).rows == found.rows
    assert len(asked) == 1
    # Another seed is another matrix.
    measure(model, road, tasks=["anomaly"], seed=1, out=tmp_path)
    assert len(asked) == 4

    page = generality_page(found)
    assert "dash<b>" not in page
    assert "dash&lt;b&gt;" in page
    assert found.verdict.text in page
    assert page.count('td class="none') == sum(row.skill.value is None for row in found.rows)


def test_specialists_are_measured_beside_it_and_must_match(road, model, tmp_path):
    told = header_of(model)
    shared = {name: told[name] for name in ("training", "data")}
    write(tmp_path / "infill", name_objective("infill"), shared)
    found = measure(model, road, tasks=["infill-1s"], specialists=tmp_path)
    row = next(row for row in found.rows if row.domain == "grid")
    # The same weights, so the same answers.
    assert row.specialist_score == row.score.value
    assert row.over_specialist.value == 0.0
    _, notes = read_specialists(tmp_path, ["infill", "kind"], told)
    assert notes == ("there is no specialist for kind",)
    write(
        tmp_path / "infill",
        name_objective("infill"),
        shared | {"training": {"budget": {"steps": 9}}},
    )
    assert "another budget" in read_specialists(tmp_path, ["infill"], told)[1][0]
    write(tmp_path / "infill", "masked", shared)
    with pytest.raises(InputError, match="no match"):
        read_specialists(tmp_path, ["infill"], told)


def test_a_specialist_that_came_later_has_only_its_own_cells_measured_again(
    road, model, tmp_path, monkeypatch
):
    special, out = tmp_path / "specialists", tmp_path / "cells"
    options = {"tasks": ["forecast-1s", "infill-1s"], "specialists": special, "out": out}
    first = measure(model, road, **options)
    asked = []
    real_cell = matrices._measure_cell
    monkeypatch.setattr(
        matrices,
        "_measure_cell",
        lambda task, *rest: asked.append(task.name) or real_cell(task, *rest),
    )
    told = header_of(model)
    write(
        special / "infill",
        name_objective("infill"),
        {name: told[name] for name in ("training", "data")},
    )
    again = measure(model, road, **options)
    assert set(asked) == {"infill-1s"}
    pairs = zip(first.rows, again.rows, strict=True)
    assert all(new == old for old, new in pairs if old.task == "forecast-1s")
    assert any(row.specialist_score is not None for row in again.rows if row.task == "infill-1s")


def test_a_specialist_for_kinds_learns_where_no_track_is_hidden():
    window = cut_window(scene_of("a", "Here"), 0.0)
    rng = np.random.default_rng(0)
    examples = [make_special(window, rng, family="kind", limits=Limits()) for _ in range(8)]
    told = [each for each in examples if each is not None]
    assert told
    assert not any(each.targets.valid.any() for each in told)
    assert all(each.targets.is_kind_asked.any() for each in told)


def test_unknown_tasks_are_refused_with_the_nearest_name(road, model):
    with pytest.raises(UsageError, match="there is no task") as refused:
        measure(model, road, tasks=["forcast-1s"])
    assert "forecast-1s" in refused.value.remedy


def test_the_command_prints_the_verdict_and_writes_the_page(road, model, tmp_path, capsys):
    options = {"model": model, "store": road.uri, "tasks": ["infill-1s"], "windows": 12}
    generality(**options, domain=["first=town LIKE 'grid-1-%'"], out=tmp_path)
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith("general over ")
    assert "not defined: " in told.out
    assert str(tmp_path / "generality.html") in told.err
    saved = json.loads((tmp_path / "generality.json").read_text())
    assert [each["name"] for each in saved["domains"]] == [
        *("grid", "right-hand", "left-hand", "first"),
    ]
    generality(**options, out=tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out)["verdict"]["is_foundation"] is False


def test_a_domain_without_a_condition_is_refused(road, model, tmp_path):
    with pytest.raises(UsageError, match="name and an SQL condition"):
        generality(model, store=road.uri, domain=["night"], out=tmp_path)


def test_missing_specialists_are_trained_as_the_model_was(road, model, tmp_path, monkeypatch):
    told = header_of(model)
    told["training"]["config"] = {"batch": 2}
    own, special = tmp_path / "model", tmp_path / "special"
    shared = {name: told[name] for name in ("training", "data")}
    write(own, "masked", shared)
    asked = []

    def train(store, out, task, budget, **options):
        asked.append((store, out, task, budget, options))
        write(out, task.name, shared)

    monkeypatch.setattr(pretraining, "train_on_store", train)
    for _ in range(2):  # one that is there is not trained again
        generality(
            own,
            store=road.uri,
            tasks=["kind", "retrieval"],
            windows=4,
            specialists=special,
            out=tmp_path / "out",
        )
    ((store, out, task, budget, options),) = asked
    assert (store, out) == (road.uri, special / "kind")
    assert (task.name, task.config) == (name_objective("kind"), CONFIG)
    assert budget == Budget(steps=2)
    assert options["config"] == PretrainConfig(batch=2)
    assert (options["seed"], options["held_out"]) == (0, HELD_OUT)
    window = cut_window(scene_of("a", "Here"), 0.0)
    assert task.make_example(window, np.random.default_rng(1)) is not None
