from itertools import pairwise

import numpy as np
import pytest
import shapely

from crossing import crossing_scene
from kerbstone.app.playback.road import MARGIN, pack_road
from kerbstone.scene import LaneKind, MapBuilder, Marking, PieceKind, Tristate
from playback_codec import unpack_lines

ORIGIN = np.zeros(2)
HERE = np.zeros((1, 2))
STREET = np.array([[-50.0, 0.0], [50.0, 0.0]])


def pack_marking(marking, line=STREET):
    road = MapBuilder()
    road.add_piece(PieceKind.LANE_BOUNDARY, line, marking=marking)
    return {k: unpack_lines(v) for k, v in pack_road(road.build("one"), HERE, ORIGIN).items()}


def test_every_piece_of_the_crossing_is_in_its_layer():
    scene = crossing_scene()
    layers = pack_road(scene.map, HERE, ORIGIN)
    assert set(layers) == {
        "drivable", "sidewalk", "parking", "driveway", "crosswalk", "crosswalk_axis", "stop_line",
        "edge", "speed_bump", "stop_sign", "centre", "lane", "bus_lane", "bicycle_lane",
        "virtual", "yellow_solid", "white_solid", "white_dashed",
    }  # fmt: skip


@pytest.mark.parametrize("marking", list(Marking))
def test_every_marking_is_drawn(marking):
    layers = pack_marking(marking)
    colour = "yellow" if marking.name.endswith("YELLOW") else "white"
    painted = marking not in {Marking.UNKNOWN, Marking.NONE, Marking.CURB, Marking.VIRTUAL}
    assert layers
    assert all(name.startswith(colour) for name in layers) == painted
    lines = [line for layer in layers.values() for line in layer]
    assert len(lines) == (2 if "DOUBLE" in marking.name or "_DASHED" in marking.name
                          or "DASHED_S" in marking.name else 1)  # fmt: skip


def test_the_first_half_of_a_mixed_marking_lies_on_the_left():
    layers = pack_marking(Marking.SOLID_DASHED)
    assert (layers["white_solid"][0][:, 1] > 0).all()
    assert (layers["white_dashed"][0][:, 1] < 0).all()
    layers = pack_marking(Marking.SOLID_DASHED, STREET[::-1])
    assert (layers["white_solid"][0][:, 1] < 0).all()


def test_a_line_that_two_lanes_bring_is_drawn_once_whichever_way_it_runs():
    road = MapBuilder()
    for line in (STREET, STREET[::-1], STREET + np.array([0.0, 3.5])):
        road.add_piece(PieceKind.LANE_BOUNDARY, line, marking=Marking.DASHED)
    layers = pack_road(road.build("one"), HERE, ORIGIN)
    assert len(unpack_lines(layers["white_dashed"])) == 2


def test_far_pieces_are_left_out_and_near_ones_kept_whole():
    road = MapBuilder()
    near = [[-1000.0, MARGIN - 1.0], [1000.0, MARGIN - 1.0]]
    road.add_piece(PieceKind.ROAD_EDGE, near)
    road.add_piece(PieceKind.ROAD_EDGE, np.array(near) + np.array([0.0, 100.0]))
    lake = shapely.Point(0, 0).buffer(3000).exterior
    road.add_piece(PieceKind.DRIVABLE_AREA, shapely.get_coordinates(lake))
    layers = pack_road(road.build("one"), HERE, ORIGIN)
    assert [line.tolist() for line in unpack_lines(layers["edge"])] == [near]
    assert len(unpack_lines(layers["drivable"])) == 1


def test_a_map_of_which_nothing_is_near_gives_no_layers():
    road = MapBuilder()
    centre = road.add_piece(PieceKind.LANE_CENTRE, STREET + 5000)
    road.add_lane("far", LaneKind.VEHICLE, centre)
    assert pack_road(road.build("one"), HERE, ORIGIN) == {}
    assert pack_road(None, HERE, ORIGIN) == {}


def test_a_simplified_line_stays_within_two_centimetres():
    angle = np.linspace(0, np.pi, 2000)
    bend = 40 * np.column_stack([np.cos(angle), np.sin(angle)])
    (line,) = pack_marking(Marking.SOLID, bend)["white_solid"]
    assert len(line) < 200
    assert shapely.hausdorff_distance(shapely.LineString(bend), shapely.LineString(line)) < 0.02


def test_lane_surfaces_run_one_way_round_so_that_overlaps_leave_no_hole():
    scene = crossing_scene()
    layers = pack_road(scene.map, HERE, ORIGIN)
    rings = [shapely.LinearRing(ring) for name in ("lane", "bicycle_lane", "drivable")
             for ring in unpack_lines(layers[name])]  # fmt: skip
    assert len(rings) == 6
    assert {bool(shapely.is_ccw(ring)) for ring in rings} == {True} or {
        bool(shapely.is_ccw(ring)) for ring in rings
    } == {False}


def test_lanes_across_an_intersection_have_no_arrows():
    scene = crossing_scene()
    arrows = unpack_lines(pack_road(scene.map, HERE, ORIGIN)["centre"])
    inside = int((scene.map.lanes.in_intersection == Tristate.YES).sum())
    assert len(arrows) == len(scene.map.lanes) - inside


def test_lanes_that_cross_have_no_arrows_where_the_map_does_not_tell():
    road = MapBuilder()
    for name, line in (
        ("a", STREET),
        ("b", STREET[:, ::-1]),
        ("c", STREET + np.array([0.0, 60.0])),
    ):
        road.add_lane(name, LaneKind.VEHICLE, road.add_piece(PieceKind.LANE_CENTRE, line))
    (arrow,) = unpack_lines(pack_road(road.build("one"), HERE, ORIGIN)["centre"])
    assert arrow[0, 1] == 60


def test_stripes_run_along_the_longer_side_of_a_crosswalk():
    scene = crossing_scene()
    (axis,) = unpack_lines(pack_road(scene.map, HERE, ORIGIN)["crosswalk_axis"])
    np.testing.assert_allclose(np.sort(axis[:, 0]), [-7, 7], atol=0.01)
    np.testing.assert_allclose(axis[:, 1], -6.5, atol=0.01)


def test_each_crosswalk_has_an_axis_even_one_without_width():
    road = MapBuilder()
    road.add_piece(PieceKind.CROSSWALK, [[0, 0], [5, 0], [0, 0]])
    road.add_piece(PieceKind.CROSSWALK, [[0, 9], [0, 9]])
    layers = pack_road(road.build("one"), HERE, ORIGIN)
    assert len(unpack_lines(layers["crosswalk_axis"])) == len(unpack_lines(layers["crosswalk"]))
    assert all(len(line) == 2 for line in unpack_lines(layers["crosswalk_axis"]))


def test_pairs_of_lines_of_a_double_marking_are_twenty_centimetres_apart():
    left, right = pack_marking(Marking.DOUBLE_SOLID)["white_solid"]
    for a, b in pairwise([left, right]):
        assert shapely.LineString(a).distance(shapely.LineString(b)) == pytest.approx(0.2, abs=0.01)
