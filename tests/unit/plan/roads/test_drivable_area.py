"""The drivable area as polygons."""

import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError
from kerbstone.plan.roads import Road, join_surfaces
from roads import WIDTH, crossing_road, straight_road


def test_lanes_of_a_street_are_one_area():
    area = join_surfaces(Road(straight_road()))
    assert area.geom_type == "Polygon"
    assert area.area == pytest.approx(400 * 2 * WIDTH, rel=1e-6)


def test_a_part_of_a_crossing_can_be_had_alone():
    road = Road(crossing_road())
    part = join_surfaces(road, within=np.array([-20.0, -20.0, 20.0, 20.0]))
    whole = join_surfaces(road)
    assert part.bounds == (-20.0, -20.0, 20.0, 20.0)
    points = np.random.default_rng(0).uniform(-19, 19, (200, 2))
    inside = shapely.intersects_xy(whole, *points.T)
    assert 0 < inside.sum() < 200
    assert np.array_equal(shapely.intersects_xy(part, *points.T), inside)


def test_an_area_of_nothing_is_an_empty_road():
    with pytest.raises(InputError, match="the road is empty") as caught:
        join_surfaces(Road(crossing_road()), within=np.array([900.0, 900.0, 950.0, 950.0]))
    assert caught.value.code == "empty"
