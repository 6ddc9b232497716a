"""From when on a belief can tell modes apart."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from kerbstone.errors import InputError
from kerbstone.plan.beliefs import Outlook, bound_mistakes, when_to_branch
from kerbstone.plan.beliefs.branching import measure_distance

DT = 0.25
TIME = DT * np.arange(1, 13)
EVEN = np.array([0.5, 0.5])


def parting(acceleration=2.0, sigma=0.5):
    """Return the outlook on somebody who goes on or brakes, `[mode, agent, step, 2]`."""
    mean = np.zeros((2, 1, len(TIME), 2))
    mean[0, 0, :, 0] = 8.0 * TIME
    mean[1, 0, :, 0] = 8.0 * TIME - acceleration * TIME**2 / 2
    covariance = np.broadcast_to(sigma**2 * np.eye(2), (*mean.shape, 2)).copy()
    return Outlook(mean, covariance, np.ones(mean.shape[:-1], bool))


def test_distance_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(2, 2, 2)) * 0.4
    first, second = (root @ root.T + 0.3 * np.eye(2) for root in roots)
    apart = np.array([0.7, -0.4])
    side = np.linspace(-8, 8, 801)
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    densities = [
        multivariate_normal(mean, covariance).pdf(grid)
        for mean, covariance in ((np.zeros(2), first), (apart, second))
    ]
    overlap = np.sqrt(densities[0] * densities[1]).sum() * (side[1] - side[0]) ** 2
    assert measure_distance(np.zeros(2), apart, first, second) == pytest.approx(-np.log(overlap))
    assert measure_distance(apart, apart, first, first) == pytest.approx(0.0)


def test_the_bound_holds_and_is_not_idle():
    rng = np.random.default_rng(1)
    outlook, belief = parting(), np.array([0.7, 0.3])
    bound = bound_mistakes(outlook, belief)
    for step in (2, 5, 7):
        truth = rng.choice(2, size=40_000, p=belief)
        x = outlook.mean[truth, 0, step, 0] + 0.5 * rng.normal(size=len(truth))
        score = np.log(belief)[:, None] - (x - outlook.mean[:, 0, step, :1]) ** 2 / 2 / 0.25
        wrong = (score.argmax(axis=0) != truth).mean()
        assert wrong <= bound[step] + 0.01
        assert bound[step] < 6 * wrong + 0.01


def test_a_plan_branches_after_the_observation_that_tells():
    outlook = parting()
    step = when_to_branch(outlook, EVEN, mistake=0.05)
    told = bound_mistakes(outlook, EVEN)
    assert told[step - 1] <= 0.05 < told[step - 2]
    # By hand: 0.5 exp(-d²/8σ²) = 0.05 where they are d = σ sqrt(8 ln 10) = 2.15 m apart.
    assert step == np.searchsorted(TIME**2, 0.5 * np.sqrt(8 * np.log(10))) + 1


def test_it_branches_the_later_the_harder_it_is_to_tell():
    usual = when_to_branch(parting(), EVEN)
    assert when_to_branch(parting(sigma=1.0), EVEN) > usual
    assert when_to_branch(parting(acceleration=1.0), EVEN) > usual
    assert when_to_branch(parting(), EVEN, mistake=0.01) > usual
    assert when_to_branch(parting(), np.array([0.98, 0.02])) <= usual
    assert when_to_branch(parting(), EVEN, delay=2) == usual + 2


def test_it_never_branches_between_modes_that_are_the_same():
    assert when_to_branch(parting(acceleration=0.0), EVEN) == len(TIME)
    assert when_to_branch(parting(acceleration=0.0), EVEN, delay=3) == len(TIME)


def test_only_the_first_control_is_shared_where_one_mode_is_sure():
    assert when_to_branch(parting(acceleration=0.0), np.array([1.0, 0.0])) == 1
    belief = np.array([0.999, 0.001])
    assert when_to_branch(parting(acceleration=0.0), belief, mistake=0.01) == len(TIME)
    assert when_to_branch(parting(acceleration=0.0), belief, negligible=0.002) == 1


def test_who_is_not_there_tells_nothing():
    outlook = parting()
    outlook.valid[1, 0, :6] = False
    outlook.mean[1, 0, :6] = np.nan
    outlook.covariance[1, 0, :6] = np.nan
    told = bound_mistakes(outlook, EVEN)
    assert told[:6] == pytest.approx(np.full(6, 0.5))
    assert told[6] < 0.05


def test_what_once_told_is_not_forgotten():
    outlook = parting()
    outlook.mean[1, 0, 8:] = outlook.mean[0, 0, 8:]
    told = bound_mistakes(outlook, EVEN)
    assert told[-1] == told[7] < 0.05


def test_all_pairs_of_three_modes_must_be_told_apart():
    two = parting()
    three = Outlook(*(np.concatenate([value, value[1:]]) for value in two))
    belief = np.array([0.4, 0.3, 0.3])
    assert when_to_branch(three, belief) == len(TIME)
    assert when_to_branch(three, np.array([0.4, 0.6, 0.0])) < len(TIME)


def test_a_batch_is_each_alone():
    outlooks = [parting(a) for a in (0.5, 1.0, 4.0)]
    whole = Outlook(*(np.stack(values) for values in zip(*outlooks, strict=True)))
    belief = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])
    alone = [when_to_branch(o, b) for o, b in zip(outlooks, belief, strict=True)]
    assert when_to_branch(whole, belief).tolist() == [int(step) for step in alone]


@pytest.mark.parametrize("wrong", [{"mistake": 0.0}, {"delay": -1}])
def test_what_cannot_be_is_an_error(wrong):
    with pytest.raises(InputError):
        when_to_branch(parting(), EVEN, **wrong)
