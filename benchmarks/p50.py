"""P50: random planning problems on which ours and the peers are measured.

A car on an arc of road with two or three lanes meets four others, each an ellipse that moves and
grows. Braking in the own lane is strictly feasible in every one; going on at the present speed in
it is not, so that something has to be decided: follow, pass on the left or pass on the right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerbstone.plan.checking import check_plans
from kerbstone.plan.corridor import Corridor, fit_corridor
from kerbstone.plan.problem import Ellipses, Horizon, Problem, Weights
from kerbstone.plan.vehicle import Vehicle

HORIZON = Horizon(50, 0.1)
VEHICLE = Vehicle()
OTHERS = 4

_LANE = 3.5
_SPACING = 2.5
_BEFORE, _AFTER = 25.0, 115.0  # road behind and ahead of the car [m]
_ROOM_LEFT = 1e-3  # by which a braking start keeps clear of each bound
_LEAD, _BESIDE, _ONCOMING, _CROSSING, _PARKED = range(5)


class Arc(NamedTuple):
    """An arc of constant curvature, by its start: `[batch]` each.

    Args:
        x: World frame [m].
        y: World frame [m].
        heading: At the start [rad].
        curvature: To the left positive [1/m].
        stretch: Spline arc position by true arc length: a spline counts chords.
    """

    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    curvature: np.ndarray
    stretch: np.ndarray

    def place(self, along: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return x, y and direction of the road at `[batch, ...]` positions along and beside it."""
        x, y, heading, curvature, _ = (
            value.reshape(-1, *(1,) * (np.ndim(along) - 1)) for value in self
        )
        half = curvature * along / 2.0
        chord = along * np.sinc(half / np.pi)
        direction = heading + 2.0 * half
        return (
            x + chord * np.cos(heading + half) - beside * np.sin(direction),
            y + chord * np.sin(heading + half) + beside * np.cos(direction),
            direction,
        )


def make_p50(count: int = 256, seed: int = 0) -> Problem:
    """Return a batch of problems in float64, one mode each, for `HORIZON` and `VEHICLE`."""
    draw = np.random.default_rng(seed)
    kept: list[Problem] = []
    while sum(len(batch.start) for batch in kept) < count:
        problem = _draw_problems(4 * count, draw)
        brake = _check(problem, braking_start(problem))
        cruise = _check(problem, follow_lane(problem, offset=0.0, speed=problem.start[:, 3]))
        good = brake.finite & (cruise.excess["ellipse"] > 0.0)
        good &= np.all([value < -_ROOM_LEFT for value in _bounded(brake.excess)], axis=0)
        kept.append(take(problem, np.flatnonzero(good)))
    return take(_join(kept), np.arange(count))


def take(problem: Problem, index: np.ndarray) -> Problem:
    """Return some problems of a batch; weights are the same for all."""
    corridor, ellipses = problem.corridor, problem.ellipses
    return Problem(
        problem.start[index],
        Corridor(*(getattr(corridor, name)[index] for name in _CORRIDOR)),
        Ellipses(*(getattr(ellipses, name)[index] for name in _ELLIPSES)),
        problem.probability[index],
        problem.branch_step[index],
        problem.weights,
    )


def braking_start(problem: Problem) -> np.ndarray:
    """Return controls that brake along the own lane nearly to a standstill: the fail-safe.

    They keep strictly within all limits of the car; `[batch, step, 2]`.
    """
    return follow_lane(problem, offset=0.0, speed=0.0, braking=6.5)


def follow_lane(
    problem: Problem,
    *,
    offset: float | np.ndarray,
    speed: float | np.ndarray,
    reach: float = 9.0,
    braking: float = 5.0,
) -> np.ndarray:
    """Return controls that steer to an offset from the reference line and tend to a speed.

    The steering law acts on distances travelled, so it works down to standstill; all controls
    keep strictly within the car's limits. They know nothing of the others.

    Args:
        problem: A batch of problems on arcs.
        offset: Wanted distance of the rear axle from the line [m].
        speed: Wanted speed [m/s].
        reach: Length in which an offset is mostly gone [m].
        braking: Hardest braking [m/s²].
    """
    dt, arc = HORIZON.dt, arc_of(problem)
    x, y, heading, v, a, phi = np.array(problem.start, float).T
    controls = np.empty((len(x), HORIZON.steps, 2))
    for step in range(HORIZON.steps):
        # The speed's error decays, so a speed wanted of zero is reached from above.
        wish = np.clip(1.6 * (speed - v - a * dt), -braking, 2.0)
        jerk = np.clip((wish - a) / dt, -18.0, 12.0)
        beside, lean = _lane_frame(arc, x, y, heading)
        road = arc.curvature / (1.0 - arc.curvature * beside)
        turn = road - (beside - offset) / reach**2 - 2.0 * np.sin(lean) / reach
        widest = np.minimum(0.18, 4.5 / np.maximum(v, 1.0) ** 2)
        wanted = np.arctan(VEHICLE.wheelbase * np.clip(turn, -widest, widest))
        rate = np.clip((wanted - phi) / (2 * dt), -0.7, 0.7)
        controls[:, step] = np.stack([jerk, rate], axis=-1)
        middle = v + a * dt / 2 + jerk * dt**2 / 8
        yaw = middle * np.tan(phi + rate * dt / 2) / VEHICLE.wheelbase
        x = x + dt * middle * np.cos(heading + yaw * dt / 2)
        y = y + dt * middle * np.sin(heading + yaw * dt / 2)
        heading, v = heading + yaw * dt, v + a * dt + jerk * dt**2 / 2
        a, phi = a + jerk * dt, phi + rate * dt
    return controls


