"""How each kind of rare event is directed, step by step, with SUMO's own road users."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kerbstone.formats.sumo.events import SCRIPT_TYPE, STEP, EventKind, Script
from kerbstone.formats.sumo.stage import IGNORE_RIGHT_OF_WAY, NO_LANE_CHANGES

if TYPE_CHECKING:
    from jaxtyping import Float64

    from kerbstone.formats.sumo.demand import EGO
    from kerbstone.formats.sumo.stage import Actor, Stage

from kerbstone.formats.sumo.demand import EGO

_FULL_BRAKING = 7.5
"""How hard ego brakes in an emergency [m/s²]."""
_BESIDE = 2.0
"""From how far aside on a vehicle is beside another, not behind it [m]."""
_INSIDE = 0.8
"""Who is less than that aside of another is in its lane [m]."""
_KEEPS_UP = 2.0
"""Who differs less than that in speed stays beside another while it comes over [m/s]."""


def _run_red_light(stage: Stage) -> Script:
    """Have the first vehicle at a red light near ego drive on."""
    switches = stage.connection.trafficlight.getNextSwitch
    for actor in stage.near(100.0):
        lights = stage.vehicles.getNextTLS(actor.id)
        if not lights or actor.speed < 4.0 or not stage.is_on_road(actor):
            continue
        light, _, distance, state = lights[0]
        is_first = stage.leader(actor.id, distance + 5.0) is None
        stays_red = switches(light) - stage.time > distance / max(actor.speed, 8.0) + 0.5
        if state == "r" and 8.0 < distance < 50.0 and is_first and stays_red:
            break
    else:
        return ()
    with stage.hold(actor.id):
        stage.vehicles.setSpeedMode(actor.id, IGNORE_RIGHT_OF_WAY)
        stage.vehicles.setSpeed(actor.id, max(actor.speed, 8.0))
        has_crossed = False
        for _ in _seconds(10.0):
            yield
            lights = stage.vehicles.getNextTLS(actor.id)
            is_before = bool(lights) and lights[0][0] == light and lights[0][2] <= distance
            is_inside = stage.vehicles.getRoadID(actor.id).startswith(":")
            has_crossed = has_crossed or (not is_before and is_inside)
            if has_crossed and not is_inside:
                return (actor.id, EGO)
            if is_before and lights[0][3] != "r":
                break
    return ()


def _brake_hard(stage: Stage) -> Script:
    """Have ego's leader brake as hard as it can, on an open road."""
    ego = stage.ego
    ahead = stage.leader(EGO, 40.0)
    if ahead is None or ego.speed < 6.0:
        return ()
    leader = stage.actor(ahead[0])
    if (
        leader.speed < 6.0
        or not stage.is_on_road(leader)
        or leader.remaining < leader.speed**2 / 14
    ):
        return ()
    with stage.hold(leader.id):
        stage.vehicles.setDecel(leader.id, stage.rng.uniform(6.5, 8.0))
        stage.vehicles.setSpeed(leader.id, 0.0)
        stage.vehicles.setLaneChangeMode(leader.id, NO_LANE_CHANGES)
        for _ in _seconds(leader.speed / 6.0 + stage.rng.uniform(0.5, 2.0)):
            yield
    return (leader.id, EGO)


def _cut_in(stage: Stage) -> Script:
    """Bring a vehicle beside ego a few metres ahead of it, and then into its lane.

    One that follows ego in its lane overtakes it first. Ego keeps its lane meanwhile.
    """
    ego = stage.ego
    if ego.speed < 5.0 or not stage.is_on_road(ego):
        return ()
    wanted = stage.rng.uniform(3.0, 6.0)
    found = _choose_intruder(stage, wanted)
    if found is None:
        return ()
    actor, beside = found
    with stage.hold(actor.id, EGO):
        stage.vehicles.setLaneChangeMode(EGO, NO_LANE_CHANGES)
        stage.vehicles.setLaneChangeMode(actor.id, NO_LANE_CHANGES)
        stage.vehicles.setMaxSpeedLat(actor.id, stage.rng.uniform(1.5, 2.5))
        # It may have to outrun ego for a moment, whatever the limit.
        stage.vehicles.setSpeedFactor(actor.id, 1.4)
        for _ in _seconds(10.0):
            ego, actor = stage.ego, stage.actor(actor.id)
            if actor.lane.edge != ego.lane.edge or ego.remaining < 3.0 * ego.speed:
                return ()
            ahead, aside = ego.see(actor.front)
            gap = ahead - actor.length
            keeps_up = abs(actor.speed - ego.speed) < _KEEPS_UP
            if abs(gap - wanted) < 1.5 and abs(aside) > _BESIDE and keeps_up:
                break
            stage.vehicles.changeLane(actor.id, beside, 1.0)
            if abs(aside) > _BESIDE or ahead < 0:
                _keep_gap(stage, ego, actor, wanted)
            yield
        else:
            return ()
        is_in, least = 0, actor.speed - 1.0
        for _ in _seconds(8.0):
            ego, actor = stage.ego, stage.actor(actor.id)
            is_in += abs(ego.see(actor.front)[1]) < _INSIDE
            if is_in > 1.0 / STEP:
                break
            if actor.lane.edge == ego.lane.edge:
                stage.vehicles.changeLane(actor.id, ego.lane.index, 1.0)
            # Ego will brake; who slows down with it does not get over.
            _keep_gap(stage, ego, actor, wanted, least)
            yield
    return (actor.id, EGO)


