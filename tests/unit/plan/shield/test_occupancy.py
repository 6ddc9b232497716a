import numpy as np
import pytest

from kerbstone.plan.shield.assumptions import Assumptions, Behaviour
from kerbstone.plan.shield.occupancy import least_way, most_way, predict, swerve_loss
from kerbstone.plan.shield.road import Lane, Road
from kerbstone.scene import Kind
from shielded import EXACT, seen, straight_road

ASSUMED = Assumptions(perception=EXACT)
TIME = np.arange(1, 41) * 0.1


def pairs(count):
    row = np.arange(count)
    return row, np.zeros(count, dtype=int), np.zeros(count, dtype=int)


def driven(rng, speed, behaviour, cap, steps=40, parts=5):
    """Ways and speeds of cars that accelerate and brake at random within the bounds."""
    way, ways = np.zeros_like(speed), []
    for _ in range(steps):
        pull = rng.choice([-behaviour.braking, 0.0, behaviour.acceleration], len(speed))
        for _ in range(parts):
            dt = 0.1 / parts
            pull = np.where((pull > 0) & (speed + pull * dt > cap), 0.0, pull)
            stop = np.where(pull < 0, speed / np.maximum(-pull, 1e-9), np.inf)
            time = np.minimum(stop, dt)
            way = way + speed * time + pull * time**2 / 2
            speed = np.maximum(speed + pull * time, 0.0) * (stop >= dt)
            ways.append(way.copy())
    return np.stack(ways, axis=1)


def test_random_driving_stays_between_least_and_most_way():
    rng = np.random.default_rng(0)
    speed, behaviour, cap = rng.uniform(0, 45, 500), Behaviour(), 36.0
    ways = driven(rng, speed, behaviour, cap)
    time = np.arange(1, 201) * 0.02
    low = least_way(speed, np.full(500, behaviour.braking), time)
    high = most_way(speed, np.full(500, behaviour.acceleration), np.full(500, cap), time)
    assert (ways >= low - 1e-9).all()
    assert (ways <= high + 1e-9).all()


def test_the_extremes_are_reached():
    low = least_way(np.array([20.0]), np.array([8.0]), np.array([1.0, 9.0]))
    np.testing.assert_allclose(low[0], [16.0, 25.0])
    high = most_way(np.array([20.0]), np.array([2.0]), np.array([24.0]), np.array([1.0, 3.0]))
    np.testing.assert_allclose(high[0], [21.0, 44.0 + 24.0])


def test_what_stands_and_cannot_move_has_no_way():
    zero = np.array([0.0])
    assert most_way(zero, zero, zero, TIME).max() == 0.0
    assert least_way(zero, zero, TIME).max() == 0.0


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.5])
def test_swerving_while_braking_loses_no_more_than_the_bound(slope):
    speed, braking, lateral = np.array([0.0, 2.0, 9.0, 30.0]), 8.0, 2.0
    time = np.linspace(0, 5, 50001)
    left = np.maximum(speed[:, None] - braking * time, 0.0)
    aside = np.minimum(slope * left, lateral)
    lost = np.cumsum(left - np.sqrt(left**2 - aside**2), axis=1)[:, ::10000] * 1e-4
    four = lambda value: np.full(4, value)
    bound = swerve_loss(speed, four(braking), four(lateral), four(slope), time[::10000])
    assert (bound >= lost - 2e-3).all()
    assert (bound <= 1.1 * lost + 2e-3).all()


@pytest.mark.parametrize("left", [-1.5, 0.0, 1.5])
def test_a_car_on_a_bend_stays_in_its_sets(left):
    angle = np.linspace(0, 2.2, 150)
    radius = 40.0
    arc = np.stack([radius * np.sin(angle), radius * (1 - np.cos(angle))], axis=1)
    road = Road((Lane(np.concatenate([[[-80.0, 0.0]], arc]), 1.75, 14.0),))
    rng = np.random.default_rng(1)
    count = 200
    begin, speed = rng.uniform(-60, 20, count), rng.uniform(0, 14, count)
    ways = driven(rng, speed, ASSUMED.default, 14.0 * 1.2, steps=20)[:, 4::5]

    def place(way):
        # On the inside of the bend the same way on the ground is more of a turn.
        turn = np.maximum(way, 0.0) / (radius - left)
        x = np.where(way < 0, way, (radius - left) * np.sin(turn))
        y = np.where(way < 0, left, radius - (radius - left) * np.cos(turn))
        return np.stack([x, y], axis=-1), turn

    start, heading = place(begin)
    occupancy = predict(seen(start[:, None], heading[:, None], speed[:, None]), road, ASSUMED)
    assert occupancy.on_route.all()
    assert not occupancy.is_loose.any()
    time = TIME[:20]
    least, most = occupancy.along(*pairs(count), time, time)
    row, agent, _ = pairs(count)
    low, high = occupancy.beside(*pairs(count), time, is_free=np.zeros(count, dtype=bool))
    centre, reach = occupancy.disc(row, agent, time, time)
    for k in range(20):
        position, heading = place(begin + ways[:, k])
        direction = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
        extent = road.routes[0].path.bound_boxes(
            position, direction, np.broadcast_to([2.25, 0.95], position.shape)
        )
        middle = extent.station.mean(axis=-1)
        # The bounds of a bent box are wider than the box; its true half length is what counts.
        assert (middle - 2.25 >= least[:, k] - 0.02).all()
        assert (middle + 2.25 <= most[:, k] + 0.02).all()
        bent = heading > 2.25 / radius
        outer = np.where(bent, radius - np.hypot(radius - left + 0.95, 2.25), left - 0.95)
        assert (outer >= low[:, k]).all()
        assert (left + 0.95 <= high[:, k]).all()
        away = np.hypot(*(position - centre[:, k]).T) + np.hypot(2.25, 0.95)
        assert (away <= reach[:, k] + 0.02).all()


def test_sets_grow_with_the_errors_of_perception():
    view = seen([[[30.0, 0.0]]], 0.0, 10.0)
    narrow, wide = (predict(view, straight_road(), a) for a in (ASSUMED, Assumptions()))
    for name in ("station", "band"):
        one, other = getattr(narrow, name)[0, 0, 0], getattr(wide, name)[0, 0, 0]
        assert other[0] < one[0]
        assert other[1] > one[1]
    assert wide.radius > narrow.radius


def test_a_car_beside_all_lanes_follows_the_nearest_way_and_a_wrong_way_driver_none():
    view = seen([[[30.0, -3.0], [30.0, 0.0], [30.0, 60.0]]], [[0.0, np.pi, 0.0]], 5.0)
    occupancy = predict(view, straight_road(), ASSUMED)
    np.testing.assert_array_equal(occupancy.is_loose, [[False, True, True]])


def test_one_on_foot_is_bound_by_the_plane_only():
    view = seen([[[30.0, 0.0]]], 0.0, 1.0, kind=Kind.PEDESTRIAN, size=(0.5, 0.5))
    assert predict(view, straight_road(), ASSUMED).is_loose.all()


def test_what_does_not_exist_may_be_nan():
    view = seen([[[np.nan, np.nan]]], np.nan, np.nan, valid=False)
    assert not predict(view, straight_road(), ASSUMED).on_route.any()
