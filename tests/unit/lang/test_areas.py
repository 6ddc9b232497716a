"""Areas of a map, against shapes that one can see."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

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


def corners(left, low, right, high) -> np.ndarray:
    return np.array([[left, low], [right, low], [right, high], [left, high]], float)


def at(x, y) -> np.ndarray:
    return corners(x, y, x, y)


def test_distance_is_to_the_nearest_piece_and_0_on_contact():
    area = area_of_pieces(town((PieceKind.CROSSWALK, SQUARE)), PieceKind.CROSSWALK)
    boxes = np.array([corners(12, 0, 14, 2), corners(9, 9, 20, 20), at(13, 14), at(np.nan, 0)])
    np.testing.assert_allclose(area.distance(boxes), [2.0, 0.0, 5.0, np.nan])


def test_what_lies_in_a_box_or_around_it_has_no_distance_to_it():
    area = area_of_pieces(
        town(
            (PieceKind.CROSSWALK, SQUARE),
            (PieceKind.STOP_SIGN, [[30, 2], [30, 2]]),
            (PieceKind.STOP_LINE, [[40, 1], [40, 3]]),
        ),
        PieceKind.CROSSWALK,
        PieceKind.STOP_SIGN,
        PieceKind.STOP_LINE,
    )
    boxes = np.array([corners(4, 4, 6, 6), corners(26, 0, 34, 4), corners(39, 0, 45, 4)])
    assert area.distance(boxes).tolist() == [0.0, 0.0, 0.0]


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_distance_is_that_of_the_shapes_themselves(seed, parts):
    rng = np.random.default_rng(seed)
    low = rng.uniform(-30, 30, (parts, 2))
    shape = shapely.union_all(shapely.box(*low.T, *(low + rng.uniform(0.1, 9, (parts, 2))).T))
    centre, turn = rng.uniform(-40, 40, (50, 1, 2)), rng.uniform(-4, 4, (50, 1))
    ahead = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * rng.uniform(0, 6, (50, 1, 1))
    left = np.stack([-np.sin(turn), np.cos(turn)], axis=-1) * rng.uniform(0, 2, (50, 1, 1))
    boxes = np.concatenate(
        [centre + a * ahead + b * left for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))], axis=1
    )
    wanted = shapely.distance(shape, shapely.polygons(boxes))
    np.testing.assert_allclose(Area(shape).distance(boxes), wanted, atol=1e-12)


def test_lines_and_points_have_a_distance_but_no_inside():
    area = area_of_pieces(
        town((PieceKind.STOP_LINE, [[0, 0], [0, 3]]), (PieceKind.STOP_SIGN, [[9, 9], [9, 9]])),
        PieceKind.STOP_LINE,
        PieceKind.STOP_SIGN,
    )
    assert area.distance(np.array([at(4, 1), at(9, 7)])).tolist() == [4, 2]


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
    assert np.isposinf(area.distance(np.zeros((3, 4, 2)))).all()
    assert not area.is_near(np.zeros((3, 2)), within=5.0).any()


def test_near_is_within_the_given_distance():
    area = Area(shapely.box(0, 0, 1, 1))
    points = np.array([[1.4, 0.5], [1.6, 0.5]])
    assert area.is_near(points, within=0.5).tolist() == [True, False]