def _keep_gap(stage: Stage, ego: Actor, actor: Actor, wanted: float, least: float = 1.0) -> None:
    """Have a vehicle come to a gap ahead of ego's front [m], not below some speed [m/s]."""
    gap = ego.see(actor.front)[0] - actor.length
    stage.vehicles.setSpeed(actor.id, max(ego.speed + 0.7 * (wanted - gap), least))


def _choose_intruder(stage: Stage, wanted: float) -> tuple[Actor, int] | None:
    """Return a vehicle beside or behind ego, and the index of the lane to come beside ego on.

    It can be at the wanted gap ahead of ego [m], and in, before the road ends.
    """
    ego = stage.ego
    lanes = stage.edge(ego).lanes
    beside = {
        index
        for index in (ego.lane.index - 1, ego.lane.index + 1)
        if 0 <= index < len(lanes) and lanes[index].permits("passenger")
    }
    for actor in stage.near(50.0):
        if actor.lane.edge != ego.lane.edge or not beside:
            continue
        gap = ego.see(actor.front)[0] - actor.length
        if (abs(gap - wanted) / 4.0 + 3.0) * ego.speed > ego.remaining:
            continue
        if actor.lane.index in beside:
            return actor, actor.lane.index
        if actor.lane.index == ego.lane.index and gap < -10.0:
            return actor, max(beside)
    return None


def _stop_in_lane(stage: Stage) -> Script:
    """Have a vehicle ahead of ego stop in its lane, where nothing else makes it."""
    leader = _distant_leader(stage, 100.0)
    if leader is None:
        return ()
    place = leader.position + max(leader.speed**2 / 5.0, 4.0)
    if place > leader.lane.length - 12.0:
        return ()
    duration = stage.rng.uniform(12.0, 25.0)
    edge, lane = leader.lane.edge, leader.lane.index
    stage.vehicles.setStop(leader.id, edge, place, lane, duration)
    for _ in _seconds(duration + 8.0):
        yield
        if stage.actor(leader.id).position > place + 3.0:
            break
    return (leader.id, EGO)


def _crawl(stage: Stage) -> Script:
    """Have a vehicle ahead of ego go very slowly."""
    leader = _distant_leader(stage, 80.0)
    if leader is None or leader.lane.speed < 8.0:
        return ()
    with stage.hold(leader.id):
        slow = stage.rng.uniform(0.15, 0.3) * leader.lane.speed
        stage.vehicles.setLaneChangeMode(leader.id, NO_LANE_CHANGES)
        for k in _seconds(stage.rng.uniform(15.0, 25.0)):
            # Ease off instead of braking: 1.5 m/s².
            stage.vehicles.setMaxSpeed(leader.id, max(leader.speed - 0.15 * k, slow))
            yield
    return (leader.id, EGO)


def _tailgate(stage: Stage) -> Script:
    """Have the vehicle behind ego come far too close."""
    behind = stage.follower(EGO, 40.0)
    if behind is None or stage.ego.speed < 6.0:
        return ()
    follower = stage.actor(behind[0])
    if stage.edge(follower).id != stage.ego.lane.edge:
        return ()
    with stage.hold(follower.id):
        get = stage.vehicles
        get.setTau(follower.id, 0.2)
        get.setMinGap(follower.id, 0.8)
        get.setSpeedFactor(follower.id, 1.5)
        get.setLaneChangeMode(follower.id, NO_LANE_CHANGES)
        for _ in _seconds(stage.rng.uniform(10.0, 16.0)):
            yield
    return (follower.id, EGO)


