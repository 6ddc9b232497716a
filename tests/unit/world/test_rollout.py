"""Rollouts: joint samples of the future."""

import equinox as eqx
import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.scene import SE2
from kerbstone.world import predict
from kerbstone.world.anchors import anchor
from kerbstone.world.masks import Counterfactual, Forecast, Infill, Mask, WholeAgent
from kerbstone.world.observed import hide
from kerbstone.world.rollout import follow, roll_out
from kerbstone.world.windows import cut_window
from roads import moved

RNG = np.random.default_rng
WAYS = pytest.mark.parametrize("unroll", [roll_out, follow])


class Forced(np.random.Generator):
    """Chance that is the same for all, but for the first road user."""

    def __init__(self, first, others=0.5):
        super().__init__(np.random.PCG64(0))
        self.first, self.others = first, others

    def random(self, size):
        drawn = np.full(size, self.others)
        drawn[:, 0] = self.first
        return drawn


@pytest.fixture(scope="module")
def observed(window):
    return hide(window, Forecast(4.0)(window, RNG(0)))


@pytest.fixture(scope="module")
def steady(model):
    """A model that says that all go on as they do, surely."""
    beyond = model.heads.beyond
    still = [0 * each for each in (beyond.outward, beyond.first)]
    return eqx.tree_at(lambda m: (m.heads.beyond.outward, m.heads.beyond.first), model, still)


@WAYS
def test_who_is_seen_is_as_it_was_in_every_sample(unroll, model, observed):
    found = unroll(model, observed, RNG(0), samples=3)
    seen = observed.window.valid
    for each in range(3):
        np.testing.assert_array_equal(found.position[each][seen], observed.window.position[seen])
        np.testing.assert_array_equal(found.heading[each][seen], observed.window.heading[seen])
    assert not found.asked[seen].any()
    told = seen | found.asked
    assert np.isfinite(found.position[:, told]).all()
    assert np.isnan(found.position[:, ~told]).all()
    assert np.isnan(found.scale[:, ~found.asked]).all()


def test_all_whose_past_is_seen_are_rolled_out(model, observed):
    found = roll_out(model, observed, RNG(0), samples=1)
    np.testing.assert_array_equal(found.asked, predict(model, observed).asked)


def test_only_who_is_seen_at_the_present_is_followed(model, observed):
    found = follow(model, observed, RNG(0), samples=1)
    present = observed.window.valid_patch[:, 7]
    assert present.any()
    assert not present.all()
    np.testing.assert_array_equal(found.asked[:, 40:].all(axis=1), present)


@WAYS
def test_samples_are_the_same_for_the_same_chance_and_else_differ(unroll, model, observed):
    one, same, other = (unroll(model, observed, RNG(seed), samples=3) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.position, same.position)
    np.testing.assert_array_equal(one.heading, same.heading)
    assert np.nanmax(np.abs(one.position - other.position)) > 0.1
    assert np.nanmax(np.abs(one.position[0] - one.position[1])) > 0.1


@WAYS
def test_a_model_that_says_go_on_goes_on(unroll, steady, observed):
    found = unroll(steady, observed, RNG(1), samples=2)
    path = anchor(observed).position
    far = np.abs(found.position - path)[:, found.asked]
    assert far.max() < 1e-3
    assert found.asked.any()


def test_what_one_does_is_seen_by_the_others_in_the_next_round(model, observed):
    slow, fast = (
        roll_out(model, observed, Forced(first), samples=1, every=1.0) for first in (0.01, 0.5)
    )
    apart = np.abs(slow.position - fast.position)[0].max(axis=-1)
    others = np.delete(apart, 0, axis=0)
    asked = np.delete(slow.asked, 0, axis=0)
    assert apart[0, 40:50].max() > 0.01
    assert others[:, 40:50][asked[:, 40:50]].max() == 0
    assert others[:, 50:][asked[:, 50:]].max() > 1e-4


def test_what_one_does_is_seen_by_those_who_follow(model, observed):
    slow, fast = (follow(model, observed, Forced(first), samples=1) for first in (0.01, 0.5))
    apart = np.delete(np.abs(slow.position - fast.position)[0].max(axis=-1), 0, axis=0)
    asked = np.delete(slow.asked, 0, axis=0)
    assert apart[:, 40:45][asked[:, 40:45]].max() == 0
    assert apart[:, 45:][asked[:, 45:]].max() > 1e-4


def test_without_another_look_a_sample_is_a_mode_of_the_prediction(model, observed):
    found = roll_out(model, observed, RNG(2), samples=4, every=9.0)
    mixture = predict(model, observed).mixture
    for each in range(4):
        nearest = np.abs(mixture.position - found.position[each][:, None]).max(axis=(3,))
        nearest = np.where(found.asked[:, None], nearest, 0.0).max(axis=2).min(axis=1)
        assert np.nanmax(nearest) < 1e-9
    rows = found.asked.any(axis=1)
    assert np.isin(found.scale[0][found.asked], mixture.scale[rows]).mean() > 0.99


