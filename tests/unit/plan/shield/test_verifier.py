from dataclasses import replace

import numpy as np
import pytest
import shapely

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.failsafe import BRAKE, Candidate, build_failsafe
from kerbstone.plan.shield.manoeuvre import Manoeuvre, roll_out
from kerbstone.plan.shield.road import Lane, Road
from kerbstone.plan.shield.surroundings import BlindPlaces, BlindStretches
from kerbstone.plan.shield.verifier import Cause, verify
from kerbstone.scene import Kind
from shielded import SHARP, VEHICLE, leader, seen, states, straight_road

NOBODY = seen(np.zeros((1, 0, 2)), 0.0, 0.0)


def brake(speed, road, candidate=BRAKE, **columns):
    state = states(speed, **columns)
    route = np.zeros(len(state), dtype=int)
    return build_failsafe(state, None, candidate, route, road, vehicle=VEHICLE, step=0.1)


def judge(manoeuvre, view, road, assumptions=SHARP):
    return verify(manoeuvre, view, road, vehicle=VEHICLE, assumptions=assumptions)


def nobody(**more):
    return replace(NOBODY, **more)


def test_braking_on_an_empty_road_is_safe():
    road = straight_road()
    verdict = judge(brake(20.0, road), NOBODY, road)
    assert verdict.safe[0]
    assert verdict.time[0] == np.inf
    assert verdict.margin[0] == np.inf


def test_the_least_safe_gap_is_the_stopping_distances_and_one_step():
    road = straight_road()
    gaps = np.linspace(0, 30, 601)
    manoeuvre = brake(np.full(601, 20.0), road)
    steady = replace(SHARP, default=replace(SHARP.default, lateral_slope=0.0))
    verdict = judge(manoeuvre, leader(gaps, np.full(601, 20.0)), road, steady)
    way = manoeuvre.state[0, -1, 0]
    needed = gaps[verdict.safe].min()
    # Both stop; the shield may lose what ego goes in one step, and no more.
    assert way - 25.0 <= needed <= way - 25.0 + 0.1
    assert (np.diff(verdict.safe.astype(int)) >= 0).all()
    assert (verdict.agent[~verdict.safe] == 0).all()
    assert (verdict.cause[~verdict.safe] == Cause.AGENT).all()
    assert (verdict.margin[verdict.safe] > 0).all()
    assert (verdict.margin[~verdict.safe] <= 0).all()


def test_a_wall_ahead_is_hit_when_the_verdict_says_so():
    road = straight_road()
    view = seen([[[40.0, 0.0]]], 0.0, 0.0, kind=Kind.OBJECT, size=(1.0, 1.0))
    manoeuvre = brake(25.0, road)
    verdict = judge(manoeuvre, view, road)
    front = manoeuvre.state[0, :, 0] + 3.9
    hit = np.flatnonzero(front >= 39.5)[0] * 0.1
    assert not verdict.safe[0]
    assert hit - 0.2 <= verdict.time[0] <= hit


@pytest.mark.parametrize(
    ("column", "value"), [(0, np.nan), (3, 36.0), (4, -9.0), (5, 0.7), (3, -1.0), (0, 1e9)]
)
def test_what_cannot_be_driven_is_not_safe(column, value):
    road = straight_road()
    made = brake(20.0, road)
    made.state[0, 3, column] = value
    with np.errstate(invalid="ignore"):
        verdict = judge(made, NOBODY, road)
    assert not verdict.safe[0]
    assert verdict.cause[0] == Cause.LIMITS


def test_too_much_lateral_acceleration_cannot_be_driven():
    road = straight_road()
    made = roll_out(
        states([20.0], steering=0.06, acceleration=-8.0),
        np.zeros((1, 30, 2)),
        vehicle=VEHICLE,
        step=0.1,
    )
    assert judge(made, NOBODY, road).cause[0] == Cause.LIMITS


def test_a_manoeuvre_that_rolls_on_is_not_safe():
    road = straight_road()
    made = brake(20.0, road)
    cut = Manoeuvre(made.state[:, :11], made.control[:, :10], 0.1)
    verdict = judge(cut, NOBODY, road)
    assert not verdict.safe[0]
    assert verdict.cause[0] == Cause.NO_STANDSTILL


def test_ego_does_not_stop_where_it_must_not():
    road = straight_road(no_stopping=shapely.box(20, -5, 40, 5))
    stop = brake(20.0, road).state[0, -1, 0]
    assert 20 < stop < 40
    verdict = judge(brake([20.0, 5.0], road), seen(np.zeros((2, 0, 2)), 0.0, 0.0), road)
    np.testing.assert_array_equal(verdict.cause, [Cause.NO_STOPPING, Cause.NONE])
    later = judge(brake(20.0, road, Candidate(hold=1.5)), NOBODY, road)
    assert later.safe[0]


