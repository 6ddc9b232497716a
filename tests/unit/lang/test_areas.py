"""Areas of a map, against shapes that one can see."""

import numpy as np
import shapely

from kerbstone.lang.areas import Area, area_of_pieces
from kerbstone.scene import MapBuilder, PieceKind

SQUARE = [[0.0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]


def town(*pieces):
    builder = MapBuilder()
    for kind, points in pieces:
        builder.add_piece(kind, points)
    return builder.build("town")


def test_an_area_holds_what_is_in_any_of_its_pieces_and_on_their_border():
    other = [[x + 8, y + 8] for x, y in SQUARE]
    area = area_of_pieces(
        town((PieceKind.CROSSWALK, SQUARE), (PieceKind.CROSSWALK, other)), PieceKind.CROSSWALK
    )
    points = np.array([[5.0, 5], [9, 9], [15, 15], [10, 5], [15, 5]])
    assert area.holds(points).tolist() == [True, True, True, True, False]


def test_distance_is_to_the_nearest_piece_and_0_on_contact():
    area = area_of_pieces(town((PieceKind.CROSSWALK, SQUARE)), PieceKind.CROSSWALK)
    shapes = np.array([shapely.box(12, 0, 14, 2), shapely.box(9, 9, 20, 20), shapely.Point(13, 14)])
    np.testing.assert_allclose(area.distance(shapes), [2.0, 0.0, 5.0])


def test_lines_and_points_have_a_distance_but_no_inside():
    area = area_of_pieces(
        town((PieceKind.STOP_LINE, [[0, 0], [0, 3]]), (PieceKind.STOP_SIGN, [[9, 9], [9, 9]])),
        PieceKind.STOP_LINE,
        PieceKind.STOP_SIGN,
    )
    assert area.distance(np.array([shapely.Point(4, 1), shapely.Point(9, 7)])).tolist() == [4, 2]


def test_an_outline_that_is_not_closed_or_crosses_itself_is_still_an_area():
    open_ring = area_of_pieces(town((PieceKind.DRIVEWAY, SQUARE[:-1])), PieceKind.DRIVEWAY)
    assert open_ring.holds(np.array([[5.0, 5]])).all()
    bow = [[0.0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]
    crossed = area_of_pieces(town((PieceKind.CROSSWALK, bow)), PieceKind.CROSSWALK)
    assert crossed.holds(np.array([[1.0, 5], [9, 5], [5, 1]])).tolist() == [True, True, False]


def test_nothing_is_in_no_area_and_all_is_infinitely_far_from_it():
    area = area_of_pieces(town((PieceKind.CROSSWALK, SQUARE)), PieceKind.PARKING)
    assert not area
    assert not area.holds(np.zeros((3, 2))).any()
    assert np.isposinf(area.distance(shapely.points(np.zeros((3, 2))))).all()
    assert not area.is_near(np.zeros((3, 2)), within=5.0).any()


def test_near_is_within_the_given_distance():
    area = Area(shapely.box(0, 0, 1, 1))
    points = np.array([[1.4, 0.5], [1.6, 0.5]])
    assert area.is_near(points, within=0.5).tolist() == [True, False]
