from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.linking import (
    LinkPrices,
    _best_followers,
    _candidates,
    _price,
    find_doubles,
    group_tracks,
    link,
)
from kerbstone.label.profile import Profile
from kerbstone.label.refinement import refine
from kerbstone.scene import Kind
from watched import WALKER, User, drive, make_clock, walk, watch

CLOCK = make_clock(120)
PROFILE = Profile()
PRICES = LinkPrices(longest=6.0, longest_standing=20.0, unseen=0.5, apart=2.0, density=0.003)


def tracklets(*users, clock=CLOCK, **more):
    """Return finished tracks of users, one each."""
    detections, who = watch(users, clock, **more)
    return refine(detections, who, PROFILE)


def cut(course, *parts, **more):
    """Return the parts of one course, as users."""
    return [User(course[a:b], first=a, **more) for a, b in parts]


def links(tracks, prices=None, dt=0.1, **more):
    before, after = link(tracks, PROFILE, prices or PRICES, dt, **more)
    return sorted(zip(before.tolist(), after.tolist(), strict=True))


@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_a_car_hidden_for_two_seconds_is_one_car(turn):
    assert links(tracklets(*cut(drive(9.0, turn, steps=120), (0, 50), (70, 120)))) == [(0, 1)]


def test_a_parked_car_hidden_for_ten_seconds_is_one_car():
    clock = make_clock(200)
    tracks = tracklets(*cut(drive(0.0, steps=200), (0, 50), (150, 200)), clock=clock)
    assert tracks.stands.all()
    assert links(tracks) == [(0, 1)]


def test_a_walker_hidden_for_a_second_is_one_walker():
    parts = cut(walk((1.2, 0.3), steps=100), (0, 40), (50, 100), kind=Kind.PEDESTRIAN, size=WALKER)
    assert links(tracklets(*parts)) == [(0, 1)]


def test_a_car_in_another_place_is_another_car():
    one = User(drive(9.0, steps=50))
    other = User(drive(9.0, steps=50, start=(63.0, 9.0, 0.0)), first=70)
    assert links(tracklets(one, other)) == []


def test_a_car_of_the_opposite_direction_is_another_car():
    one = User(drive(9.0, steps=50))
    other = User(drive(9.0, steps=50, start=(54.0, 0.5, np.pi)), first=60)
    assert links(tracklets(one, other)) == []


def test_a_walker_does_not_become_a_car():
    one = User(drive(1.2, steps=50))
    other = User(walk((1.2, 0.0), steps=50, start=(6.6, 0.0)), Kind.PEDESTRIAN, WALKER, first=55)
    assert links(tracklets(one, other)) == []


def test_a_truck_does_not_follow_a_small_car():
    course = drive(9.0, steps=100)
    users = cut(course, (0, 50)) + cut(course, (55, 100), size=(9.0, 2.5, 3.5))
    assert links(tracklets(*users)) == []


def test_two_cars_that_pass_behind_a_house_keep_their_ways():
    first, second = drive(9.0, steps=120), drive(9.0, steps=120, start=(108.0, 3.5, np.pi))
    tracks = tracklets(*cut(first, (0, 50), (70, 120)), *cut(second, (0, 50), (70, 120)))
    assert links(tracks) == [(0, 1), (2, 3)]


def test_a_gap_beyond_the_longest_is_not_crossed():
    tracks = tracklets(*cut(drive(9.0, steps=120), (0, 50), (70, 120)))
    assert links(tracks, replace(PRICES, longest=2.0)) == []
    assert links(tracks, replace(PRICES, longest=2.2)) == [(0, 1)]


def test_staying_apart_may_be_the_cheaper():
    tracks = tracklets(*cut(drive(9.0, steps=120), (0, 50), (70, 120)))
    assert links(tracks, replace(PRICES, apart=-50.0)) == []


def test_each_tracklet_has_one_follower_and_follows_one():
    course = drive(6.0, steps=120)
    twin = course + np.array([0.0, 1.0, 0.0])
    users = [*cut(course, (0, 40), (50, 120)), *cut(twin, (0, 40), (50, 120))]
    found = links(tracklets(*users))
    before, after = zip(*found, strict=True)
    assert (len(set(before)), len(set(after))) == (len(found), len(found))
    assert found == [(0, 1), (2, 3)]


@pytest.mark.parametrize("seed", range(12))
def test_links_are_those_of_the_greatest_total_gain(seed):
    draw = np.random.default_rng(seed)
    pairs = np.array([(a, b) for a in range(4) for b in range(4, 8) if draw.random() < 0.7])
    gain = draw.uniform(0.01, 5.0, len(pairs))
    before, after = _best_followers(pairs[:, 0], pairs[:, 1], gain)
    worth = {tuple(pair): value for pair, value in zip(pairs.tolist(), gain, strict=True)}
    found = sum(worth[pair] for pair in zip(before.tolist(), after.tolist(), strict=True))
    best = 0.0
    for choice in product(range(-1, 8), repeat=4):
        taken = [b for b in choice if b >= 4]
        if len(set(taken)) == len(taken) and all(
            b == -1 or (a, b) in worth for a, b in enumerate(choice)
        ):
            best = max(best, sum(worth[a, b] for a, b in enumerate(choice) if b >= 4))
    assert found == pytest.approx(best)


def many_tracklets(seed):
    """Return tracks of one to eight detections, many of them near one another."""
    draw = np.random.default_rng(seed)
    users = []
    for first in draw.integers(0, 110, 40):
        way = walk(draw.normal(size=2), steps=int(draw.integers(1, 9)), start=draw.uniform(0, 6, 2))
        users.append(User(way, Kind.PEDESTRIAN, WALKER, first=int(first)))
    parked = drive(0.0, steps=25, start=(3.0, 3.0, 0.0))
    return tracklets(*users, *(User(parked, first=first) for first in (0, 60, 90)))


