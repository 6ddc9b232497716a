"""Rows: paired, over logs, against the best rule of the very cell, and undefined where too little."""

import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.judge.generality.measures import AUROC, MEAN_ERROR, RECALL
from kerbstone.judge.generality.outcomes import Bounds, Outcome, Row, make_row


def outcome(logs=8, per_log=10, *, truth=None, **answers):
    count = logs * per_log
    log = np.repeat([f"log{i}" for i in range(logs)], per_log).astype(object)
    told = {
        name: np.broadcast_to(values, (count,)).astype(float) for name, values in answers.items()
    }
    return Outcome(np.zeros(count) if truth is None else truth, log, told)


def row_of(found, measure=MEAN_ERROR):
    return make_row(found, measure, task="t", domain="d", is_own=True)


def test_the_best_rule_of_the_cell_is_the_opponent():
    row = row_of(outcome(generalist=1.0, slow=3.0, quick=2.0))
    assert (row.trivial, row.trivial_score, row.skill.value) == ("quick", 2.0, 0.5)
    assert row.over_trivial == Bounds(1.0, 1.0, 1.0)
    assert row.result == "win"
    assert (row.logs, row.items, row.reason) == (8, 80, "")


def test_of_shares_the_largest_is_the_best_rule():
    row = row_of(outcome(generalist=0.5, chance=0.1, descriptor=0.6), RECALL)
    assert row.trivial == "descriptor"
    assert row.result == "loss"


def test_the_strongest_opponent_decides():
    row = row_of(outcome(generalist=1.0, rule=2.0, specialist=0.5))
    assert row.over_trivial.value == 1.0
    assert row.over_specialist.value == -0.5
    assert row.specialist_skill == 0.75
    assert row.result == "loss"
    assert row_of(outcome(generalist=1.0, rule=2.0, specialist=3.0)).result == "win"


def test_a_difference_that_one_log_decides_is_a_tie():
    errors = np.ones(80)
    errors[:10] = 30.0
    row = row_of(outcome(generalist=errors, rule=2.0))
    assert row.over_trivial.value < 0
    assert row.result == "tie"


def test_intervals_are_paired():
    hard = np.random.default_rng(0).gamma(1.0, 10.0, 80)
    row = row_of(outcome(generalist=hard, rule=hard + 0.1))
    assert row.score.high - row.score.low > 1.0
    assert row.over_trivial.low == pytest.approx(0.1)
    assert row.result == "win"


def test_what_somebody_did_not_answer_counts_for_nobody():
    rule = np.full(80, 2.0)
    rule[:40] = np.nan
    mine = np.where(np.arange(80) < 40, 100.0, 1.0)
    row = row_of(outcome(generalist=mine, rule=rule))
    assert (row.items, row.score.value) == (40, 1.0)


@pytest.mark.parametrize(
    ("found", "measure", "reason"),
    [
        (outcome(2, 50, generalist=1.0, rule=2.0), MEAN_ERROR, "2 logs, at least 3"),
        (outcome(4, 2, generalist=1.0, rule=2.0), MEAN_ERROR, "8 items, at least 20"),
        (outcome(generalist=0.5, rule=0.5), AUROC, "fewer than two classes have 5 items"),
        (outcome(generalist=np.nan, rule=2.0), MEAN_ERROR, "0 items"),
        (Outcome.nothing("there is no map"), MEAN_ERROR, "there is no map"),
    ],
)
def test_a_cell_without_enough_is_not_defined_and_says_why(found, measure, reason):
    row = row_of(found, measure)
    assert reason in row.reason
    assert not row.is_defined
    assert (row.result, row.skill.value) == ("", None)


def test_against_a_perfect_rule_there_is_no_skill_but_a_loss():
    row = row_of(outcome(generalist=1.0, rule=0.0))
    assert row.is_defined
    assert (row.result, row.skill.value) == ("loss", None)


def test_a_class_with_too_few_items_does_not_count():
    truth = np.array([0.0] * 40 + [1.0] * 37 + [2.0] * 3)
    row = row_of(outcome(truth=truth, generalist=truth, rule=0.0), AUROC)
    assert row.items == 77
    assert row.score.value == 1.0


@pytest.mark.parametrize("found", [outcome(generalist=1.0, rule=2.0), Outcome.nothing("no")])
def test_a_row_is_the_same_after_json(found):
    row = row_of(found)
    assert Row.from_dict(json.loads(json.dumps(row.to_dict()))) == row


@pytest.mark.usefixtures("unchecked")
def test_answers_of_another_length_are_refused():
    with pytest.raises(InputError, match="do not fit"):
        Outcome(np.zeros(3), np.zeros(3, object), {"generalist": np.zeros(2)})
