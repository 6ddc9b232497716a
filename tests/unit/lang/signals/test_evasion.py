"""What it takes to prevent a collision, against arithmetic, formulas, and simulated manoeuvres."""

import numpy as np
import pytest

from kerbstone.scene import box_distance
from meetings import facts_of, measure, measure_pairs, random_facts

BEHIND = (0, 0, 0, 15)
LEADER = (34, 0, 0, 5)  # a gap of 30 m that closes at 10 m/s: collision after 3 s
TOWARDS = (50, 0, 180, 10)  # a gap of 46 m; with b at 10 m/s it closes at 20 m/s
LIMIT = 8.0


@pytest.mark.parametrize(
    ("a", "b", "needed"),
    [
        (LEADER, BEHIND, 10**2 / (2 * 30)),
        ((34, 0, 0, 0), BEHIND, 15**2 / (2 * 30)),
        (TOWARDS, (0, 0, 0, 10), 20**2 / (2 * 46)),
        ((34, 0, 0, 15), BEHIND, 0.0),
        ((34, 0, 0, 20), BEHIND, 0.0),
        ((34, 3, 0, 5), BEHIND, 0.0),
        (BEHIND, LEADER, 0.0),
        (TOWARDS, (0, 0, 0, 0.2), 0.0),
        ((2, 1, 0, 5), BEHIND, np.inf),
    ],
    ids=[
        "following",
        "obstacle",
        "head-on",
        "as fast",
        "faster",
        "beside",
        "hit from behind",
        "standing",
        "touching",
    ],
)
def test_required_deceleration_is_the_closing_speed_squared_over_twice_the_gap(a, b, needed):
    assert measure("required_deceleration", facts_of(a, b)) == pytest.approx(needed)


def test_for_one_that_crosses_it_is_enough_to_come_behind():
    # a is in b's way (|y| < 1) from 2.3 s to 2.9 s; until then b's front may go from 2 m to 29 m:
    # 10 * 2.9 - d * 2.9**2 / 2 = 27. (Closing speed and gap would say 14.1 / (2 * 2.7) = 2.6.)
    facts = facts_of((30, -26, 90, 10), (0, 0, 0, 10))
    assert measure("required_deceleration", facts) == pytest.approx(2 * (29 - 27) / 2.9**2)


def test_required_deceleration_is_drac_whenever_one_follows_the_other():
    rng = np.random.default_rng(0)
    for gap, speed, slower in zip(
        rng.uniform(1, 80, 50), rng.uniform(1, 40, 50), rng.uniform(0, 1, 50), strict=True
    ):
        facts = facts_of((gap + 4, rng.uniform(-1, 1), 0, speed * slower), (0, 0, 0, speed))
        drac = (speed - speed * slower) ** 2 / (2 * gap)
        assert measure("required_deceleration", facts) == pytest.approx(drac)


def jansson(gap: float, offset: float, closing: float) -> float:
    """Required lateral acceleration of a follower, as Westhofen et al. write it down."""
    ttc = gap / closing
    return min(abs(2 / ttc**2 * (side * (2 + 2) / 2 + offset)) for side in (1, -1))


def test_required_lateral_acceleration_clears_both_half_widths_in_time():
    # 2 m to either side within 3 s.
    assert measure("required_lateral_acceleration", facts_of(LEADER, BEHIND)) == pytest.approx(
        2 * 2 / 3**2
    )
    # With a half a metre to the left, the right is nearer.
    facts = facts_of((34, 0.5, 0, 5), BEHIND)
    assert measure("required_lateral_acceleration", facts) == pytest.approx(2 * 1.5 / 3**2)


def test_it_is_janssons_formula_whenever_one_follows_the_other():
    rng = np.random.default_rng(1)
    for _ in range(50):
        gap, offset = rng.uniform(2, 60), rng.uniform(-1.5, 1.5)
        speeds = sorted(rng.uniform(1, 40, 2))
        facts = facts_of((gap + 4, offset, 0, speeds[0]), (0, 0, 0, speeds[1]))
        expected = jansson(gap, offset, speeds[1] - speeds[0])
        assert measure("required_lateral_acceleration", facts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "needed"),
    [
        ((34, 0, 0, 15), BEHIND, 0.0),
        ((34, 3, 0, 5), BEHIND, 0.0),
        (TOWARDS, (0, 0, 0, 0.2), 0.0),
        ((2, 1, 0, 5), BEHIND, np.inf),
    ],
    ids=["as fast", "beside", "standing", "touching"],
)
def test_nothing_is_asked_of_b_without_a_collision_to_come_nor_while_it_stands(a, b, needed):
    assert measure("required_lateral_acceleration", facts_of(a, b)) == needed


def test_time_to_react_is_the_later_of_braking_and_steering():
    # Braking may wait until 3 s - 10 / (2 * 8) = 2.375 s; steering, which needs
    # sqrt(2 * 2 / 8) = 0.707 s to clear 2 m, until 2.293 s.
    assert measure("time_to_react", facts_of(LEADER, BEHIND)) == pytest.approx(3 - 10 / 16)
    # At 30 m/s towards what stands, 30 m ahead: braking is 1.875 s late by 0.875 s.
    facts = facts_of((34, 0, 0, 0), (0, 0, 0, 30))
    assert measure("time_to_react", facts) == pytest.approx(1 - np.sqrt(0.5))