def arc_of(problem: Problem) -> Arc:
    """Return the arcs that the reference lines of P50 are made from."""
    line = problem.corridor.line
    knots = (line[:, :-2] + 4 * line[:, 1:-1] + line[:, 2:]) / 6.0
    first, last = knots[:, 0], knots[:, -1]
    middle = knots[:, knots.shape[1] // 2]
    halves = [np.arctan2(*(b - a).T[::-1]) for a, b in ((first, middle), (middle, last))]
    bend = np.angle(np.exp(1j * (halves[1] - halves[0]))) * 2.0  # half of the road turns it
    pieces = knots.shape[1] - 1
    half = bend / pieces / 2.0
    length = problem.corridor.spacing / np.sinc(half / np.pi)
    start = halves[0] - bend * (knots.shape[1] // 2) / pieces / 2.0
    return Arc(*first.T, start, bend / pieces / length, problem.corridor.spacing / length)


_CORRIDOR = ("line", "left", "right", "speed", "spacing")
_ELLIPSES = ("centre", "semi_axes", "heading", "present")


def _lane_frame(arc: Arc, x, y, heading):
    """Return the distance beside an arc, and the heading relative to it."""
    cos, sin = np.cos(arc.heading), np.sin(arc.heading)
    along, across = x - arc.x, y - arc.y
    along, across = cos * along + sin * across, cos * across - sin * along
    k = arc.curvature
    root = np.hypot(k * along, 1.0 - k * across)
    beside = (2.0 * across - k * (along**2 + across**2)) / (1.0 + root)
    return beside, heading - arc.heading - np.arctan2(k * along, 1.0 - k * across)


def _draw_problems(count: int, draw: np.random.Generator) -> Problem:
    curvature = draw.uniform(-0.02, 0.02, count) * (draw.random(count) > 0.15)
    curvature += draw.uniform(-1e-4, 1e-4, count)
    arc = Arc(
        *draw.uniform(-50.0, 50.0, (2, count)),
        draw.uniform(-np.pi, np.pi, count),
        curvature,
        np.ones(count),
    )
    lanes = np.array([(1, 0), (0, 1), (1, 1)])[draw.integers(0, 3, count)]  # left and right of ours
    shift = np.where(draw.random(count) < 0.5, draw.uniform(-0.4, 0.4, count), 0.0)
    shoulder = draw.uniform(0.0, 0.6, (count, 2))
    left, right = ((0.5 + lanes) * _LANE + shoulder).T
    left, right = left - shift, right + shift
    wanted = draw.uniform(8.0, 15.0, count)
    corridor = _lay_road(arc, left, right, wanted)
    speed = draw.uniform(4.0, 15.0, count)
    beside = draw.uniform(-0.35, 0.35, count) - shift
    x, y, direction = arc.place(np.full(count, _BEFORE), beside)
    steering = np.arctan(VEHICLE.wheelbase * curvature) + draw.uniform(-0.02, 0.02, count)
    start = np.stack(
        [
            *(x, y, direction + draw.uniform(-0.04, 0.04, count)),
            *(speed, draw.uniform(-1.0, 1.0, count), steering),
        ],
        axis=-1,
    )
    ellipses = _draw_others(arc, lanes, speed, (left, right, shift), draw)
    return Problem(
        start, corridor, ellipses, np.ones((count, 1)), np.zeros(count, np.int32), Weights()
    )


def _lay_road(arc: Arc, left, right, wanted) -> Corridor:
    count = len(left)
    along = np.arange(0.0, _BEFORE + _AFTER + _SPACING / 2, _SPACING)
    x, y, _ = arc.place(np.broadcast_to(along, (count, len(along))), np.zeros((count, 1)))
    ones = np.ones(len(along))
    fitted = [
        fit_corridor(np.stack([x[i], y[i]], -1), left[i] * ones, right[i] * ones, wanted[i] * ones)
        for i in range(count)
    ]
    return Corridor(*(np.stack([getattr(one, name) for one in fitted]) for name in _CORRIDOR))


def _draw_others(arc: Arc, lanes, speed, edges, draw: np.random.Generator) -> Ellipses:
    """Draw four others of different kinds, a car ahead in the own lane more often than not."""
    count = len(speed)
    left, right, shift = edges
    kinds = np.tile(np.arange(5), (count, 1))
    kinds = draw.permuted(kinds[:, 1:], axis=1)
    kinds = np.where(np.arange(4) == 0, _LEAD, kinds)
    second = draw.random(count) < 0.5  # another car beside instead of the last
    kinds[:, 3] = np.where(second, _BESIDE, kinds[:, 3])

    def pick(low, high):
        return draw.uniform(low, high, (count, OTHERS))

    side = np.where(draw.random((count, OTHERS)) < 0.5, 1, -1)
    side = np.where(lanes[:, :1] == 0, -1, np.where(lanes[:, 1:] == 0, 1, side))
    lane = side * _LANE - shift[:, None]
    own = -shift[:, None] + pick(-0.3, 0.3)
    edge = np.where(side > 0, -right[:, None], left[:, None]) + side * pick(-1.0, 0.8)
    v0 = speed[:, None]
    kind = [kinds == i for i in range(5)]
    along = np.select(kind, [pick(9, 35), pick(-14, 28), pick(35, 95), pick(12, 45), pick(14, 55)])
    pace = np.select(
        kind,
        [
            v0 * pick(0.2, 0.8),
            v0 * pick(0.7, 1.15),
            -pick(4, 11),
            np.zeros_like(v0),
            np.zeros_like(v0),
        ],
    )
    crossing = pick(0.7, 4.0) * side
    reach_time = pick(0.5, 5.0)  # when the own lane's middle is crossed [s]
    beside = np.select(kind, [own, lane + pick(-0.3, 0.3), lane, -crossing * reach_time, edge])
    time = HORIZON.dt * np.arange(1, HORIZON.steps + 1)
    drift = np.where(kind[_CROSSING], crossing, 0.0)
    s = _BEFORE + along[..., None] + pace[..., None] * time
    d = beside[..., None] + drift[..., None] * time
    x, y, direction = arc.place(s, d)
    quarter = np.sign(crossing)[..., None] * np.pi / 2
    heading = direction + np.where(kind[_CROSSING][..., None], quarter, 0.0)
    return _wrap_ellipses(x, y, heading, time, crossing, kind[_CROSSING], kind[_PARKED], draw)


def _wrap_ellipses(x, y, heading, time, crossing, crosses, parked, draw) -> Ellipses:
    """Put growing ellipses around cars, and around whoever crosses: slow ones are on foot."""
    on_foot = crosses & (np.abs(crossing) < 2.0)
    half = draw.uniform([2.1, 0.85], [2.5, 1.0], (*x.shape[:2], 2))
    half = np.where(on_foot[..., None], 0.4, half) * 1.15
    growth = draw.uniform([0.1, 0.02], [0.4, 0.08], half.shape)
    growth = np.where(parked[..., None], 0.0, growth)
    axes = half[..., None, :] + growth[..., None, :] * time[:, None] + VEHICLE.disc_radius
    centre = np.stack([x, y], axis=-1)
    present = np.ones(x.shape, bool)
    return Ellipses(*(value[:, None] for value in (centre, axes, heading, present)))


def _join(batches: list[Problem]) -> Problem:
    def joined(get):
        return np.concatenate([get(batch) for batch in batches])

    return Problem(
        joined(lambda p: p.start),
        Corridor(*(joined(lambda p, n=name: getattr(p.corridor, n)) for name in _CORRIDOR)),
        Ellipses(*(joined(lambda p, n=name: getattr(p.ellipses, n)) for name in _ELLIPSES)),
        joined(lambda p: p.probability),
        joined(lambda p: p.branch_step),
        batches[0].weights,
    )


def _check(problem: Problem, controls: np.ndarray):
    return check_plans(problem, controls[:, None], vehicle=VEHICLE, horizon=HORIZON)


def _bounded(excess: dict[str, np.ndarray]) -> list[np.ndarray]:
    return [value for name, value in excess.items() if name != "branch"]
