"""Episodes on a straight road under the shield, driven exactly, for the tests of the shield."""

import numpy as np

from kerbstone.plan.shield.assumptions import Assumptions, Perception, Tube
from kerbstone.plan.shield.failsafe import BRAKE
from kerbstone.plan.shield.motion import advance
from kerbstone.plan.shield.road import Lane, Road
from kerbstone.plan.shield.shield import Shield
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import Kind

VEHICLE = Vehicle()
EXACT = Perception(position=0.0, heading=0.0, speed=0.0, size=0.0)
NO_TUBE = Tube(longitudinal=0.0, lateral=0.0, heading=0.0)
SHARP = Assumptions(perception=EXACT, tube=NO_TUBE)
"""What is seen is exact, and ego goes where it is told."""
FRONT = VEHICLE.length - VEHICLE.rear_overhang
"""From the rear axle to the front bumper [m]."""


def straight_road(lanes=1, opposite=0, half_width=1.75, speed_limit=30.0, **areas):
    """A straight road along x: lanes at y = 0, 3.5, …, and opposite ones to their left."""
    made = []
    for i in range(lanes + opposite):
        centre = np.array([[-2000.0, 2 * half_width * i], [6000.0, 2 * half_width * i]])
        made.append(Lane(centre if i < lanes else centre[::-1], half_width, speed_limit))
    return Road(tuple(made), **areas)


def states(speed, **columns):
    """States at the origin."""
    speed = np.atleast_1d(np.asarray(speed, dtype=float))
    state = np.zeros((len(speed), 6))
    state[:, 3] = speed
    for name, value in columns.items():
        state[:, ["x", "y", "heading", "speed", "acceleration", "steering"].index(name)] = value
    return state


def seen(position, heading, speed, *, kind=Kind.CAR, size=(4.5, 1.9), **more):
    """Surroundings from arrays that are broadcast to [batch, agent]."""
    position = np.asarray(position, dtype=float)
    shape = position.shape[:-1]
    full = lambda value: np.broadcast_to(np.asarray(value, dtype=float), shape).copy()
    return Surroundings(
        np.broadcast_to(np.asarray(kind, dtype=np.int64), shape).copy(),
        position,
        full(heading),
        full(speed),
        full(size[0]),
        full(size[1]),
        np.broadcast_to(more.pop("valid", True), shape).copy(),
        **more,
    )


def leader(gap, speed):
    """One car ahead in ego's lane, whose rear is `gap` before ego's front."""
    x = FRONT + np.asarray(gap, dtype=float) + 4.5 / 2
    position = np.stack([x, np.zeros_like(x)], axis=-1)[:, None]
    return seen(position, 0.0, np.asarray(speed, dtype=float)[:, None])


def glide(place, speed, pull, duration):
    """Move exactly with a constant acceleration, to a standstill at most."""
    with np.errstate(divide="ignore", invalid="ignore"):
        stop = np.where(pull < 0, -speed / pull, np.inf)
    time = np.minimum(stop, duration)
    return place + speed * time + pull * time**2 / 2, np.maximum(speed + pull * time, 0.0)


def chase(
    count,
    seed,
    *,
    assumptions=SHARP,
    believed=None,
    seconds=12.0,
    planner=None,
    lead=None,
    cap=36.0,
):
    """Drive behind a car that accelerates, then brakes as hard as it may; return the least gaps.

    `believed` is what the shield assumes, `assumptions` what the other keeps to.
    """
    rng = np.random.default_rng(seed)
    believed = believed or assumptions
    speed, front = rng.uniform(0, 30, count), rng.uniform(0, 30, count)
    gap = rng.uniform(0.5, 80, count)
    shield = Shield(straight_road(), assumptions=believed, candidates=(BRAKE,))
    state = states(speed)
    ready = shield.start(state, leader(gap, front))
    state, gap, front = state[ready], gap[ready], front[ready]
    count = len(state)
    x = FRONT + gap
    shield.start(state, leader(gap, front))
    brakes_at = rng.uniform(0, 6, count)
    least = np.full(count, np.inf)
    hits = np.zeros(count, dtype=bool)
    behaviour = assumptions.default
    parts = 10
    for k in range(round(seconds / 0.1)):
        wish = np.tile([20.0, 0.0], (count, 1)) if planner is None else planner(rng, state)
        view = seen(np.stack([x + 2.25, np.zeros(count)], axis=-1)[:, None], 0.0, front[:, None])
        decision = shield.step(state, wish, view)
        pull = np.where(
            k * 0.1 < brakes_at,
            np.where(front < cap, behaviour.acceleration, 0.0),
            -behaviour.braking,
        )
        if lead is not None:
            pull = lead(rng, k, front, pull)
        for _ in range(parts):
            state = advance(state, decision.control, 0.1 / parts, VEHICLE)
            x, front = glide(x, front, pull, 0.1 / parts)
            gap = x - state[:, 0] - FRONT
            least = np.minimum(least, gap)
            hits |= (gap <= 0) & (state[:, 3] > 0)
    return least, hits, state