def candidates(tracks):
    pairs = list(_candidates(tracks, PROFILE, PRICES, 0.1))
    return np.concatenate([b for b, _ in pairs]), np.concatenate([a for _, a in pairs])


@pytest.mark.parametrize("seed", range(3))
def test_no_pair_that_gains_is_passed_over(seed):
    tracks = many_tracklets(seed)
    chains, count = tracks.chains, len(tracks.kind)
    before, after = (side.ravel() for side in np.indices((count, count)))
    gap = chains.first[after] - (chains.first + chains.length - 1)[before]
    still = tracks.stands[before] & tracks.stands[after]
    possible = (gap > 0) & (gap <= np.where(still, 200, 60))
    before, after = before[possible], after[possible]
    gains = _price(tracks, before, after, PROFILE, PRICES, 0.1) < PRICES.apart
    assert gains.sum() > 5
    looked_at = set(zip(*map(np.ndarray.tolist, candidates(tracks)), strict=True))
    assert set(zip(before[gains].tolist(), after[gains].tolist(), strict=True)) <= looked_at
    assert len(looked_at) < len(before)


def test_looking_at_few_pairs_at_a_time_changes_nothing(monkeypatch):
    tracks = many_tracklets(0)
    whole, linked = candidates(tracks), links(tracks)
    monkeypatch.setattr("kerbstone.label.linking._PAIRS", 7)
    np.testing.assert_array_equal(np.array(candidates(tracks)), np.array(whole))
    assert links(tracks) == linked


def test_prices_are_numbers_for_tracks_of_one_detection():
    tracks = tracklets(*cut(drive(5.0, steps=30), (0, 1), (3, 4), (9, 10)))
    before, after = np.array([0, 0, 1]), np.array([1, 2, 2])
    assert np.isfinite(_price(tracks, before, after, PROFILE, PRICES, 0.1)).all()


def test_tracks_that_never_follow_one_another_are_not_linked():
    assert links(tracklets(User(drive(5.0, steps=30)))) == []
    assert (
        links(tracklets(User(drive(5.0, steps=30)), User(drive(5.0, steps=30, start=(0, 9, 0)))))
        == []
    )


def test_prices_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="density"):
        LinkPrices(density=0.0)
    with pytest.raises(InputError, match="longest"):
        LinkPrices(longest=-1.0)
    with pytest.raises(InputError, match="unseen"):
        LinkPrices(unseen=float("nan"))


def doubles(tracks):
    return list(zip(*map(np.ndarray.tolist, find_doubles(tracks, PROFILE)), strict=True))


def test_a_track_in_the_place_of_another_is_its_double():
    course = drive(8.0, steps=100)
    tracks = tracklets(*cut(course, (0, 100), (40, 60)))
    assert doubles(tracks) == [(1, 0)]


def test_cars_that_only_pass_one_another_are_two():
    course = drive(8.0, steps=100)
    meeting = drive(8.0, steps=100, start=(80.0, 1.5, np.pi))
    assert doubles(tracklets(User(course), User(meeting))) == []


def test_a_walker_on_a_car_is_no_double_of_it():
    course = drive(0.0, steps=50)
    tracks = tracklets(User(course), User(course, Kind.PEDESTRIAN, CAR_SIZED))
    assert doubles(tracks) == []


CAR_SIZED = (4.4, 1.8, 1.7)


def test_a_false_detection_between_two_walkers_does_not_make_one_of_them():
    one, other = (
        User(walk((1.0, 0.0), steps=60, start=(0.0, y)), Kind.PEDESTRIAN, WALKER)
        for y in (0.0, 0.55)
    )
    between = User(walk((1.0, 0.0), steps=2, start=(3.0, 0.27)), Kind.PEDESTRIAN, WALKER, first=30)
    tracks = tracklets(one, other, between, noise=0.01, heading_noise=0.0, size_noise=0.0)
    found = doubles(tracks)
    assert len(found) == 1
    assert found[0][0] == 2


def test_each_double_has_one_original_of_more_detections():
    course = drive(0.0, steps=60)
    tracks = tracklets(*cut(course, (0, 60), (5, 40), (10, 30), (12, 13)))
    found = doubles(tracks)
    assert [double for double, _ in found] == [1, 2, 3]
    assert all(single < double for double, single in found)


def test_doubles_are_followed_once_by_their_group():
    # A double of the first car lasts longest; each of both could be followed by a car.
    course = drive(6.0, steps=120)
    beside = course + np.array([0.0, 2.4, 0.0])
    users = [*cut(course, (0, 40), (20, 44), (50, 120)), *cut(beside, (52, 120))]
    tracks = tracklets(*users)
    same = find_doubles(tracks, PROFILE)
    group = group_tracks(*same, 4)
    assert group[0] == group[1]
    found = links(tracks, group=group)
    assert [pair for pair in found if pair[0] in {0, 1}] == [(1, 2)]


def test_groups_are_numbered_by_their_first_track():
    group = group_tracks(np.array([4, 1]), np.array([2, 0]), 6)
    assert group.tolist() == [0, 0, 1, 2, 1, 3]


def test_nothing_groups_to_nothing():
    none = np.zeros(0, np.int64)
    assert group_tracks(none, none, 0).shape == (0,)
    tracks = refine(watch([User(drive(0.0, steps=1))], CLOCK)[0], np.array([-1]), PROFILE)
    assert find_doubles(tracks, PROFILE)[0].shape == (0,)
    assert links(tracks) == []