def _drive_wrong_way(stage: Stage) -> Script:
    """Lead an oncoming vehicle onto ego's side of the road, and back before they meet."""
    ego = stage.ego
    if not stage.is_on_road(ego) or ego.speed < 3.0:
        return ()
    for actor in stage.near(180.0):
        ahead, aside = ego.see(actor.front)
        turn = abs((actor.heading - ego.heading + np.pi) % (2 * np.pi) - np.pi)
        is_oncoming = turn > 2.9 and ahead > 0 and 1.5 < abs(aside) < 6.0 and actor.speed > 4.0
        time_to_meet = ahead / (ego.speed + max(actor.speed, 1.0))
        duration = min(time_to_meet - 1.2, 0.9 * actor.remaining / max(actor.speed, 1.0), 6.0)
        if is_oncoming and duration > 2.5 and stage.is_on_road(actor):
            break
    else:
        return ()
    speed, position = actor.speed, actor.position
    own_aside = _aside_on_lane(actor)
    # Oncoming traffic is on the side of the road's middle: left where one drives on the right.
    shift = -_kerb_side(stage) * abs(aside)
    with stage.hold(actor.id):
        for k in _seconds(duration):
            position += STEP * speed
            # Out and back, each in a third of the time.
            phase = min(k * STEP, duration - k * STEP) / (duration / 3)
            swing = 0.5 * (1 - np.cos(np.pi * np.clip(phase, 0.0, 1.0)))
            point, heading = actor.lane.place(position, own_aside + swing * shift)
            # 1 keeps the vehicle on its route; where it is drawn is free all the same.
            stage.vehicles.moveToXY(actor.id, actor.lane.edge, -1, *point, _course(heading), 1)
            yield
    return (actor.id, EGO)


def _aside_on_lane(actor: Actor) -> float:
    """Return how far a vehicle is to the left of its lane's centre line [m]."""
    point, heading = actor.lane.place(actor.position, 0.0)
    x, y = actor.front - point
    return float(np.cos(heading) * y - np.sin(heading) * x)


def _step_out(stage: Stage) -> Script:
    """Have a pedestrian step out from behind a standing vehicle that ego is about to pass.

    From behind an oncoming vehicle the pedestrian crosses to the kerb on ego's side; from behind
    one at that kerb, it steps into ego's way and back again.
    """
    cover = _choose_cover(stage)
    if cover is None:
        return ()
    walk = stage.rng.uniform(1.5, 2.1)
    # What time ego has left to react when the pedestrian is in its way [s].
    margin = stage.rng.uniform(0.3, 1.0)
    beyond = stage.rng.uniform(0.5, 1.0)
    name = stage.new_name()
    with stage.hold(cover.id, EGO):
        stage.vehicles.setSpeed(cover.id, 0.0)
        stage.vehicles.setLaneChangeMode(EGO, NO_LANE_CHANGES)
        for _ in _seconds(10.0):
            ego, cover = stage.ego, stage.actor(cover.id)
            ahead, aside = ego.see(cover.centre)
            ahead += cover.length / 2 + beyond
            if ahead < 6.0 or ego.speed < 3.0:
                return ()
            to_brake = ego.speed / (2 * _FULL_BRAKING)
            is_time = ahead / ego.speed < (abs(aside) - 1.0) / walk + to_brake + margin
            if is_time and cover.speed < 0.1:
                break
            if is_time:
                return ()
            yield
        else:
            return ()
        across = np.array([ego.ahead[1], -ego.ahead[0]]) * np.sign(aside)
        place = ego.front + ahead * ego.ahead - abs(aside) * across
        point = place
        path = _crossing_path(ego, abs(aside), aside * _kerb_side(stage) < 0)
        stage.persons.add(name, ego.lane.edge, 0.0, typeID="adult")
        stage.persons.appendWaitingStage(name, 3600.0)
        stage.vehicles.setDecel(EGO, _FULL_BRAKING)
        reaction = int(stage.rng.uniform(0.4, 0.8) / STEP)
        for k in range(len(path)):
            step = path[k] - path[max(k - 1, 0)]
            point = place + path[k] * across
            _walk(stage, name, point, across * (-1.0 if step < 0 else 1.0))
            ego = stage.ego
            ahead, aside = ego.see(point)
            reaction -= int(abs(aside) < abs(ego.see(cover.centre)[1]) - cover.width / 2)
            is_in_way = ahead > 0.0 and abs(aside) < 2.5 and reaction <= 0
            stage.vehicles.setSpeed(EGO, 0.0 if is_in_way else -1.0)
            yield
    # It waits at the kerb until ego is far away: nobody vanishes before ego's eyes.
    for _ in _seconds(30.0):
        if not stage.has_ego or np.hypot(*(stage.ego.front - point)) > 50.0:
            break
        _walk(stage, name, point, across)
        yield
    stage.persons.remove(name)
    return (name, EGO, cover.id)


