import numpy as np
import pytest

from kerbstone.plan.shield.duties import assign_duties
from kerbstone.plan.shield.motion import advance
from kerbstone.plan.shield.occupancy import predict
from kerbstone.plan.shield.shield import Shield
from kerbstone.plan.vehicle import StateIndex
from kerbstone.scene import Kind
from shielded import SHARP, VEHICLE, seen, states, straight_road


def duties(view, state=None, road=None):
    road = road or straight_road(2)
    state = states([20.0]) if state is None else state
    occupancy = predict(view, road, SHARP)
    return assign_duties(state, view, occupancy, road, vehicle=VEHICLE, assumptions=SHARP)


def test_one_far_behind_follows_and_one_near_behind_trails_only_in_egos_lane():
    view = seen([[[-120.0, 3.5], [-15.0, 0.0], [-15.0, 3.5], [15.0, 0.0]]], 0.0, 20.0)
    found = duties(view)
    np.testing.assert_array_equal(found.follows.any(axis=-1)[0], [True, False, False, False])
    np.testing.assert_array_equal(found.trails.any(axis=-1)[0], [False, True, False, False])


def test_one_in_egos_lane_or_far_ahead_may_change_and_one_beside_may_not():
    view = seen([[[20.0, 0.0], [150.0, 3.5], [15.0, 3.5], [0.0, 3.5]]], 0.0, 20.0)
    may = duties(view).may_change.any(axis=-1)[0]
    np.testing.assert_array_equal(may, [True, True, False, False])


def test_oncoming_traffic_neither_follows_nor_changes_lanes():
    view = seen([[[150.0, 3.5], [-60.0, 3.5]]], np.pi, 20.0)
    found = duties(view, road=straight_road(1, 1))
    assert not (found.follows | found.trails | found.may_change).any()


def test_a_cyclist_behind_is_told_in_the_plane():
    view = seen([[[-60.0, 0.0], [-6.0, 0.0], [-6.0, 3.0]]], 0.0, 5.0, kind=Kind.CYCLIST)
    found = duties(view, states([5.0]))
    np.testing.assert_array_equal(found.clear_behind[0], [True, False, False])
    np.testing.assert_array_equal(found.close_behind[0], [False, True, False])


def test_ego_does_not_make_a_follower_by_swerving_before_it(unchecked):
    shield = Shield(straight_road(2), assumptions=SHARP)
    view = lambda time: seen([[[-11.0 + 6.0 * time, 3.5]]], 0.0, 6.0)
    state = states([6.0])
    assert shield.start(state, view(0.0)).all()
    for k in range(40):
        decision = shield.step(state, np.array([[0.0, 0.4 if k < 5 else 0.0]]), view(k * 0.1))
        state = advance(state, decision.control, 0.1, VEHICLE)
        in_lane = state[0, 1] + 4.0 * np.sin(state[0, 2]) + 0.95 > 3.5 - 0.95
        # Where ego comes into the lane it does so only to stand there before the other comes.
        assert not shield.memory.standing.is_fair.any() or not in_lane


def test_one_that_comes_in_behind_ego_is_a_follower(unchecked):
    shield = Shield(straight_road(2), assumptions=SHARP)
    state = states([20.0])

    def view(time):
        phase = np.pi * np.clip(time / 4.0, 0.0, 1.0)
        y, drift = 1.75 + 1.75 * np.cos(phase), -1.75 * np.pi / 4.0 * np.sin(phase)
        return seen([[[-14.0 + 20.0 * time, y]]], drift / 20.0, 20.0)

    assert shield.start(state, view(0.0)).all()
    intervened = []
    for k in range(45):
        decision = shield.step(state, np.zeros((1, 2)), view(k * 0.1))
        state = advance(state, decision.control, 0.1, VEHICLE)
        intervened.append(decision.intervened[0])
    assert shield.memory.standing.is_fair.any()
    assert not intervened[-1]


@pytest.mark.parametrize(("drift", "comes_in"), [(0.0, True), (0.03, False)])
def test_a_cyclist_that_comes_in_while_ego_moves_across_its_lane_is_no_follower(
    unchecked, drift, comes_in
):
    # Ego drives straight on, but at an angle to its lane: to the left, where the cyclist is.
    shield = Shield(straight_road(2), assumptions=SHARP)
    state = states([10.0])
    state[0, StateIndex.HEADING] = drift

    def view(time):
        y = max(5.0 - 2.0 * time, 1.0)
        return seen([[[-5.0 + 10.0 * time, y]]], 0.0, 10.0, kind=Kind.CYCLIST)

    shield.start(state, view(0.0))
    followed = []
    for k in range(30):
        # The shield is asked, and ego drives straight on all the same.
        shield.step(state, np.zeros((1, 2)), view(k * 0.1))
        followed.append(shield.memory.standing.is_fair[..., -1].any())
        state = advance(state, np.zeros((1, 2)), 0.1, VEHICLE)
    assert any(followed) == comes_in


@pytest.mark.parametrize(("moves_aside", "follows"), [(True, False), (False, True)])
def test_who_changes_lanes_behind_ego_brings_what_it_was_there(unchecked, moves_aside, follows):
    # It comes into line behind ego from the next lane, either as ego moves towards it or by itself,
    # and only then, ego having kept its course for long, is its middle in ego's lane.
    shield = Shield(straight_road(2), assumptions=SHARP)
    times = np.arange(50) * 0.1
    ego_y = 0.7 * np.clip((times - 1.5) / 0.5, 0.0, 1.0) * moves_aside
    other_y = 3.5 - 0.9 * np.clip(times - 1.5, 0.0, 1.0) if moves_aside else np.full(50, 3.5)
    other_y = other_y - np.maximum(other_y - 1.5, 0.0) * np.clip((times - 3.5) / 1.0, 0.0, 1.0)
    followed = []
    for k, time in enumerate(times):
        state = states([5.0])
        state[0, :2] += [5.0 * time, ego_y[k]]
        view = seen([[[-8.0 + 5.0 * time, other_y[k]]]], 0.0, 5.0)
        if k:
            shield.step(state, np.zeros((1, 2)), view)
        else:
            shield.start(state, view)
        followed.append(shield.memory.standing.is_fair.any(axis=(0, 1)))
    assert predict(view, shield.road, SHARP).on_route[0, 0].tolist() == [True, False]
    assert np.any(followed) == follows
    assert followed[-1][0] == follows


@pytest.mark.parametrize("kind", [Kind.CAR, Kind.CYCLIST])
@pytest.mark.parametrize("moves_aside", [False, True])
def test_until_one_is_surely_in_line_ego_must_not_move_towards_it(unchecked, kind, moves_aside):
    # It drifts slowly into line from the left, behind ego. When that is cannot be seen exactly.
    shield = Shield(straight_road(2))
    times = np.arange(90) * 0.1
    other_y = np.maximum(2.8 - 0.25 * times, 0.9)
    # Where it may just be in line ego comes towards it, and stays there.
    begins = times[np.argmax(other_y < 2.1)]
    ego_y = 0.3 * np.clip((times - begins) / 0.5, 0.0, 1.0) * moves_aside
    for k, time in enumerate(times):
        state = states([5.0])
        state[0, :2] += [5.0 * time, ego_y[k]]
        view = seen([[[-6.0 + 5.0 * time, other_y[k]]]], 0.0, 5.0, kind=kind, size=(2.5, 1.9))
        if k:
            shield.step(state, np.zeros((1, 2)), view)
        else:
            shield.start(state, view)
    standing = shield.memory.standing
    assert standing.overlaps.any()
    assert standing.is_fair.any() != moves_aside
