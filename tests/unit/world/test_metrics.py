import numpy as np
import pytest
from scipy import stats

from kerbstone.errors import InputError
from kerbstone.world.metrics import (
    axis_level,
    coverage,
    joint_nll,
    marginal_nll,
    reaches,
    region_level,
    score_forecast,
    score_infill,
    transform_probability,
)
from kerbstone.world.metrics.likelihood import log_density
from kerbstone.world.mixture import Mixture, condense

RNG = np.random.default_rng(3)


def make_mixture(agents=7, modes=4, steps=9, rng=RNG):
    weight = rng.random((agents, modes)) + 0.05
    return Mixture(
        weight=weight / weight.sum(axis=1, keepdims=True),
        position=5 * rng.normal(size=(agents, modes, steps, 2)),
        scale=0.2 + rng.random((agents, modes, steps, 2)),
        axis=rng.uniform(-np.pi, np.pi, (agents, steps)),
    )


def draw(mixture, rng):
    """Return a trajectory of each agent, drawn from the mixture."""
    agents, _, steps, _ = mixture.position.shape
    mode = np.array([rng.choice(len(weight), p=weight) for weight in mixture.weight])
    row = np.arange(agents)
    along, across = np.moveaxis(
        rng.laplace(size=(agents, steps, 2)) * mixture.scale[row, mode], -1, 0
    )
    cos, sin = np.cos(mixture.axis), np.sin(mixture.axis)
    error = np.stack([along * cos - across * sin, along * sin + across * cos], axis=-1)
    return mixture.position[row, mode] + error


def make_truth(mixture):
    position = 5 * RNG.normal(size=(len(mixture.weight), mixture.axis.shape[1], 2))
    valid = RNG.random(mixture.axis.shape) < 0.7
    valid[0] = False
    position[~valid] = np.nan
    return position, valid


def loop_forecast(mixture, position, valid, modes, limit):
    """The same by loops: each agent's figures, written down from the definition."""
    rows = []
    for agent in range(len(position)):
        steps = [step for step in range(position.shape[1]) if valid[agent, step]]
        if not steps:
            rows.append((-1, *[np.nan] * 4))
            continue
        chosen = sorted(range(mixture.weight.shape[1]), key=lambda k: -mixture.weight[agent, k])
        chosen = chosen[:modes]
        off = {
            k: [np.hypot(*(mixture.position[agent, k, t] - position[agent, t])) for t in steps]
            for k in chosen
        }
        best = min(chosen, key=lambda k: off[k][-1])
        p = mixture.weight[agent, best] / sum(mixture.weight[agent, k] for k in chosen)
        end = off[best][-1]
        rows.append((best, np.mean(off[best]), end, float(end > limit), end + (1 - p) ** 2))
    return np.array(rows).T


@pytest.mark.parametrize("modes", [1, 2, 4, 6])
def test_forecast_scores_agree_with_loops_over_the_definition(modes):
    mixture = make_mixture()
    position, valid = make_truth(mixture)
    scores = score_forecast(mixture, position, valid, modes=modes, limit=5.0)
    best, ade, fde, missed, brier = loop_forecast(mixture, position, valid, modes, 5.0)
    np.testing.assert_array_equal(scores.best, best)
    np.testing.assert_allclose(scores.min_ade, ade)
    np.testing.assert_allclose(scores.min_fde, fde)
    np.testing.assert_array_equal(scores.missed, missed)
    np.testing.assert_allclose(scores.brier_min_fde, brier)


def test_with_one_mode_the_most_probable_counts_and_its_brier_score_is_its_distance():
    mixture = make_mixture()
    position, valid = make_truth(mixture)
    scores = score_forecast(mixture, position, valid, modes=1)
    np.testing.assert_array_equal(scores.best[1:], mixture.weight.argmax(axis=1)[1:])
    np.testing.assert_array_equal(scores.brier_min_fde, scores.min_fde)


def test_the_mode_that_ends_nearest_is_best_even_where_another_is_nearer_on_the_way():
    position = np.zeros((1, 2, 3, 2))
    position[0, 0, :, 0] = [9, 9, 1]
    position[0, 1, :, 0] = [0, 0, 2]
    mixture = Mixture(np.array([[0.5, 0.5]]), position, np.ones_like(position), np.zeros((1, 3)))
    scores = score_forecast(mixture, np.zeros((1, 3, 2)), np.ones((1, 3), bool))
    assert scores.best[0] == 0
    assert scores.min_fde[0] == 1
    assert scores.min_ade[0] == pytest.approx(19 / 3)


def test_a_forecast_that_ends_exactly_at_the_limit_is_no_miss():
    mixture = make_mixture(agents=1, modes=1, steps=1)
    at = mixture.position[:, 0]
    there = np.ones((1, 1), bool)
    exact = Mixture(mixture.weight, at[:, None] * 0, mixture.scale, mixture.axis)
    assert score_forecast(exact, np.array([[[2.0, 0.0]]]), there).missed[0] == 0
    assert score_forecast(exact, np.array([[[2.001, 0.0]]]), there).missed[0] == 1