def test_ego_stays_on_the_drivable_area():
    road = straight_road(drivable=shapely.box(-10, -1.75, 500, 1.75))
    straight = brake(20.0, road)
    away = brake(20.0, road, Candidate(follows_route=False), heading=0.15)
    assert judge(straight, NOBODY, road).safe[0]
    verdict = judge(away, NOBODY, road)
    assert not verdict.safe[0]
    assert verdict.cause[0] == Cause.ROAD_EDGE
    corners = away.state[0, :, 1] + 3.9 * np.sin(0.15) + 0.95 * np.cos(0.15)
    left = np.flatnonzero(corners > 1.75)[0] * 0.1
    assert left - 0.11 <= verdict.time[0] <= left


def test_oncoming_traffic_in_its_own_lane_is_no_danger():
    road = straight_road(1, 1)
    view = seen([[[60.0, 3.5]]], np.pi, 25.0)
    for assumptions in (SHARP, Assumptions()):
        verdict = judge(brake(20.0, road), view, road, assumptions)
        assert verdict.safe[0]


def test_oncoming_traffic_in_egos_lane_is():
    road = straight_road(1, 1)
    view = seen([[[60.0, 1.0]]], np.pi, 25.0)
    assert not judge(brake(20.0, road), view, road).safe[0]


def test_a_follower_is_no_danger_but_one_that_ego_swerves_before_is():
    road = straight_road(2)
    behind = seen([[[-6.0, 0.0]]], 0.0, 25.0)
    assert judge(brake(20.0, road), behind, road).safe[0]
    beside = seen([[[-6.0, 3.5]]], 0.0, 25.0)
    assert judge(brake(20.0, road), beside, road).safe[0]
    swerve = brake(20.0, road, Candidate(braking=0.6, aside=3.5))
    assert not judge(swerve, beside, road).safe[0]
    far = seen([[[-140.0, 3.5]]], 0.0, 25.0)
    assert judge(swerve, far, road).safe[0]


def test_one_that_swerves_now_is_a_danger_and_one_that_keeps_its_lane_is_not():
    road = straight_road(2)
    near = [[[14.0, 3.5]]]
    made = brake(20.0, road)
    assert judge(made, seen(near, 0.0, 12.0), road).safe[0]
    assert not judge(made, seen(near, -0.2, 12.0), road).safe[0]


def crossing_road():
    ego = Lane(np.array([[-500.0, 0.0], [500.0, 0.0]]), 1.75, 20.0)
    other = Lane(np.array([[30.0, -300.0], [30.0, 300.0]]), 1.75, 20.0)
    return Road((ego, other))


def test_crossing_traffic_is_a_danger_where_ego_cannot_stop_before_it():
    road = crossing_road()
    view = seen([[[30.0, -20.0]]], np.pi / 2, 10.0)
    assert judge(brake(12.0, road), view, road).safe[0]
    verdict = judge(brake(22.0, road), view, road)
    assert not verdict.safe[0]
    trusted = replace(view, yields=np.array([[True]]))
    assert judge(brake(22.0, road), trusted, road).safe[0]


def test_crossing_traffic_that_has_passed_is_no_danger():
    road = crossing_road()
    view = seen([[[30.0, 15.0]]], np.pi / 2, 10.0)
    assert judge(brake(22.0, road), view, road).safe[0]


def test_looking_at_the_grid_only_misses_what_crosses_between_its_points(unchecked):
    road = crossing_road()
    state = states([30.0])
    held = np.zeros((1, 60, 2))
    held[0, 12:16, 0] = -20.0
    made = roll_out(state, held, vehicle=VEHICLE, step=0.1)
    missed = 0
    for y in np.arange(-60.0, -20.0, 0.25):
        view = seen([[[30.0, y]]], np.pi / 2, 23.9)
        full = judge(made, view, road)
        grid = judge(made, view, road, replace(SHARP, covers_intervals=False, rounding=0.0))
        assert grid.safe[0] or not full.safe[0]
        missed += int(grid.safe[0] and not full.safe[0])
    assert missed > 0


def test_one_on_foot_may_step_into_the_lane():
    road = straight_road()
    for y, speed, safe in ((1.6, 14.0, False), (1.6, 3.0, True), (15.0, 14.0, True)):
        view = seen([[[12.0, y]]], 0.0, 0.0, kind=Kind.PEDESTRIAN, size=(0.5, 0.5))
        assert judge(brake(speed, road), view, road).safe[0] == safe


