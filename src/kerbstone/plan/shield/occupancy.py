"""Where each of the others may be, from now on: along lanes and in the plane (A2).

A road user may be where *both* sets allow. The plane's set is a disc that grows; the lanes' set is
the union over the routes that it may take, and on each an interval of stations times an interval
of offsets. All are bounds for whole intervals of time, in closed form.

References:
    Koschi and Althoff, "SPOT: a tool for set-based prediction of traffic participants", IEEE
    Intelligent Vehicles Symposium 2017.
    Pek, Manzinger, Koschi and Althoff, "Using online verification to prevent autonomous vehicles
    from causing accidents", Nature Machine Intelligence 2, 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Integer

from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.path import REACH, Extent
from kerbstone.plan.shield.road import Road, Route
from kerbstone.plan.shield.rss import response_way
from kerbstone.plan.shield.surroundings import Surroundings

_CROSSWISE = np.pi / 3
"""What points farther away from a lane's direction does not follow it [rad]."""
TIGHTEST = 5.0
"""Least radius on which a vehicle turns [m]."""


@dataclass(frozen=True, eq=False)
class Occupancy:
    """The sets of everyone, as their parameters now.

    Args:
        valid: Who exists.
        centre: Of the box [m].
        velocity: As seen [m/s].
        speed: Least and greatest that it may have now [m/s].
        radius: Of a circle around the body, with the errors of position and size [m].
        drift: Error of the velocity [m/s].
        pull: Greatest acceleration in the plane [m/s²].
        top: Greatest speed in the plane [m/s].
        acceleration: Along its way, at most [m/s²].
        braking: Along its way, at most [m/s²].
        lateral_speed: While it changes lanes, at most [m/s].
        lateral_slope: Lateral speed as a share of its speed, at most.
        half: Half of its length and width, with the error of size [m].
        on_route: Which routes it may follow.
        is_loose: Whether no lane bounds it, so that only the plane does.
        turn: Heading less the route's direction now [rad].
        slow: Least share of its speed that is along the route now.
        station: Of its body now, with errors [m].
        tight: Offset of its body now, as seen, without errors [m].
        offset: Offset of its body now, with errors [m].
        band: Offset of its body at any time while it keeps to its lane [m].
        stretch: How much faster stations may pass than the ground, on the inside of a bend.
        cap: Greatest speed on each route [m/s].
    """

    valid: Bool[np.ndarray, "batch agent"]
    centre: Float64[np.ndarray, "batch agent 2"]
    velocity: Float64[np.ndarray, "batch agent 2"]
    speed: Float64[np.ndarray, "batch agent 2"]
    radius: Float64[np.ndarray, "batch agent"]
    drift: Float64[np.ndarray, "batch agent"]
    pull: Float64[np.ndarray, "batch agent"]
    top: Float64[np.ndarray, "batch agent"]
    acceleration: Float64[np.ndarray, "batch agent"]
    braking: Float64[np.ndarray, "batch agent"]
    lateral_speed: Float64[np.ndarray, "batch agent"]
    lateral_slope: Float64[np.ndarray, "batch agent"]
    half: Float64[np.ndarray, "batch agent 2"]
    is_loose: Bool[np.ndarray, "batch agent"]
    on_route: Bool[np.ndarray, "batch agent route"]
    turn: Float64[np.ndarray, "batch agent route"]
    slow: Float64[np.ndarray, "batch agent route"]
    station: Float64[np.ndarray, "batch agent route 2"]
    tight: Float64[np.ndarray, "batch agent route 2"]
    offset: Float64[np.ndarray, "batch agent route 2"]
    band: Float64[np.ndarray, "batch agent route 2"]
    stretch: Float64[np.ndarray, "batch agent route"]
    cap: Float64[np.ndarray, "batch agent route"]

    def take(self, rows: Integer[np.ndarray, " row"]) -> Occupancy:
        """Return some of the episodes, in the order given."""
        return replace(self, **{name: value[rows] for name, value in vars(self).items()})

    def along(
        self,
        row: Integer[np.ndarray, " pair"],
        agent: Integer[np.ndarray, " pair"],
        route: Integer[np.ndarray, " pair"],
        start: Float64[np.ndarray, " step"],
        end: Float64[np.ndarray, " step"],
    ) -> tuple[Float64[np.ndarray, "pair step"], Float64[np.ndarray, "pair step"]]:
        """Return least and greatest station of bodies on a route during intervals of time [m].

        Beside braking, what swerves makes less way along its lane, and a body that turns reaches
        farther along it.
        """
        pair = row, agent
        stretch, station = self.stretch[row, agent, route], self.station[row, agent, route]
        slope = self.lateral_slope[pair]
        speed = self.speed[pair][:, 0] * self.slow[row, agent, route]
        braking = self.braking[pair] * stretch
        least = least_way(speed, braking, start)
        least -= swerve_loss(speed, braking, self.lateral_speed[pair], slope, start)
        most = self._most(row, agent, route, end)
        turned = self.half[pair][:, 1:] * np.minimum(slope[:, None], most / TIGHTEST)
        return station[:, :1] + least - turned, station[:, 1:] + most + turned

    def beside(
        self,
        row: Integer[np.ndarray, " pair"],
        agent: Integer[np.ndarray, " pair"],
        route: Integer[np.ndarray, " pair"],
        end: Float64[np.ndarray, " step"],
        *,
        is_free: Bool[np.ndarray, " pair"],
    ) -> tuple[Float64[np.ndarray, "pair step"], Float64[np.ndarray, "pair step"]]:
        """Return least and greatest offset of bodies on a route until the ends of intervals [m].

        Args:
            row: Episode of each pair.
            agent: Road user of each pair.
            route: Route of each pair.
            end: Ends of the intervals [s].
            is_free: Whether it may change lanes; else it keeps to its band.
        """
        band, offset = self.band[row, agent, route], self.offset[row, agent, route]
        way = self._most(row, agent, route, end)
        slope = self.lateral_slope[row, agent][:, None]
        shift = self.shift(row, agent, route, end)
        shift += self.half[row, agent, :1] * np.minimum(slope, way / TIGHTEST)
        low = np.minimum(np.where(is_free[:, None], offset[:, :1] - shift, np.inf), band[:, :1])
        high = np.maximum(np.where(is_free[:, None], offset[:, 1:] + shift, -np.inf), band[:, 1:])
        return low, high

    def shift(
        self,
        row: Integer[np.ndarray, " pair"],
        agent: Integer[np.ndarray, " pair"],
        route: Integer[np.ndarray, " pair"],
        end: Float64[np.ndarray, " step"],
    ) -> Float64[np.ndarray, "pair step"]:
        """Return how far middles get across a route at most until the ends of intervals [m]."""
        slope = self.lateral_slope[row, agent][:, None]
        way = slope * self._most(row, agent, route, end)
        return np.minimum(self.lateral_speed[row, agent][:, None] * end, way)

    def _most(
        self,
        row: Integer[np.ndarray, " pair"],
        agent: Integer[np.ndarray, " pair"],
        route: Integer[np.ndarray, " pair"],
        time: Float64[np.ndarray, " step"],
    ) -> Float64[np.ndarray, "pair step"]:
        stretch = self.stretch[row, agent, route]
        return most_way(
            self.speed[row, agent, 1] * stretch,
            self.acceleration[row, agent] * stretch,
            self.cap[row, agent, route] * stretch,
            time,
        )

    def disc(
        self,
        row: Integer[np.ndarray, " pair"],
        agent: Integer[np.ndarray, " pair"],
        start: Float64[np.ndarray, " step"],
        end: Float64[np.ndarray, " step"],
    ) -> tuple[Float64[np.ndarray, "pair step 2"], Float64[np.ndarray, "pair step"]]:
        """Return discs that hold the bodies during intervals of time: centres and radii [m]."""
        middle = (start + end) / 2.0
        velocity = self.velocity[row, agent]
        centre = self.centre[row, agent][:, None] + middle[:, None] * velocity[:, None]
        pull, drift = self.pull[row, agent][:, None], self.drift[row, agent][:, None]
        grown = drift * end + pull * end**2 / 2.0
        passed = np.hypot(velocity[:, 0], velocity[:, 1])[:, None] * (end - start) / 2.0
        return centre, self.radius[row, agent][:, None] + grown + passed


