from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerbstone.scene import SE2
from kerbstone.world import predict, predict_all, predicting
from kerbstone.world.batches import map_batch
from kerbstone.world.embedding import embed_scene
from kerbstone.world.masks import Forecast, Infill, Mask, WholeAgent
from kerbstone.world.observed import hide
from kerbstone.world.predicting import fit_limits
from kerbstone.world.scoring import score_scene
from kerbstone.world.windows import cut_window
from roads import moved

RNG = np.random.default_rng


def test_prediction_is_there_for_exactly_what_was_asked(window, model):
    observed = hide(window, Infill(2.0, share=0.6)(window, RNG(0)))
    found = predict(model, observed)
    hidden = np.repeat(observed.hidden, 5, axis=1)
    seen = observed.window.valid.any(axis=1)
    np.testing.assert_array_equal(found.asked, hidden & seen[:, None])
    for values in (found.mixture.position, found.mixture.scale):
        finite = np.isfinite(values).all(axis=(1, 3))
        np.testing.assert_array_equal(finite, found.asked)
    np.testing.assert_allclose(found.mixture.weight[seen].sum(axis=1), 1.0)
    np.testing.assert_allclose(found.kind[seen].sum(axis=1), 1.0)
    assert (found.mixture.scale[found.asked.any(axis=1)][0] > 0).any()


def test_prediction_turns_with_the_scene(crossing, model):
    motion = SE2(np.array([-400.0, 900.0]), np.array(1.3))
    windows = [cut_window(s, 0.0, 16) for s in (crossing, moved(crossing, motion))]
    mask = Forecast(3.0)(windows[0], RNG(0))
    one, other = (predict(model, hide(window, mask)).mixture for window in windows)
    flat = (motion @ one.position.reshape(-1, 2)).reshape(one.position.shape)
    np.testing.assert_allclose(other.position, flat, atol=1e-3)
    np.testing.assert_allclose(other.scale, one.scale, rtol=1e-3)
    np.testing.assert_allclose(other.weight, one.weight, atol=1e-4)


def test_many_windows_are_predicted_as_each_by_itself(crossing, model):
    rng = RNG(1)
    windows = [cut_window(crossing, float(start), 8) for start in (0, 1, 2, 3)]
    windows[2] = windows[2].select([])
    observed = [hide(window, Forecast(2.0)(window, rng)) for window in windows]
    together = list(predict_all(model, iter(observed)))
    assert len(together) == 4
    for each, found in zip(observed, together, strict=True):
        alone = predict(model, each)
        np.testing.assert_array_equal(alone.mixture.position, found.mixture.position)
        assert len(found.kind) == len(each.window)


def test_batches_that_are_worked_on_at_once_come_back_in_order(crossing, model, monkeypatch):
    rng = RNG(2)
    windows = [cut_window(crossing, 0.5 * start, 8) for start in range(7)]
    observed = [hide(window, Forecast(2.0)(window, rng)) for window in windows]
    whole = list(predict_all(model, observed))
    monkeypatch.setattr(predicting, "_BATCH", 2)  # four batches, the last of one window
    for one, other in zip(whole, predict_all(model, observed), strict=True):
        np.testing.assert_array_equal(one.mixture.position, other.mixture.position)
    assert not np.array_equal(whole[0].mixture.position, whole[1].mixture.position)


def test_who_is_hidden_but_for_a_place_is_predicted_around_it(window, model):
    observed = hide(window, WholeAgent(1.0)(window, RNG(0)))
    found = predict(model, observed)
    place = observed.window.position[observed.window.valid]
    assert np.isfinite(place).all()
    assert (found.asked.sum(axis=1)[observed.window.valid.any(axis=1)] == window.steps - 1).all()


def test_sizes_for_windows_are_few(window):
    sizes = {
        fit_limits(hide(part, Mask.nothing(part)))
        for count in range(1, 16)
        for part in [window.select(np.arange(count))]
    }
    assert len(sizes) == 1


def test_scene_has_a_vector_for_every_second(crossing, model):
    found = embed_scene(model, crossing)
    np.testing.assert_array_equal(found.start, np.arange(6.0))
    assert found.vectors.shape == (6, 2 * model.config.width)
    assert np.isfinite(found.vectors).all()
    assert np.abs(np.diff(found.vectors, axis=0)).max() > 0


def test_vectors_are_the_same_in_any_frame(crossing, model):
    motion = SE2(np.array([3000.0, 50.0]), np.array(-2.0))
    one, other = (embed_scene(model, s).vectors for s in (crossing, moved(crossing, motion)))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_scores_are_of_who_was_there_at_the_present(crossing, model):
    scores = score_scene(model, crossing)
    assert scores.ids == crossing.agents.ids
    np.testing.assert_array_equal(scores.start, [3.0, 4.0, 5.0, 6.0, 7.0])
    present = crossing.agents.valid[:, [29, 39, 49, 59, 69]]
    np.testing.assert_array_equal(np.isfinite(scores.nll), present & (scores.steps > 0))
    np.testing.assert_array_equal(np.isfinite(scores.baseline), np.isfinite(scores.nll))
    assert scores.speed[0, 0] == pytest.approx(8.0, abs=1e-6)
    assert scores.steps[0].tolist() == [30, 30, 30, 20, 10]


def test_who_does_another_thing_scores_higher(crossing, model):
    agents = crossing.agents
    centre = agents.centre.copy()
    centre[0, 30:, 0] += 2.0 * np.arange(50)
    odd = replace(crossing, agents=replace(agents, centre=centre))
    one, other = (score_scene(model, scene).nll[0, 0] for scene in (crossing, odd))
    assert other > one + 1.0


def test_short_scene_has_no_scores(crossing, model):
    short = crossing.window(0.0, 2.5)
    scores = score_scene(model, short)
    assert scores.nll.shape == (len(short.agents), 0)
    assert len(embed_scene(model, short).vectors) == 1


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_only_the_samples_that_count_are_worked_on(count):
    batch = {"one": jnp.arange(1.0, 5.0), "other": jnp.ones((4, 2))}
    run = jax.jit(
        lambda each, count: map_batch(lambda v: (v["one"] * v["other"], v["one"] > 2), each, count)
    )
    product, is_more = run(batch, np.asarray(count))
    assert product.shape == (4, 2)
    np.testing.assert_array_equal(product[:count, 1], np.arange(1.0, 5.0)[:count])
    np.testing.assert_array_equal(is_more[:count], (np.arange(1.0, 5.0) > 2)[:count])
    if jax.default_backend() == "cpu":
        np.testing.assert_array_equal(product[count:], 0.0)
