"""Post-encroachment time against arithmetic, and against what Shapely sees a thousand times a second."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from kerbstone.lang import Facts
from kerbstone.scene import SE2, Kind, box_corners_bev
from meetings import measure_pairs
from queries import moving_scene
from roads import moved

STEPS, DT = 80, 0.1
TIME = np.arange(STEPS) * DT
NAME = "post_encroachment_time"


def path(x, y, heading=0.0, speed=10.0, steps=STEPS):
    """Return points on a straight line from (x, y), in a direction in degrees."""
    direction = np.array([np.cos(np.deg2rad(heading)), np.sin(np.deg2rad(heading))])
    return np.array([x, y]) + speed * DT * np.arange(steps)[:, None] * direction


def facts_of(*paths, first=slice(None), second=slice(None)):
    """Return two or more cars, of which the first two are there at some steps only."""
    scene = moving_scene(np.stack(paths), dt=DT)
    agents = scene.agents
    there = np.zeros_like(agents.valid)
    there[2:] = True
    there[0, first], there[1, second] = True, True
    gone = np.where(there, 0.0, np.nan)
    agents = replace(
        agents,
        valid=there,
        centre=agents.centre + gone[..., None],
        velocity=agents.velocity + gone[..., None],
        heading=agents.heading + gone,
    )
    return Facts(replace(scene, agents=agents))


def encroachment(facts, a=0, b=1):
    return measure_pairs(NAME, facts, [a], [b])[0]


# a drives north along x = 0, and b east along y = 0: they cross in the square |x|, |y| < 1.
# a's front is 18.05 m south of it at first, so a is in it from 1.705 s (less 1 m) on, and its rear
# is out of it at 2.305 s. b's front comes from x = -48 m, and is in it at 4.7 s; its rear leaves
# it at 5.3 s.
FIRST, SECOND = path(0, -20.05, 90), path(-50, 0)


def test_it_is_the_time_from_the_first_ones_leaving_to_the_seconds_entering():
    found = encroachment(facts_of(FIRST, SECOND))
    assert found[30] == pytest.approx(4.7 - 2.305)


def test_it_holds_from_a_second_before_a_enters_until_b_leaves():
    found = encroachment(facts_of(FIRST, SECOND))
    related = np.isfinite(found)
    # At 1.8 s a is first seen in the area, and b is last so at 5.2 or 5.3 s.
    assert np.isclose(TIME[related][0], 0.8)
    assert np.isclose(TIME[related][-1], 5.3, atol=0.1 + 1e-9)
    assert (np.diff(np.flatnonzero(related)) == 1).all()
    assert len(set(found[related])) == 1
    assert (found[~related] == np.inf).all()


def test_who_comes_second_has_none_before_the_first():
    assert (encroachment(facts_of(FIRST, SECOND), a=1, b=0) == np.inf).all()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (path(20, 0), path(0, 0)),
        (path(0, 0), path(0, 4)),
        (path(0, -45, 90), SECOND),
        (path(0, -4, 90, speed=0.0), SECOND),
        (FIRST, path(-5, 0, speed=0.0)),
        (FIRST, path(-90, 0)),
    ],
    ids=["following", "side by side", "collision", "standing beside", "waiting", "not there yet"],
)
def test_there_is_none_for_those_that_do_not_cross_one_after_the_other(first, second):
    assert (encroachment(facts_of(first, second)) == np.inf).all()


@pytest.mark.parametrize(
    "there",
    [{"first": slice(0, 22)}, {"second": slice(48, None)}],
    ids=["at 2.2 s a is still in the area", "at 4.8 s b is in it already"],
)
def test_there_is_none_where_the_leaving_or_the_entering_was_not_seen(there):
    facts = facts_of(FIRST, SECOND, **there)
    found = encroachment(facts)
    both = facts.agents.valid.all(axis=0)
    assert (found[both] == np.inf).all()
    assert np.isnan(found[~both]).all()


def test_one_that_leaves_the_record_later_has_still_been_there():
    found = encroachment(facts_of(FIRST, SECOND, first=slice(0, 40)))
    assert found[39] == pytest.approx(4.7 - 2.305)
    assert np.isnan(found[40:]).all()


def test_each_crossing_counts_on_its_own():
    # b goes over the crossing and comes back, and a drives over it in between.
    there = np.concatenate([path(-10, 0, steps=30), path(20, 0, 180, steps=50)])
    between = path(0, -30, 90, speed=12.0)
    facts = facts_of(there, between)
    before, after = encroachment(facts, 0, 1), encroachment(facts, 1, 0)
    # b is out of the area at 1.3 s. a's front is in it at 27 / 12 = 2.25 s, its rear out of it at
    # 33 / 12 = 2.75 s. b's front, which points back since 3 s, is in it again 17 m later.
    assert np.nanmin(before) == pytest.approx(2.25 - 1.3, abs=0.02)
    assert np.nanmin(after) == pytest.approx(3 + 1.7 - 2.75, abs=0.02)


def test_it_is_what_shapely_sees_a_thousand_times_a_second():
    rng = np.random.default_rng(0)
    fine = np.arange(0, STEPS - 1, 1e-2)
    met = 0
    for _ in range(60):
        angles = rng.uniform(-180, 180, 2)
        speeds = rng.uniform(4, 14, 2)
        centre = rng.uniform(2.0, 6.0, 2)  # when each one is at the crossing, at the origin [s]
        paths = [
            path(*(-v * t * np.array([np.cos(np.deg2rad(h)), np.sin(np.deg2rad(h))])), h, v)
            for h, v, t in zip(angles, speeds, centre, strict=True)
        ]
        facts = facts_of(*paths)
        found = np.nanmin(encroachment(facts))
        boxes = facts.boxes
        dense = np.zeros((2, len(fine), 5))
        for column in range(5):
            for user in (0, 1):
                dense[user, :, column] = np.interp(fine, np.arange(STEPS), boxes[user, :, column])
        shapes = shapely.polygons(box_corners_bev(dense))
        swept = [shapely.convex_hull(shapely.union_all(shapes[user][[0, -1]])) for user in (0, 1)]
        inside = [shapely.intersects(shapes[user], swept[1 - user]) for user in (0, 1)]
        if not (inside[0].any() and inside[1].any()) or inside[0][-1] or inside[1][0]:
            continue  # parallel ones, and those whose leaving or entering is not seen
        leaves = fine[np.flatnonzero(inside[0])[-1]]
        enters = fine[np.flatnonzero(inside[1])[0]]
        if enters > leaves + 1:
            met += 1
            assert found == pytest.approx((enters - leaves) * DT, abs=0.03)
        elif enters < leaves - 1:
            assert found == np.inf
    assert met > 10


def test_many_pairs_are_what_each_is_alone():
    rng = np.random.default_rng(1)
    paths = [
        path(*rng.uniform(-30, 30, 2), rng.uniform(-180, 180), rng.uniform(3, 15))
        for _ in range(14)
    ]
    facts = facts_of(*paths)
    a, b = np.nonzero(~np.eye(14, dtype=bool))
    together = measure_pairs(NAME, facts, a, b)
    assert np.isfinite(together).any(axis=1).sum() > 10
    for row in range(0, len(a), 7):
        alone = measure_pairs(NAME, facts, a[row : row + 1], b[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])
    elsewhere = Facts(moved(facts.scene, SE2(np.array([1e4, -3e3]), np.array(1.0))))
    np.testing.assert_allclose(measure_pairs(NAME, elsewhere, a, b), together, atol=1e-6)


def test_nothing_is_found_among_nobody():
    facts = Facts(moving_scene(np.zeros((1, 5, 2)), kinds=(Kind.CAR,)))
    rows = np.zeros(0, np.int64)
    assert measure_pairs(NAME, facts, rows, rows).shape == (0, 5)
