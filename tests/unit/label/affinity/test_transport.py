import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from kerbstone.label.affinity import relax_assignment


@pytest.fixture(autouse=True)
def exact():
    with jax.enable_x64(True):
        yield


def problem(seed, tracks=7, rows=9, density=0.5, batch=()):
    draw = np.random.default_rng(seed)
    return (
        draw.uniform(0, 6, (*batch, tracks, rows)),
        draw.uniform(1, 4, (*batch, tracks)),
        draw.uniform(1, 4, (*batch, rows)),
        draw.random((*batch, tracks, rows)) < density,
    )


def solve(cost, track_cost, row_cost, allowed, temperature=1.0):
    plan = relax_assignment(
        *map(jnp.asarray, (cost, track_cost, row_cost, allowed)), temperature=temperature
    )
    return tuple(np.exp(part) for part in plan)


def weigh(seed, plan):
    """Return a number that depends on every part of a plan, as a loss would."""
    draw = np.random.default_rng(seed)
    total = 0.0
    for part in plan:
        weight = jnp.asarray(draw.normal(size=part.shape))
        total += (weight * jnp.exp(part)).sum()
        total += (0.1 * jnp.where(jnp.isneginf(part), 0.0, weight * part)).sum()
    return total


def unrolled(cost, track_cost, row_cost, allowed, temperature=1.0, rounds=3000):
    """Sinkhorn's iteration alone, whose gradient goes through every round."""
    kernel = jnp.where(allowed, -cost / temperature, -1e30)
    alone, alone_row = track_cost / temperature, row_cost / temperature
    lse = jax.scipy.special.logsumexp

    def turn(row_price, _):
        price = -jnp.logaddexp(lse(kernel + row_price[None, :], axis=1), -alone)
        return -jnp.logaddexp(lse(kernel + price[:, None], axis=0), -alone_row), price

    row_price, prices = jax.lax.scan(turn, jnp.zeros_like(alone_row), None, length=rounds)
    pair = kernel + prices[-1][:, None] + row_price[None, :]
    pair = jnp.where(allowed, pair, -jnp.inf)
    return pair, prices[-1] - alone, row_price - alone_row


def cosine(one, other):
    return (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other)


@pytest.mark.parametrize("temperature", [3.0, 1.0, 0.1, 0.01])
def test_every_track_and_every_detection_hands_out_a_mass_of_one(temperature):
    for seed, (tracks, rows) in enumerate([(1, 1), (5, 2), (3, 14), (11, 11)]):
        pair, track, row = solve(*problem(seed, tracks, rows), temperature)
        np.testing.assert_allclose(pair.sum(1) + track, 1, atol=1e-9)
        np.testing.assert_allclose(pair.sum(0) + row, 1, atol=1e-9)


def test_pairs_that_are_not_allowed_get_nothing_whatever_they_cost():
    cost, track_cost, row_cost, allowed = problem(1)
    pair, *_ = solve(np.where(allowed, cost, np.nan), track_cost, row_cost, allowed)
    assert (pair[~allowed] == 0).all()
    np.testing.assert_array_equal(pair, solve(cost, track_cost, row_cost, allowed)[0])


def test_no_track_can_be_paired_where_nothing_is_allowed():
    pair, track, row = solve(*problem(2, density=0.0))
    assert not pair.any()
    np.testing.assert_array_equal(track, 1)
    np.testing.assert_array_equal(row, 1)


@pytest.mark.parametrize(("tracks", "rows"), [(0, 3), (3, 0)])
def test_a_side_may_be_empty(tracks, rows):
    pair, track, row = solve(*problem(3, tracks, rows))
    assert pair.shape == (tracks, rows)
    assert (track == 1).all()
    assert (row == 1).all()


