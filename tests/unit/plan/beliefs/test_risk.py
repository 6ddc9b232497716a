"""Conditional value at risk, and the weights it is a mean under."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from kerbstone.errors import InputError
from kerbstone.plan.beliefs import Risk, value_at_risk, weigh_risk

COSTS = arrays(float, 4, elements=st.floats(-100, 100))
SHARES = arrays(float, 4, elements=st.floats(0.01, 1.0)).map(lambda share: share / share.sum())
TAILS = st.floats(0.01, 1.0)


@given(COSTS, SHARES, TAILS)
def test_weights_are_the_worst_that_are_allowed(cost, share, tail):
    best = linprog(-cost, A_eq=np.ones((1, 4)), b_eq=[1.0], bounds=[(0, p / tail) for p in share])
    weight = weigh_risk(cost, share, tail)
    assert weight.sum() == pytest.approx(1.0)
    assert (weight >= 0).all()
    assert (weight <= share / tail + 1e-9).all()
    assert weight @ cost == pytest.approx(-best.fun, abs=1e-6)


@given(COSTS, SHARES, TAILS)
def test_value_is_that_of_rockafellar_and_uryasev(cost, share, tail):
    # The least over t of t + E max(cost - t, 0) / tail is met at one of the costs.
    values = [t + share @ np.maximum(cost - t, 0) / tail for t in cost]
    assert value_at_risk(cost, share, tail) == pytest.approx(min(values), abs=1e-6)


@given(COSTS, SHARES)
def test_it_lies_between_the_mean_and_the_worst(cost, share):
    values = [value_at_risk(cost, share, tail) for tail in (1.0, 0.5, 0.1, 0.005)]
    assert values[0] == pytest.approx(share @ cost, abs=1e-9)
    assert (np.diff(values) >= -1e-9).all()
    assert values[-1] == pytest.approx(cost.max(), abs=1e-9)


def test_a_mode_without_weight_may_cost_anything():
    cost, share = np.array([1.0, np.inf]), np.array([1.0, 0.0])
    assert value_at_risk(cost, share, 0.2) == pytest.approx(1.0)


def test_a_batch_is_each_alone():
    rng = np.random.default_rng(0)
    cost, share = rng.normal(size=(7, 3)), rng.dirichlet(np.ones(3), size=7)
    together = weigh_risk(cost, share, 0.3)
    for i in range(7):
        assert weigh_risk(cost[i], share[i], 0.3) == pytest.approx(together[i])


@pytest.mark.parametrize("wrong", [{"tail": 0.0}, {"tail": 1.1}, {"rounds": 0}])
def test_what_cannot_be_is_an_error(wrong):
    with pytest.raises(InputError):
        Risk(**wrong)