@WAYS
def test_samples_turn_with_the_scene(unroll, crossing, model):
    motion = SE2(np.array([-400.0, 900.0]), np.array(1.3))
    windows = [cut_window(s, 0.0, 16) for s in (crossing, moved(crossing, motion))]
    mask = Forecast(5.0)(windows[0], RNG(0))
    one, other = (
        unroll(model, hide(window, mask), RNG(3), samples=2, spread=True) for window in windows
    )
    flat = (motion @ one.position.reshape(-1, 2)).reshape(one.position.shape)
    np.testing.assert_allclose(other.position, flat, atol=2e-3)
    np.testing.assert_allclose(other.scale, one.scale, rtol=1e-2, atol=1e-3)


@WAYS
def test_the_leading_sample_needs_no_chance(unroll, model, observed):
    one, other = (unroll(model, observed, RNG(s), samples=1, leads=True) for s in (0, 1))
    np.testing.assert_array_equal(one.position, other.position)


@WAYS
def test_a_mixture_of_samples_has_them_as_its_modes(unroll, model, observed):
    found = unroll(model, observed, RNG(0), samples=3)
    mixture = found.to_mixture()
    np.testing.assert_allclose(mixture.weight, 1 / 3)
    np.testing.assert_array_equal(np.isfinite(mixture.position[:, 1]).all(axis=-1), found.asked)
    np.testing.assert_array_equal(
        mixture.position[:, 2][found.asked], found.position[2][found.asked]
    )
    assert (mixture.scale[:, 0][found.asked] > 0).all()
    later, sooner = (found.scale[:, found.asked.any(axis=1), step] for step in (79, 44))
    assert (later > sooner).all()


def test_errors_are_drawn_around_the_medians_of_modes(model, observed):
    exact = roll_out(model, observed, RNG(0), samples=40, every=9.0, leads=True)
    drawn = roll_out(model, observed, Forced(0.0, others=0.0), samples=400, every=9.0, spread=True)
    mixture = predict(model, observed).mixture
    off = np.abs(drawn.position - mixture.position[:, 0])[:, drawn.asked]
    assert np.median(off) > 0.01
    assert exact.scale.shape == (40, *observed.window.position.shape)
    own = drawn.asked[0]
    spread = drawn.position[:, 0, own] - mixture.position[0, 0, own]
    # A Laplace variable's mean size is its scale.
    size = np.abs(spread @ _axes(drawn.axis[0])).mean(axis=0)
    np.testing.assert_allclose(size, mixture.scale[0, 0, own], rtol=0.2)
    # Smooth: the second differences of a path are far below its errors, in scales of each step.
    errors = spread @ _axes(drawn.axis[0]) / mixture.scale[0, 0, own]
    assert np.abs(np.diff(errors[:, 5:], n=2, axis=1)).max() < 0.2 * np.abs(errors).max()


def _axes(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


@WAYS
def test_windows_without_anybody_or_without_future_are_left_alone(unroll, model, window, observed):
    empty = unroll(model, observed.select(np.arange(0)), RNG(0), samples=2)
    assert empty.position.shape == (2, 0, window.steps, 2)
    whole = unroll(model, hide(window, Mask.nothing(window)), RNG(0), samples=2)
    assert not whole.asked.any()
    np.testing.assert_array_equal(whole.position[1], window.position)
    mask = Mask.nothing(window)
    mask.states[:] = True
    nothing = unroll(model, hide(window, mask), RNG(0), samples=1)
    assert not nothing.asked.any()
    assert np.isnan(nothing.position).all()


@WAYS
def test_a_future_that_is_given_is_kept(unroll, model, window):
    given = Counterfactual("car", np.full((40, 2), 7.0) + np.arange(40)[:, None], np.zeros(40), 4.0)
    edited = given.edit(window)
    found = unroll(model, hide(edited, given(edited, RNG(0))), RNG(0), samples=2)
    np.testing.assert_array_equal(found.position[1, 1, 40:], given.position)
    assert not found.asked[1].any()
    assert found.asked[0].any()


@pytest.mark.parametrize("family", [Infill(1.0, share=1.0), WholeAgent(1.0)])
@WAYS
def test_what_is_no_future_is_refused(unroll, model, window, family):
    with pytest.raises(InputError, match="only the future"):
        unroll(model, hide(window, family(window, RNG(0))), RNG(0), samples=1)


def test_no_sample_is_refused(model, observed):
    with pytest.raises(InputError, match="no sample"):
        roll_out(model, observed, RNG(0), samples=0)


def test_who_is_surely_gone_is_not_shown_to_the_others(model, observed):
    first = model.heads.presence_first
    gone = eqx.tree_at(lambda m: m.heads.presence_first, model, first - 50.0)
    slow, fast = (roll_out(gone, observed, Forced(first), samples=1) for first in (0.01, 0.5))
    others = np.abs(slow.position - fast.position)[0, 1:][slow.asked[1:]]
    assert others.max() == 0
    assert np.abs(slow.position - fast.position)[0, 0][slow.asked[0]].max() > 0.01
