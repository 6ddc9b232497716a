"""The families of episodes: what kind of road, and who is on it.

Each family draws its road once and its road users for every episode, over the whole range of
speeds and distances, near misses and hopeless starts among them: the shield says at the start for
which episodes it has a way to safety, and only these count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError, suggest_name
from kerbstone.plan.falsification.blind import Blind, see_all
from kerbstone.plan.falsification.casts import VEHICLE_MIX, Cast, Numbers
from kerbstone.plan.falsification.crowds import Crowd
from kerbstone.plan.falsification.rails import Rails
from kerbstone.plan.falsification.streets import BEFORE, Layout, Streets, lay_streets, pick_rails
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.surroundings import BlindPlaces, BlindStretches
from kerbstone.plan.vehicle import STATE_SIZE, StateIndex, Vehicle
from kerbstone.scene import Kind

_FEET = (Kind.PEDESTRIAN, Kind.PEDESTRIAN, Kind.ANIMAL)
_LANE = 3.5
_HIDDEN = 0.55
"""Those who step out of blind places are no longer or wider [m]."""
_CALM, _SHARP = 2.5, 5.5
"""Greatest lateral acceleration at the start of nominal and of other episodes [m/s²]."""


@dataclass(frozen=True, eq=False)
class Stage:
    """Where a batch of episodes begins.

    Args:
        streets: The road, of all.
        ego: States of the car.
        path: The rail of ego's lane, one for each episode.
        wanted: Speed that ego would like [m/s].
        crowd: The others.
        blind: Where ego cannot see.
    """

    streets: Streets
    ego: Float64[np.ndarray, "episode 6"]
    path: Rails
    wanted: Numbers
    crowd: Crowd
    blind: Blind

    def __len__(self) -> int:
        return len(self.ego)

    def take(self, rows: Bool[np.ndarray, " episode"] | Int64[np.ndarray, " row"]) -> Stage:
        """Return some of the episodes."""
        return Stage(
            self.streets,
            self.ego[rows],
            self.path.part(rows),
            self.wanted[rows],
            self.crowd.take(rows),
            self.blind.take(rows),
        )


def set_stage(
    family: str,
    count: int,
    *,
    rng: np.random.Generator,
    assumptions: Assumptions,
    vehicle: Vehicle,
    is_crowded: bool = False,
    keeps_clear: bool = False,
    is_nominal: bool = False,
) -> Stage:
    """Return episodes of a family, on one road.

    Args:
        family: A key of `FAMILIES`.
        count: How many.
        rng: Where everything is drawn from.
        assumptions: Caps on speeds.
        vehicle: Ego.
        is_crowded: Whether two to eight more road users come on.
        keeps_clear: Whether ego must not stop where lanes cross, on every road that has such a
            place; else on half of them.
        is_nominal: Whether ego starts near the speed that it wants, in the middle of its lane.

    Raises:
        InputError: There is no such family.
    """
    if family not in FAMILIES:
        raise InputError(
            "name", f"there is no family {family!r}", remedy=suggest_name(family, FAMILIES)
        )
    streets = FAMILIES[family].lay(rng, 1.0 if keeps_clear else 0.5)
    speed = np.where(rng.random(count) < 0.1, 0.0, rng.uniform(0.0, 20.0, count))
    # In a sharp bend nobody gets anywhere near the greatest speed.
    bend = max(abs(float(streets.rail.curvature[0])), 1e-9)
    speed = np.minimum(speed, np.sqrt((_CALM if is_nominal else _SHARP) / bend))
    cast = Cast(rng, streets, count, assumptions)
    blind = FAMILIES[family].fill(cast, speed)
    if is_crowded:
        _add_crowd(cast, speed)
    crowd = cast.crowd()
    if blind is None:
        blind = see_all(crowd)
    else:
        more = np.full((count, crowd.valid.shape[1] - blind.place_of.shape[1]), -1)
        blind = Blind(
            blind.places,
            blind.stretches,
            np.concatenate([blind.place_of, more], axis=1),
            np.concatenate([blind.stretch_of, more], axis=1),
        )
    path = pick_rails(streets, np.zeros(count, np.int64))
    ego = _place_ego(path, speed, rng, vehicle)
    wanted = rng.uniform(5.0, 20.0, count)
    if is_nominal:
        start, heading = path.place(np.zeros(count), np.zeros(count))
        ego[:, : StateIndex.HEADING], ego[:, StateIndex.HEADING] = start, heading
        ego[:, StateIndex.ACCELERATION] = 0.0
        wanted = np.clip(speed + rng.uniform(-1.0, 3.0, count), 5.0, 20.0)
        wanted = np.minimum(wanted, np.sqrt(_CALM / bend))
    return Stage(streets, ego, path, wanted, crowd, blind)


def _place_ego(
    path: Rails, speed: Numbers, rng: np.random.Generator, vehicle: Vehicle
) -> Float64[np.ndarray, "episode 6"]:
    count = len(speed)
    left = rng.uniform(-0.4, 0.4, count)
    place, heading = path.place(np.zeros(count), left)
    ego = np.zeros((count, STATE_SIZE))
    ego[:, : StateIndex.HEADING] = place
    ego[:, StateIndex.HEADING] = heading + rng.uniform(-0.06, 0.06, count)
    ego[:, StateIndex.SPEED] = speed
    ego[:, StateIndex.ACCELERATION] = np.where(speed > 0, rng.uniform(-3.0, 2.0, count), 0.0)
    ego[:, StateIndex.STEERING] = np.arctan(vehicle.wheelbase * path.curvature)
    return ego


def _draw_pose(rng: np.random.Generator) -> Float64[np.ndarray, " 3"]:
    return np.array([*rng.uniform(-200.0, 200.0, 2), rng.uniform(-np.pi, np.pi)])


def _lay(
    rng: np.random.Generator, *layouts: Layout, bend: float = 0.0, clear: float = 0.0
) -> Streets:
    return lay_streets(
        layouts,
        pose=_draw_pose(rng),
        curvature=bend,
        half_width=_LANE / 2.0,
        limit=float(rng.uniform(8.0, 22.0)),
        is_bounded=bool(rng.random() < 0.5),
        keeps_clear=bool(rng.random() < clear),
    )


def _one_lane(rng: np.random.Generator, clear: float) -> Streets:
    del clear
    return _lay(rng, Layout())


def _lanes(rng: np.random.Generator, clear: float) -> Streets:
    del clear
    sides = [(Layout(_LANE),), (Layout(-_LANE),), (Layout(_LANE), Layout(-_LANE))]
    return _lay(rng, Layout(), *sides[rng.integers(3)])


def _crossing(rng: np.random.Generator, clear: float) -> Streets:
    turn = float(rng.uniform(np.pi / 3, 2 * np.pi / 3) * rng.choice([-1, 1]))
    # A lane that turns away does so about the origin, so it is moved to cross further ahead.
    left = -rng.uniform(15.0, 50.0) * np.sin(turn)
    return _lay(
        rng,
        Layout(),
        Layout(left, turn=turn),
        Layout(left + np.sign(turn) * _LANE, turn=turn, reverse=True),
        clear=clear,
    )


def _two_way(rng: np.random.Generator, clear: float) -> Streets:
    del clear
    bend = 0.0 if rng.random() < 0.5 else float(rng.uniform(-0.015, 0.015))
    return _lay(rng, Layout(), Layout(_LANE, reverse=True), bend=bend)


def _curve(rng: np.random.Generator, clear: float) -> Streets:
    del clear
    bend = float(rng.uniform(0.004, 0.025) * rng.choice([-1, 1]))
    more = () if rng.random() < 0.5 else (Layout(_LANE * rng.choice([-1, 1])),)
    return _lay(rng, Layout(), *more, bend=bend)


def _near_speed(cast: Cast, speed: Numbers) -> Numbers:
    """Draw speeds of others: of all kinds, and often near to ego's."""
    near = np.maximum(speed + cast.draw(-6.0, 6.0), 0.0)
    return np.where(cast.happens(0.5), near, np.where(cast.happens(0.2), 0.0, cast.draw(0.0, 25.0)))


