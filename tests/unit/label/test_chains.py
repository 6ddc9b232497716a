import numpy as np
import pytest

from kerbstone.label.chains import Chains, invert_diagonal, smooth_values, solve_chain


def chains_of(*lengths, first=None):
    length = np.array(lengths, np.int64)
    return Chains(np.zeros(len(length), np.int64) if first is None else np.array(first), length)


def system(chains, size, seed):
    """Return a positive definite system by its blocks, and the same as a dense matrix."""
    draw = np.random.default_rng(seed)
    cells = chains.cells
    dense = np.zeros((cells, size, cells, size))
    for cell in range(cells):
        part = draw.normal(size=(size, size))
        dense[cell, :, cell] += part @ part.T + 0.1 * np.eye(size)
    for cell in np.flatnonzero(chains.follows):
        # A factor over both cells adds what is positive, and couples them.
        part = draw.normal(size=(2, size, 2 * size))
        both = sum(each.T @ each for each in part).reshape(2, size, 2, size)
        dense[cell : cell + 2, :, cell : cell + 2] += both
    diagonal = np.array([dense[c, :, c] for c in range(cells)]).reshape(cells, size, size)
    coupling = np.array([dense[c, :, c + 1] for c in range(cells - 1)])
    return diagonal, coupling.reshape(-1, size, size), dense.reshape(cells * size, cells * size)


def test_cells_lie_track_by_track_and_step_by_step():
    chains = chains_of(2, 1, 3, first=[5, 0, 7])
    assert chains.cells == 6
    assert chains.start.tolist() == [0, 2, 3]
    assert chains.track.tolist() == [0, 0, 1, 2, 2, 2]
    assert chains.step.tolist() == [5, 6, 0, 7, 8, 9]
    assert chains.follows.tolist() == [True, False, False, True, True]
    assert chains.cell(chains.track, chains.step).tolist() == list(range(6))


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("lengths", [(1,), (7,), (1, 1, 1), (4, 1, 9, 2)])
def test_a_chain_is_solved_as_the_dense_system_is(size, lengths):
    chains = chains_of(*lengths)
    diagonal, coupling, dense = system(chains, size, 1)
    right = np.random.default_rng(2).normal(size=(chains.cells, size))
    expected = np.linalg.solve(dense, right.ravel()).reshape(right.shape)
    np.testing.assert_allclose(solve_chain(diagonal, coupling, right), expected, atol=1e-9)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("lengths", [(1,), (7,), (1, 1, 1), (4, 1, 9, 2)])
def test_covariances_are_the_diagonal_blocks_of_the_dense_inverse(size, lengths):
    chains = chains_of(*lengths)
    diagonal, coupling, dense = system(chains, size, 3)
    cells = chains.cells
    inverse = np.linalg.inv(dense).reshape(cells, size, cells, size)
    expected = np.array([inverse[c, :, c] for c in range(cells)])
    np.testing.assert_allclose(invert_diagonal(diagonal, coupling, chains), expected, atol=1e-9)


def test_solving_leaves_its_input_as_it_was():
    chains = chains_of(4, 3)
    diagonal, coupling, _ = system(chains, 3, 4)
    right = np.ones((7, 3))
    kept = diagonal.copy(), coupling.copy(), right.copy()
    solve_chain(diagonal, coupling, right)
    invert_diagonal(diagonal, coupling, chains)
    for now, before in zip((diagonal, coupling, right), kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_system_that_is_not_positive_definite_is_refused():
    with pytest.raises(np.linalg.LinAlgError):
        solve_chain(-np.ones((2, 1, 1)), np.zeros((1, 1, 1)), np.ones((2, 1)))


def test_no_tracks_are_no_trouble():
    chains = chains_of()
    none = np.zeros((0, 5, 5))
    assert (chains.cells, chains.track.shape, chains.step.shape) == (0, (0,), (0,))
    assert solve_chain(none, none, np.zeros((0, 5))).shape == (0, 5)
    assert invert_diagonal(none, none, chains).shape == (0, 5, 5)
    empty = np.zeros((0, 2))
    value, variance = smooth_values(
        chains, np.zeros(0, np.int64), empty, empty, wander=np.zeros((0, 2))
    )
    assert value.shape == variance.shape == (0, 2)


def dense_smoothing(length, cell, value, variance, wander):
    """Return mean and variance of one random walk, by a dense Gaussian."""
    certainty = np.zeros((length, length))
    right = np.zeros(length)
    for c, v, spread in zip(cell, value, variance, strict=True):
        certainty[c, c] += 1 / spread
        right[c] += v / spread
    for c in range(length - 1):
        step = np.array([[1.0, -1.0], [-1.0, 1.0]]) / wander[c]
        certainty[c : c + 2, c : c + 2] += step
    return np.linalg.solve(certainty, right), np.diag(np.linalg.inv(certainty))


def test_values_that_wander_are_smoothed_as_a_dense_gaussian_is():
    draw = np.random.default_rng(5)
    chains = chains_of(6, 1, 4)
    cell = np.array([1, 2, 2, 5, 6, 9])
    value, variance = draw.normal(size=(6, 2)), draw.uniform(0.1, 2, (6, 2))
    wander = draw.uniform(0.01, 1, (11, 2))
    found, spread = smooth_values(chains, cell, value, variance, wander=wander)
    for start, length in zip(chains.start, chains.length, strict=True):
        own = (cell >= start) & (cell < start + length)
        for column in range(2):
            expected = dense_smoothing(
                length,
                cell[own] - start,
                value[own, column],
                variance[own, column],
                wander[start:, column],
            )
            part = slice(start, start + length)
            np.testing.assert_allclose(found[part, column], expected[0], atol=1e-9)
            np.testing.assert_allclose(spread[part, column], expected[1], atol=1e-9)


def test_what_does_not_wander_is_the_weighted_mean_of_all():
    chains = chains_of(400)
    cell = np.arange(0, 400, 2)
    value = np.random.default_rng(6).normal(size=(200, 1))
    variance = np.full((200, 1), 0.25)
    found, spread = smooth_values(chains, cell, value, variance, wander=np.zeros((400, 1)))
    np.testing.assert_allclose(found, value.mean(), atol=0.01)
    np.testing.assert_allclose(spread, 0.25 / 200, rtol=0.05)