def test_infill_scores_are_mean_and_maximum_of_one_trajectory():
    mixture = make_mixture()
    position, valid = make_truth(mixture)
    scores = score_infill(mixture, position, valid)
    one = condense(mixture)
    for agent in range(len(position)):
        off = [
            np.hypot(*(one.position[agent, 0, t] - position[agent, t]))
            for t in np.flatnonzero(valid[agent])
        ]
        expected = (np.mean(off), np.max(off)) if off else (np.nan, np.nan)
        np.testing.assert_allclose((scores.mean[agent], scores.largest[agent]), expected)


def test_nothing_is_defined_where_the_mixture_leaves_out_a_cell_that_counts():
    mixture = make_mixture()
    position = np.zeros((7, 9, 2))
    valid = np.ones((7, 9), bool)
    mixture.position[2, 1, 4] = np.nan
    valid[3] = False
    undefined = np.isin(np.arange(7), [2, 3])
    scores = score_forecast(mixture, position, valid)
    for value in (
        scores.min_ade,
        scores.min_fde,
        scores.missed,
        scores.brier_min_fde,
        score_infill(mixture, position, valid).mean,
        score_infill(mixture, position, valid).largest,
        joint_nll(mixture, position, valid),
        marginal_nll(mixture, position, valid),
    ):
        np.testing.assert_array_equal(np.isnan(value), undefined)
    np.testing.assert_array_equal(
        np.isnan(region_level(mixture, position, valid, samples=4)).all(axis=1), undefined
    )
    np.testing.assert_array_equal(
        np.isnan(transform_probability(mixture, position, valid)).all(axis=(1, 2)), undefined
    )


def test_no_agents_give_no_scores():
    mixture = make_mixture(agents=0)
    position, valid = np.zeros((0, 9, 2)), np.zeros((0, 9), bool)
    assert score_forecast(mixture, position, valid).min_ade.shape == (0,)
    assert score_infill(mixture, position, valid).mean.shape == (0,)
    assert joint_nll(mixture, position, valid).shape == (0,)
    assert region_level(mixture, position, valid).shape == (0, 9)
    assert np.isnan(coverage(np.zeros(0), 0.5))


def test_a_counted_cell_without_truth_is_refused():
    mixture = make_mixture()
    position, valid = np.full((7, 9, 2), np.nan), np.ones((7, 9), bool)
    for metric in (score_forecast, score_infill, joint_nll, marginal_nll):
        with pytest.raises(InputError, match="no true position"):
            metric(mixture, position, valid)
    with pytest.raises(InputError, match="no mode"):
        score_forecast(mixture, position, valid, modes=0)


def test_only_those_who_are_there_at_a_step_reach_it():
    valid = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 1, 0]], bool)
    expected = np.array([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0]], bool)
    np.testing.assert_array_equal(reaches(valid, 2), expected)


def loop_densities(mixture, position, agent, step):
    """Density of a position in each mode, by scipy, in a frame turned by hand."""
    c, s = np.cos(mixture.axis[agent, step]), np.sin(mixture.axis[agent, step])
    densities = []
    for mode in range(mixture.weight.shape[1]):
        along, across = np.array([[c, s], [-s, c]]) @ (
            position[agent, step] - mixture.position[agent, mode, step]
        )
        scale = mixture.scale[agent, mode, step]
        densities.append(
            stats.laplace.pdf(along, scale=scale[0]) * stats.laplace.pdf(across, scale=scale[1])
        )
    return np.array(densities)


def test_likelihoods_agree_with_loops_over_scipys_laplace():
    mixture = make_mixture()
    position, valid = make_truth(mixture)
    joint, marginal = np.full(7, np.nan), np.full(7, np.nan)
    for agent in range(1, 7):
        steps = np.flatnonzero(valid[agent])
        each = np.array([loop_densities(mixture, position, agent, step) for step in steps])
        weight = mixture.weight[agent]
        joint[agent] = -np.log((weight * each.prod(axis=0)).sum()) / len(steps)
        marginal[agent] = -np.log(each @ weight).mean()
    np.testing.assert_allclose(joint_nll(mixture, position, valid), joint)
    np.testing.assert_allclose(marginal_nll(mixture, position, valid), marginal)


def test_both_likelihoods_are_the_same_for_one_mode():
    mixture = make_mixture(modes=1)
    position, valid = make_truth(mixture)
    np.testing.assert_allclose(
        joint_nll(mixture, position, valid), marginal_nll(mixture, position, valid)
    )


def test_a_mode_without_weight_says_nothing():
    mixture = make_mixture(modes=3)
    position, valid = make_truth(mixture)
    mixture.weight[:, 2] = 0
    mixture.weight[:] /= mixture.weight.sum(axis=1, keepdims=True)
    fewer = Mixture(
        mixture.weight[:, :2], mixture.position[:, :2], mixture.scale[:, :2], mixture.axis
    )
    for nll in (joint_nll, marginal_nll):
        np.testing.assert_allclose(nll(mixture, position, valid), nll(fewer, position, valid))


