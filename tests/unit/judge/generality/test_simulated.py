"""Tasks about planted events, and kinds: who is sought, what is found, and what nobody may see."""

import dataclasses

import jax
import numpy as np
import pytest

from kerbstone.judge.generality.anomalies import _find_truth, _nearness
from kerbstone.judge.generality.events import Event
from kerbstone.judge.generality.kinds import KindTask
from kerbstone.judge.generality.motion import ForecastTask
from kerbstone.judge.generality.outcomes import make_row
from kerbstone.judge.generality.reading import read_tokens
from kerbstone.judge.generality.retrieval import RetrievalTask, _chance, _recall
from kerbstone.judge.generality.sampling import PATCHES, PRESENT, Drawn, Listed, Sample
from kerbstone.judge.generality.subjects import Bench, Subject
from kerbstone.world import ModelConfig, build_model, cut_window
from kerbstone.world.scoring import SceneScores
from streets import street

MODEL = build_model(ModelConfig(width=8, heads=1, layers=1, modes=6), key=jax.random.key(0))


def scores(ids=("ego", "bad", "other"), seconds=6):
    shape = (len(ids), seconds)
    nothing = np.zeros(shape)
    start = 3.0 + np.arange(seconds)
    return SceneScores(ids, start, nothing, nothing, np.full(shape, 30), nothing)


def sample_of(*scenes, events=None):
    drawn = [
        Drawn(scene, scene.source.log, cut_window(scene, start, PATCHES))
        for scene in scenes
        for start in (0.0, 1.5, 3.0)
    ]
    listed = [Listed(scene.id, scene.source.log, 10.0) for scene in scenes]
    known = {scene.id: scene for scene in scenes}
    return Sample(tuple(drawn), tuple(listed), known.__getitem__, events or {})


STREETS = [street(f"s{i}", speed=8.0 + i, walker=True, oncoming=3, log=f"log{i}") for i in range(4)]


def test_who_misbehaves_is_sought_and_whom_it_concerns_is_no_item():
    event = Event("close-cut-in", ("bad", "ego"), 5.0, 7.0)
    truth = _find_truth(scores(), (event,))
    # Windows begin at 3 s, each 3 s long; those that begin at 3 to 6 s share a second.
    np.testing.assert_array_equal(truth[1], [1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(truth[0], [np.nan] * 4 + [0, 0])
    np.testing.assert_array_equal(truth[2], np.zeros(6))


def test_who_misbehaves_itself_is_sought_even_where_another_event_concerns_it():
    events = (Event("a", ("ego", "bad"), 5.0, 7.0), Event("b", ("bad", "ego"), 5.0, 7.0))
    truth = _find_truth(scores(), events)
    assert truth[1, 0] == truth[0, 0] == 1.0
    assert not _find_truth(scores(), (Event("a", ("gone",), 5.0, 7.0),)).any()


def test_nearness_is_the_smallest_distance_of_the_window():
    scene = STREETS[0]
    told = _nearness(scene, scores(scene.agents.ids, 3))
    lead = scene.agents.ids.index("lead")
    assert told[lead, 0] <= 0
    steps = slice(30, 60, 5)
    point = scene.agents.centre[..., :2]
    others = [row for row in range(len(scene.agents)) if row != lead]
    away = np.linalg.norm(point[others, steps] - point[lead, steps], axis=-1)
    assert told[lead, 0] == pytest.approx(-np.nanmin(away))


def kinds_of(*told):
    found = np.empty(len(told), object)
    found[:] = [frozenset(each) for each in told]
    return found


def test_recall_is_of_other_logs_and_relative_to_what_is_possible():
    kinds = kinds_of({"a"}, {"a"}, *([{"a"}] * 12), *([()] * 30))
    log = np.array(["x", "x", *["y"] * 42], object)
    place = np.arange(44.0)
    assert _recall(place[:, None], kinds, log, 0, "a") == 1.0
    assert _recall(-np.abs(place - 30)[:, None], kinds, log, 0, "a") == 1.0
    far = np.where(np.arange(44) < 14, 100.0, 0.0)
    far[0] = 0.0
    assert _recall(far[:, None], kinds, log, 0, "a") == 0.0
    assert _chance(kinds, log, 0, "a") == pytest.approx(10 / 42 * 12 / 10)


def test_retrieval_compares_the_model_with_the_descriptor_and_chance():
    events = {s.id: (Event("cut", ("lead", "ego"), 3.0, 6.0),) for s in STREETS}
    bench = Bench.of(MODEL, {}, sample_of(*STREETS))
    found = RetrievalTask().ask(sample_of(*STREETS, events=events), bench)
    assert set(found.answers) == {"generalist", "descriptor", "chance"}
    assert found.log.tolist() == ["log0", "log1", "log2", "log3"]
    assert all((0 <= v).all() and (v <= 1).all() for v in found.answers.values())
    none = RetrievalTask().ask(sample_of(*STREETS), bench)
    assert "no two logs" in none.reason
    other = {s.id: (Event("cut", ("lead", "other0"), 3.0, 6.0),) for s in STREETS}
    assert RetrievalTask().ask(sample_of(*STREETS, events=other), bench).reason


def test_kinds_are_told_by_the_model_the_majority_and_the_speed():
    sample = sample_of(*STREETS)
    found = KindTask().ask(sample, Bench.of(MODEL, {}, sample_of(*STREETS)))
    assert set(np.unique(found.truth)) == {0.0, 2.0}
    assert (found.answers["majority"] == 0.0).all()
    # Walkers stand at first, so the speed tells most but not all.
    assert (found.answers["speed"] == found.truth).mean() > 0.7
    assert len(found.log) == len(found.truth)


def blind(sample):
    """The same windows in which everybody vanishes after the present."""
    drawn = []
    for each in sample.drawn:
        valid = each.window.valid.copy()
        valid[:, PRESENT + 1 :] = False
        window = dataclasses.replace(
            each.window,
            valid=valid,
            position=np.where(valid[..., None], each.window.position, np.nan),
            heading=np.where(valid, each.window.heading, np.nan),
        )
        drawn.append(Drawn(each.scene, each.log, window))
    return dataclasses.replace(sample, drawn=tuple(drawn), _kept={})


def test_what_a_probe_reads_and_what_is_forecast_tell_nothing_of_the_future():
    sample = sample_of(*STREETS)
    rows = [np.flatnonzero(each.window.valid[:, PRESENT]) for each in sample.drawn]
    subject = Subject("generalist", "generalist", MODEL)
    told, hidden = (read_tokens(subject, each, rows) for each in (sample, blind(sample)))
    np.testing.assert_array_equal(told, hidden)
    task = ForecastTask("f", 3.0)
    ahead, unseen = (subject.predict(each, *task.mask) for each in (sample, blind(sample)))
    for one, other in zip(ahead, unseen, strict=True):
        np.testing.assert_array_equal(one.mixture.position, other.mixture.position)


def test_all_rules_and_models_are_scored_on_the_same_road_users():
    sample = sample_of(*STREETS)
    bench = Bench.of(MODEL, {"forecast": MODEL}, sample_of(*STREETS))
    found = ForecastTask("f", 3.0).ask(sample, bench)
    np.testing.assert_array_equal(found.answers["generalist"], found.answers["specialist"])
    row = make_row(found, ForecastTask.measure, task="f", domain="d", is_own=True)
    assert row.is_defined
    assert row.items == len(found.truth) == len(found.log)
    assert row.scores["constant_velocity"] < row.scores["stand"]
    hidden = ForecastTask("k", 3.0, is_kind_hidden=True)
    assert hidden.ask(sample, bench).truth.shape == found.truth.shape