def test_one_unseen_may_step_out_of_a_blind_place():
    road = straight_road()
    place = BlindPlaces(
        np.array([[[15.0, 2.2]]]), np.array([[[15.0, 6.0]]]), np.array([[0.3]]), np.array([[True]])
    )
    for speed, safe in ((20.0, False), (6.0, True)):
        verdict = judge(brake(speed, road), nobody(places=place), road)
        assert verdict.safe[0] == safe
        assert safe or verdict.cause[0] == Cause.BLIND


def test_one_unseen_may_come_along_a_blind_stretch():
    road = crossing_road()
    stretch = BlindStretches(
        np.array([[1]]), np.array([[0.0]]), np.array([[285.0]]), np.array([[True]])
    )
    for speed, safe in ((22.0, False), (12.0, True)):
        verdict = judge(brake(speed, road), nobody(stretches=stretch), road)
        assert verdict.safe[0] == safe
        assert safe or verdict.cause[0] == Cause.BLIND
    # Who comes up from behind has to brake for ego where it can.
    for end, safe in ((380.0, True), (495.0, False)):
        behind = replace(stretch, route=np.array([[0]]), end=np.array([[end]]))
        assert judge(brake(22.0, road), nobody(stretches=behind), road).safe[0] == safe


def test_one_unseen_ahead_in_the_next_lane_cuts_in_before_a_manoeuvre_that_holds_its_speed():
    road = straight_road(2)
    for first, last, held, safe in (
        (60.0, 90.0, 0.0, True),
        (60.0, 90.0, 2.5, False),
        # What it cannot reach while it moves.
        (900.0, 990.0, 2.5, True),
    ):
        stretch = BlindStretches(
            np.array([[1]]),
            np.array([[2000 + first]]),
            np.array([[2000 + last]]),
            np.array([[True]]),
        )
        made = brake(20.0, road, Candidate(hold=held))
        verdict = judge(made, nobody(stretches=stretch), road)
        assert verdict.safe[0] == safe
        assert safe or verdict.cause[0] == Cause.BLIND


def bent_road(radius=6.0):
    """A lane that turns back within a few metres, and one straight on from before it."""
    angle = np.linspace(0.0, np.pi, 40)
    arc = np.stack([radius * np.sin(angle), radius * (1.0 - np.cos(angle))], axis=1)
    bent = np.concatenate([[[-200.0, 0.0]], arc, [[-150.0, 2.0 * radius]]])
    return Road((Lane(bent, 1.75, 14.0),))


def test_one_unseen_past_a_tight_bend_is_bounded_in_the_plane():
    road = bent_road()
    # In the bend it is not certain where ego is along the route.
    made = brake(4.0, road, x=-1.0)
    for first, last, safe in ((310.0, 350.0, True), (212.0, 260.0, False)):
        stretch = BlindStretches(
            np.array([[0]]), np.array([[first]]), np.array([[last]]), np.array([[True]])
        )
        verdict = judge(made, nobody(stretches=stretch), road)
        assert verdict.safe[0] == safe
        assert safe or verdict.cause[0] == Cause.BLIND


def test_who_drives_out_of_a_blind_stretch_does_not_touch_what_is_safe():
    rng, count = np.random.default_rng(0), 600
    road = bent_road(9.0)
    path, top = road.routes[0].path, 1.2 * 14.0
    # Ego comes from anywhere, across the lane or against it, so nobody has to follow it.
    beside = path.at(rng.uniform(150.0, 280.0, count)) + rng.uniform(-9.0, 9.0, (count, 2))
    heading = rng.uniform(-np.pi, np.pi, count)
    speed = rng.uniform(1.0, 9.0, count)
    made = brake(speed, road, x=beside[:, 0], y=beside[:, 1], heading=heading)
    extent = path.bound_boxes(
        beside, np.stack([np.cos(heading), np.sin(heading)], axis=1), np.zeros((count, 2))
    )
    first = rng.uniform(100.0, 330.0, (count, 1))
    last = first + rng.uniform(6.0, 30.0, (count, 1))
    stretch = BlindStretches(np.zeros((count, 1), int), first, last, np.ones((count, 1), bool))
    view = replace(seen(np.zeros((count, 0, 2)), 0.0, 0.0), stretches=stretch)
    safe = judge(made, view, road).safe & (np.abs(np.sin(extent.turn / 2.0)) > 0.5)
    assert 30 < safe.sum() < 500
    hits = np.zeros(count, dtype=bool)
    for k in range(made.control.shape[1]):
        state = made.state[:, k]
        # Points of those who come out, within their lane, on the way that they may have gone.
        station = rng.uniform(first, last + top * 0.1 * k, (count, 200))
        ahead = path.at(station + 1e-3) - path.at(station)
        aside = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1) / 1e-3
        point = path.at(station) + rng.uniform(-1.75, 1.75, (count, 200, 1)) * aside
        away = point - state[:, None, :2]
        cosine, sine = np.cos(state[:, [2]]), np.sin(state[:, [2]])
        along = away[..., 0] * cosine + away[..., 1] * sine + VEHICLE.rear_overhang
        inside = (along >= 0.0) & (along <= VEHICLE.length)
        inside &= np.abs(away[..., 1] * cosine - away[..., 0] * sine) <= VEHICLE.width / 2.0
        hits |= (inside & (station <= path.length)).any(axis=1) & (state[:, 3] > 0.0)
    assert hits[~safe].any()
    assert not hits[safe].any()


