import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError
from kerbstone.plan.shield.path import Path


def bend(radius=30.0, turn=np.pi / 2, points=40, straight=60.0):
    angle = np.linspace(0, turn, points)
    arc = np.stack([radius * np.sin(angle), radius * (1 - np.cos(angle))], axis=1)
    return np.concatenate([[[-straight, 0.0]], arc])


ROADS = {
    "straight": np.array([[0.0, 0.0], [80.0, 30.0]]),
    "bend": bend(),
    "tight": bend(radius=12.0, points=30),
    "coarse": bend(radius=50.0, points=8),
    "right": bend() * [1, -1],
    "corner": np.array([[0.0, 0.0], [40.0, 0.0], [75.0, 8.0]]),
}


def boxes_near(points, count, seed):
    rng = np.random.default_rng(seed)
    line = shapely.LineString(points)
    where = rng.uniform(0, line.length, count)
    spot = shapely.get_coordinates(shapely.line_interpolate_point(line, where))
    after = shapely.get_coordinates(shapely.line_interpolate_point(line, where + 0.5))
    before = shapely.get_coordinates(shapely.line_interpolate_point(line, where - 0.5))
    heading = np.arctan2(*(after - before).T[::-1]) + rng.choice([0, np.pi], count)
    heading = heading + rng.normal(0, 0.2, count)
    centre = spot + rng.uniform(-6, 6, (count, 2))
    direction = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return (
        centre,
        direction,
        np.stack([rng.uniform(0.5, 5, count), rng.uniform(0.4, 1.3, count)], 1),
    )


@pytest.mark.parametrize("name", ROADS)
def test_every_point_of_a_box_lies_within_the_bounds(name):
    points = ROADS[name]
    path, line = Path(points), shapely.LineString(points)
    centre, direction, half = boxes_near(points, 600, 0)
    extent = path.bound_boxes(centre, direction, half)
    share = np.random.default_rng(1).uniform(-1, 1, (600, 60, 2))
    share[:, :4] = [[-1, -1], [-1, 1], [1, -1], [1, 1]]
    normal = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
    inner = (share * half[:, None])[..., None] * np.stack([direction, normal], axis=1)[:, None]
    sample = centre[:, None] + inner.sum(axis=2)
    flat = shapely.points(sample.reshape(-1, 2))
    station = shapely.line_locate_point(line, flat).reshape(600, 60)
    distance = shapely.distance(line, flat).reshape(600, 60)
    # The path goes on straight at its ends, the line does not: leave those points out.
    counts = (
        (station > 1e-6) & (station < line.length - 1e-6) & (extent.near & extent.sure)[:, None]
    )
    ahead = shapely.get_coordinates(
        shapely.line_interpolate_point(line, np.minimum(station + 1e-4, line.length).ravel())
    )
    foot = shapely.get_coordinates(shapely.line_interpolate_point(line, station.ravel()))
    tangent, away = ahead - foot, sample.reshape(-1, 2) - foot
    left = np.sign(tangent[:, 0] * away[:, 1] - tangent[:, 1] * away[:, 0]).reshape(600, 60)
    offset = left * distance
    tolerance = 1e-6
    assert counts.mean() > 0.5
    assert (station >= extent.station[:, :1] - tolerance)[counts].all()
    assert (station <= extent.station[:, 1:] + tolerance)[counts].all()
    assert (offset >= extent.offset[:, :1] - tolerance)[counts].all()
    assert (offset <= extent.offset[:, 1:] + tolerance)[counts].all()


def test_bounds_on_a_straight_path_are_exact():
    path = Path(np.array([[0.0, 0.0], [10.0, 0.0], [50.0, 0.0]]))
    box = np.array([[20.0, 3.0]]), np.array([[0.6, 0.8]]), np.array([[2.0, 1.0]])
    extent = path.bound_boxes(*box)
    np.testing.assert_allclose(extent.station, [[18.0, 22.0]])
    np.testing.assert_allclose(extent.offset, [[0.8, 5.2]])


def test_bounds_on_a_gentle_bend_waste_little():
    path = Path(bend(radius=100.0, points=100))
    angle = 0.4
    centre = np.array([[100 * np.sin(angle), 100 - 100 * np.cos(angle)]])
    direction = np.array([[np.cos(angle), np.sin(angle)]])
    extent = path.bound_boxes(centre, direction, np.array([[2.5, 1.0]]))
    assert np.diff(extent.offset)[0, 0] < 2.1
    assert np.diff(extent.station)[0, 0] < 5.3


def test_a_path_that_comes_back_knows_how_far_it_can_be_told_apart():
    assert Path(bend()).fold == np.inf
    hairpin = np.array([[0.0, 0.0], [60.0, 0.0], [66.0, 6.0], [60.0, 12.0], [0.0, 12.0]])
    assert Path(hairpin).fold < 6.0


def test_a_box_far_from_a_bent_path_is_not_near():
    box = np.array([[500.0, 500.0]]), np.array([[1.0, 0.0]]), np.array([[2.0, 1.0]])
    assert not Path(bend()).bound_boxes(*box).near[0]


@pytest.mark.parametrize(
    "points", [np.zeros((0, 2)), np.zeros((3, 2)), np.array([[0.0, 0.0], [np.nan, 1.0]])]
)
def test_a_path_without_length_or_with_a_nan_is_refused(points):
    with pytest.raises(InputError, match="a path has"):
        Path(points)


@pytest.mark.parametrize("name", ROADS)
def test_points_of_a_path_lie_at_their_stations(name):
    points = ROADS[name]
    path, line = Path(points), shapely.LineString(points)
    station = np.linspace(0.0, path.length, 57)
    expected = shapely.get_coordinates(shapely.line_interpolate_point(line, station))
    np.testing.assert_allclose(path.at(station), expected, atol=1e-9)
    # Beyond its ends it goes on straight.
    step = points[-1] - points[-2]
    beyond = points[-1] + 70.0 * step / np.hypot(*step)
    np.testing.assert_allclose(path.at(np.array(path.length + 70.0)), beyond, atol=1e-9)
    step = points[1] - points[0]
    before = points[0] - 70.0 * step / np.hypot(*step)
    np.testing.assert_allclose(path.at(np.array(-70.0)), before, atol=1e-9)
