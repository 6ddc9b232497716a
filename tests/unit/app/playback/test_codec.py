import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kerbstone.app.playback.codec import CM, UNKNOWN, pack, quantise
from playback_codec import unpack

NUMBERS = hnp.arrays(np.int64, st.integers(0, 40), elements=st.integers(-(2**31), 2**31 - 1))


@given(NUMBERS)
def test_numbers_come_back_exactly_however_far_apart(numbers):
    np.testing.assert_array_equal(unpack(pack(numbers)), numbers)


def test_a_smooth_track_takes_less_than_a_byte_and_a_half_per_value():
    track = np.rint(1000 * np.sin(np.arange(3000) / 100)).astype(np.int64)
    assert len(pack(track)) < 1.5 * len(track)


@given(hnp.arrays(np.float64, 5, elements=st.floats(-1e6, 1e6)))
def test_quantised_values_are_off_by_half_a_step_at_most(values):
    assert (np.abs(quantise(values, CM) / CM - values) <= 0.5 / CM + 1e-9).all()


def test_what_is_not_known_is_not_a_number_on_the_page():
    assert quantise(np.array([np.nan, np.inf, 1.0]), CM).tolist() == [UNKNOWN, UNKNOWN, 100]


def test_values_beyond_32_bits_stop_at_the_end_and_are_not_unknown():
    assert quantise(np.array([1e12, -1e12]), CM).tolist() == [2**31 - 1, -(2**31) + 1]
