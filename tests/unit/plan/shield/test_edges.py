import numpy as np
import pytest
import shapely

from kerbstone.plan.shield.edges import find_outside
from kerbstone.plan.shield.manoeuvre import SweptBoxes
from kerbstone.plan.shield.road import Lane, Road


def roads():
    """Yield roads whose edges follow their lanes, cut across them, and leave them."""
    straight = np.array([[0.0, 0.0], [80.0, 0.0]])
    angle = np.linspace(0.0, 1.2, 60)
    bent = np.stack([50.0 * np.sin(angle), 50.0 - 50.0 * np.cos(angle)], axis=1)
    for name, lines in {
        "straight": [straight],
        "two": [straight, straight + np.array([0.0, 3.5])],
        "bent": [bent],
    }.items():
        strips = [shapely.LineString(line).buffer(2.75, cap_style="flat") for line in lines]
        area = shapely.union_all(strips)
        lanes = tuple(Lane(line) for line in lines)
        yield pytest.param(Road(lanes, drivable=area), id=name)
        hole = area.difference(shapely.box(30.0, 1.8, 33.0, 2.2))
        yield pytest.param(Road(lanes, drivable=hole), id=f"{name} with a hole")


@pytest.mark.parametrize("road", list(roads()))
def test_the_first_box_outside_is_the_one_that_exact_geometry_finds(road):
    rng = np.random.default_rng(0)
    count, steps = 300, 14
    where = road.lanes[0].centre
    place = where[rng.integers(len(where), size=(count, 1))] + rng.uniform(-4.0, 4.0, (count, 1, 2))
    angle = rng.uniform(-np.pi, np.pi, (count, 1)) + rng.uniform(-0.2, 0.2, (count, steps))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    centre = place + np.cumsum(direction * rng.uniform(0.0, 1.0, (count, 1, 1)), axis=1)
    half = rng.uniform([0.2, 0.1], [2.6, 1.1], (count, steps, 2))
    moves = rng.random((count, steps)) < 0.8
    row, step = find_outside(SweptBoxes(centre, direction, half), moves, road)
    flat = (part.reshape(-1, 2) for part in (centre, direction, half))
    outside = road.find_outside(*flat).reshape(count, steps) & moves
    np.testing.assert_array_equal(row, np.flatnonzero(outside.any(axis=1)))
    np.testing.assert_array_equal(step, outside.argmax(axis=1)[row])
    assert 0 < len(row) < count


def test_nothing_is_outside_where_ego_may_be_anywhere():
    boxes = SweptBoxes(*(np.ones((3, 2, 2)) for _ in range(3)))
    row, _ = find_outside(boxes, np.ones((3, 2), dtype=bool), Road())
    assert not len(row)
