"""Nothing that is hidden reaches what the network sees."""

from dataclasses import replace

import numpy as np
import pytest

from kerbstone.scene import Clock, Scene, derive_heading
from kerbstone.world.masks import Forecast, HideKind, Infill, Scatter, Together, WholeAgent
from kerbstone.world.objectives.focus import draw_focus
from kerbstone.world.objectives.following import make_following
from kerbstone.world.observed import hide
from kerbstone.world.tokens import Limits, make_example, tokenise
from kerbstone.world.windows import STEPS_PER_PATCH, cut_window

FAMILIES = {
    "forecast": Forecast(3.0),
    "infill": Infill(2.0, share=1.0),
    "whole agent": WholeAgent(0.5),
    "kind": HideKind(0.5),
    "scatter": Scatter(0.5),
    "forecast and kind": Together((Forecast(2.0), HideKind(0.5))),
    "forecast after a gap": Together((Forecast(4.0), Infill(1.0, share=0.5))),
}
LIMITS = Limits(agents=16, patches=16, pieces=96, lights=16)


def scrambled(window, mask, seed):
    """Return a window in which all that a mask hides is something else."""
    rng = np.random.default_rng(seed)
    hidden = np.repeat(mask.states, STEPS_PER_PATCH, axis=1)
    cells = window.valid.reshape(len(window), -1, STEPS_PER_PATCH)
    # Whether a cell was there is hidden too, but not where it is the one that is left of a patch.
    last = STEPS_PER_PATCH - 1 - cells[..., ::-1].argmax(axis=-1)
    kept = (np.arange(STEPS_PER_PATCH) == last[..., None]) & cells & mask.places[..., None]
    kept = kept.reshape(hidden.shape)
    hidden &= ~kept
    there = rng.random(hidden.shape) < 0.5
    # A cell after the one that is left must stay away, or another one would be left.
    later = np.repeat(mask.places, STEPS_PER_PATCH, axis=1)
    valid = np.where(hidden, there & ~later, window.valid)
    position = np.where(
        (hidden & valid)[..., None], rng.normal(0, 500, window.position.shape), window.position
    )
    position[~valid] = np.nan
    heading = np.where(hidden & valid, rng.uniform(-3, 3, hidden.shape), window.heading)
    heading[~valid] = np.nan
    lights = np.repeat(mask.lights, STEPS_PER_PATCH)
    return replace(
        window,
        valid=valid,
        position=position,
        heading=heading,
        kind=np.where(mask.types, rng.integers(0, 13, len(window)), window.kind).astype(np.uint8),
        size=np.where(mask.types[:, None], rng.uniform(1, 9, window.size.shape), window.size),
        light_state=np.where(
            lights, rng.integers(0, 9, window.light_state.shape), window.light_state
        ).astype(np.uint8),
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_are_the_same_whatever_is_hidden(window, name):
    mask = FAMILIES[name](window, np.random.default_rng(0))
    # The kind is told by the label only; whom an example holds must not hang on what is hidden.
    truth, _ = tokenise(hide(window, mask), LIMITS)
    for seed in range(3):
        other, _ = tokenise(hide(scrambled(window, mask, seed), mask), LIMITS)
        for field, value, found in zip(truth._fields, truth, other, strict=True):
            np.testing.assert_array_equal(value, found, err_msg=field)


@pytest.mark.parametrize("name", FAMILIES)
def test_targets_are_not_the_same_when_what_is_hidden_is_another(window, name):
    mask = FAMILIES[name](window, np.random.default_rng(0))
    one = make_example(window, mask, LIMITS).targets
    other = make_example(scrambled(window, mask, 1), mask, LIMITS).targets
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))
    assert not same


def test_focus_is_drawn_from_what_is_seen(window):
    mask = Forecast(3.0)(window, np.random.default_rng(0))
    for seed in range(20):
        one = draw_focus(window, mask, np.random.default_rng(seed))
        other = draw_focus(scrambled(window, mask, seed), mask, np.random.default_rng(seed))
        np.testing.assert_array_equal(one, other)


def test_heading_derived_from_motion_does_not_know_the_future(window):
    row = window.ids.index("ego")
    x = np.linspace(0, 40, window.steps)
    position = window.position.copy()
    position[row] = np.column_stack([x, 0.03 * x**2])
    flat = np.dstack([position, np.zeros(window.valid.shape)])
    heading = window.heading.copy()
    heading[row] = derive_heading(flat[[row]], window.valid[[row]])
    derived = np.zeros(len(window), bool)
    derived[row] = True
    bent = replace(window, position=position, heading=heading, is_heading_derived=derived)
    mask = Forecast(3.0)(bent, np.random.default_rng(0))
    seen = hide(bent, mask).window.heading[row]
    way = position[row, 29] - position[row, 28]
    assert seen[29] == pytest.approx(np.arctan2(way[1], way[0]))
    # The record's own heading there was that of a chord into the future.
    assert abs(heading[row, 29] - seen[29]) > 1e-3
    assert np.isnan(seen[30:]).all()