def test_likelihood_is_known_far_from_all_modes():
    mixture = make_mixture()
    position, valid = np.full((7, 9, 2), 1e6), np.ones((7, 9), bool)
    assert np.isfinite(joint_nll(mixture, position, valid)).all()
    assert np.isfinite(marginal_nll(mixture, position, valid)).all()


def test_probability_transform_agrees_with_scipys_laplace():
    mixture = make_mixture(agents=2, modes=3, steps=2)
    position = RNG.normal(size=(2, 2, 2))
    ours = transform_probability(mixture, position, np.ones((2, 2), bool))
    for agent in range(2):
        for step in range(2):
            c, s = np.cos(mixture.axis[agent, step]), np.sin(mixture.axis[agent, step])
            turn = np.array([[c, s], [-s, c]])
            error = (position[agent, step] - mixture.position[agent, :, step]) @ turn.T
            below = stats.laplace.cdf(error, scale=mixture.scale[agent, :, step])
            np.testing.assert_allclose(ours[agent, step], mixture.weight[agent] @ below)


def test_regions_of_a_true_mixture_cover_as_they_claim():
    rng = np.random.default_rng(0)
    mixture = make_mixture(agents=4000, modes=3, steps=1, rng=rng)
    position, valid = draw(mixture, rng), np.ones((4000, 1), bool)
    probability = transform_probability(mixture, position, valid)
    for axis in (0, 1):
        assert stats.kstest(probability[..., axis].ravel(), "uniform").pvalue > 0.01
    for level in (axis_level(probability), region_level(mixture, position, valid)):
        for at in (0.5, 0.8, 0.95):
            assert coverage(level, at) == pytest.approx(at, abs=0.025)


@pytest.mark.parametrize(("factor", "side"), [(0.5, -1), (2.0, 1)])
def test_scales_that_are_too_small_cover_too_little_and_too_large_ones_too_much(factor, side):
    rng = np.random.default_rng(1)
    mixture = make_mixture(agents=2000, modes=1, steps=1, rng=rng)
    position, valid = draw(mixture, rng), np.ones((2000, 1), bool)
    wrong = Mixture(mixture.weight, mixture.position, factor * mixture.scale, mixture.axis)
    for level in (
        axis_level(transform_probability(wrong, position, valid)),
        region_level(wrong, position, valid),
    ):
        assert side * (coverage(level, 0.8) - 0.8) > 0.08


def test_the_region_of_one_laplace_has_the_level_of_its_diamond():
    # |x| + |y| of two Laplace variables is Gamma(2): the diamond's probability is its cdf.
    far = np.linspace(0.2, 6, 15)
    mixture = Mixture(
        np.ones((15, 1)), np.zeros((15, 1, 1, 2)), np.ones((15, 1, 1, 2)), np.zeros((15, 1))
    )
    position = np.stack([far / 3, -2 * far / 3], axis=-1)[:, None]
    level = region_level(mixture, position, np.ones((15, 1), bool))
    np.testing.assert_allclose(level[:, 0], stats.gamma.cdf(far, 2), atol=0.01)


def test_those_who_stand_nearly_still_have_levels_of_their_own():
    # So small a level is held by none of some hundred points that are drawn from the mixture.
    far = np.array([0.01, 0.02, 0.04])
    mixture = Mixture(
        np.ones((3, 1)), np.zeros((3, 1, 1, 2)), np.ones((3, 1, 1, 2)), np.zeros((3, 1))
    )
    position = np.stack([far / 2, far / 2], axis=-1)[:, None]
    level = region_level(mixture, position, np.ones((3, 1), bool))
    np.testing.assert_allclose(level[:, 0], stats.gamma.cdf(far, 2), rtol=0.5, atol=3e-5)


def test_levels_over_several_modes_are_those_of_many_draws():
    rng = np.random.default_rng(2)
    mixture = make_mixture(agents=30, modes=3, steps=1, rng=rng)
    position, valid = draw(mixture, rng), np.ones((30, 1), bool)
    level = region_level(mixture, position, valid)
    for agent in range(30):
        one = Mixture(
            *(value[[agent] * 3000] for value in (mixture.weight, mixture.position, mixture.scale)),
            mixture.axis[[agent] * 3000],
        )
        drawn = draw(one, rng)
        truth = loop_densities(mixture, position, agent, 0) @ mixture.weight[agent]
        others = np.exp(log_density(one, drawn)[..., 0])
        denser = np.mean((others * one.weight).sum(axis=1) > truth)
        assert level[agent, 0] == pytest.approx(denser, abs=0.04)


def test_rigid_motion_of_mixture_and_truth_changes_no_metric():
    mixture = make_mixture()
    position, valid = make_truth(mixture)
    turn = np.array([[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]])
    moved = Mixture(
        mixture.weight, mixture.position @ turn.T + [30, -8], mixture.scale, mixture.axis + 0.7
    )
    there = position @ turn.T + [30, -8]
    for metric in (
        lambda *given: score_forecast(*given).min_ade,
        lambda *given: score_infill(*given).largest,
        joint_nll,
        marginal_nll,
        transform_probability,
    ):
        np.testing.assert_allclose(
            metric(moved, there, valid), metric(mixture, position, valid), rtol=1e-9
        )
