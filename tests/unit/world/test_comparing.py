"""Drawing windows, and comparing objectives by the same tests."""

import json
from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.store import Store
from kerbstone.world import comparing
from kerbstone.world.comparing import BASELINE, compare_objectives
from kerbstone.world.drawing import draw_windows
from kerbstone.world.training.splits import split_store
from streets import damage_scene, put_scenes, street


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store.create(str(tmp_path_factory.mktemp("compared") / "road"))
    for number, speed in enumerate((6.0, 8.0, 10.0, 12.0, 9.0, 7.0)):
        town = "There" if number > 3 else "Here"
        log = f"log-{number}"
        scene = street(
            f"{log}/0", speed=speed, town=town, log=log, walker=True, brake=number % 2 == 0
        )
        put_scenes(store, log, scene)
    return store


@pytest.fixture(scope="module")
def split(store):
    return split_store(store, None, ("There",))


@pytest.fixture(scope="module")
def model(model):
    return eqx.tree_at(lambda m: m.layers, model, model.layers[:1])


@pytest.fixture(scope="module")
def compared(store, split, model):
    beyond = model.heads.beyond
    still = [0 * each for each in (beyond.outward, beyond.first)]
    steady = eqx.tree_at(lambda m: (m.heads.beyond.outward, m.heads.beyond.first), model, still)
    models = {"masked": steady, "next": steady, "contrastive": model}
    done = []
    rows = compare_objectives(models, store, split, windows=8, on_result=done.append)
    assert done == [1, 1, 1]
    return {row.name: row for row in rows}


def test_there_is_a_row_for_each_objective_and_the_baseline(compared):
    assert list(compared) == [BASELINE, "masked", "next", "contrastive"]
    assert json.loads(json.dumps(compared["next"].to_dict()))["kind"]["logs"] == 2


def test_models_that_go_on_forecast_as_constant_velocity(compared):
    one = compared[BASELINE].min_ade_1.value
    assert one > 0.1
    for name in ("masked", "next"):
        assert compared[name].min_ade_1.value == pytest.approx(one, rel=0.3)
        assert compared[name].min_ade_6.value == pytest.approx(compared[name].min_ade_1.value)
    assert compared["masked"].min_ade_1.value == pytest.approx(
        compared["next"].min_ade_1.value, abs=1e-3
    )
    assert compared[BASELINE].min_ade_6.value < one


def test_who_was_not_trained_to_forecast_does_not(compared):
    row = compared["contrastive"]
    assert np.isnan(row.min_ade_1.value)
    assert row.to_dict()["min_ade_6"]["value"] is None
    assert np.isfinite(row.displacement.value)
    assert np.isfinite(row.kind.value)


def test_who_says_the_same_of_everybody_is_right_for_one_class_of_two(compared):
    assert compared[BASELINE].kind.value == pytest.approx(0.5)
    assert compared["masked"].kind.value > 0.5


def test_a_comparison_is_the_same_each_time(store, split, model, compared):
    (_, row) = compare_objectives({"contrastive": model}, store, split, windows=8)
    assert str(row) == str(compared["contrastive"])


@pytest.mark.parametrize("name", ["next", "contrastive"])
def test_probes_see_nothing_of_the_future(store, split, model, name):
    side = comparing._Side.of(draw_windows(store, split.train, 3, past=2.0, ahead=3.0), 0)
    rng = np.random.default_rng(0)
    changed = []
    for each in side.drawn:
        position = each.window.position.copy()
        position[:, 20:] += rng.normal(size=position[:, 20:].shape)
        heading = each.window.heading.copy()
        heading[:, 20:] += 1.0
        window = replace(each.window, position=position, heading=heading)
        changed.append(replace(each, window=window))
    other = replace(side, drawn=changed)
    one, two = (comparing._read(name, model, s, side.there, hides=False) for s in (side, other))
    np.testing.assert_array_equal(one.features, two.features)
    assert np.abs(one.way - two.way).max() > 0.1


def test_an_unknown_objective_is_told(store, split, model):
    with pytest.raises(UsageError, match="mask"):
        compare_objectives({"mask": model}, store, split)


def test_nobody_to_compare_by_is_told(store, split, model):
    with pytest.raises(InputError, match="nobody"):
        compare_objectives({"masked": model}, store, replace(split, held_out=()))


def test_windows_are_drawn_evenly_over_logs(store, split):
    drawn = draw_windows(store, split.train, 10, past=2.0, ahead=3.0, seed=1)
    counts = np.unique([each.log for each in drawn], return_counts=True)[1]
    assert counts.sum() == 10
    assert counts.max() - counts.min() <= 1
    assert {each.window.steps for each in drawn} == {50}
    again = draw_windows(store, split.train, 10, past=2.0, ahead=3.0, seed=1)
    assert [each.window.start for each in drawn] == [each.window.start for each in again]
    assert not draw_windows(store, (), 10, past=2.0, ahead=3.0)


def test_a_window_keeps_those_who_are_near_now(store, split, monkeypatch):
    monkeypatch.setattr("kerbstone.world.drawing.MOST_AGENTS", 2)
    (drawn,) = draw_windows(store, split.train[:1], 1, past=2.0, ahead=3.0)
    assert len(drawn.window) == 2
    assert drawn.window.ego is not None


def test_scenes_that_cannot_be_read_are_left_out(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    for log in ("a", "b"):
        put_scenes(store, log, street(f"{log}/0", log=log))
    damage_scene(store, "a/0")
    store = Store.open(store.uri)
    split = split_store(store, None, ("b",))
    assert not draw_windows(store, split.train, 4, past=2.0, ahead=3.0)
    assert len(draw_windows(store, split.held_out, 4, past=2.0, ahead=3.0)) == 4