def most_way(
    speed: Float64[np.ndarray, " pair"],
    acceleration: Float64[np.ndarray, " pair"],
    cap: Float64[np.ndarray, " pair"],
    time: Float64[np.ndarray, " step"],
) -> Float64[np.ndarray, "pair step"]:
    """Return how far one comes at most that accelerates up to a speed, or keeps a greater one [m]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = np.where(speed < cap, (cap - speed) / acceleration, 0.0)
    # What does not accelerate never gets there.
    beyond = np.maximum(time - np.minimum(reached, 1e9)[:, None], 0.0)
    return speed[:, None] * time + acceleration[:, None] / 2.0 * (time**2 - beyond**2)


def least_way(
    speed: Float64[np.ndarray, " pair"],
    braking: Float64[np.ndarray, " pair"],
    time: Float64[np.ndarray, " step"],
) -> Float64[np.ndarray, "pair step"]:
    """Return how far one comes at least that brakes and does not drive backwards [m]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        stop = np.where(speed > 0.0, speed / braking, 0.0)
    moving = np.minimum(time, stop[:, None])
    return speed[:, None] * moving - braking[:, None] * moving**2 / 2.0


def swerve_loss(
    speed: Float64[np.ndarray, " pair"],
    braking: Float64[np.ndarray, " pair"],
    lateral_speed: Float64[np.ndarray, " pair"],
    slope: Float64[np.ndarray, " pair"],
    time: Float64[np.ndarray, " step"],
) -> Float64[np.ndarray, "pair step"]:
    """Return how much less way along its lane one makes that swerves while it brakes, at most [m].

    At speed u its lateral speed is w = min(slope u, lateral_speed), and along the lane it loses
    u - sqrt(u² - w²) <= w² / (u (1 + c)), where c is the least cosine. What is integrated here is
    that over a speed that falls as fast as it may; a greater speed makes more way, swerving or not.
    """
    left = np.maximum(speed[:, None] - braking[:, None] * time, 0.0)
    knee = np.maximum(lateral_speed, 1e-9) / np.maximum(slope, 1e-9)

    def lost(u: Float64[np.ndarray, "pair #step"]) -> Float64[np.ndarray, "pair #step"]:
        slow = np.minimum(u / knee[:, None], 1.0)
        fast = np.maximum(u / knee[:, None], 1.0)
        return lateral_speed[:, None] ** 2 * (slow**2 / 2.0 + np.log(fast))

    share = 1.0 / (1.0 + np.sqrt(np.maximum(1.0 - slope**2, 0.0)))
    rate = share / np.maximum(braking, 1e-9)
    return rate[:, None] * (lost(speed[:, None]) - lost(left))


