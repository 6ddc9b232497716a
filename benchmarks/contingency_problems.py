"""Two small problems in which something is not known: simulated exactly, one step at a time.

No planner owns this code: it alone says what happens to whom and what that costs.

`Merge`: a slow car comes out of a side road, and either joins the lane before ego or stops at its
mouth. Which is not known, and shows only when it begins to brake; it is observed with noise.

`Occlusion`: behind a parked van there may be somebody on foot, who may step out at any time,
crosses the lane and yields to nobody. They are seen as soon as the van does not hide them.

Ego drives in a straight lane along x, from x = 0. States are tuples, so that a planner that
searches in a tree can use the same code. A step costs what it costs in a plan (`plan.problem`),
without clearance; a collision costs `COLLISION` and ends the episode.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from kerbstone.plan.problem import Horizon, Weights
from kerbstone.plan.solver.terms import COMFORT_ACCELERATION, COMFORT_JERK, COMFORT_LATERAL
from kerbstone.plan.vehicle import Vehicle

CAR = Vehicle()
HORIZON = Horizon(24, 0.25)
DT = HORIZON.dt
WEIGHTS = Weights(clearance=0.0)
COLLISION = 1000.0
DISCS = CAR.disc_offsets
_PARTS = 5  # of a step at which boxes are compared
_REACH = 5.2  # from there two boxes do not touch [m]
_FAR = 10.0  # and from there not within the step that ends there
_W = SimpleNamespace(**asdict(WEIGHTS))


class Ego(NamedTuple):
    """A state of ego, `StateIndex`, as plain numbers."""

    x: float = 0.0
    y: float = 0.0
    heading: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    steering: float = 0.0


class Box(NamedTuple):
    """A box seen from above: middle, heading, half sizes [m, rad]."""

    x: float
    y: float
    heading: float
    length: float
    width: float


Place = tuple[float, float, float]
_VAN = Box(34.0, -3.3, 0.0, 2.75, 1.0)


def drive(ego: Ego, jerk: float, rate: float = 0.0) -> Ego:
    """Return ego after a step: the motion that plans are made with."""
    middle = ego.speed + DT / 2 * ego.acceleration + DT * DT / 8 * jerk
    speed = ego.speed + DT * ego.acceleration + DT * DT / 2 * jerk
    if not (ego.heading or ego.steering or rate):  # straight ahead, as in a tree of searches
        return Ego(ego.x + DT * middle, ego.y, 0.0, speed, ego.acceleration + DT * jerk)
    turn = DT / CAR.wheelbase * middle * math.tan(ego.steering + DT / 2 * rate)
    way = ego.heading + turn / 2
    return Ego(
        ego.x + DT * middle * math.cos(way),
        ego.y + DT * middle * math.sin(way),
        ego.heading + turn,
        speed,
        ego.acceleration + DT * jerk,
        ego.steering + DT * rate,
    )


def charge(before: Ego, after: Ego, jerk: float, rate: float, wanted: float) -> float:
    """Return what a step of ego costs; see `plan.problem.Weights`."""
    low, high = COMFORT_ACCELERATION
    acceleration = after.acceleration
    excess = (
        max(low - acceleration, acceleration - high, 0.0) ** 2
        + max(abs(jerk) - COMFORT_JERK, 0.0) ** 2
    )
    rated = (
        _W.speed * (after.speed - wanted) ** 2
        + _W.acceleration * acceleration**2
        + _W.jerk * jerk**2
        + _W.comfort * excess
    )
    gained = after.x - before.x
    if after.heading or before.heading or after.y or after.steering or rate:  # not straight ahead
        sine = math.sin(after.heading)
        lateral = after.speed**2 * math.tan(after.steering) / CAR.wheelbase
        rated += (
            _W.reference * sum((after.y + ahead * sine) ** 2 for ahead in DISCS)
            + _W.lateral * lateral**2
            + _W.steering * rate**2
            + _W.comfort * max(abs(lateral) - COMFORT_LATERAL, 0.0) ** 2
        )
        gained += DISCS[1] * (math.cos(after.heading) - math.cos(before.heading))
    return DT * rated - _W.progress * gained


def touches(first: Box, second: Box) -> bool:
    """Tell whether two boxes overlap: no axis of either parts them."""
    dx, dy = second.x - first.x, second.y - first.y
    turn = second.heading - first.heading
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    for own, other in ((first, second), (second, first)):
        c, s = math.cos(own.heading), math.sin(own.heading)
        if abs(c * dx + s * dy) > own.length + cos * other.length + sin * other.width:
            return False
        if abs(c * dy - s * dx) > own.width + sin * other.length + cos * other.width:
            return False
    return True


def meets(egos: tuple[Ego, Ego], places: tuple[Place, Place], half: tuple[float, float]) -> bool:
    """Tell whether ego and another touch during a step, in which each moves straight.

    Args:
        egos: Ego before and after.
        places: Where the other is, before and after: x, y, heading.
        half: Half sizes of the other's box [m].
    """
    ahead = CAR.centre_offset
    if math.hypot(places[1][0] - egos[1].x - ahead, places[1][1] - egos[1].y) > _FAR:
        return False
    own = [
        (ego.x + ahead * math.cos(ego.heading), ego.y + ahead * math.sin(ego.heading), ego.heading)
        for ego in egos
    ]
    for part in range(1, _PARTS + 1):
        share = part / _PARTS
        x, y, heading = (a + share * (b - a) for a, b in zip(*own, strict=True))
        at_x, at_y, turn = (a + share * (b - a) for a, b in zip(*places, strict=True))
        if math.hypot(at_x - x, at_y - y) > _REACH:
            continue
        if touches(Box(x, y, heading, CAR.length / 2, CAR.width / 2), Box(at_x, at_y, turn, *half)):
            return True
    return False


class MergeState(NamedTuple):
    """Ego, and the other car: way along its path, speed, and whether it yields."""

    ego: Ego
    way: float
    speed: float
    yields: bool
    collided: bool = False


@dataclass(frozen=True)
class Merge:
    """A car that comes out of a side road.

    Args:
        wanted: Speed that ego wants [m/s].
        joins: Where the other is wholly in the lane [m].
        turn: Direction that it comes from [rad].
        radius: Of the bend into the lane [m].
        decides: Way along its path at which one that yields begins to brake [m].
        braking: How hard [m/s²].
        pace: Its speed at first, and the spread of that [m/s].
        push: Standard deviation of its acceleration, anew in each step [m/s²].
        blur: Standard deviations of its observed way and speed [m, m/s].
        likely: Probability that it yields.
        steps: Of an episode.
    """

    wanted: float = 10.0
    joins: float = 36.0
    turn: float = 0.7
    radius: float = 9.0
    decides: float = -15.5
    braking: float = 3.0
    pace: tuple[float, float] = (5.0, 0.4)
    push: float = 0.4
    blur: tuple[float, float] = (0.4, 0.5)
    likely: float = 0.7
    steps: int = 28
    name: str = "merge"
    half: tuple[float, float] = (2.3, 0.95)

    def draw(self, rng: np.random.Generator) -> MergeState:
        """Return a state to begin with."""
        ego = Ego(speed=rng.uniform(9.0, 10.5))
        way = rng.uniform(-22.0, -18.0)
        speed = rng.normal(*self.pace)
        return MergeState(ego, way, speed, bool(rng.random() < self.likely))

    def place(self, way: float) -> Place:
        """Return x, y and heading at a way along the path, 0 where it has joined."""
        if way >= 0.0:
            return self.joins + way, 0.0, 0.0
        angle = min(-way / self.radius, self.turn)
        x = self.joins - self.radius * math.sin(angle)
        y = -self.radius * (1.0 - math.cos(angle))
        back = min(way + self.radius * self.turn, 0.0)
        return x + back * math.cos(self.turn), y + back * math.sin(self.turn), angle

    def pushes(self, way: float, speed: float, *, yields: bool) -> float:
        """Return what the other wants its acceleration to be [m/s²]."""
        return -min(self.braking, speed / DT) if yields and way > self.decides else 0.0

    def step(
        self, state: MergeState, jerk: float, rate: float, noise: float
    ) -> tuple[MergeState, float]:
        """Return the state after a step and its cost.

        Args:
            state: Before it.
            jerk: Ego's control [m/s³].
            rate: Ego's other control [rad/s].
            noise: A standard normal number.
        """
        ego = drive(state.ego, jerk, rate)
        wish = self.pushes(state.way, state.speed, yields=state.yields)
        stands = state.speed <= 0.0
        speed = max(state.speed + DT * (wish + (0.0 if stands else self.push * noise)), 0.0)
        way = state.way + DT * (state.speed + speed) / 2
        places = (self.place(state.way), self.place(way))
        hit = meets((state.ego, ego), places, self.half)
        cost = charge(state.ego, ego, jerk, rate, self.wanted) + COLLISION * hit
        return MergeState(ego, way, speed, state.yields, hit), cost


class OcclusionState(NamedTuple):
    """Ego, and one on foot: whether there is one, where across the lane, whether they walk."""

    ego: Ego
    exists: bool
    y: float
    walks: bool
    collided: bool = False


@dataclass(frozen=True)
class Occlusion:
    """Somebody on foot behind a parked van, or nobody.

    Args:
        wanted: Speed that ego wants [m/s].
        van: Its box.
        crossing: Where they cross [m].
        spots: Where they may stand: as many places from the first to the second [m].
        rate: At which one who is there steps out [1/s].
        pace: Their speed then [m/s].
        likely: Probability that there is somebody.
        eye: How far ahead of the rear axle ego's sensor is [m].
        steps: Of an episode.
    """

    wanted: float = 9.0
    van: Box = _VAN
    crossing: float = 38.4
    spots: tuple[float, float, int] = (-3.0, -2.5, 6)
    rate: float = 0.4
    pace: float = 1.5
    likely: float = 0.4
    eye: float = 1.5
    steps: int = 32
    name: str = "occlusion"
    half: tuple[float, float] = (0.25, 0.25)

    def draw(self, rng: np.random.Generator) -> OcclusionState:
        """Return a state to begin with."""
        ego = Ego(speed=rng.uniform(7.5, 9.5), x=rng.uniform(-3.0, 3.0))
        first, last, count = self.spots
        spot = rng.choice(np.linspace(first, last, count))
        return OcclusionState(ego, bool(rng.random() < self.likely), float(spot), walks=False)

    def sees(self, ego: Ego, y: float) -> bool:
        """Tell whether one who is at y is to be seen past the van."""
        eye_x = ego.x + self.eye * math.cos(ego.heading)
        eye_y = ego.y + self.eye * math.sin(ego.heading)
        front, side = self.van.x + self.van.length, self.van.y + self.van.width
        if eye_x >= front:
            return True
        share = (front - eye_x) / (self.crossing - eye_x)
        return eye_y + share * (y - eye_y) > side

    def step(
        self, state: OcclusionState, jerk: float, rate: float, chance: float
    ) -> tuple[OcclusionState, float]:
        """Return the state after a step and its cost.

        Args:
            state: Before it.
            jerk: Ego's control [m/s³].
            rate: Ego's other control [rad/s].
            chance: A number drawn evenly from 0 to 1.
        """
        ego = drive(state.ego, jerk, rate)
        cost = charge(state.ego, ego, jerk, rate, self.wanted)
        if not state.exists:
            return state._replace(ego=ego), cost
        walks = state.walks or chance < -math.expm1(-self.rate * DT)
        y = state.y + self.pace * DT * walks
        places = ((self.crossing, state.y, 0.0), (self.crossing, y, 0.0))
        hit = meets((state.ego, ego), places, self.half)
        return OcclusionState(ego, True, y, walks, hit), cost + COLLISION * hit
