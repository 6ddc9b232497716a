from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.masks import (
    PRETRAINING,
    Counterfactual,
    Forecast,
    HideKind,
    Infill,
    Mask,
    OneOf,
    Scatter,
    Together,
    WholeAgent,
)
from kerbstone.world.observed import hide

RNG = np.random.default_rng


def test_forecast_hides_all_that_comes_later(window):
    mask = Forecast(3.0)(window, RNG(0))
    assert not mask.states[:, :6].any()
    assert mask.states[:, 6:].all()
    np.testing.assert_array_equal(mask.lights, mask.states[0])


def test_drawn_forecast_leaves_and_hides_at_least_a_second(window):
    firsts = {int(Forecast()(window, RNG(seed)).lights.argmax()) for seed in range(60)}
    assert min(firsts) >= 2
    assert max(firsts) <= window.patches - 2
    assert len(firsts) > 5


def test_infill_leaves_both_ends_of_a_track(window):
    for seed in range(20):
        mask = Infill(share=1.0)(window, RNG(seed))
        seen = window.valid_patch & ~mask.states
        for row in np.flatnonzero(mask.states.any(axis=1)):
            hidden = np.flatnonzero(mask.states[row])
            assert seen[row, : hidden[0]].any()
            assert seen[row, hidden[-1] + 1 :].any()
    assert not mask.lights.any()


def test_infill_of_a_given_length_hides_it_where_it_fits(window):
    mask = Infill(5.0, share=1.0)(window, RNG(0))
    assert set(mask.states.sum(axis=1)) == {0, 10}
    assert mask.states[window.ids.index("ego")].sum() == 10
    assert not mask.states[window.ids.index("late")].any()


def test_whole_agent_leaves_one_place_and_no_more(window):
    mask = WholeAgent(share=1.0)(window, RNG(0))
    left = hide(window, mask).window
    seen = window.valid.any(axis=1)
    np.testing.assert_array_equal(left.valid.sum(axis=1), seen.astype(int))
    assert mask.types[seen].all()


def test_scatter_hides_its_share(window):
    assert Scatter(0.4)(window, RNG(0)).states.mean() == pytest.approx(0.4, abs=0.1)


def test_kind_alone_hides_no_state(window):
    mask = HideKind(1.0)(window, RNG(0))
    assert mask.types.all()
    assert not mask.states.any()
    left = hide(window, mask).window
    assert (left.kind == 0).all()
    assert np.isnan(left.size).all()


def test_together_hides_what_either_hides(window):
    both = Together((Forecast(3.0), HideKind(1.0)))(window, RNG(0))
    assert both.types.all()
    assert both.states[:, 6:].all()


def test_one_of_draws_by_its_weights(window):
    family = OneOf((Forecast(2.0), Forecast(4.0)), (3.0, 1.0))
    firsts = [int(family(window, RNG(seed)).lights.argmax()) for seed in range(200)]
    assert firsts.count(4) / 200 == pytest.approx(0.75, abs=0.1)
    assert set(firsts) == {4, 8}


def test_pretraining_never_forecasts_whose_kind_is_hidden(window):
    for seed in range(100):
        mask = PRETRAINING(window, RNG(seed))
        is_forecast = mask.lights.any()
        assert not (is_forecast and mask.types.any())


def test_pretraining_forecasts_some_who_were_hidden_before(window):
    masks = [PRETRAINING(window, RNG(seed)) for seed in range(100)]
    forecasts = [mask for mask in masks if mask.lights.any()]
    assert 60 < len(forecasts) < 90
    after_gap = [mask for mask in forecasts if (np.diff(mask.states.astype(int), axis=1) < 0).any()]
    assert 5 < len(after_gap) < len(forecasts) / 2


def test_counterfactual_gives_one_another_future_and_hides_the_rest(window):
    steps = window.steps - 30
    family = Counterfactual("ego", np.full((steps, 2), 7.0), np.zeros(steps), after=3.0)
    changed = family.edit(window)
    mask = family(changed, RNG(0))
    row = window.ids.index("ego")
    assert not mask.states[row].any()
    assert np.delete(mask.states, row, axis=0)[:, 6:].all()
    assert (hide(changed, mask).window.position[row, 30:] == 7.0).all()
    np.testing.assert_array_equal(window.position[row, :30], changed.position[row, :30])


def test_counterfactual_that_does_not_fit_is_an_error(window):
    steps = window.steps - 30
    with pytest.raises(InputError, match="no agent 'nobody'"):
        Counterfactual("nobody", np.zeros((steps, 2)), np.zeros(steps), 3.0).edit(window)
    with pytest.raises(InputError, match="does not fit"):
        Counterfactual("ego", np.zeros((3, 2)), np.zeros(3), 3.0).edit(window)
    with pytest.raises(InputError, match="not finite"):
        Counterfactual("ego", np.full((steps, 2), np.nan), np.zeros(steps), 3.0).edit(window)


def test_a_mask_of_nothing_leaves_the_window(window):
    left = hide(window, Mask.nothing(window)).window
    np.testing.assert_array_equal(left.position, window.position)
    np.testing.assert_array_equal(left.kind, window.kind)


def test_what_one_hides_whole_the_other_does_not_leave_in_part(window):
    for families in ((Forecast(3.0), WholeAgent(1.0)), (WholeAgent(1.0), Forecast(3.0))):
        mask = Together(families)(window, RNG(0))
        left = hide(window, mask).window.valid
        assert not left[:, 30:].any()
        assert (left.sum(axis=1) <= 1).all()


@pytest.mark.parametrize("after", [0.0, 0.2, 8.0, 30.0])
def test_forecast_of_nothing_or_from_nothing_is_an_error(window, after):
    with pytest.raises(InputError, match="nothing to see"):
        Forecast(after)(window, RNG(0))


def test_mask_of_another_window_is_an_error(window):
    with pytest.raises(InputError, match="does not fit its window"):
        hide(window, Mask.nothing(window.select([0, 1])))


def test_heading_of_a_counterfactual_is_the_one_that_is_given(window):
    steps = window.steps - 30
    derived = replace(window, is_heading_derived=np.ones(len(window), bool))
    position = window.position[0, 30:] + [3.0, 0.0]
    family = Counterfactual("ego", position, np.full(steps, 1.234), after=3.0)
    changed = family.edit(derived)
    left = hide(changed, family(changed, RNG(0))).window
    np.testing.assert_allclose(left.heading[0, 30:], 1.234)