def _ahead(cast: Cast) -> Numbers:
    """Draw ways ahead of ego, near ones often."""
    return 4.0 + 90.0 * cast.draw(0.0, 1.0) ** 2


def _fill_following(cast: Cast, speed: Numbers) -> None:
    cast.put_on_lane(0, _ahead(cast) + 4.0, _near_speed(cast, speed))
    cast.put_on_lane(0, -_ahead(cast), _near_speed(cast, speed), valid=cast.happens(0.4))


def _fill_cut_in(cast: Cast, speed: Numbers) -> None:
    lanes = len(cast.streets.limit)
    for share in (1.0, 0.5):
        lane = cast.rng.integers(1, lanes, cast.count)
        along = np.where(cast.happens(0.6), cast.draw(-15.0, 25.0), cast.draw(-40.0, 70.0))
        cast.put_on_lane(lane, along, _near_speed(cast, speed), valid=cast.happens(share))
    cast.put_on_lane(0, _ahead(cast) + 6.0, _near_speed(cast, speed), valid=cast.happens(0.3))


def _fill_crossing(cast: Cast, speed: Numbers) -> None:
    del speed
    for share in (1.0, 0.4):
        lane = cast.rng.integers(1, 3, cast.count)
        meets = _meeting_way(cast.streets)[lane]
        cast.put_on_lane(
            lane, meets - cast.draw(-2.0, 70.0), cast.draw(0.0, 20.0), valid=cast.happens(share)
        )


