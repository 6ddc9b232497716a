"""Plans of a scene as a page: what is planned, what else could be, and what guards it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from kerbstone.app.pages import say_simulated
from kerbstone.app.playback import (
    BlindArea,
    Drive,
    Event,
    Fact,
    Forecast,
    PlanDrawing,
    Plans,
    Reach,
    playback_page,
)
from kerbstone.app.terminal import count_of
from kerbstone.plan.blind import Blind
from kerbstone.plan.emerging import STEPS_OUT
from kerbstone.plan.guard import Safety
from kerbstone.plan.situations import Situation
from kerbstone.plan.timeline import Moment, Timeline
from kerbstone.plan.vehicle import StateIndex, Vehicle
from kerbstone.scene import Scene

_BEFORE = 2.0
"""So much of the scene is shown before the first plan [s]."""
_FAR = 100.0
"""What others may reach farther from all plans than this is not drawn [m]."""
_LEAST_REACH = 1.5
"""Where others may be is drawn so far ahead at least [s]."""
_SHORT = 12
_MARK = 2.0
"""So much around where one may come from is marked [m]."""
_LEAST_ROOM = "Between the fail-safe and where others may be; below zero they overlap"


def plan_page(scene: Scene, timeline: Timeline) -> str:
    """Return a page that plays a scene with the plans made in it.

    It shows the scene from a little before the first plan to the horizon of the last, and opens at
    the first. The road user that is planned for is drawn as ego.

    Args:
        scene: The scene, whole.
        timeline: Its plans; there is one at least.
    """
    first, last = timeline.moments[0].situation, timeline.moments[-1].situation
    dt, steps = scene.clock.dt, scene.clock.steps
    begin = max(first.step - round(_BEFORE / dt), 0)
    horizon = last.horizon.steps * last.horizon.dt
    end = min(last.step + round(horizon / dt) + 1, steps)
    own = scene.agents.index(first.agent)
    shown = scene.window_steps(begin, end - begin)
    shown = replace(shown, ego=shown.agents.index(first.agent))
    if end - begin < steps:
        shown = replace(shown, id=f"{scene.id}, {begin * dt:.1f}–{end * dt:.1f} s")
    offset = begin * dt
    drawings = tuple(_draw(moment, offset) for moment in timeline.moments)
    whom = "" if own == scene.ego else f" for road user {first.agent}, drawn as ego"
    notes = [
        f"{count_of(len(drawings), 'plan')}{whom}, made from where the car was.",
        "It drives as it was recorded; the ghosts drive the plan.",
        *say_simulated([scene]),
    ]
    if timeline.failed:
        notes.append(f"{count_of(len(timeline.failed), 'time')} could not be planned.")
    vehicle = first.vehicle
    return playback_page(
        [shown],
        title=f"Plan: {scene.id}",
        notes=[" ".join(notes)],
        events={shown.id: _mark(timeline, offset)} if len(drawings) > 1 else None,
        offsets={shown.id: offset},
        plans={shown.id: Plans(drawings, (vehicle.length, vehicle.width))},
    )


def say_shield(safety: Safety) -> str:
    """Return what the shield says of the plan's first control."""
    if safety.passes:
        return "passes"
    if not safety.is_ready:
        return "no verified fail-safe"
    return "holds"


def say_why(safety: Safety, blind: Blind | None = None) -> str:
    """Return why a command does not pass; empty where it does."""
    if safety.passes:
        return ""
    who = f" {_shorten(safety.who)}" if safety.who else ""
    region = tell_region(safety, blind)
    if region is not None:
        who = f" in region {region}"
    when = f", after {safety.time:.1f} s" if np.isfinite(safety.time) else ""
    return f"{safety.cause}{who}{when}"


def tell_region(safety: Safety, blind: Blind | None) -> int | None:
    """Return the number of the blind region that stops a fail-safe, from 1 on; None if none."""
    if blind is None or safety.unseen < 0:
        return None
    return int(blind.owner[safety.unseen]) + 1


