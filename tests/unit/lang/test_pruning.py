"""Leaving bindings out early changes no match: whatever a query says, and whoever is there when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.lang import Facts, evaluate
from kerbstone.lang.library import prepare
from roads import EAST, EAST_OUTER, WEST, Track, drive, stage, straight_road

ONE = ["speed({0}) > 4 m/s", "age({0}) < 3 s", "acceleration({0}) > 0.2 m/s2", "on_lane({0})"]
TWO = [
    "distance({0}, {1}) < 20 m",
    "distance({0}, {1}) > 30 m",
    "ahead({0}, {1})",
    "same_lane({0}, {1})",
    "gap({0}, {1}) < 20 m",
    "following({0}, {1})",
    "closing_speed({0}, {1}) > 1 m/s",
    "time_to_collision({0}, {1}) < 6 s",
    "nearby({0}, {1})",
    "in_path({0}, {1})",
]
WINDOWS = st.sampled_from(["", "[2 s]", "[1 s, 3 s]"])
TENSES = st.sampled_from(["always", "eventually", "once", "historically"])


@st.composite
def claims(draw, users):
    if draw(st.booleans()):
        return draw(st.sampled_from(ONE)).format(draw(st.sampled_from(users)))
    return draw(st.sampled_from(TWO)).format(*draw(st.permutations(users))[:2])


@st.composite
def formulas(draw, users, depth=3):
    if not depth or draw(st.integers(0, 5)) == 0:
        return draw(claims(users))
    further = f"z{depth}"
    inner = formulas(users, depth - 1)
    about = formulas((*users, further), depth - 1)
    one = st.builds
    return draw(
        st.one_of(
            one("({} and {})".format, inner, inner),
            one("({} or {})".format, inner, inner),
            one("(not {})".format, inner),
            one("{}{}({})".format, TENSES, WINDOWS, inner),
            one("({} until{} {})".format, inner, WINDOWS, claims(users)),
            one("({} for at least {} s)".format, inner, st.sampled_from([0.5, 2])),
            one(f"(not exists(car {further}: {{}}))".format, about),
            one(f"exists(car {further}: {{}})".format, about),
            one(f"forall(car {further}: {{}})".format, about),
            one(f"count(car {further}: {{}}) >= 2".format, about),
        )
    )


def some_scene(seed, *, has_map, ego):
    """Return a scene of cars, many of which are there for some of the time only."""
    random = np.random.default_rng(seed)
    tracks = [Track("ego", drive(EAST, start=100, speed=5.0))]
    for i in range(5):
        lane = (EAST, WEST, EAST_OUTER)[random.integers(3)]
        speed = np.repeat(random.uniform(0, 10, 10), 10)
        points = drive(lane, start=random.uniform(80, 200), speed=speed)
        first, last = sorted(random.integers(0, 100, 2))
        if last > first + 5 and random.random() < 0.6:
            points[:first] = points[last:] = np.nan
        tracks.append(Track(f"car{i}", points))
    return stage(straight_road(lanes=4) if has_map else None, tracks, ego=ego)


def holding(answer):
    values = zip(answer.rows.tolist(), answer.robustness, strict=True)
    return {tuple(row): (value > 0).tolist() for row, value in values if (value > 0).any()}


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["ego", None]), st.data())
def test_no_floor_changes_a_match(seed, has_map, ego, data):
    scene = some_scene(seed, has_map=has_map, ego=ego)
    users = data.draw(st.sampled_from([("v", "w"), ("v", "w", "ego")]))
    query = prepare(f"vehicle v, any w: {data.draw(formulas(users))}")
    whole = holding(evaluate(query, Facts(scene)))
    for floor in (0.0, -1.0):
        for is_sure in (False, True):
            answer = evaluate(query, Facts(scene), floor=floor, is_sure=is_sure)
            assert holding(answer) == whole


def cars(*starts, **changes):
    names = "abcdefgh"
    tracks = [
        Track(name, drive(EAST, start=start, speed=5.0))
        for name, start in zip(names, starts, strict=False)
    ]
    return Facts(stage(None, tracks, ego=None, **changes))


def test_what_happens_after_another_has_left_is_found():
    a = drive(EAST, start=60, speed=5.0)
    a[50:] = np.nan
    b = drive(EAST, start=100, speed=np.where(np.arange(100) < 60, 5.0, 20.0))
    facts = Facts(stage(None, [Track("a", a), Track("b", b)], ego=None))
    query = prepare("car a, car b: speed(a) > 1 m/s and eventually[0 s, 5 s](speed(b) > 10 m/s)")
    found = evaluate(query, facts, floor=0.0)
    (row,) = np.flatnonzero((found.rows == [0, 1]).all(axis=1))
    assert np.flatnonzero(found.robustness[row] > 0).tolist() == list(range(10, 50))


@pytest.mark.parametrize(
    "claim",
    [
        "forall(car c: distance(c, a) < 5 m)",
        "not exists(car c: not distance(c, a) < 5 m)",
        "forall(car c: touching(c, a))",
    ],
)
@pytest.mark.parametrize("floor", [-np.inf, -1.0, 0.0])
def test_for_all_counts_those_who_are_far_away(claim, floor):
    found = evaluate(prepare(f"car a: {claim}"), cars(60, 64.6, 100), floor=floor)
    assert not holding(found)


def test_a_stretch_longer_than_the_scene_costs_no_more_than_the_scene():
    query = prepare("car a: distance(a, ego) >= 0 m or speed(a) > 1 m/s for at least 600 s")
    assert not holding(evaluate(query, cars(*range(60, 100, 10))))


def test_always_says_nothing_of_a_time_at_which_nobody_is_there():
    points = drive(EAST, start=60, speed=5.0)
    points[50:] = np.nan
    facts = Facts(stage(None, [Track("a", points)], ego=None))
    found = evaluate(prepare("car a: always[1 s, 3 s](always(speed(a) > 1 m/s))"), facts)
    # Three seconds before it leaves, and not to its end.
    (holds,) = holding(found).values()
    assert np.flatnonzero(holds).tolist() == list(range(20))