def _meeting_way(streets: Streets) -> Float64[np.ndarray, " lane"]:
    """Return where each lane meets ego's along its own rail [m]."""
    away = streets.rail.pose[0, :2] - streets.rail.pose[:, :2]
    own, others = streets.rail.pose[0, 2], streets.rail.pose[:, 2]
    normal = np.array([-np.sin(own), np.cos(own)])
    slope = -np.sin(own) * np.cos(others) + np.cos(own) * np.sin(others)
    return (away @ normal) / np.where(np.abs(slope) < 1e-6, np.inf, slope)


def _fill_oncoming(cast: Cast, speed: Numbers) -> None:
    cast.put_on_lane(1, cast.draw(-90.0, 10.0), cast.draw(0.0, 20.0))
    cast.put_on_lane(1, cast.draw(-90.0, 10.0), cast.draw(0.0, 20.0), valid=cast.happens(0.4))
    cast.put_on_lane(0, _ahead(cast) + 6.0, _near_speed(cast, speed), valid=cast.happens(0.3))


def _beside(
    cast: Cast, along: Numbers, left: Numbers
) -> tuple[Float64[np.ndarray, "episode 2"], Numbers]:
    return pick_rails(cast.streets, np.zeros(cast.count, np.int64)).place(along, left)


def _put_on_foot(cast: Cast, share: float, kinds: tuple[Kind, ...] = _FEET) -> None:
    side = np.where(cast.happens(0.5), 1.0, -1.0)
    left = side * np.where(cast.happens(0.7), cast.draw(1.5, 6.0), cast.draw(0.0, 14.0))
    place, heading = _beside(cast, cast.draw(-5.0, 60.0), left)
    turn = np.where(
        cast.happens(0.6), -side * np.pi / 2 + cast.draw(-0.6, 0.6), cast.draw(-np.pi, np.pi)
    )
    speed = np.where(cast.happens(0.3), 0.0, cast.draw(0.0, 3.0))
    cast.put_free(place, heading + turn, speed, kinds=kinds, valid=cast.happens(share))


def _fill_walkers(cast: Cast, speed: Numbers) -> None:
    del speed
    _put_on_foot(cast, 1.0)
    _put_on_foot(cast, 0.4)


def _put_cyclist(cast: Cast, share: float) -> None:
    place, heading = _beside(cast, cast.draw(-15.0, 60.0), cast.draw(-5.0, 5.0))
    turn = np.where(cast.happens(0.7), cast.draw(-0.3, 0.3), cast.draw(-np.pi, np.pi))
    cast.put_free(
        place,
        heading + turn,
        cast.draw(0.0, 9.0),
        kinds=(Kind.CYCLIST, Kind.CYCLIST, Kind.RIDER),
        valid=cast.happens(share),
    )


def _fill_cyclists(cast: Cast, speed: Numbers) -> None:
    del speed
    _put_cyclist(cast, 1.0)
    _put_cyclist(cast, 0.4)


def _fill_curve(cast: Cast, speed: Numbers) -> None:
    last = len(cast.streets.limit) - 1
    cast.put_on_lane(0, _ahead(cast) + 4.0, _near_speed(cast, speed), valid=cast.happens(0.7))
    cast.put_on_lane(
        last, cast.draw(-30.0, 60.0), _near_speed(cast, speed), valid=cast.happens(0.5)
    )
    _put_on_foot(cast, 0.3)


def _fill_parked(cast: Cast, speed: Numbers) -> None:
    side = np.where(cast.happens(0.5), 1.0, -1.0)
    for along in (8.0, 16.0):
        cast.put_on_lane(
            0,
            along + cast.draw(0.0, 25.0),
            np.zeros(cast.count),
            left=side * cast.draw(1.9, 3.2),
            kinds=(Kind.CAR, Kind.TRUCK),
            valid=cast.happens(0.8),
        )
    place, heading = _beside(cast, cast.draw(10.0, 70.0), cast.draw(-3.0, 3.0))
    cast.put_free(
        place, heading, np.zeros(cast.count), kinds=(Kind.OBJECT,), valid=cast.happens(0.5)
    )
    cast.put_on_lane(0, _ahead(cast) + 8.0, _near_speed(cast, speed), valid=cast.happens(0.4))