def test_who_brakes_ends_at_standstill_and_is_still_in_the_way_of_one_that_comes():
    # Head-on at 10 m/s each, 46 m apart: collision after 2.3 s. Braking does not help.
    facts = facts_of(TOWARDS, (0, 0, 0, 10))
    assert measure("time_to_react", facts) == pytest.approx(2.3 - np.sqrt(0.5))


def test_time_to_react_is_minus_inf_when_it_is_too_late_and_inf_without_a_collision():
    assert measure("time_to_react", facts_of((14, 0, 0, 0), (0, 0, 0, 30))) == -np.inf
    assert measure("time_to_react", facts_of((2, 1, 0, 5), BEHIND)) == -np.inf
    assert measure("time_to_react", facts_of((34, 0, 0, 15), BEHIND)) == np.inf
    assert measure("time_to_react", facts_of(TOWARDS, (0, 0, 0, 0))) == np.inf


def test_the_leader_that_is_run_into_may_still_swerve():
    facts = facts_of(BEHIND, LEADER)
    assert measure("time_to_react", facts) == pytest.approx(3 - np.sqrt(0.5))
    assert measure("required_lateral_acceleration", facts) == pytest.approx(2 * 2 / 3**2)


class Manoeuvres:
    """Tries manoeuvres of b, a thousand times a second."""

    time = np.concatenate([np.arange(0, 12, 1e-3), np.arange(12, 60, 2e-2)])

    def __init__(self, facts, a, b):
        self.boxes = facts.boxes[a, 1], facts.boxes[b, 1]
        self.velocities = facts.agents.velocity[a, 1], facts.agents.velocity[b, 1]
        self.speed = np.hypot(*self.velocities[1])
        travel = self.velocities[1] / self.speed
        self.back, self.left = -travel, np.array([-travel[1], travel[0]])

    def collides(self, direction, way, spare=0.0):
        boxes = [np.tile(box, (len(self.time), 1)) for box in self.boxes]
        for box, velocity in zip(boxes, self.velocities, strict=True):
            box[:, :2] += velocity * self.time[:, None]
        boxes[1][:, :2] += direction * way[:, None]
        return bool((box_distance(*boxes) < -spare).any())

    def steers(self, acceleration, wait=0.0, spare=0.0):
        """Whether it collides to both sides."""
        way = acceleration * np.maximum(self.time - wait, 0) ** 2 / 2
        return all(self.collides(side * self.left, way, spare) for side in (1, -1))

    def brakes(self, wait, spare=0.0):
        braked = np.clip(self.time - wait, 0, self.speed / LIMIT)
        way = LIMIT * braked**2 / 2 + self.speed * np.maximum(
            self.time - wait - self.speed / LIMIT, 0
        )
        return self.collides(self.back, way, spare)

    def reacts(self, wait, spare=0.0):
        return self.brakes(wait, spare) and self.steers(LIMIT, wait, spare)


@pytest.fixture(scope="module")
def collisions():
    facts = random_facts(2000, seed=7)
    even, odd = np.arange(0, 4000, 2), np.arange(1, 4000, 2)
    names = (
        "time_to_collision",
        "required_deceleration",
        "required_lateral_acceleration",
        "time_to_react",
    )
    found = {name: measure_pairs(name, facts, even, odd)[:, 1] for name in names}
    moving = facts.agents.speed[odd, 1] > 0.3
    soon = np.flatnonzero((0 < found["time_to_collision"]) & (found["time_to_collision"] < 10))
    soon = soon[moving[soon]]
    assert len(soon) > 80
    return [
        (Manoeuvres(facts, even[i], odd[i]), {name: float(found[name][i]) for name in names})
        for i in soon
    ]


def test_the_required_deceleration_just_suffices(collisions):
    tried = [(m, v["required_deceleration"]) for m, v in collisions]
    tried = [(m, needed) for m, needed in tried if 0 < needed < np.inf]
    assert len(tried) > 40
    for manoeuvres, needed in tried:
        way = needed * manoeuvres.time**2 / 2
        assert not manoeuvres.collides(manoeuvres.back, 1.002 * way, spare=2e-3)
        assert manoeuvres.collides(manoeuvres.back, 0.95 * way)


def test_the_required_lateral_acceleration_just_suffices_to_one_side(collisions):
    for manoeuvres, values in collisions:
        needed = values["required_lateral_acceleration"]
        assert not manoeuvres.steers(1.002 * needed, spare=2e-3)
        assert manoeuvres.steers(0.95 * needed)


def test_at_the_time_to_react_a_reaction_just_suffices(collisions):
    too_late = 0
    for manoeuvres, values in collisions:
        wait = values["time_to_react"]
        assert wait <= values["time_to_collision"]
        if wait == -np.inf:
            too_late += 1
            assert manoeuvres.reacts(0.0)
        else:
            assert not manoeuvres.reacts(max(wait - 0.01, 0.0), spare=2e-3)
            assert manoeuvres.reacts(wait + 0.02)
    assert 0 < too_late < len(collisions)
