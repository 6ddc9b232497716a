import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.scene import Clock

MS = 1_000_000


def test_regular_times_give_a_clock_without_offsets():
    clock, step = Clock.from_times(np.arange(5) * 100 * MS + 7)
    assert (clock.start_ns, clock.dt_ns, clock.steps) == (7, 100 * MS, 5)
    assert clock.offset_ns is None
    assert step.tolist() == [0, 1, 2, 3, 4]


def test_a_frame_that_was_dropped_leaves_a_step_without_measurement():
    clock, step = Clock.from_times(np.array([0, 100, 200, 400, 500]) * MS)
    assert clock.steps == 6
    assert step.tolist() == [0, 1, 2, 4, 5]


def test_jitter_is_kept_so_that_no_recorded_time_is_lost():
    times = np.array([0, 99, 203, 300, 401]) * MS
    clock, step = Clock.from_times(times)
    assert clock.dt_ns == 100 * MS
    np.testing.assert_array_equal(clock.measured_ns[step], times)


def test_a_rate_that_is_no_whole_millisecond_does_not_drift():
    times = np.round(np.arange(20_000) * 1e9 / 29.97).astype(np.int64)
    clock, step = Clock.from_times(times)
    assert step.tolist() == list(range(20_000))
    np.testing.assert_array_equal(clock.measured_ns[step], times)


@given(
    st.integers(1, 10**15),
    st.integers(10, 1000),
    st.lists(st.tuples(st.integers(1, 3), st.floats(-0.1, 0.1)), min_size=1, max_size=50),
)
def test_recorded_times_always_come_back(start, dt_ms, gaps):
    step = np.cumsum([gap for gap, _ in gaps])
    jitter = np.array([share for _, share in gaps])
    dt = dt_ms * MS
    times = (start + step * dt + np.round(jitter * dt)).astype(np.int64)
    clock, found = Clock.from_times(times, dt_ns=dt)
    np.testing.assert_array_equal(clock.measured_ns[found], times)
    np.testing.assert_array_equal(found, step - step[0])


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ([], "empty"),
        ([0, 100, 100], "clock"),
        ([0, 100, 50], "clock"),
        ([0, 100, 200, 350, 500, 600], "clock"),
    ],
)
def test_times_that_make_no_clock_are_an_error_that_names_the_file(times, code):
    with pytest.raises(InputError) as caught:
        Clock.from_times(np.array(times, np.int64) * MS, where="a.csv")
    assert caught.value.code == code
    assert "a.csv" in caught.value.where


def test_a_single_time_is_one_step():
    clock, step = Clock.from_times(np.array([5]))
    assert (clock.steps, step.tolist()) == (1, [0])


def test_a_window_keeps_time_and_offsets():
    clock, _ = Clock.from_times(np.array([0, 99, 203, 300, 401]) * MS)
    part = clock.window(1, 3)
    np.testing.assert_array_equal(part.measured_ns, clock.measured_ns[1:4])
    assert part.times_ns[0] == clock.times_ns[1]


@pytest.mark.parametrize(("first", "steps"), [(-1, 2), (0, 0), (3, 3)])
def test_a_window_beyond_the_clock_is_an_error(first, steps):
    with pytest.raises(InputError, match="window"):
        Clock(0, 1, 5).window(first, steps)


@pytest.mark.parametrize(("dt", "steps"), [(0, 5), (1, 0)])
def test_a_clock_without_steps_is_an_error(dt, steps):
    with pytest.raises(InputError):
        Clock(0, dt, steps)


def test_offsets_that_do_not_fit_are_an_error():
    with pytest.raises(InputError, match="offsets"):
        Clock(0, 1, 5, np.zeros(4, np.int64))


def test_gaps_are_those_of_the_measurements():
    clock = Clock(0, 100_000_000, 3, np.array([0, 10_000_000, 0]))
    np.testing.assert_allclose(clock.gaps, [0.11, 0.09])


def test_a_time_of_another_epoch_is_told_and_not_filled_with_steps():
    times = np.array([0, 100_000_000, 200_000_000, 1_700_000_000_000_000_000])
    with pytest.raises(InputError, match="hole in time") as caught:
        Clock.from_times(times, where="a.csv")
    assert caught.value.where == "a.csv, row 3"


def test_a_long_pause_is_no_hole():
    times = np.concatenate([np.arange(600), 60_000 + np.arange(600)]) * 100_000_000
    assert Clock.from_times(times)[0].steps == 60_600
