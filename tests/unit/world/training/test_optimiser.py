import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from kerbstone.world.batches import JUDGED
from kerbstone.world.training.config import PretrainConfig
from kerbstone.world.training.optimiser import (
    compile_score,
    compile_step,
    find_matrices,
    learning_rate,
    make_optimiser,
    start_learning,
)


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine_to_nearly_nothing():
    config = PretrainConfig(rate=0.2, warmup=0.1)
    rates = np.array([learning_rate(step, 200, config) for step in range(200)])
    np.testing.assert_allclose(rates[:20], 0.2 * np.arange(1, 21) / 20)
    reference = optax.cosine_decay_schedule(0.2, 181)
    np.testing.assert_allclose(rates[20:], [float(reference(k)) for k in range(1, 181)], atol=1e-6)
    assert rates[-1] < 1e-4 * rates.max()


@pytest.mark.parametrize("total", [1, 2, 3])
def test_the_shortest_runs_have_a_rate(total):
    rates = [learning_rate(step, total, PretrainConfig()) for step in range(total)]
    assert all(0 < rate <= PretrainConfig().rate for rate in rates)


def test_only_matrices_fade():
    model = eqx.nn.Linear(3, 2, key=jax.random.key(0))
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), model)
    assert jax.tree.leaves(find_matrices([model, stacked])) == [True, False, True, False]
    assert find_matrices({"scale": jnp.ones(3)}) == {"scale": False}


def loss(model, batch, key):
    value = jnp.sum((model["w"] @ batch - 1.0) ** 2) + jnp.sum(model["b"] ** 2)
    return value, {"noise": jax.random.uniform(key)}


WEIGHTS = {"w": jnp.eye(3), "b": jnp.ones(3)}


def run(config, batches, objective=loss):
    step = compile_step({"w": None, "b": None}, objective, config)
    learned = start_learning(jax.tree.map(jnp.copy, WEIGHTS), config)
    told = []
    for number, batch in enumerate(batches):
        learned, values = step(
            learned, batch, np.float32(0.1), jax.random.key(0), np.uint32(number)
        )
        told.append(jax.device_get(values))
    return learned, told


def test_steps_of_small_weights_are_those_of_adam():
    config = PretrainConfig(average=0.0, decay=0.1, clip=0.5)
    batches = [jnp.array([1.0, 2.0, x]) for x in (3.0, -1.0, 0.5)]
    learned, told = run(config, batches)
    reference = optax.chain(
        optax.clip_by_global_norm(0.5),
        optax.adamw(
            0.1, b1=0.9, b2=0.99, weight_decay=0.1, mask={"w": True, "b": False}, nesterov=True
        ),
    )
    weights, state = WEIGHTS, reference.init(WEIGHTS)
    for batch in batches:
        gradient = jax.grad(lambda w, b=batch: loss(w, b, jax.random.key(0))[0])(weights)
        change, state = reference.update(gradient, state, weights)
        weights = optax.apply_updates(weights, change)
    np.testing.assert_allclose(learned.weights["w"], weights["w"], rtol=1e-5)
    np.testing.assert_allclose(learned.weights["b"], weights["b"], rtol=1e-5)
    assert learned.average == ()
    assert len({float(values["noise"]) for values in told}) == 3


def test_a_step_of_a_large_matrix_goes_as_far_in_all_directions():
    optimiser = make_optimiser(PretrainConfig(decay=0.0))
    rng = np.random.default_rng(0)
    weights = {"large": jnp.zeros((64, 48)), "readout": jnp.zeros((64, 5))}
    # Ten times as steep in one direction as in another.
    gradient = {}
    for name, leaf in weights.items():
        left, _, right = np.linalg.svd(rng.normal(size=leaf.shape), full_matrices=False)
        slopes = np.geomspace(1.0, 0.1, len(right))
        gradient[name] = jnp.array(left * slopes @ right, jnp.float32)
    step, _ = optimiser.update(gradient, optimiser.init(weights), weights)
    lengths = np.linalg.svd(step["large"], compute_uv=False)
    assert lengths.max() < 2.0 * lengths.min()
    assert float((step["large"] * gradient["large"]).sum()) > 0
    # About as long as those of Adam.
    assert 0.2 < np.sqrt(np.mean(np.square(step["large"]))) < 0.6
    lengths = np.linalg.svd(step["readout"], compute_uv=False)
    assert lengths.max() > 2.0 * lengths.min()


def test_the_average_lags_behind_and_forgets_the_first_steps():
    config = PretrainConfig(average=0.999)
    learned, _ = run(config, [jnp.ones(3)] * 50)
    apart = jnp.abs(learned.average["b"] - learned.weights["b"]).max()
    from_start = jnp.abs(learned.average["b"] - WEIGHTS["b"]).max()
    assert 0 < apart < from_start


def test_a_step_whose_loss_is_not_finite_changes_nothing():
    config = PretrainConfig()
    good = [jnp.ones(3), jnp.array([1.0, 0.0, 2.0])]
    learned, told = run(config, [good[0], jnp.full(3, jnp.nan), good[1]])
    expected, _ = run(dataclasses.replace(config), good)
    assert [bool(values["is_finite"]) for values in told] == [True, False, True]
    np.testing.assert_allclose(learned.weights["w"], expected.weights["w"], rtol=1e-6)


def test_held_out_examples_are_judged_by_what_the_objective_says():
    def judged(model, batch, key):
        value, told = loss(model, batch, key)
        return value, {**told, JUDGED: 7.0 * jnp.ones(())}

    for objective, expected in (
        (loss, float(loss(WEIGHTS, jnp.ones(3), jax.random.key(0))[0])),
        (judged, 7.0),
    ):
        score = compile_score({"w": None, "b": None}, objective)
        told = score(WEIGHTS, jnp.ones(3), jax.random.key(0), np.uint32(0))
        assert set(told) == {"loss", "noise"}
        assert float(told["loss"]) == pytest.approx(expected)
    # What is learned is the loss itself.
    learned, told = run(PretrainConfig(), [jnp.ones(3)] * 2, judged)
    plain, _ = run(PretrainConfig(), [jnp.ones(3)] * 2)
    assert JUDGED not in told[0]
    np.testing.assert_array_equal(learned.weights["w"], plain.weights["w"])


def test_weights_that_share_an_array_are_learned_apart():
    one = jnp.ones(3)
    config = PretrainConfig(average=0.0)
    step = compile_step(
        {"a": None, "b": None}, lambda m, x, _: (jnp.sum(m["a"] * x) - jnp.sum(m["b"]), {}), config
    )
    learned = start_learning(jax.tree.map(jnp.copy, {"a": one, "b": one}), config)
    learned, _ = step(learned, jnp.ones(3), np.float32(0.1), jax.random.key(0), np.uint32(0))
    assert float(learned.weights["a"][0]) < 1 < float(learned.weights["b"][0])
