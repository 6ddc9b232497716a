"""From detections that belong together to finished tracks: front, size, height and course."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from kerbstone.label.chains import Chains, smooth_values
from kerbstone.label.headings import tell_front
from kerbstone.label.motion import StateIndex, has_wheels
from kerbstone.label.profile import Profile
from kerbstone.label.rows import sum_by, weighted_median_by
from kerbstone.label.smoothing import Course, Measurements, smooth
from kerbstone.scene import BoxIndex, Detections, Kind

_CLIMB = 0.06
"""How far a road user's height wanders in a second, as a standard deviation [m]: 2 cm in 0.1 s."""
_NEAR = 20.0
"""Beyond this far along its length, only one end of a road user is measured [m]."""
_STANDING_SPEED = 0.25
"""What moves less than this on average stands [m/s]."""
_STANDING_TRAVEL = 1.0
"""What gets farther than this from its own middle does not stand [m]."""
_LEAVING = 5
"""So many detections in a row away from the middle are no errors: it came or it left."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """Finished tracks, as chains of cells.

    Args:
        chains: Which steps each track covers.
        kind: Kind of each track.
        size: Length, width and height of each track [m].
        stands: Which tracks never move.
        place: Centre of each cell [m].
        heading: Heading of each cell, not wrapped [rad].
        velocity: Velocity of each cell in x and y [m/s].
        std: Standard deviation of x, y, z and heading of each cell, as smoothing believes [m, m, m,
            rad].
        course: State of each cell, as the motion model has it.
        row: Detection of each measurement, by track and step: a row of the detections.
        cell: Its cell.
    """

    chains: Chains
    kind: UInt8[np.ndarray, " track"]
    size: Float64[np.ndarray, "track 3"]
    stands: Bool[np.ndarray, " track"]
    place: Float64[np.ndarray, "cell 3"]
    heading: Float64[np.ndarray, " cell"]
    velocity: Float64[np.ndarray, "cell 2"]
    std: Float64[np.ndarray, "cell 4"]
    course: Course
    row: Int64[np.ndarray, " row"]
    cell: Int64[np.ndarray, " row"]

    def boxes(self) -> Float64[np.ndarray, "cell 7"]:
        """Return the box of each cell in the world frame."""
        return np.column_stack([self.place, self.heading, self.size[self.chains.track]])


class _Seen(NamedTuple):
    """The detections that are used, by track and step."""

    step: Int64[np.ndarray, " row"]
    box: Float64[np.ndarray, "row 7"]


def refine(
    detections: Detections,
    track: Int64[np.ndarray, " row"],
    profile: Profile,
    *,
    sensor: Float64[np.ndarray, "time 2"] | None = None,
    reach: tuple[int, int] = (0, 0),
    rounds: int = 6,
) -> Tracks:
    """Return finished tracks.

    Args:
        detections: What the detector saw.
        track: Track of each detection, numbered from 0 without holes; -1 for none.
        profile: What is known of the detector and of road users.
        sensor: Where the recording car was at each step [m].
        reach: By how many steps tracks go on before their first and after their last detection:
            those that move, and those that stand.
        rounds: As in `smooth`: fewer are quicker, for tracks that are not yet final.
    """
    rows = np.flatnonzero(track >= 0)
    rows = rows[np.lexsort((detections.step[rows], track[rows]))]
    track = track[rows]
    seen = _Seen(detections.step[rows], detections.box[rows])
    count = int(track[-1]) + 1 if len(track) else 0
    dt = detections.clock.dt
    real = profile.reality(detections.kind, detections.score)[rows]
    kind = _judge_kind(detections, rows, track, real, count)
    table = {name: values[kind] for name, values in profile.table.items()}
    noise = profile.place_noise(detections, sensor)[rows]
    wheeled = has_wheels(kind)
    heading = tell_front(
        track,
        seen.box[:, BoxIndex.HEADING],
        seen.box[:, :2],
        real,
        trust=np.where(wheeled, 3.0, 1.0),
    )
    size = _agree_on_size(seen, track, real / noise**2, count)
    # An error of the size moves the centre, and is known once the size is.
    error = (seen.box[:, BoxIndex.LENGTH :] - size[track]) * table["anchoring"][track][:, None]
    place = _hold_near_end(seen, heading, error[:, 0], sensor)
    heading_noise = table["heading_noise"][track]
    stands = _tell_standing(track, seen.step, place, noise, table["drift"], count, dt)
    chains = _reach_out(track, seen.step, np.where(stands, reach[1], reach[0]), detections)
    cell = chains.cell(track, seen.step)
    value = np.column_stack([place, heading])
    variance = np.column_stack([noise, noise, heading_noise]) ** 2
    course = smooth(
        chains,
        Measurements(cell, value, variance),
        wheeled=wheeled,
        acceleration=table["acceleration"],
        turning=table["turning"],
        speed=table["speed"],
        dt=dt,
        rounds=rounds,
    )
    height = seen.box[:, BoxIndex.Z] - error[:, 2]
    still, spread = _hold_still(
        chains,
        Measurements(cell, value, variance),
        course.misfit,
        np.column_stack([height, table["height_noise"][track] ** 2]),
        drift=table["drift"] ** 2 * dt,
        climb=_CLIMB**2 * dt,
        stands=stands,
    )
    flat, std, velocity = _join(course, still, spread, wheeled[chains.track], stands[chains.track])
    return Tracks(
        chains=chains,
        kind=kind,
        size=size * table["size_scale"],
        stands=stands,
        place=np.column_stack([flat[:, :2], still[:, 3]]),
        heading=flat[:, 2],
        velocity=velocity,
        std=np.column_stack([std[:, :2], spread[:, 3], std[:, 2]]),
        course=course,
        row=rows,
        cell=cell,
    )


def _judge_kind(
    detections: Detections,
    rows: Int64[np.ndarray, " row"],
    track: Int64[np.ndarray, " row"],
    real: Float64[np.ndarray, " row"],
    count: int,
) -> UInt8[np.ndarray, " track"]:
    """Return the kind for which each track has most evidence."""
    votes = np.zeros((count, len(Kind)))
    if detections.probability is not None:
        np.add.at(votes, track, np.log(np.maximum(detections.probability[rows], 0.01)))
    else:
        np.add.at(votes, (track, detections.kind[rows]), real + 1e-3)
    return votes.argmax(axis=1).astype(np.uint8)


def _agree_on_size(
    seen: _Seen,
    track: Int64[np.ndarray, " row"],
    weight: Float64[np.ndarray, " row"],
    count: int,
) -> Float64[np.ndarray, "track 3"]:
    columns = (BoxIndex.LENGTH, BoxIndex.WIDTH, BoxIndex.HEIGHT)
    sizes = [weighted_median_by(track, seen.box[:, c], weight + 1e-9, count) for c in columns]
    return np.column_stack(sizes)


def _hold_near_end(
    seen: _Seen,
    heading: Float64[np.ndarray, " row"],
    error: Float64[np.ndarray, " row"],
    sensor: Float64[np.ndarray, "time 2"] | None,
) -> Float64[np.ndarray, "row 2"]:
    """Return centres moved towards the sensor by an error of the length; the far end is guessed."""
    place = seen.box[:, :2]
    if sensor is None:
        return place
    ahead = np.column_stack([np.cos(heading), np.sin(heading)])
    away = np.nan_to_num(((place - sensor[seen.step]) * ahead).sum(axis=1))
    # Beside the car both ends are seen.
    share = np.clip(away / _NEAR, -1.0, 1.0)
    return place - ahead * (share * error)[:, None]


def _tell_standing(
    track: Int64[np.ndarray, " row"],
    step: Int64[np.ndarray, " row"],
    place: Float64[np.ndarray, "row 2"],
    noise: Float64[np.ndarray, " row"],
    drift: Float64[np.ndarray, " track"],
    count: int,
    dt: float,
) -> Bool[np.ndarray, " track"]:
    """Tell which tracks stay where they are, as far as their noise can tell.

    The slope of a line through their places shows a slow one, the distance from their middle one
    that goes and comes back, and a run of such distances one that stood long before it left.
    """
    weight = 1 / noise**2
    total = sum_by(track, weight, count)
    when = step * dt
    when = when - (sum_by(track, weight * when, count) / total)[track]
    spread = sum_by(track, weight * when**2, count)
    middle = np.column_stack(
        [weighted_median_by(track, place[:, axis], weight, count) for axis in (0, 1)]
    )
    off = place - middle[track]
    slope = [sum_by(track, weight * when * off[:, axis], count) for axis in (0, 1)]
    length = np.zeros(count)
    np.maximum.at(length, track, np.abs(when))
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = np.hypot(*slope) / spread
        # Of a short track the slope is noise, and tells nothing of how fast it is.
        doubt = 3 / np.sqrt(spread)
    slack = _STANDING_TRAVEL + drift[track] * np.sqrt(2 * length[track]) + 3 * noise
    away = np.hypot(off[:, 0], off[:, 1]) > slack
    strays = sum_by(track, weight * away, count) / total
    run = away.copy()
    for back in range(1, _LEAVING):
        run[back:] &= away[:-back] & (track[back:] == track[:-back])
    run[: _LEAVING - 1] = False
    left = sum_by(track, run, count) > 0
    slow = (speed < _STANDING_SPEED) & (doubt < 3.0)
    return slow & (strays < 0.1) & ~left


def _reach_out(
    track: Int64[np.ndarray, " row"],
    step: Int64[np.ndarray, " row"],
    more: Int64[np.ndarray, " track"],
    detections: Detections,
) -> Chains:
    """Return the steps of each track: from its first to its last detection, and some more."""
    count = len(more)
    first = np.full(count, detections.clock.steps, np.int64)
    last = np.zeros(count, np.int64)
    np.minimum.at(first, track, step)
    np.maximum.at(last, track, step)
    first = np.maximum(first - more, 0)
    last = np.minimum(last + more, detections.clock.steps - 1)
    return Chains(first, last - first + 1)


def _hold_still(
    chains: Chains,
    measured: Measurements,
    misfit: Float64[np.ndarray, "row 2"],
    height: Float64[np.ndarray, "row 2"],
    *,
    drift: Float64[np.ndarray, " track"],
    climb: float,
    stands: Bool[np.ndarray, " track"],
) -> tuple[Float64[np.ndarray, "cell 4"], Float64[np.ndarray, "cell 4"]]:
    """Return x, y, heading and z of each cell if its track stands, and their deviations.

    What stands only drifts as the world does. The height of what moves may follow the road.
    """
    # What fits no course is no measurement of what stands either.
    variance = measured.variance * (4.0 + misfit[:, [0, 0, 1]]) / 4.0
    height_wander = np.where(stands, drift, climb)
    wander = np.column_stack([drift, drift, drift * 0.01, height_wander])[chains.track]
    values, variances = smooth_values(
        chains,
        measured.cell,
        np.column_stack([measured.value, height[:, 0]]),
        np.column_stack([variance, height[:, 1]]),
        wander=wander,
    )
    return values, np.sqrt(variances)


def _join(
    course: Course,
    still: Float64[np.ndarray, "cell 4"],
    still_std: Float64[np.ndarray, "cell 4"],
    wheeled: Bool[np.ndarray, " cell"],
    stands: Bool[np.ndarray, " cell"],
) -> tuple[
    Float64[np.ndarray, "cell 3"], Float64[np.ndarray, "cell 3"], Float64[np.ndarray, "cell 2"]
]:
    """Return place and heading, deviations and velocity of cells that stand or move."""
    state = course.state
    spread = np.sqrt(np.diagonal(course.covariance, axis1=1, axis2=2))[:, :3]
    heading, speed = state[:, StateIndex.HEADING], state[:, StateIndex.SPEED]
    driven = np.column_stack([speed * np.cos(heading), speed * np.sin(heading)])
    velocity = np.where(wheeled[:, None], driven, state[:, 3:5])
    choose = stands[:, None]
    return (
        np.where(choose, still[:, :3], state[:, :3]),
        np.where(choose, still_std[:, :3], spread),
        np.where(choose, 0.0, velocity),
    )
