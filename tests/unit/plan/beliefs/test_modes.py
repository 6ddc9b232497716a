"""The belief over modes of others."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from kerbstone.errors import InputError
from kerbstone.plan.beliefs import Memory, Noise, Outlook, foresee, score_modes, update_belief
from kerbstone.plan.predictions import Predictions

EXACT = Memory(forgetting=0.0, floor=0.0, reach=1e3)


def outlook_of(means, sigma=1.0):
    """Return an outlook of one step from means `[mode, agent, 2]`."""
    mean = np.asarray(means, float)[:, :, None]
    covariance = np.broadcast_to(sigma**2 * np.eye(2), (*mean.shape, 2)).copy()
    return Outlook(mean, covariance, np.ones(mean.shape[:-1], bool))


def predictions_of(mean):
    mean = np.asarray(mean, float)
    return Predictions(
        mean=mean,
        covariance=np.zeros((*mean.shape, 2)),
        heading=np.zeros(mean.shape[:-1]),
        probability=np.full(mean.shape[0], 1.0 / mean.shape[0]),
        size=np.ones((mean.shape[1], 2)),
        valid=np.ones(mean.shape[:-1], bool),
    )


def test_a_score_is_the_log_density_of_what_was_observed():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(3, 2, 1, 3, 3))
    covariance = root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(3)
    mean = rng.normal(size=(3, 2, 1, 3))
    outlook = Outlook(mean, covariance, np.ones((3, 2, 1), bool))
    observed = rng.normal(size=(2, 3))
    wanted = [
        sum(
            multivariate_normal(mean[k, i, 0], covariance[k, i, 0]).logpdf(observed[i])
            for i in range(2)
        )
        for k in range(3)
    ]
    assert score_modes(outlook, observed, memory=EXACT) == pytest.approx(wanted)


def test_without_forgetting_the_belief_is_bayes_rule():
    outlook = outlook_of([[[0, 0]], [[1, 0]]])
    score = score_modes(outlook, np.array([[0.9, 0.3]]), memory=EXACT)
    belief = update_belief(np.array([0.7, 0.3]), score, memory=EXACT)
    likely = np.exp(-0.5 * np.array([0.9**2 + 0.3**2, 0.1**2 + 0.3**2]))
    wanted = np.array([0.7, 0.3]) * likely
    assert belief == pytest.approx(wanted / wanted.sum())


def test_belief_is_as_often_right_as_it_says():
    rng = np.random.default_rng(1)
    episodes = 20_000
    truth = (rng.random(episodes) < 0.3).astype(int)
    outlook = outlook_of([[[0.0, 0.0]], [[0.8, 0.0]]])
    outlook = Outlook(*(np.broadcast_to(v, (episodes, *v.shape)) for v in outlook))
    belief = np.broadcast_to([0.7, 0.3], (episodes, 2))
    for _ in range(3):
        observed = (
            rng.normal(size=(episodes, 1, 2)) + np.stack([0.8 * truth, 0 * truth], -1)[:, None]
        )
        belief = update_belief(belief, score_modes(outlook, observed, memory=EXACT), memory=EXACT)
    for low in (0.1, 0.3, 0.5, 0.7):
        chosen = (belief[:, 1] > low) & (belief[:, 1] < low + 0.2)
        assert truth[chosen].mean() == pytest.approx(belief[chosen, 1].mean(), abs=0.03)


def test_a_belief_recovers_when_the_mode_changes():
    outlook = outlook_of([[[0.0, 0.0]], [[1.5, 0.0]]])
    belief, taken = np.array([0.5, 0.5]), []
    for step in range(60):
        observed = np.array([[0.0 if step < 40 else 1.5, 0.0]])
        belief = update_belief(belief, score_modes(outlook, observed))
        taken.append(belief[1])
    assert taken[39] < 0.01
    assert max(taken[40:46]) > 0.9
    frozen = np.array([0.5, 0.5])
    for step in range(46):
        observed = np.array([[0.0 if step < 40 else 1.5, 0.0]])
        frozen = update_belief(frozen, score_modes(outlook, observed, memory=EXACT), memory=EXACT)
    assert frozen[1] < 1e-6


def test_no_mode_falls_below_the_floor_and_the_sum_stays_one():
    memory = Memory(floor=0.02)
    belief = update_belief(
        np.array([0.5, 0.3, 0.2]), np.array([0.0, -800.0, -900.0]), memory=memory
    )
    assert belief.min() == pytest.approx(0.02)
    assert belief.sum() == pytest.approx(1.0)


def test_a_mode_whose_prior_is_zero_stays_at_zero():
    belief = update_belief(np.array([0.4, 0.6, 0.0]), np.array([-5.0, 0.0, 50.0]))
    assert belief[2] == 0.0
    assert belief.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("how", ["nan", "unseen", "invalid"])
def test_who_is_not_observed_says_nothing(how):
    outlook = outlook_of([[[0, 0], [5, 0]], [[0, 0], [9, 0]]])
    observed, seen = np.array([[0.0, 0.0], [5.0, 0.0]]), np.array([True, True])
    if how == "nan":
        observed[1] = np.nan
    elif how == "unseen":
        seen[1] = False
    else:
        outlook.valid[0, 1] = False
        outlook.mean[0, 1] = np.nan
    score = score_modes(outlook, observed, seen=seen)
    assert score[0] == pytest.approx(score[1])


def test_an_observation_that_fits_no_mode_changes_no_mind():
    outlook = outlook_of([[[0, 0]], [[3, 0]]])
    score = score_modes(outlook, np.array([[400.0, 0.0]]))
    belief = update_belief(np.array([0.8, 0.2]), score, memory=Memory(forgetting=0.0))
    assert belief == pytest.approx([0.8, 0.2], abs=2e-3)


def test_a_batch_is_each_alone():
    rng = np.random.default_rng(3)
    mean = rng.normal(size=(5, 2, 3, 4, 2))
    covariance = np.broadcast_to(0.5 * np.eye(2), (*mean.shape, 2)).copy()
    outlook = Outlook(mean, covariance, rng.random((5, 2, 3, 4)) > 0.2)
    observed = rng.normal(size=(5, 3, 2))
    belief = rng.dirichlet(np.ones(2), size=5)
    score = score_modes(outlook, observed, step=2)
    together = update_belief(belief, score)
    for i in range(5):
        one = Outlook(*(value[i] for value in outlook))
        alone = score_modes(one, observed[i], step=2)
        assert alone == pytest.approx(score[i])
        assert update_belief(belief[i], alone) == pytest.approx(together[i])


def test_speeds_are_foreseen_from_the_means():
    time = 0.5 * np.arange(1, 7)
    braking = 8.0 * time - time**2
    mean = np.stack([np.stack([8.0 * time, 0 * time], -1), np.stack([0 * time, braking], -1)])
    outlook = foresee(predictions_of(mean[:, None]), noise=Noise(0.2, 0.4), dt=0.5)
    assert outlook.mean[0, 0, :, 2] == pytest.approx(np.full(6, 8.0))
    assert outlook.mean[1, 0, 1:-1, 2] == pytest.approx((8.0 - 2 * time)[1:-1])
    assert outlook.covariance[0, 0, 0] == pytest.approx(np.diag([0.04, 0.04, 0.16]))


def test_a_speed_tells_modes_apart_that_are_in_one_place():
    time = 0.2 * np.arange(1, 6)
    fast, slow = 5.0 + 6.0 * (time - 0.6), 5.0 + 2.0 * (time - 0.6)
    mean = np.stack([np.stack([x, 0 * x], -1) for x in (fast, slow)])[:, None]
    outlook = foresee(predictions_of(mean), noise=Noise(1.0, 0.3), dt=0.2)
    score = score_modes(outlook, np.array([[5.0, 0.0, 2.1]]), step=2)
    assert update_belief(np.array([0.5, 0.5]), score)[1] > 0.99


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: score_modes(outlook_of([[[0, 0]], [[1, 0]]]), np.zeros((1, 2)), step=1), "index"),
        (lambda: score_modes(outlook_of([[[0, 0]]], sigma=0.0), np.zeros((1, 2))), "value"),
        (lambda: update_belief(np.array([0.5, 0.6]), np.zeros(2)), "value"),
        (lambda: update_belief(np.array([0.5, 0.5]), np.array([np.nan, 0.0])), "value"),
        (lambda: Memory(floor=0.5), "value"),
        (lambda: Memory(forgetting=-0.1), "value"),
        (lambda: Memory(reach=0.0), "value"),
        (lambda: foresee(predictions_of(np.zeros((2, 1, 1, 2))), dt=0.1), "shape"),
    ],
)
def test_what_cannot_be_is_an_error(change, code):
    with pytest.raises(InputError) as error:
        change()
    assert error.value.code == code


def test_a_wrong_shape_is_an_error_without_shape_checks(unchecked):
    with pytest.raises(InputError, match="does not fit"):
        score_modes(outlook_of([[[0, 0]], [[1, 0]]]), np.zeros((3, 2)))
