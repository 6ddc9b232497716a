"""Distances along routes, against the arc lengths of the ways themselves."""

import numpy as np
import pytest

from kerbstone.lang import Facts
from measures import measure
from roads import ARMS, Track, crossing_road, drive, length_of, stage, stand, way_through

WAYS = [(arm, way) for arm in ARMS for way in ("through", "left", "right")]


@pytest.mark.parametrize(("arm", "way"), WAYS)
@pytest.mark.parametrize("apart", [0.3, 7.9, 33.3, 61.7])
def test_distances_along_a_way_are_differences_of_arc_length(arm, way, apart):
    line = way_through(arm, way)
    tracks = [
        Track(name, drive(line, start=s, speed=9.0))
        for name, s in (("a", 35.1 + apart), ("b", 35.1))
    ]
    scene = stage(crossing_road(), tracks)
    on_map = 35.1 + apart + 0.9 * np.arange(100) < length_of(line)
    for first, second in (("a", "b"), ("b", "a")):
        gap = measure("gap", scene, first, second)
        np.testing.assert_allclose(gap[on_map], apart - 4.5, atol=1e-6)


def test_a_route_goes_on_as_the_record_does_and_forks_beyond_it():
    line = way_through("west", "left")
    tracks = [
        Track("turns", drive(line, start=70, speed=6.0)),
        Track("waits", drive(line, start=70, speed=0.0)),
    ]
    scene = stage(crossing_road(), tracks)
    routes = Facts(scene).routes
    ids = scene.map.lanes.ids
    reached = [
        {ids[lane] for lane in np.flatnonzero(np.isfinite(routes.ahead[routes.number[row, 0]]))}
        for row in (0, 1)
    ]
    assert reached[0] == {"west in", "west left", "north out"}
    assert reached[1] == {"west in", "west left", "west through", "west right"} | {
        f"{arm} out" for arm in ("south", "east", "north")
    }


def test_tables_have_a_row_for_no_lane_and_one_for_not_there():
    points = stand(-50, -1.75)
    points[50:] = np.nan
    scene = stage(crossing_road(), [Track("a", points), Track("b", stand(60, 60))])
    routes = Facts(scene).routes
    count = len(routes.lane)
    assert routes.number[0, 60] == count + 1
    assert routes.number[1, 0] == count
    for name in ("left", "right", "opposite", "same_side"):
        table = getattr(routes, name)
        assert table.shape == (count + 2, count + 2)
        assert (table[count, : count + 1] == -1).all()
        assert np.isnan(table[-1]).all()
        assert np.isnan(table[:, -1]).all()


def test_routes_are_shared_by_those_who_go_the_same_way():
    line = way_through("west", "through")
    tracks = [Track(str(k), drive(line, start=20 * k, speed=9.0)) for k in range(1, 4)]
    scene = stage(crossing_road(), tracks)
    stays, routes = Facts(scene).stays, Facts(scene).routes
    assert len(routes.lane) < len(stays.lane)


def test_two_routes_meet_at_one_place_whoever_of_them_asks():
    tracks = [
        Track(name, drive(way_through(arm, way), start=60, speed=6.0))
        for name, arm, way in (("a", "west", "through"), ("b", "south", "right"), ("c", "east", "through"))
    ]  # fmt: skip
    routes = Facts(stage(crossing_road(), tracks)).routes
    first, second = np.array([0, 1, 0, 2]), np.array([1, 0, 2, 0])
    own, other = routes.meetings(first, second)
    np.testing.assert_array_equal(own[::2], other[1::2])
    np.testing.assert_array_equal(own[1::2], other[::2])
    assert np.isfinite(own[0, 0])
    assert np.isnan(own[2]).all(), "they go opposite ways"