def _choose_cover(stage: Stage) -> Actor | None:
    """Return a vehicle beside ego's path that stands, or can, before ego comes by."""
    ego = stage.ego
    has_sidewalk = stage.edge(ego).lanes[0].allow == {"pedestrian"}
    if ego.speed < 4.0 or not stage.is_on_road(ego) or not has_sidewalk:
        return None
    for cover in stage.near(100.0):
        ahead, aside = ego.see(cover.centre)
        parallel = abs(np.sin(cover.heading - ego.heading)) < 0.12
        is_beside = (cover.width + 1.8) / 2 + 0.3 < abs(aside) < 6.5
        stopping = cover.speed / 4.0
        way = cover.speed * stopping / 2 * np.cos(cover.heading - ego.heading)
        in_time = (ahead + way - 6.0) / ego.speed > stopping + 2.0
        # SUMO 1.28 crashes when somebody is led off the end of a junction's crossing.
        is_in_reach = 15.0 < ahead + way < ego.remaining - 8.0
        if parallel and is_beside and in_time and is_in_reach and stage.is_on_road(cover):
            return cover
    return None


def _crossing_path(ego: Actor, distance: float, from_kerb: bool) -> np.ndarray:  # noqa: FBT001
    """Return how far a pedestrian has walked from its cover at each step [m]."""
    walk = 1.8 * STEP
    if from_kerb:
        out = np.arange(0.0, distance + 0.4, walk)
        back = np.arange(distance + 0.4, -2.2, -walk)
        return np.concatenate([out, np.full(4, distance + 0.4), back])
    return np.arange(0.0, distance + ego.lane.width * (ego.lane.index + 0.3), walk)


def _kerb_side(stage: Stage) -> float:
    """Return the sign of the kerb's side: -1 for the right, 1 for the left."""
    return 1.0 if stage.network.left_hand else -1.0


def _distant_leader(stage: Stage, reach: float) -> Actor | None:
    """Return the vehicle that ego follows, if both drive freely on one road."""
    ahead = stage.leader(EGO, reach)
    if ahead is None or stage.ego.speed < 3.0 or ahead[1] < 8.0:
        return None
    leader = stage.actor(ahead[0])
    lights = stage.vehicles.getNextTLS(leader.id)
    waits = bool(lights) and lights[0][3] in "ruy" and lights[0][2] < 40.0
    if leader.speed < 3.0 or not stage.is_on_road(leader) or leader.remaining < 30.0 or waits:
        return None
    return leader


def _walk(
    stage: Stage, name: str, point: Float64[np.ndarray, " 2"], towards: Float64[np.ndarray, " 2"]
) -> None:
    course = _course(float(np.arctan2(towards[1], towards[0])))
    stage.persons.moveToXY(name, "", point[0], point[1], course, 2)


def _course(heading: float) -> float:
    return float(np.degrees(np.pi / 2 - heading) % 360.0)


def _seconds(duration: float) -> range:
    return range(max(round(duration / STEP), 1))


SCRIPTS: dict[EventKind, SCRIPT_TYPE] = {
    EventKind.RED_LIGHT_RUNNING: _run_red_light,
    EventKind.EMERGENCY_BRAKING: _brake_hard,
    EventKind.CLOSE_CUT_IN: _cut_in,
    EventKind.HIDDEN_PEDESTRIAN: _step_out,
    EventKind.STOPPED_VEHICLE: _stop_in_lane,
    EventKind.SLOW_VEHICLE: _crawl,
    EventKind.WRONG_WAY: _drive_wrong_way,
    EventKind.TAILGATING: _tailgate,
}
"""The script of each kind of event."""
