import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import laplace

from kerbstone.scene import Kind
from kerbstone.world import batches
from kerbstone.world.masks import Forecast, HideKind, Together
from kerbstone.world.objectives import OBJECTIVES
from kerbstone.world.objectives.masked import make_masked, masked_loss
from kerbstone.world.objectives.modes import Modes, score_modes
from kerbstone.world.tokens import Limits, stack

LIMITS = Limits(agents=8, patches=16, pieces=64, lights=8)


def make_batch(window, name, count=3):
    rng = np.random.default_rng(0)
    return stack([OBJECTIVES[name].make(window, rng, LIMITS) for _ in range(count)])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_few_steps_downhill_make_the_loss_smaller(window, model, name):
    batch = make_batch(window, name)
    slope = eqx.filter_jit(eqx.filter_value_and_grad(OBJECTIVES[name].loss, has_aux=True))
    (first, _), gradient = slope(model, batch)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    norm = jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))
    better = eqx.apply_updates(model, jax.tree.map(lambda leaf: -0.02 * leaf / norm, gradient))
    (second, _), _ = slope(better, batch)
    assert second < first


def test_gradient_summed_by_samples_is_that_of_the_sum(window, model):
    batch = jax.tree.map(jnp.asarray, make_batch(window, "masked", 2))
    loss = OBJECTIVES["masked"].loss
    summed = eqx.filter_jit(eqx.filter_grad(lambda m: loss(m, batch)[0]))(model)

    def by_map(model):
        original = batches.jax.default_backend
        batches.jax.default_backend = lambda: "gpu"
        try:
            return loss(model, batch)[0]
        finally:
            batches.jax.default_backend = original

    plain = eqx.filter_jit(eqx.filter_grad(by_map))(model)
    for one, other in zip(jax.tree.leaves(summed), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-3)


def test_density_is_that_of_a_mixture_of_laplaces():
    rng = np.random.default_rng(3)
    weight = rng.dirichlet(np.ones(3), size=2)
    place, scale = rng.normal(size=(2, 3, 4, 2)), rng.uniform(0.2, 2.0, (2, 3, 4, 2))
    truth, unit = rng.normal(size=(2, 4, 2)), rng.uniform(0.5, 3.0, (2, 4))
    valid = np.array([[1, 1, 0, 1], [1, 0, 0, 0]], bool)
    modes = Modes(
        *(jnp.asarray(v, jnp.float32) for v in (np.log(weight), place, np.log(scale))),
        turn=jnp.zeros((2, 3, 4)),
    )
    told = (truth, np.full((2, 4), np.nan), valid, unit)
    found = score_modes(modes, *map(jnp.asarray, told)).nll
    expected = 0.0
    for row in range(2):
        density = 0.0
        for mode in range(3):
            product = weight[row, mode]
            for step in np.flatnonzero(valid[row]):
                u = unit[row, step]
                for axis in range(2):
                    product *= laplace.pdf(
                        truth[row, step, axis] * u,
                        place[row, mode, step, axis] * u,
                        scale[row, mode, step, axis] * u,
                    )
            density += product
        expected -= np.log(density) / valid[row].sum()
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_headings_that_are_not_known_teach_nothing():
    modes = Modes(
        jnp.zeros((1, 1)), *(jnp.zeros((1, 1, 2, 2)) for _ in range(2)), jnp.ones((1, 1, 2))
    )

    def miss(*turn):
        told = (jnp.zeros((1, 2, 2)), jnp.array([turn]), jnp.ones((1, 2), bool), jnp.ones((1, 2)))
        return float(score_modes(modes, *told).heading)

    assert miss(np.nan, np.nan) == 0
    assert miss(1.0, np.nan) == pytest.approx(0.0, abs=1e-6)
    assert miss(1.0 + np.pi, np.nan) == pytest.approx(2.0, abs=1e-5)


def test_next_patch_is_what_came_next(window):
    tokens, targets = OBJECTIVES["next"].make(window, np.random.default_rng(0), LIMITS)
    assert not tokens.is_hidden.any()
    assert not targets.valid[:, -1].any()
    # Who drives straight at constant speed is where he is expected.
    drives = np.isclose(tokens.flags[..., 7], 0.8, atol=1e-3)
    drives &= targets.valid.all(axis=-1)
    assert drives.any()
    np.testing.assert_allclose(targets.offset[drives], 0.0, atol=1e-4)


def test_past_and_future_hold_the_same_road_users(window):
    views = OBJECTIVES["contrastive"].make(window, np.random.default_rng(0), LIMITS)
    count = int(views.is_both.sum())
    assert count >= 2
    for row in range(count):
        past, future = views.past.is_there[row], views.future.is_there[row]
        assert past.any()
        assert future.any()
        assert not (past & future).any()
        np.testing.assert_array_equal(views.past.type[row], views.future.type[row])


def test_window_of_nobody_makes_no_example(window):
    nobody = window.select([])
    for objective in OBJECTIVES.values():
        assert objective.make(nobody, np.random.default_rng(0), LIMITS) is None


def test_kind_is_asked_for_where_it_is_hidden(window):
    example = make_masked(window, np.random.default_rng(2), LIMITS, family=Forecast(3.0))
    assert not example.targets.is_kind_asked.any()
    assert (example.targets.kind[: len(window)] >= Kind.UNKNOWN).all()


def test_who_is_sure_of_a_wrong_kind_is_judged_as_who_is_not_so_sure(window, model):
    family = HideKind(share=1.0)
    rng = np.random.default_rng(2)
    batch = stack([make_masked(window, rng, LIMITS, family=Together((Forecast(3.0), family)))])
    assert batch.targets.is_kind_asked.any()

    def surer(factor):
        return eqx.tree_at(lambda made: made.heads.kind, model, factor * model.heads.kind)

    one, two = (jax.device_get(eqx.filter_jit(masked_loss)(surer(f), batch)) for f in (1.0, 50.0))
    assert two[0] > one[0] + 0.1
    assert two[1]["kind_accuracy"] == one[1]["kind_accuracy"] < 1.0
    assert two[1][batches.JUDGED] == pytest.approx(one[1][batches.JUDGED], abs=1e-5)
    right = one[1] | {"kind": 1.0 - one[1]["kind_accuracy"]}
    assert one[1][batches.JUDGED] - one[0] == pytest.approx(
        0.5 * (right["kind"] - one[1]["kind"]), abs=1e-5
    )