def _draw(moment: Moment, offset: float) -> PlanDrawing:
    situation, safety = moment.situation, moment.safety
    vehicle, dt = situation.vehicle, situation.horizon.dt
    probability = np.asarray(situation.problem.probability)
    states = moment.states
    branches = tuple(
        Drive(
            _poses(states[mode], vehicle),
            name=f"{name}: nobody" if name == STEPS_OUT and not moment.emergence else name,
            note=f"{100 * probability[mode]:.0f} %",
            dt=dt,
            weight=float(probability[mode]),
        )
        for mode, name in enumerate(moment.modes)
    )
    others: tuple[Drive, ...] = ()
    if moment.ways is not None:
        likeliest = int(probability.argmax())
        others = tuple(
            Drive(
                _poses(moment.ways.states[way, likeliest], vehicle),
                name=name,
                note=f"cost {_say(float(moment.ways.cost[way]), 2)}",
                dt=dt,
            )
            for way, name in enumerate(moment.ways.names)
        )
    return PlanDrawing(
        time=situation.time - offset,
        facts=_facts(moment),
        branches=branches,
        others=others,
        failsafe=None
        if safety is None
        else Drive(_poses(safety.failsafe, vehicle), "fail-safe", "", safety.step),
        is_verified=safety is not None and (safety.is_ready or safety.passes),
        reaches=() if safety is None else _reaches(safety, states),
        forecasts=_forecasts(situation),
        blind=_blind_areas(moment),
        corridor=_edges(situation),
        known=int(situation.laid.known + situation.laid.rear)
        // max(int(situation.problem.corridor.spacing), 1)
        + 1,
    )


def _facts(moment: Moment) -> tuple[Fact, ...]:
    situation, made, safety = moment.situation, moment.plan, moment.safety
    jerk, rate = (float(value) for value in moment.controls[0, 0])
    feasible = bool(made.feasible[0])
    facts = [
        Fact("Feasible", "yes" if feasible else "no", "good" if feasible else "bad"),
        Fact(
            "Tightest",
            f"{moment.tightest}, {_say(float(made.room[0]), 2)}",
            note="The least room under any constraint, in its own unit; below zero it is broken",
        ),
        Fact("Cost", _say(float(made.cost[0]), 2), note="expected over the modes"),
        *_risk_facts(moment),
        Fact("Began as", moment.begun),
        Fact("Planned in", f"{1000 * moment.seconds:.1f} ms", note="once compiled"),
        Fact(
            "Wants now",
            f"{_say(jerk, 1)} m/s³, {_say(math.degrees(rate), 1)} °/s",
            note="jerk, steering rate",
        ),
    ]
    if safety is not None:
        facts.append(Fact("Shield", say_shield(safety), "good" if safety.passes else "bad"))
        if not safety.passes:
            facts.append(Fact("Why", say_why(safety, moment.blind), note=safety.who))
        facts.append(Fact("Fail-safe", _describe_failsafe(safety)))
        if np.isfinite(safety.margin):
            facts.append(Fact("Least room", f"{_say(safety.margin, 1)} m", note=_LEAST_ROOM))
    facts += _blind_facts(moment)
    facts += [Fact("Clipped", text) for text in situation.clipped]
    return tuple(facts)


def _risk_facts(moment: Moment) -> list[Fact]:
    if moment.value is None:
        return []
    note = "The mean of the worst part of the costs, which was made least in place of the cost"
    return [Fact("At risk", _say(moment.value, 2), note=note)]


def _blind_facts(moment: Moment) -> list[Fact]:
    blind, emergence = moment.blind, moment.emergence
    if blind is None:
        return []
    lanes = sum(region.is_lane for region in blind.regions)
    text = f"{count_of(len(blind.regions), 'region')}, {lanes} on lanes"
    facts = [Fact("Not seen", text, note="Near the way of the car, and on lanes that come to it")]
    if STEPS_OUT in moment.modes:
        where = "nobody could in time"
        if emergence is not None:
            where = f"{_say(emergence.ahead, 0)} m ahead, {_say(emergence.reach, 1)} m aside"
        facts.append(Fact("Steps out", where))
    return facts


def _describe_failsafe(safety: Safety) -> str:
    speed = safety.failsafe[:, StateIndex.SPEED]
    moves = np.flatnonzero(speed > 0.0)
    if not len(moves):
        return "stands"
    way = np.hypot(*np.diff(safety.failsafe[:, :2], axis=0).T).sum()
    return f"stands after {(moves[-1] + 1) * safety.step:.1f} s, {way:.1f} m"


def _poses(states: np.ndarray, vehicle: Vehicle) -> np.ndarray:
    """Return the middle of the box, heading and speed at each state."""
    heading = states[:, StateIndex.HEADING]
    ahead = vehicle.centre_offset * np.column_stack([np.cos(heading), np.sin(heading)])
    return np.column_stack([states[:, :2] + ahead, heading, states[:, StateIndex.SPEED]])