@pytest.mark.parametrize(("tracks", "rows"), [(6, 9), (9, 6)])
@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_gradient_is_that_of_finite_differences(tracks, rows, temperature):
    for seed in range(2):
        *costs, allowed = problem(seed, tracks, rows)

        def loss(*costs, allowed=allowed, seed=seed):
            plan = relax_assignment(*costs, jnp.asarray(allowed), temperature=temperature)
            return weigh(seed, plan)

        gradient = jax.grad(loss, argnums=(0, 1, 2))(*map(jnp.asarray, costs))
        value = jax.jit(loss)  # of one seed: the weights are drawn when it is traced
        for which, cost in enumerate(costs):
            apart = np.zeros(cost.shape)
            for cell in np.ndindex(cost.shape):
                step = np.zeros(cost.shape)
                step[cell] = 1e-5
                ends = [
                    [*costs[:which], cost + sign * step, *costs[which + 1 :]] for sign in (1, -1)
                ]
                apart[cell] = (value(*ends[0]) - value(*ends[1])) / 2e-5
            assert cosine(np.asarray(gradient[which]), apart) >= 0.9999
            np.testing.assert_allclose(gradient[which], apart, atol=1e-6, rtol=1e-5)


def test_gradient_by_temperature_is_that_of_finite_differences():
    parts = [jnp.asarray(part) for part in problem(4)]

    def loss(temperature):
        return weigh(4, relax_assignment(*parts, temperature=temperature))

    apart = (loss(0.7 + 1e-5) - loss(0.7 - 1e-5)) / 2e-5
    assert float(jax.grad(loss)(0.7)) == pytest.approx(float(apart), rel=1e-6)


def test_gradient_is_that_through_every_round_of_sinkhorn():
    *costs, allowed = problem(5)
    costs, allowed = [jnp.asarray(cost) for cost in costs], jnp.asarray(allowed)
    ours, theirs = (
        jax.grad(lambda *c, how=how: weigh(5, how(*c, allowed)), argnums=(0, 1, 2))(*costs)
        for how in (relax_assignment, unrolled)
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_gradient_in_single_precision_is_that_in_double():
    *costs, allowed = problem(6, 12, 10)
    gradients = [
        jax.grad(lambda c, *rest: weigh(6, relax_assignment(c, *rest, jnp.asarray(allowed))))(
            *(jnp.asarray(cost, dtype) for cost in costs)
        )
        for dtype in (jnp.float32, jnp.float64)
    ]
    assert gradients[0].dtype == jnp.float32
    assert cosine(*map(np.asarray, gradients)) >= 0.9999


def test_at_temperatures_near_zero_the_plan_is_the_best_assignment():
    for seed in range(10):
        cost, track_cost, row_cost, allowed = problem(seed, 8, 6)
        # Everyone's own dustbin as a partner makes the problem one that SciPy solves.
        table = np.full((14, 14), 1e6)
        table[:8, :6] = np.where(allowed, cost, 1e6)
        table[np.arange(8), 6 + np.arange(8)] = track_cost
        table[8 + np.arange(6), np.arange(6)] = row_cost
        table[8:, 6:] = 0.0
        best = np.zeros((14, 14))
        best[linear_sum_assignment(table)] = 1
        pair, *_ = solve(cost, track_cost, row_cost, allowed, 0.002)
        np.testing.assert_array_equal(np.rint(pair), best[:8, :6])


def test_padding_changes_neither_plan_nor_gradient():
    cost, track_cost, row_cost, allowed = problem(7)
    wide = (
        np.pad(cost, ((0, 4), (0, 3)), constant_values=99.0),
        np.pad(track_cost, (0, 4)),
        np.pad(row_cost, (0, 3)),
        np.pad(allowed, ((0, 4), (0, 3))),
    )
    narrow, padded = solve(cost, track_cost, row_cost, allowed), solve(*wide)
    for one, other in zip(narrow, padded, strict=True):
        own = other[tuple(slice(side) for side in one.shape)]
        np.testing.assert_allclose(own, one, atol=1e-12)

    def loss(parts):
        pair = relax_assignment(
            *map(jnp.asarray, parts[:3]),
            jnp.asarray(wide[3][: parts[0].shape[0], : parts[0].shape[1]]),
        ).pair
        return jnp.where(jnp.isneginf(pair), 0.0, pair).sum()

    one = jax.grad(loss)((cost, track_cost, row_cost))
    other = jax.grad(loss)(wide[:3])
    np.testing.assert_allclose(other[0][:7, :9], one[0], atol=1e-11)
    assert not np.asarray(other[0])[7:].any()
    assert not np.asarray(other[0])[:, 9:].any()


def test_a_batch_is_solved_as_each_alone():
    batch = problem(8, batch=(5,))
    together = solve(*batch)
    for place in range(5):
        alone = solve(*(part[place] for part in batch))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_allclose(other[place], one, atol=1e-11)
