import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from kerbstone.label import assignment
from kerbstone.label.assignment import assign_pairs


def pairs_of(seed, rows=15, columns=11, density=0.3, low=-1.0):
    draw = np.random.default_rng(seed)
    gain = draw.uniform(low, 3, (rows, columns))
    first, second = np.nonzero(draw.random(gain.shape) < density)
    return first, second, gain[first, second]


def best_of(first, second, gain):
    table = np.zeros((first.max(initial=0) + 1, second.max(initial=0) + 1))
    table[first, second] = np.maximum(gain, 0)
    return table[linear_sum_assignment(table, maximize=True)].sum()


@pytest.mark.parametrize("limits", [(2_500, 1_000_000), (0, 1_000_000), (0, 0)])
@pytest.mark.parametrize("shape", [(15, 11), (9, 20), (1, 6)])
@pytest.mark.parametrize("density", [0.1, 0.3, 1.0])
def test_no_assignment_gains_more(monkeypatch, limits, shape, density):
    monkeypatch.setattr(assignment, "_SMALL", limits[0])
    monkeypatch.setattr(assignment, "_DENSE", limits[1])
    for seed in range(8):
        first, second, gain = pairs_of(seed, *shape, density)
        taken = assign_pairs(first, second, gain)
        assert gain[taken].sum() == pytest.approx(best_of(first, second, gain))
        assert (gain[taken] > 0).all()
        assert len(np.unique(first[taken])) == len(taken) == len(np.unique(second[taken]))
        assert (np.diff(taken) > 0).all()


def test_great_gains_match_as_many_as_can_be():
    # The cheap middle pair would leave both others alone.
    first, second = np.array([0, 0, 1]), np.array([0, 1, 0])
    cost = np.array([0.0, 50.0, 50.0])
    assert assign_pairs(first, second, 1e6 - cost).tolist() == [1, 2]
    assert assign_pairs(first, second, 60 - cost).tolist() == [0]


def test_no_pairs_are_no_matches():
    nothing = np.zeros(0, np.int64)
    assert len(assign_pairs(nothing, nothing, np.zeros(0))) == 0
    assert len(assign_pairs(np.array([0]), np.array([0]), np.array([-1.0]))) == 0


def test_a_great_sparse_problem_is_solved_without_a_table():
    draw = np.random.default_rng(0)
    count = 20_000
    first = np.repeat(np.arange(count), 3)
    second = (first + np.tile([0, 1, 2], count)) % count
    gain = draw.uniform(0.1, 1, len(first))
    taken = assign_pairs(first, second, gain)
    assert len(np.unique(first[taken])) == len(taken) == len(np.unique(second[taken]))
    assert gain[taken].sum() > gain[::3].sum()
