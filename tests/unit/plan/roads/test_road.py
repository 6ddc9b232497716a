"""Maps made ready for planning."""

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.plan.roads import Road, prepare_road
from kerbstone.scene import LaneKind, MapBuilder, PieceKind
from roads import crossing_road, straight_road


def test_a_map_without_anything_to_drive_on_is_an_empty_road():
    town = MapBuilder()
    centre = town.add_piece(PieceKind.LANE_CENTRE, [[0, 0], [10, 0]])
    town.add_lane("path", LaneKind.BICYCLE, centre)
    with pytest.raises(InputError, match="the road is empty") as caught:
        Road(town.build("park"))
    assert caught.value.code == "empty"
    assert caught.value.where == "map park"
    assert caught.value.why
    assert caught.value.remedy


def test_a_road_is_prepared_once_for_each_map():
    town = straight_road()
    assert prepare_road(town) is prepare_road(town)
    assert prepare_road(town) is not prepare_road(straight_road())


def test_lengths_and_directions_are_those_of_the_centre_lines():
    road = Road(crossing_road())
    lane = road.map.lanes.ids.index("west left")
    quarter = 15.75 * np.pi / 2
    assert road.lengths[lane] == pytest.approx(quarter, rel=1e-3)
    begin, _, _, end = road.directions[lane]
    assert begin == pytest.approx(0.0, abs=0.1)
    assert end == pytest.approx(np.pi / 2, abs=0.1)


def test_bicycle_lanes_are_not_driven_on():
    town = MapBuilder()
    for name, kind, y in (("car", LaneKind.VEHICLE, 0.0), ("bike", LaneKind.BICYCLE, 3.0)):
        centre = town.add_piece(PieceKind.LANE_CENTRE, [[0, y], [50, y]])
        town.add_lane(name, kind, centre, width=3.0)
    road = Road(town.build("street"))
    assert road.rows.tolist() == [0]
    assert road.distance(np.array([[20.0, 0.0], [20.0, 3.5]])).tolist() == [0.0, 2.0]
