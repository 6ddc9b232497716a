from dataclasses import replace

import numpy as np
import pytest

from kerbstone.scene import SE2
from kerbstone.world.anchors import anchor, measure_noise
from kerbstone.world.masks import Forecast, Infill, Mask, WholeAgent
from kerbstone.world.observed import hide
from kerbstone.world.windows import STEP, cut_window
from roads import moved

RNG = np.random.default_rng


def test_path_goes_through_all_that_is_seen(window):
    for family in (Forecast(3.0), Infill(2.0, share=1.0), WholeAgent(0.5)):
        observed = hide(window, family(window, RNG(3)))
        path = anchor(observed)
        seen = observed.window.valid
        np.testing.assert_allclose(path.position[seen], observed.window.position[seen], atol=1e-9)
        assert (path.age[seen] == 0).all()


def test_path_goes_on_at_constant_velocity(window):
    path = anchor(hide(window, Forecast(3.0)(window, RNG(0))))
    row = window.ids.index("ego")
    np.testing.assert_allclose(path.position[row], window.position[row], atol=1e-6)
    np.testing.assert_allclose(path.velocity[row, -1], [0.0, 8.0], atol=1e-6)
    assert path.age[row, -1] == pytest.approx((window.steps - 30) * STEP)
    assert np.isinf(path.wait[row, -1])


def test_acceleration_is_that_at_the_ends_of_what_is_seen(window):
    row = window.ids.index("ego")
    time = STEP * np.arange(window.steps)
    for jerk in (0.0, 0.6):  # 2 m/s² at 4 s
        position, valid = window.position.copy(), window.valid.copy()
        along = 3.0 * time + (2.0 - 4.0 * jerk) * time**2 / 2 + jerk * time**3 / 6
        position[row], valid[row] = np.column_stack([0 * time, along]), True
        mask = Mask.nothing(window)
        mask.states[row, 8:12] = True
        path = anchor(hide(replace(window, position=position, valid=valid), mask))
        told = path.acceleration[row, :, 1]
        # What was driven in the second before shows it, and so is half a second old.
        first, then = 2.0 - 0.5 * jerk, 2.0 + 2.5 * jerk
        assert told[39] == pytest.approx(first, abs=0.1)
        assert told[59] == pytest.approx(first + 20 / 21 * (then - first), abs=0.1)
        assert told[49] == pytest.approx(first + 10 / 21 * (then - first), abs=0.1)
        np.testing.assert_allclose(path.acceleration[row, :, 0], 0.0, atol=1e-9)


def test_acceleration_of_what_is_seen_knows_nothing_of_later_steps(window):
    row = window.ids.index("ego")
    swerved = window.position.copy()
    swerved[row, 41:] += [5.0, -9.0]
    nothing = Mask.nothing(window)
    one, other = (
        anchor(hide(each, nothing)) for each in (window, replace(window, position=swerved))
    )
    np.testing.assert_array_equal(one.acceleration[row, :41], other.acceleration[row, :41])


def test_path_through_a_gap_is_a_cubic(window):
    row = window.ids.index("ego")
    time = STEP * np.arange(window.steps)
    position, valid = window.position.copy(), window.valid.copy()
    position[row] = np.column_stack([time, 0.5 * 1.2 * time**2])
    mask = Mask.nothing(window)
    mask.states[row, 6:9] = True
    path = anchor(hide(replace(window, position=position, valid=valid), mask))
    # A parabola is a cubic; the velocities at the ends are means over 0.3 s.
    gap = slice(30, 45)
    assert np.abs(path.position[row, gap] - position[row, gap]).max() < 0.08


def test_a_place_alone_tells_no_velocity(window):
    observed = hide(window, WholeAgent(1.0)(window, RNG(0)))
    path = anchor(observed)
    assert (path.velocity[path.is_known] == 0).all()


def test_nobody_is_known_who_was_not_seen(window):
    mask = Mask.nothing(window)
    mask.states[2] = True
    path = anchor(hide(window, mask))
    assert not path.is_known[2]
    assert np.isnan(path.position[2]).all()
    assert np.isfinite(path.unit).all()


def test_anchors_turn_with_the_scene(crossing):
    motion = SE2(np.array([300.0, -80.0]), np.array(2.1))
    one, other = (cut_window(s, 0.0, 16) for s in (crossing, moved(crossing, motion)))
    mask = Infill(share=0.6)(one, RNG(5))
    first, second = anchor(hide(one, mask)), anchor(hide(other, mask))
    flat = (motion @ first.position.reshape(-1, 2)).reshape(first.position.shape)
    np.testing.assert_allclose(second.position, flat, atol=1e-8)
    apart = np.angle(np.exp(1j * (second.heading - first.heading - 2.1)))
    np.testing.assert_allclose(apart[np.isfinite(apart)], 0.0, atol=1e-8)


def test_noise_is_that_of_the_track():
    rng = np.random.default_rng(0)
    time = STEP * np.arange(400)
    smooth = np.column_stack([8 * time, 3 * np.sin(time)])
    for deviation in (0.05, 0.4):
        noisy = smooth + rng.normal(0, deviation, smooth.shape)
        found = measure_noise(noisy[None], np.ones((1, 400), bool))[0]
        assert found == pytest.approx(deviation, rel=0.1)
    assert measure_noise(smooth[None], np.ones((1, 400), bool))[0] < 0.01
    assert measure_noise(smooth[None], np.zeros((1, 400), bool))[0] == 0