def predict(surroundings: Surroundings, road: Road, assumptions: Assumptions) -> Occupancy:
    """Return where everyone may be from now on.

    Args:
        surroundings: What is seen.
        road: Its routes.
        assumptions: What they may do, and how wrong the seeing is.
    """
    error, kind = assumptions.perception, surroundings.kind
    valid = surroundings.valid

    def clean(values: np.ndarray) -> np.ndarray:
        mask = valid.reshape(valid.shape + (1,) * (values.ndim - 2))
        return np.where(mask, values, 0.0)

    centre, heading = clean(surroundings.position), clean(surroundings.heading)
    speed = clean(surroundings.speed)
    direction = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    seen = np.stack([clean(surroundings.length), clean(surroundings.width)], axis=-1) / 2.0
    half = seen + error.size / 2.0
    pad = error.position + assumptions.rounding
    bounds = np.stack([np.maximum(speed - error.speed, 0.0), speed + error.speed], axis=-1)
    lies = assumptions.look_up("speed", kind) <= 0.0
    speed = np.where(lies, 0.0, speed)
    bounds = np.where(lies[..., None], 0.0, bounds)
    follows = valid & (assumptions.look_up("follows_lanes", kind) > 0.0)
    count = len(road.routes)
    shape = (*valid.shape, count)
    lanes = {name: np.zeros((*shape, 2)) for name in ("station", "tight", "offset", "band")} | {
        "turn": np.zeros(shape),
        "slow": np.zeros(shape),
        "stretch": np.ones(shape),
        "cap": np.zeros(shape),
    }
    within, beside = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    is_loose = ~follows
    for k, route in enumerate(road.routes):
        tight = route.path.bound_boxes(centre, direction, seen)
        wide = route.path.bound_boxes(
            centre, direction, half + pad + half[..., ::-1] * error.heading
        )
        aside = np.abs(tight.offset.mean(axis=-1))
        known = follows & tight.near
        within[..., k] = known & (aside <= route.half_width) & (np.abs(tight.turn) < _CROSSWISE)
        beside[..., k] = known & (np.abs(tight.turn) < assumptions.aligned)
        beside[..., k] &= aside <= route.half_width + assumptions.shoulder
        is_loose |= (within[..., k] | beside[..., k]) & ~wide.sure
        _fill(lanes, k, tight=tight, wide=wide, half=half, route=route)
        # One that is turned farther than while it changes lanes may come to be so only later.
        most = np.sqrt(np.maximum(1.0 - assumptions.look_up("lateral_slope", kind) ** 2, 1e-12))
        along = np.cos(np.minimum(np.abs(tight.turn) + error.heading, np.pi / 2.0))
        lanes["slow"][..., k] = np.minimum(along / most, 1.0) / lanes["stretch"][..., k]
        limit = assumptions.look_up("speed_factor", kind) * route.speed_limit
        lanes["cap"][..., k] = np.minimum(limit, assumptions.look_up("speed", kind))
        lanes["band"][..., k, :] += _keep_lane(tight.turn, speed, kind, assumptions)
    lanes["band"] = np.clip(lanes["band"], -(REACH - 6.0), REACH - 6.0)
    # On a lane it follows that; beside all lanes, those that lead its way.
    on_route = np.where(within.any(axis=-1, keepdims=True), within, beside)
    is_loose |= ~on_route.any(axis=-1)
    return Occupancy(
        valid=valid,
        centre=centre,
        velocity=direction * speed[..., None],
        speed=bounds,
        radius=np.hypot(half[..., 0], half[..., 1]) + pad,
        drift=np.where(lies, 0.0, error.speed + speed * error.heading),
        pull=assumptions.look_up("plane_acceleration", kind),
        top=np.maximum(assumptions.look_up("speed", kind), bounds[..., 1]),
        acceleration=assumptions.look_up("acceleration", kind),
        braking=assumptions.look_up("braking", kind),
        lateral_speed=assumptions.look_up("lateral_speed", kind),
        lateral_slope=assumptions.look_up("lateral_slope", kind),
        half=half,
        is_loose=is_loose,
        on_route=on_route & ~is_loose[..., None],
        **lanes,
    )