def _reaches(safety: Safety, states: np.ndarray) -> tuple[Reach, ...]:
    """Return where others may be until the fail-safe stands, near what is planned."""
    places = np.concatenate([states[..., :2].reshape(-1, 2), safety.failsafe[:, :2]])
    near = shapely.box(*(places.min(axis=0) - _FAR), *(places.max(axis=0) + _FAR))
    moves = np.flatnonzero(safety.failsafe[:, StateIndex.SPEED] > 0.0)
    # Once the car stands, the shield asks no more.
    lasts = max(float(moves[-1] + 1) * safety.step if len(moves) else 0.0, _LEAST_REACH)
    reaches = []
    for shadow in safety.shadows:
        if shadow.start >= lasts:
            break
        area = shapely.make_valid(shapely.intersection(shadow.area, near))
        reaches.append(Reach(shadow.start, shadow.end, _outline(area)))
    return tuple(reaches)


def _blind_areas(moment: Moment) -> tuple[BlindArea, ...] | None:
    if moment.blind is None:
        return None
    blind, safety = moment.blind, moment.safety
    areas = [BlindArea(_outline(region.area), is_lane=region.is_lane) for region in blind.regions]
    if moment.emergence is not None and STEPS_OUT in moment.modes:
        here = shapely.Point(moment.emergence.place).buffer(_MARK / 4.0)
        areas.append(BlindArea(_outline(here), is_lane=False, name="steps out here"))
    if safety is not None and safety.unseen >= 0:
        # Of what may be long only what is nearest to the fail-safe.
        whole = blind.outline(safety.unseen)
        driven = shapely.MultiPoint(_poses(safety.failsafe, moment.situation.vehicle)[:, :2])
        nearest = shapely.get_point(shapely.shortest_line(whole, driven), 0)
        area = _outline(shapely.intersection(whole, shapely.buffer(nearest, _MARK)))
        areas.append(
            BlindArea(area, is_lane=False, name="one not seen stops the fail-safe", is_bad=True)
        )
    return tuple(areas)


def _outline(area: Any) -> tuple[np.ndarray, ...]:
    """Return the rings of the polygons of a shape."""
    parts = [part for part in shapely.get_parts(area) if part.geom_type == "Polygon"]
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    return tuple(shapely.get_coordinates(ring) for ring in rings)


def _forecasts(situation: Situation) -> tuple[Forecast, ...]:
    predicted = situation.predictions
    valid = np.asarray(predicted.valid)
    made = []
    for mode, slot in zip(*np.nonzero(valid[:, :, 0]), strict=True):
        ends = np.flatnonzero(~valid[mode, slot])
        count = int(ends[0]) if len(ends) else valid.shape[2]
        place, heading = predicted.mean[mode, slot, :count], predicted.heading[mode, slot, :count]
        poses = np.column_stack([place, heading, np.zeros(count)]).astype(np.float64)
        length, width = (float(side) for side in np.asarray(predicted.size)[slot])
        made.append(Forecast(poses, situation.horizon.dt, (length, width), int(mode)))
    return tuple(made)


def _edges(situation: Situation) -> tuple[np.ndarray, np.ndarray]:
    """Return both edges of the corridor, where its pieces meet."""
    corridor = situation.problem.corridor
    fields = np.column_stack([np.asarray(corridor.line), corridor.left, corridor.right])
    met = (fields[:-2] + 4.0 * fields[1:-1] + fields[2:]) / 6.0
    way = (fields[2:, :2] - fields[:-2, :2]) / 2.0
    way /= np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)[:, None]
    side = np.column_stack([-way[:, 1], way[:, 0]])
    return met[:, :2] + met[:, 2:3] * side, met[:, :2] - met[:, 3:4] * side


def _mark(timeline: Timeline, offset: float) -> list[Event]:
    """Return marks where the shield would not let a plan pass, or a plan is not feasible."""
    marks = []
    for moment in timeline.moments:
        wrong = [] if moment.plan.feasible[0] else ["not feasible"]
        if moment.safety is not None and not moment.safety.passes:
            wrong.append(f"shield: {say_why(moment.safety, moment.blind)}")
        if wrong:
            time = moment.situation.time - offset
            kind = "not feasible" if not moment.plan.feasible[0] else "held by the shield"
            marks.append(
                Event(
                    kind=kind,
                    agents=(moment.situation.agent,),
                    start=time,
                    end=time,
                    note="; ".join(wrong),
                )
            )
    return marks


def _shorten(name: str) -> str:
    return name if len(name) <= _SHORT else f"{name[: _SHORT - 4]}…"


def _say(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")
