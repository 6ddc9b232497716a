"""Questions of intent: will a vehicle change lanes, and when does it enter an intersection?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.judge.generality.questions import Questions
from kerbstone.judge.generality.sampling import AHEAD, PAST, PRESENT, Drawn
from kerbstone.lang.facts import Facts
from kerbstone.lang.kinds import DRIVERS
from kerbstone.lang.roads import Road, road_of
from kerbstone.lang.signals.changes import changes_of
from kerbstone.scene import angle_difference
from kerbstone.world.mixture import Mixture
from kerbstone.world.windows import STEP, Window

SOON = 3.0
"""A lane change begins within this [s]."""
_BEFORE, _BEHIND = 1.0, 4.5
"""A change of lanes is told by what comes so long before it and after it [s]."""
_MOVES = 1.0
_REACH = 5


def ask_lane_changes(drawn: Drawn) -> Questions | None:
    """Ask of each moving vehicle whether it begins to change lanes within 3 s.

    A change of lanes is the one that the language's `changing_lane` tells: it begins as the
    vehicle leaves the middle of its lane. Who is in the middle of one at the present is not asked
    about, nor is who is lost from sight before the 3 s are over without having begun one.
    """
    scene, window = drawn.scene, drawn.window
    if scene.map is None or not len(scene.map.lanes.kind):
        return None
    road, dt = road_of(scene.map), scene.clock.dt
    now = round((window.start + PAST - STEP) / dt)
    first = max(now - round((PAST + _BEFORE) / dt), 0)
    last = min(now + round((SOON + _BEHIND) / dt), scene.clock.steps - 1)
    facts = Facts(scene.window_steps(first, last - first + 1))
    changes = changes_of(facts)
    row_of = {name: row for row, name in enumerate(scene.agents.ids)}
    rows = _moving_vehicles(window, road)
    agent = np.array([row_of[window.ids[row]] for row in rows], np.int64)
    now -= first
    soon = slice(now + 1, now + 1 + round(SOON / dt))
    begins = (changes[agent, soon] != 0).any(axis=1)
    valid = facts.agents.valid[agent]
    stays = valid[:, soon].all(axis=1) & (changes.shape[1] >= soon.stop)
    asked = valid[:, now] & (changes[agent, now] == 0) & (begins | stays)
    rows = rows[asked]
    return Questions(rows, begins[asked].astype(np.float64), _kinematics(window, rows, road), {})


def ask_entries(drawn: Drawn) -> Questions | None:
    """Ask of each vehicle before an intersection, that enters one within 5 s, when it does [s].

    It enters as its centre first lies on a lane that leads through an intersection. The rule is
    that it goes straight on at its present velocity, and enters after 5 s where that never leads
    into one.
    """
    scene, window = drawn.scene, drawn.window
    if scene.map is None or not road_of(scene.map).is_inside.any():
        return None
    road = road_of(scene.map)
    rows = _vehicles(window)
    steps = round(AHEAD / STEP)
    inside = _are_inside(window.position[rows, PRESENT : PRESENT + 1 + steps], road)
    enters = ~inside[:, 0] & inside[:, 1:].any(axis=1)
    rows, inside = rows[enters], inside[enters]
    time = (1 + inside[:, 1:].argmax(axis=1)) * STEP
    velocity = _velocity(window, rows)
    ahead = STEP * np.arange(1, steps + 1)
    way = window.position[rows, PRESENT, None] + velocity[:, None] * ahead[:, None]
    reached = _are_inside(way, road)
    steady = np.where(reached.any(axis=1), (1 + reached.argmax(axis=1)) * STEP, AHEAD)
    features = np.column_stack([_kinematics(window, rows, road), steady])
    return Questions(rows, time, features, {"constant_velocity": steady})


def foretell_entries(
    drawn: Drawn, asked: Questions, mixture: Mixture
) -> Float64[np.ndarray, " item"]:
    """Return when each vehicle enters an intersection by a forecast [s].

    It is the median over those modes that enter one, since all who are asked about do; 5 s where
    none does.
    """
    if not len(asked.rows) or drawn.scene.map is None:
        return np.zeros(0)
    first = PRESENT + 1
    ways = mixture.position[asked.rows, :, first : first + round(AHEAD / STEP)]
    inside = _are_inside(ways.reshape(-1, *ways.shape[2:]), road_of(drawn.scene.map))
    inside = inside.reshape(ways.shape[:3])
    enters = inside.any(axis=2)
    time = np.where(enters, (1 + inside.argmax(axis=2)) * STEP, AHEAD)
    weight = np.where(enters, mixture.weight[asked.rows], 0.0)
    order = time.argsort(axis=1)
    gone = np.take_along_axis(weight, order, axis=1).cumsum(axis=1)
    middle = (gone >= 0.5 * gone[:, -1:]).argmax(axis=1)
    median = np.take_along_axis(time, order, axis=1)[np.arange(len(time)), middle]
    return np.where(weight.any(axis=1), median, AHEAD)


def _vehicles(window: Window) -> Int64[np.ndarray, " chosen"]:
    """Return who goes along lanes and is seen at the present, and shortly before."""
    drives = np.isin(window.kind, sorted(DRIVERS))
    return np.flatnonzero(drives & window.valid[:, PRESENT] & window.valid[:, PRESENT - _REACH])


def _moving_vehicles(window: Window, road: Road) -> Int64[np.ndarray, " chosen"]:
    rows = _vehicles(window)
    moves = np.linalg.norm(_velocity(window, rows), axis=1) > _MOVES
    points, headings = window.position[rows, PRESENT], window.heading[rows, PRESENT]
    return rows[moves & (road.index.locate(points, headings).lane >= 0)]


def _velocity(window: Window, rows: np.ndarray) -> Float64[np.ndarray, "item 2"]:
    """Return velocities over the last half second [m/s]."""
    apart = window.position[rows, PRESENT] - window.position[rows, PRESENT - _REACH]
    return apart / (_REACH * STEP)


def _are_inside(
    points: Float64[np.ndarray, "item step 2"], road: Road
) -> Bool[np.ndarray, "item step"]:
    """Return which points lie on a lane that leads through an intersection."""
    inside = np.zeros(points.shape[:2], bool).ravel()
    point, lane = road.index.lanes_at(points.reshape(-1, 2))
    inside[point[road.is_inside[lane]]] = True
    return inside.reshape(points.shape[:2])


def _kinematics(
    window: Window, rows: np.ndarray, road: Road
) -> Float64[np.ndarray, "item feature"]:
    """Return what simple kinematics tell of vehicles, by nothing that comes after the present.

    Speed [m/s], its change [m/s²], the offset from the middle of the lane, the speed across the
    lane, and that away from its middle.
    """
    velocity = _velocity(window, rows)
    speed = np.linalg.norm(velocity, axis=1)
    early = window.position[rows, PRESENT - _REACH] - window.position[rows, PRESENT - 2 * _REACH]
    before = np.linalg.norm(early, axis=1) / (_REACH * STEP)
    change = np.where(np.isfinite(before), speed - before, 0.0) / (_REACH * STEP)
    place = road.index.locate(window.position[rows, PRESENT], window.heading[rows, PRESENT])
    turn = angle_difference(np.arctan2(velocity[:, 1], velocity[:, 0]), place.heading)
    across = np.nan_to_num(speed * np.sin(turn))
    offset = np.nan_to_num(place.d)
    return np.column_stack(
        [speed, change, np.abs(offset), np.abs(across), across * np.sign(offset)]
    )