def _fill_hidden_walker(cast: Cast, speed: Numbers) -> Blind:
    """Put a blind place beside the lane, mostly with someone in it."""
    del speed
    side = np.where(cast.happens(0.5), 1.0, -1.0)
    along, radius = cast.draw(4.0, 50.0), cast.draw(0.6, 1.2)
    left = side * (1.2 + radius + cast.draw(0.3, 3.0))
    depth = cast.draw(0.0, 6.0)
    start, heading = _beside(cast, along, left)
    end, _ = _beside(cast, along + depth, left)
    within = cast.draw(0.0, 1.0)
    place, _ = _beside(cast, along + within * depth, left - side * cast.draw(0.0, 0.1))
    cast.put_free(
        place,
        heading - side * np.pi / 2,
        cast.draw(0.0, cast.assumptions.phantom_speed),
        kinds=(Kind.PEDESTRIAN,),
        largest=_HIDDEN,
        valid=cast.happens(0.85),
    )
    places = BlindPlaces(
        start[:, None], end[:, None], radius[:, None], np.ones((cast.count, 1), bool)
    )
    of = np.zeros((cast.count, 1), np.int64)
    return Blind(places, None, of, of - 1)


def _fill_hidden_car(cast: Cast, speed: Numbers) -> Blind:
    """Hide a stretch of each crossing lane before it meets ego's, mostly with a car on it."""
    del speed
    starts, ends, lanes = [], [], (1, 2)
    for lane in lanes:
        meets = _meeting_way(cast.streets)[lane]
        end = meets - cast.draw(4.0, 40.0)
        start = end - cast.draw(10.0, 90.0)
        middle = start + 2.7 + cast.draw(0.0, 1.0) ** 0.3 * (end - start - 5.4)
        cast.put_on_lane(
            lane, middle, cast.draw(3.0, 25.0), kinds=(Kind.CAR,), valid=cast.happens(0.7)
        )
        starts.append(start + BEFORE)
        ends.append(end + BEFORE)
    stretches = BlindStretches(
        np.tile(np.array(lanes), (cast.count, 1)),
        np.stack(starts, axis=1),
        np.stack(ends, axis=1),
        np.ones((cast.count, 2), bool),
    )
    of = np.tile(np.arange(2), (cast.count, 1))
    return Blind(None, stretches, np.full((cast.count, 2), -1), of)


def _add_crowd(cast: Cast, speed: Numbers) -> None:
    lanes = len(cast.streets.limit)
    for share in (1.0, 0.8, 0.6):
        lane = cast.rng.integers(0, lanes, cast.count)
        along = np.where(lane == 0, _ahead(cast) + 6.0, cast.draw(-60.0, 90.0))
        cast.put_on_lane(
            lane, along, _near_speed(cast, speed), kinds=VEHICLE_MIX, valid=cast.happens(share)
        )
    for share in (1.0, 0.5, 0.3):
        _put_on_foot(cast, share)
    _put_cyclist(cast, 0.6)
    cast.put_on_lane(0, -_ahead(cast) - 4.0, _near_speed(cast, speed), valid=cast.happens(0.5))


@dataclass(frozen=True)
class Family:
    """A kind of episodes.

    Args:
        lay: Draws the road; with what chance ego must not stop where lanes cross.
        fill: Puts the others on it, given ego's speeds; returns what is hidden, if anything.
    """

    lay: Callable[[np.random.Generator, float], Streets]
    fill: Callable[[Cast, Numbers], Blind | None]


FAMILIES: dict[str, Family] = {
    "following": Family(_one_lane, _fill_following),
    "cut-in": Family(_lanes, _fill_cut_in),
    "crossing": Family(_crossing, _fill_crossing),
    "oncoming": Family(_two_way, _fill_oncoming),
    "walkers": Family(_one_lane, _fill_walkers),
    "cyclists": Family(_lanes, _fill_cyclists),
    "curve": Family(_curve, _fill_curve),
    "parked": Family(_two_way, _fill_parked),
    "hidden walker": Family(_one_lane, _fill_hidden_walker),
    "hidden car": Family(_crossing, _fill_hidden_car),
}
"""All families by name."""