def test_the_earliest_violation_is_told():
    road = straight_road()
    view = seen([[[60.0, 0.0], [45.0, 0.0], [80.0, 0.0]]], 0.0, 0.0)
    verdict = judge(brake(30.0, road), view, road)
    assert verdict.agent[0] == 1


def test_ego_at_rest_is_safe_whatever_comes():
    road = straight_road()
    view = seen([[[8.0, 0.0]]], np.pi, 30.0)
    made = roll_out(states([0.0]), np.zeros((1, 3, 2)), vehicle=VEHICLE, step=0.1)
    assert judge(made, view, road).safe[0]


def test_ego_does_not_steer_back_before_one_near_behind_that_may_have_left_its_way():
    road = straight_road(2)
    # It overlaps ego by 0.9 m, half a metre behind, and may be past ego's side within the second.
    for side in (1.0, -1.0):
        view = seen([[[-11.0, -0.3 * side]]], 0.0, 13.0, kind=Kind.BUS, size=(17.8, 2.6))
        ego = {"y": 1.2 * side}
        back = judge(brake(13.0, road, BRAKE, **ego), view, road)
        assert not back.safe[0]
        assert (back.cause[0], back.agent[0]) == (Cause.AGENT, 0)
        assert judge(brake(13.0, road, Candidate(settles=True), **ego), view, road).safe[0]
    # Nobody behind: it may.
    assert judge(brake(13.0, road, BRAKE, y=1.2), NOBODY, road).safe[0]


def test_one_near_behind_does_not_stop_ego_from_braking_in_its_lane():
    road = straight_road(2)
    view = seen([[[-9.0, 0.3]]], 0.0, 20.0)
    assert judge(brake(20.0, road, BRAKE, y=0.05), view, road).safe[0]


def test_one_near_behind_is_not_trusted_once_ego_turns_off_its_way():
    road = Road((Lane(np.array([[-500.0, 0.0], [500.0, 0.0]])),))
    view = seen([[[-9.0, 0.0]]], 0.0, 10.0, size=(8.0, 2.6))
    straight = brake(8.0, road)
    control = np.zeros_like(straight.control)
    control[:, :6, 1] = -0.35
    control[..., 0] = straight.control[..., 0]
    turned = roll_out(states([8.0], heading=-0.4), control, vehicle=VEHICLE, step=0.1)
    assert np.abs(turned.state[0, -1, 2]) > np.pi / 6.0
    assert judge(straight, view, road).safe[0]
    assert judge(turned, view, road).cause[0] == Cause.AGENT


def test_a_verdict_does_not_hang_on_what_else_is_in_the_batch():
    """Ego that stands soon is not asked what may come about while a faster one still brakes."""
    rng = np.random.default_rng(3)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 40)
    bend = np.stack([60 + 14 * np.cos(turn), 14 + 14 * np.sin(turn)], axis=1)
    hairpin = np.concatenate([[[-100.0, 0.0]], bend, [[-100.0, 28.0]]])
    road = Road((Lane(hairpin, 1.75, 30.0),))
    count = 200
    speed = np.where(np.arange(count) % 2, rng.uniform(1.0, 12.0, count), 36.0)
    place = np.stack([rng.uniform(-60, 60, count), rng.uniform(-1, 1, count)], axis=-1)[:, None]
    view = seen(place, rng.normal(0.0, 0.1, (count, 1)), rng.uniform(0, 25, (count, 1)))
    together = judge(brake(speed, road), view, road)
    assert 0.1 < together.safe.mean() < 0.9
    for row in range(count):
        alone = judge(brake(speed[row], road), view.take(np.array([row])), road)
        assert (alone.safe[0], alone.cause[0]) == (together.safe[row], together.cause[row])
