"""Signals of pairs against the arithmetic of hand-made scenes, and against Shapely."""

import numpy as np
import pytest
import shapely

from kerbstone.lang import Facts, known_signals
from kerbstone.scene import Kind, box_corners_bev
from queries import moving_scene


def facts_of(*users, steps=3, dt=0.1):
    """Return road users, each (x, y, heading in degrees, speed); cars of 4 m by 2 m."""
    points = np.array([[[x, y]] * steps for x, y, _, _ in users], float)
    heading = np.deg2rad(np.array([[h] * steps for _, _, h, _ in users], float))
    speed = np.array([v for *_, v in users])[:, None]
    velocity = speed[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    return Facts(moving_scene(points, velocity=velocity, heading=heading, dt=dt))


def measure(name, facts, a=0, b=1):
    found = known_signals()[name].measure(facts, np.array([a]), np.array([b]))
    assert found.shape == (1, facts.steps)
    return float(found[0, 1])


def test_distance_is_from_side_to_side_and_zero_where_boxes_touch():
    assert measure("distance", facts_of((10, 0, 0, 0), (0, 0, 0, 0))) == pytest.approx(6.0)
    assert measure("distance", facts_of((0, 5, 90, 0), (0, 0, 0, 0))) == pytest.approx(2.0)
    assert measure("distance", facts_of((1, 0, 20, 0), (0, 0, 0, 0))) == 0.0
    assert measure("centre_distance", facts_of((3, 4, 0, 0), (0, 0, 0, 0))) == pytest.approx(5.0)


def test_distance_is_that_of_shapely_for_any_pair_in_any_order():
    rng = np.random.default_rng(0)
    users = [(*rng.uniform(-8, 8, 2), rng.uniform(-180, 180), 0.0) for _ in range(8)]
    facts = facts_of(*users)
    a, b = np.nonzero(~np.eye(8, dtype=bool))
    found = known_signals()["distance"].measure(facts, a, b)[:, 0]
    boxes = shapely.polygons(box_corners_bev(facts.boxes[:, 0]))
    np.testing.assert_allclose(found, shapely.distance(boxes[a], boxes[b]), atol=1e-9)


def test_offsets_are_in_the_frame_of_the_second():
    facts = facts_of((10, 13, 0, 0), (10, 3, 90, 0))
    assert measure("longitudinal_offset", facts) == pytest.approx(10.0)
    assert measure("lateral_offset", facts) == pytest.approx(0.0)
    facts = facts_of((7, 3, 0, 0), (10, 3, 90, 0))
    assert measure("lateral_offset", facts) == pytest.approx(3.0)
    assert measure("bearing", facts) == pytest.approx(np.pi / 2)


def test_the_lateral_gap_is_between_the_sides_and_counts_how_a_box_is_turned():
    assert measure("lateral_gap", facts_of((9, 3.5, 0, 0), (0, 0, 0, 0))) == pytest.approx(1.5)
    assert measure("lateral_gap", facts_of((9, 3.5, 90, 0), (0, 0, 0, 0))) == pytest.approx(0.5)
    assert measure("lateral_gap", facts_of((9, 0.5, 0, 0), (0, 0, 0, 0))) == pytest.approx(-1.5)


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ((6, 0.5), {"ahead"}),
        ((-6, -0.5), {"behind"}),
        ((1, 4), {"left_of"}),
        ((-1, -4), {"right_of"}),
        ((30, -2), {"ahead", "right_of"}),
        ((-2.5, 9), {"behind", "left_of"}),
    ],
)
@pytest.mark.parametrize("turn", [0, 75, 180])
def test_a_side_of_a_road_user_is_all_that_lies_beyond_it(place, names, turn):
    angle = np.deg2rad(turn)
    x, y = place
    point = (np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y)
    facts = facts_of((*point, 33, 0), (0, 0, turn, 0))
    sides = ("ahead", "behind", "left_of", "right_of")
    assert {side for side in sides if measure(side, facts) > 0} == names


def test_a_margin_of_a_side_is_the_distance_beyond_it():
    facts = facts_of((6, 4, 0, 0), (0, 0, 0, 0))
    assert measure("ahead", facts) == pytest.approx(4.0)
    assert measure("left_of", facts) == pytest.approx(3.0)


def test_the_nearer_the_more_strongly_nearby():
    assert measure("nearby", facts_of((4, 0, 0, 0), (0, 0, 0, 0))) == pytest.approx(1.0)
    assert measure("nearby", facts_of((29, 0, 0, 0), (0, 0, 0, 0))) == pytest.approx(0.5)
    assert measure("nearby", facts_of((64, 0, 0, 0), (0, 0, 0, 0))) < 0


def test_what_is_inside_a_box_is_on_no_side_of_it():
    facts = facts_of((0.5, 0.5, 0, 0), (0, 0, 0, 0))
    assert all(measure(side, facts) < 0 for side in ("ahead", "behind", "left_of", "right_of"))


def test_headings_are_compared_across_the_turn_of_the_angle():
    facts = facts_of((0, 0, 179, 0), (5, 5, -179, 0))
    assert np.rad2deg(measure("relative_heading", facts)) == pytest.approx(-2.0)
    assert measure("same_direction", facts) > 0
    facts = facts_of((0, 0, 170, 0), (5, 5, -20, 0))
    assert measure("opposite_direction", facts) > 0 > measure("perpendicular", facts)
    facts = facts_of((0, 0, 100, 0), (5, 5, 0, 0))
    assert measure("perpendicular", facts) > 0 > measure("same_direction", facts)


def test_closing_speed_is_of_both_and_speed_toward_of_one():
    facts = facts_of((0, 0, 0, 5), (20, 0, 180, 3))
    assert measure("closing_speed", facts) == pytest.approx(8.0)
    assert measure("closing_speed", facts, 1, 0) == pytest.approx(8.0)
    assert measure("speed_toward", facts) == pytest.approx(5.0)
    assert measure("relative_speed", facts) == pytest.approx(2.0)
    assert measure("approaching", facts) > 0
    assert measure("approaching", facts_of((0, 0, 180, 5), (20, 0, 180, 3))) < 0


def test_one_faces_with_the_body_and_heads_with_the_motion():
    standing = facts_of((0, 0, 10, 0), (20, 0, 0, 0))
    assert measure("facing", standing) > 0 > measure("heading_toward", standing)
    moving = facts_of((0, 0, 10, 2), (20, 0, 0, 0))
    assert measure("heading_toward", moving) > 0
    assert measure("heading_toward", facts_of((0, 0, 40, 2), (20, 0, 0, 0))) < 0
    assert measure("facing", facts_of((0, 0, 40, 2), (20, 0, 0, 0))) < 0


def test_boxes_touch_where_they_share_a_point():
    assert measure("touching", facts_of((4, 0, 0, 0), (0, 0, 0, 0))) > 0
    assert measure("touching", facts_of((4.5, 0, 0, 0), (0, 0, 0, 0))) == pytest.approx(-0.5)


def test_nothing_is_known_of_who_is_not_there():
    points = np.zeros((2, 3, 2))
    points[1, :, 0] = 9.0
    points[1, 1] = np.nan
    facts = Facts(moving_scene(points, kinds=(Kind.CAR, Kind.CAR)))
    pairs = [s for s in known_signals().values() if s.measure.__module__.endswith("pairs")]
    assert len(pairs) >= 19
    for found in pairs:
        values = found.measure(facts, np.array([0, 1]), np.array([1, 0]))
        assert np.isnan(values[:, 1]).all(), found.name