def _fill(
    lanes: dict[str, np.ndarray],
    k: int,
    *,
    tight: Extent,
    wide: Extent,
    half: Float64[np.ndarray, "batch agent 2"],
    route: Route,
) -> None:
    """Set what a route says of each road user."""
    lanes["turn"][..., k] = tight.turn
    lanes["tight"][..., k, :] = tight.offset
    # On a bend, the ends of a straight body lie outside the middle.
    swing = route.path.sharpest * half[..., 0] ** 2 / 2.0
    offset = wide.offset + np.stack([-swing, swing], axis=-1)
    lanes["offset"][..., k, :] = lanes["band"][..., k, :] = offset
    farthest = np.minimum(np.abs(wide.offset).max(axis=-1), REACH)
    stretch = 1.0 / np.maximum(1.0 - route.path.sharpest * farthest, 0.1)
    lanes["stretch"][..., k] = stretch
    # The body may turn within its lane as it goes, and the lane beneath it.
    middle = wide.station.mean(axis=-1)
    reach = np.maximum(wide.station[..., 1] - middle, half[..., 0] * stretch)
    lanes["station"][..., k, 0] = middle - reach
    lanes["station"][..., k, 1] = middle + reach


def _keep_lane(
    turn: Float64[np.ndarray, "batch agent"],
    speed: Float64[np.ndarray, "batch agent"],
    kind: Integer[np.ndarray, "batch agent"],
    assumptions: Assumptions,
) -> Float64[np.ndarray, "batch agent 2"]:
    """Return how far to the right and to the left one comes that keeps to its lane [m].

    It is the way that RSS lets it respond in: it may accelerate aside for its response, and brakes
    its lateral speed after that.
    """
    error = assumptions.perception
    sideways = speed * np.sin(turn)
    drift = np.where(speed > 0.0, speed * error.heading + error.speed * np.abs(np.sin(turn)), 0.0)
    response = assumptions.look_up("response", kind)
    most = assumptions.look_up("lateral_acceleration", kind)
    braking = assumptions.look_up("lateral_braking", kind)
    left = response_way(sideways + drift, response=response, acceleration=most, braking=braking)
    right = response_way(drift - sideways, response=response, acceleration=most, braking=braking)
    moves = assumptions.look_up("speed", kind) > 0.0
    ways = np.stack([-np.maximum(right, 0.0), np.maximum(left, 0.0)], axis=-1)
    return np.where(moves[..., None], ways, 0.0)
