import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError
from kerbstone.plan.shield.road import Lane, Road

BOX = np.array([[0.0, 0.0]]), np.array([[0.6, 0.8]]), np.array([[2.0, 1.0]])


def lane(x, y=0.0, **more):
    return Lane(np.array([[x, 0.0], [x + 10.0, y]]), **more)


def test_routes_are_all_ways_through_the_lanes():
    road = Road((lane(0, successors=(1, 2)), lane(10), lane(10, 5.0, successors=(3,)), lane(20)))
    assert [route.lanes for route in road.routes] == [(0, 1), (0, 2, 3)]
    assert road.routes[0].path.length == pytest.approx(20.0)


def test_a_route_has_the_widest_lane_and_the_highest_limit_of_its_lanes():
    road = Road((lane(0, successors=(1,), half_width=1.5, speed_limit=10.0), lane(10)))
    assert road.routes[0].half_width == 1.75
    assert road.routes[0].speed_limit == 13.9


def test_lanes_in_a_ring_make_a_route_that_ends():
    ring = Road((lane(0, successors=(1,)), lane(10, successors=(0,))))
    assert [route.lanes for route in ring.routes] == [(0, 1)]


def test_a_road_may_have_no_lanes():
    assert Road().routes == ()


def test_a_lane_that_goes_on_into_nothing_is_refused():
    with pytest.raises(InputError, match="does not exist"):
        Road((lane(0, successors=(1,)),))


def test_an_area_that_crosses_itself_is_refused():
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    with pytest.raises(InputError, match="not a valid area"):
        Road(drivable=bow)


def test_too_many_routes_are_refused():
    lanes = []
    for level in range(10):
        following = (2 * level + 2, 2 * level + 3) if level < 9 else ()
        lanes += [lane(10 * level, successors=following)] * 2
    with pytest.raises(InputError, match="too many routes"):
        Road(tuple(lanes))


@pytest.mark.parametrize(("edge", "outside"), [(2.2001, False), (2.1999, True)])
def test_outside_is_exact(edge, outside):
    # The box reaches 0.8 · 2 + 0.6 · 1 = 2.2 m to the left.
    road = Road(drivable=shapely.box(-9, -9, 9, edge))
    assert road.find_outside(*BOX)[0] == outside


@pytest.mark.parametrize(("edge", "touches"), [(2.2001, False), (2.1999, True)])
def test_touching_a_no_stopping_area_is_exact(edge, touches):
    road = Road(no_stopping=shapely.box(-9, edge, 9, 20))
    assert road.find_no_stopping(*BOX)[0] == touches


def test_without_areas_ego_may_be_and_stop_anywhere():
    assert not Road().find_outside(*BOX)[0]
    assert not Road().find_no_stopping(*BOX)[0]
    assert not Road(no_stopping=shapely.Polygon()).find_no_stopping(*BOX)[0]


def test_a_route_knows_how_far_the_edge_is_from_it_but_for_its_ends():
    lane = Lane(np.array([[0.0, 0.0], [60.0, 0.0]]))
    area = shapely.box(0.0, -2.0, 60.0, 3.0)
    clearance = Road((lane,), drivable=area).routes[0].clearance
    assert 1.99 < clearance < 2.0
    assert Road((lane,)).routes[0].clearance == np.inf
    assert Road((lane,), drivable=shapely.box(0.0, -2.0, 40.0, 3.0)).routes[0].clearance == 0.0
    short = Lane(np.array([[0.0, 0.0], [9.0, 0.0]]))
    assert Road((short,), drivable=area).routes[0].clearance == 0.0
