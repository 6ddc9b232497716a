"""What a car does not see: compared with lines of sight."""

import numpy as np
import pytest
import shapely

from kerbstone.errors import InputError
from kerbstone.plan.beliefs.phantoms import is_in_view
from kerbstone.plan.sight import SightRules, cast_sight, gather_hiding, look_out
from kerbstone.scene import Kind
from roads import EAST, Track, drive, stage, stand, straight_road

EYE = np.zeros(2)
SHARP = SightRules(growth=0.0, body=0.0)


def grid(reach=60.0, step=0.75):
    """Places all around, but for those that lie on the edge of the range."""
    axis = np.arange(-reach, reach, step) + 0.123
    places = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return places[np.abs(np.hypot(*places.T) - 60.0) > 0.2]


def holds(area, places):
    return shapely.intersects_xy(area, *places.T)


def boxes_around(count, seed):
    rng = np.random.default_rng(seed)
    angle, away = rng.uniform(-np.pi, np.pi, count), rng.uniform(6.0, 55.0, count)
    return np.column_stack(
        [
            away * np.cos(angle),
            away * np.sin(angle),
            rng.uniform(-np.pi, np.pi, count),
            rng.uniform(3.0, 12.0, count),
            rng.uniform(1.5, 2.6, count),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_what_is_hidden_is_what_no_line_of_sight_reaches(seed):
    boxes, places = boxes_around(12, seed), grid(step=1.5)
    seen = is_in_view(EYE, places[None], boxes)[0] & (np.hypot(*places.T) < 60.0)
    hidden = holds(cast_sight(EYE, boxes, SHARP).hidden, places)
    bodies = holds(cast_sight(EYE, boxes, SHARP).bodies, places)
    assert hidden[~bodies].tolist() == (~seen[~bodies]).tolist()
    assert 50 < hidden.sum() < len(places) - 50


def test_errors_of_where_others_are_only_hide_more():
    rng = np.random.default_rng(7)
    boxes, places = boxes_around(10, 7), grid(step=1.5)
    hidden = holds(cast_sight(EYE, boxes, SightRules()).hidden, places)
    hidden |= holds(cast_sight(EYE, boxes, SightRules()).bodies, places)
    for _ in range(5):
        moved = boxes.copy()
        turn = rng.uniform(-np.pi, np.pi, len(boxes))
        moved[:, :2] += 0.1 * np.column_stack([np.cos(turn), np.sin(turn)])
        seen = is_in_view(EYE, places[None], moved)[0]
        assert hidden[~seen].all()


def test_beyond_the_range_nothing_is_seen_and_before_it_all_where_nobody_stands():
    hidden = cast_sight(EYE, np.zeros((0, 5)), SightRules(reach=30.0)).hidden
    places = np.array([[29.7, 0.0], [0.0, -29.7], [30.1, 0.0], [-80.0, 10.0]])
    assert holds(hidden, places).tolist() == [False, False, True, True]


def test_who_covers_the_sensor_hides_all_and_who_touches_it_only_in_doubt_does_not():
    places = np.array([[0.0, 20.0], [20.0, 0.0]])
    over = np.array([[0.0, 0.5, 0.0, 4.0, 2.0]])
    assert holds(cast_sight(EYE, over, SightRules()).hidden, places).all()
    beside = np.array([[0.0, 1.1, 0.0, 4.0, 2.0]])
    assert holds(cast_sight(EYE, beside, SightRules()).hidden, places).tolist() == [True, False]


def test_a_wall_of_parked_cars_hides_the_kerb_behind_it_and_not_the_lane_in_front():
    parked = [Track(f"p{k}", stand(6.5 * k, -4.9)) for k in range(6)]
    ego = Track("ego", drive(EAST, start=170.0, speed=8.0))
    scene = stage(straight_road(), [ego, *parked])
    sight = look_out(scene, 10, 0)
    kerb, lane = (
        np.array([[x, y] for x in (4.0, 12.0, 20.0) for y in (-7.0, -1.75)])
        .reshape(3, 2, 2)
        .transpose(1, 0, 2)
    )
    assert holds(sight.hidden, kerb).all()
    assert not holds(sight.hidden, lane).any()


def test_who_is_small_or_on_foot_or_on_two_wheels_hides_nobody():
    small = [
        Track("walker", stand(-170.0, -1.75), Kind.PEDESTRIAN, size=(1.5, 1.5, 1.7)),
        Track("cyclist", stand(-165.0, -1.75), Kind.CYCLIST, size=(1.8, 1.2, 1.7)),
        Track("cone", stand(-160.0, -1.75), Kind.OBJECT),
        Track("skip", stand(-155.0, -1.75), Kind.OBJECT, size=(3.0, 2.0, 1.5)),
        Track("far", stand(-20.0, -1.75)),
    ]
    scene = stage(straight_road(), [Track("ego", drive(EAST, start=10.0, speed=8.0)), *small])
    boxes = gather_hiding(scene, 10, 0, scene.agents.centre[0, 10, :2], SightRules())
    assert boxes.tolist() == [[-155.0, -1.75, 0.0, 3.0, 2.0]]


@pytest.mark.parametrize(
    "wrong",
    [{"reach": 0.0}, {"cover": -1.0}, {"growth": 0.5}, {"chance": 1.0}, {"chance": np.nan},
     {"ahead": np.inf}, {"least": np.nan}],
)  # fmt: skip
def test_rules_that_are_none_are_refused(wrong):
    with pytest.raises(InputError):
        SightRules(**wrong)
