"""The drivable area as polygons."""

import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError
from kerbstone.plan.roads import DrivableArea, Road, join_surfaces
from roads import WIDTH, crossing_road, straight_road

HALL = DrivableArea(shapely.box(0, 0, 20, 10).difference(shapely.box(8, 4, 12, 6)))


def test_distances_are_positive_within_and_negative_without():
    points = np.array([[2.0, 5.0], [-3.0, 5.0], [10.0, 5.0], [10.0, 3.0], [23.0, 14.0]])
    assert HALL.distance(points) == pytest.approx([2.0, -3.0, -1.0, 1.0, -5.0])
    assert HALL.is_inside(points).tolist() == [True, False, False, True, False]


def test_a_point_that_is_not_known_has_no_distance_and_is_not_inside():
    points = np.array([[[np.nan, 1.0], [2.0, 5.0]]])
    assert np.isnan(HALL.distance(points)).tolist() == [[True, False]]
    assert HALL.is_inside(points).tolist() == [[False, True]]


def test_a_box_is_held_when_all_of_it_is_inside():
    boxes = np.array([[4.0, 5.0, 0.3, 4.9, 1.9], [4.0, 1.0, 0.3, 4.9, 1.9], [10, 5, 0, 6, 4.0]])
    assert HALL.holds_boxes(boxes).tolist() == [True, False, False]


def test_lanes_of_a_street_are_one_area():
    area = join_surfaces(Road(straight_road()))
    assert area.shape.geom_type == "Polygon"
    assert area.shape.area == pytest.approx(400 * 2 * WIDTH, rel=1e-6)
    assert area.distance(np.array([[10.0, 0.0]])) == pytest.approx([WIDTH])


def test_a_part_of_a_crossing_can_be_had_alone():
    road = Road(crossing_road())
    part = join_surfaces(road, within=np.array([-20.0, -20.0, 20.0, 20.0]))
    whole = join_surfaces(road)
    assert part.bounds.tolist() == [-20.0, -20.0, 20.0, 20.0]
    points = np.random.default_rng(0).uniform(-19, 19, (200, 2))
    assert np.array_equal(part.is_inside(points), whole.is_inside(points))


def test_an_area_of_nothing_is_an_empty_road():
    with pytest.raises(InputError, match="the road is empty") as caught:
        join_surfaces(Road(crossing_road()), within=np.array([900.0, 900.0, 950.0, 950.0]))
    assert caught.value.code == "empty"