def test_an_infilled_stretch_is_not_told_as_seen(window):
    mask = Infill(2.0, share=1.0)(window, np.random.default_rng(0))
    tokens, frame = tokenise(hide(window, mask), LIMITS)
    count = len(frame.rows)
    hidden = mask.states[frame.rows]
    assert (tokens.state[:count][hidden] == 0).all()
    assert (tokens.flags[:count][hidden][:, 0] == 0).all()
    assert (tokens.flags[:count][hidden][:, 1] == 1).all()


@pytest.mark.parametrize("start", [0.0, 0.3])
def test_samples_that_are_hidden_leave_nothing_in_what_is_interpolated(crossing, start):
    slow = every(crossing, 5)
    cells = slow.agents.centre.copy()
    cells[:, 7:] += 100.0  # from 3.5 s on
    shifted = replace(slow, agents=replace(slow.agents, centre=cells))
    windows = [cut_window(scene, start, 12) for scene in (slow, shifted)]
    mask = Forecast(3.0)(windows[0], np.random.default_rng(0))
    one, other = (hide(window, mask).window for window in windows)
    np.testing.assert_array_equal(one.position, other.position)
    assert one.valid[:, :26].any()
    assert not one.valid[:, 31:].any()


def test_steps_beyond_the_record_are_not_taken_for_absence(crossing):
    window = cut_window(crossing, 4.0, 16)
    example = make_example(window, Forecast(3.0)(window, np.random.default_rng(0)), LIMITS)
    recorded = example.targets.is_recorded[0].ravel()
    assert recorded[:40].all()
    assert not recorded[40:].any()


def test_a_track_that_jumps_is_not_learned_from(window):
    mask = Forecast(3.0)(window, np.random.default_rng(0))
    row = window.ids.index("ego")
    position = window.position.copy()
    position[row, 40:] += 500.0
    one, other = (
        make_example(each, mask, LIMITS).targets
        for each in (window, replace(window, position=position))
    )
    told = one.valid.any(axis=(1, 2))
    gone = told & ~other.valid.any(axis=(1, 2))
    assert gone.sum() == 1
    # Neither does it teach that nobody is there.
    assert not other.is_recorded[gone].any()
    np.testing.assert_array_equal(one.offset[~gone], other.offset[~gone])


@pytest.mark.parametrize("is_derived", [False, True])
def test_next_patches_are_predicted_from_nothing_later(window, is_derived):
    window = replace(window, is_heading_derived=np.full(len(window), is_derived))
    cut = 45
    for seed in range(8):
        rng = np.random.default_rng(seed)
        if int(np.random.default_rng(seed).integers(window.patches)) >= cut // STEPS_PER_PATCH:
            continue  # whom it holds is chosen by more than what is compared
        position = window.position.copy()
        position[:, cut:] += rng.normal(0, 30, position[:, cut:].shape)
        valid = window.valid.copy()
        valid[:, cut:] &= rng.random(valid[:, cut:].shape) < 0.6
        position[~valid] = np.nan
        heading = np.where(valid, window.heading, np.nan)
        other = replace(window, position=position, valid=valid, heading=heading)
        found = [make_following(w, np.random.default_rng(seed), LIMITS) for w in (window, other)]
        part = slice(0, cut // STEPS_PER_PATCH)
        for name in ("state", "flags", "pose", "is_there"):
            one, two = (getattr(each.tokens, name)[:, part] for each in found)
            there = found[0].tokens.is_there[:, part]
            np.testing.assert_array_equal(one[there], two[there], err_msg=name)


def every(scene, stride):
    """Return a scene with every so manieth step alone."""
    agents, signals = scene.agents, scene.signals
    cells = {
        name: getattr(agents, name)[:, ::stride]
        for name in ("centre", "heading", "velocity", "valid")
    }
    return Scene(
        id=scene.id,
        clock=Clock(scene.clock.start_ns, scene.clock.dt_ns * stride, cells["valid"].shape[1]),
        agents=replace(agents, **cells),
        ego=scene.ego,
        source=scene.source,
        map=scene.map,
        signals=replace(signals, state=signals.state[:, ::stride]),
    )
