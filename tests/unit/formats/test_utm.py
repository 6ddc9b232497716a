import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.formats.utm import project, zone_of


@given(
    zone=st.integers(1, 60),
    latitude=st.floats(-80, 84),
    offset=st.floats(-6, 6),
)
def test_agrees_with_proj_to_a_micrometre_in_a_zone_and_beside_it(zone, latitude, offset):
    longitude = 6 * zone - 183 + offset
    to_plane = pyproj.Transformer.from_crs(4326, 32600 + zone, always_xy=True)
    expected = to_plane.transform(longitude, latitude)
    found = project(np.array([latitude]), np.array([longitude]), zone=zone)[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_agrees_with_proj_where_interaction_lies():
    rng = np.random.default_rng(1)
    latitude, longitude = rng.uniform(0, 0.012, (2, 1000))
    to_plane = pyproj.Transformer.from_crs(4326, 32631, always_xy=True)
    expected = np.column_stack(to_plane.transform(longitude, latitude))
    found = project(latitude, longitude, zone=31)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("longitude", "zone"), [(0.0, 31), (-180.0, 1), (179.9, 60), (180.0, 1), (8.4, 32)]
)
def test_zones_are_six_degrees_wide(longitude, zone):
    assert zone_of(longitude) == zone


def test_a_zone_that_is_none_is_refused():
    with pytest.raises(InputError, match="zone"):
        project(np.zeros(1), np.zeros(1), zone=61)


@pytest.mark.parametrize("latitude", [91.0, np.nan])
def test_a_latitude_that_is_none_is_refused(latitude):
    with pytest.raises(InputError, match="no place on Earth"):
        project(np.array([latitude]), np.zeros(1), zone=31)
