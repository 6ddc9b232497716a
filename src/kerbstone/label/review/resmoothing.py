"""A track smoothed again around boxes that a person placed on it.

A label says where its track was likeliest, given all detections. A box that a person placed is one
more measurement, all but exact. So the track is smoothed twice, from the detections alone and with
the box, and each cell moves by the difference. Where the box is where the label was, nothing moves;
and what the labels know from elsewhere, such as a common size or the road's height, is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import erf

from kerbstone.errors import InputError
from kerbstone.label.chains import Chains, smooth_values
from kerbstone.label.labelling import sensor_path
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.motion import StateIndex, has_wheels
from kerbstone.label.profile import Profile
from kerbstone.label.review.draft import CELLS, Cells, Keys, Track
from kerbstone.label.smoothing import Measurements, smooth
from kerbstone.scene import BoxIndex, Detections, angle_difference

REVIEWED_STD = np.array([0.01, 0.01, 0.01, 0.005])
"""Standard deviation of what a person placed: x, y, z and heading [m, m, m, rad]."""

_KEY_STD = 2e-4
"""As certain a placed box is in smoothing [m, rad]: so that no detection pulls it off its place,
and a far one is not taken for an error of measurement."""
_LEAST_CHANGE = 1e-3
"""What moves by less than this stays as it is [m, rad]."""
_CLIMB = 0.06
"""How far a height wanders in a second, as a standard deviation [m]."""
_STANDING_TRAVEL = 1.0
"""Keys farther apart than this say that their track does not stand [m]."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """What there is to measure a track by.

    Args:
        cell: Cell in the chain.
        place: x, y, z [m].
        heading: Not wrapped [rad].
        std: Standard deviation of x and y, z, heading [m, m, rad].
    """

    cell: Int64[np.ndarray, " row"]
    place: Float64[np.ndarray, "row 3"]
    heading: Float64[np.ndarray, " row"]
    std: Float64[np.ndarray, "row 3"]


@dataclass(frozen=True, eq=False)
class _Smoothed:
    place: Float64[np.ndarray, "cell 3"]
    heading: Float64[np.ndarray, " cell"]
    velocity: Float64[np.ndarray, "cell 2"]
    std: Float64[np.ndarray, "cell 4"]


class Resmoother:
    """Smooths tracks of labels again.

    Args:
        labels: The labels.
        profile: What is known of the detector and of road users.
        detections: What the labels were made from, or None.

    Raises:
        InputError: The detections are not those of the labels.
    """

    def __init__(self, labels: Labels, profile: Profile, detections: Detections | None) -> None:
        if detections is not None:
            _check_detections(labels, detections)
        self._profile = profile
        self._detections = detections
        self._dt = labels.scene.clock.dt
        self._sensor = sensor_path(labels.scene)

    def smooth(
        self,
        track: Track,
        keys: Keys,
        seams: Sequence[tuple[int, int]] = (),
        empty: Sequence[int] = (),
    ) -> Cells:
        """Return the cells of a track with boxes that were placed on it.

        Args:
            track: The track; it may have no cells.
            keys: The boxes.
            seams: Holes to fill: the last step before and the first step after each.
            empty: Steps that stay empty all the same.
        """
        old = track.cells
        steps = np.concatenate([old["step"], keys.step])
        first = int(steps.min())
        chains = Chains(np.array([first]), np.array([int(steps.max()) - first + 1]))
        stands = _stands(old, keys)
        flip = _find_flips(old, keys, wheeled=bool(has_wheels(np.array([track.kind], np.uint8))[0]))
        before = self._measure(track, first, flip)
        without = self._solve(chains, before, track, stands=stands) if len(before.cell) else None
        after = _with_keys(before, _targets(keys, first, old, flip, without))
        final = self._solve(chains, after, track, stands=stands) if len(after.cell) else without
        if final is None:
            return old
        filled = _steps_to_fill(old["step"], keys.step, seams)
        filled = np.setdiff1d(filled, np.array(empty, np.int64))
        cells = _shift(old, flip, final, without, first)
        return _join(cells, _make(filled, final, first, track), _make_keys(keys, final, first, old))

    def _measure(self, track: Track, first: int, flip: Bool[np.ndarray, " cell"]) -> _Seen:
        """Return what the cells of a track were measured by, with their headings turned."""
        old = track.cells
        heading = np.unwrap(old["heading"] + np.pi * flip)
        seen = np.isin(
            old["provenance"], (Provenance.DETECTED, Provenance.REVIEWED, Provenance.GIVEN)
        )
        if len(seen) and not seen.any():
            seen[:] = True
            std = np.column_stack([old["std"][:, 0], old["std"][:, 2:]])
        else:
            std = self._noise(track)
        std[np.isin(old["provenance"], (Provenance.REVIEWED, Provenance.GIVEN))] = _KEY_STD
        place = old["place"].copy()
        if self._detections is not None:
            made = np.flatnonzero((old["provenance"] == Provenance.DETECTED) & (old["row"] >= 0))
            box = self._detections.box[old["row"][made]]
            place[made] = box[:, : BoxIndex.HEADING]
            # A detector may see the front behind: only the line that it sees counts.
            off = angle_difference(box[:, BoxIndex.HEADING], heading[made])
            heading[made] += off - np.pi * np.rint(off / np.pi)
        rows = np.flatnonzero(seen)
        return _Seen(old["step"][rows] - first, place[rows], heading[rows], std[rows])

    def _noise(self, track: Track) -> Float64[np.ndarray, "cell 3"]:
        old, table, kind = track.cells, self._profile.table, track.kind
        flat = np.full(len(old["step"]), table["noise"][kind])
        if self._sensor is not None:
            away = old["place"][:, :2] - self._sensor[old["step"]]
            flat += table["noise_growth"][kind] * np.nan_to_num(np.hypot(away[:, 0], away[:, 1]))
        if self._detections is not None and self._detections.std is not None:
            made = old["row"] >= 0
            told = self._detections.std[old["row"][made], :2]
            flat[made] = np.sqrt((told**2).mean(axis=1))
        whole = np.ones(len(flat))
        return np.column_stack(
            [flat, whole * table["height_noise"][kind], whole * table["heading_noise"][kind]]
        )

    def _solve(self, chains: Chains, seen: _Seen, track: Track, *, stands: bool) -> _Smoothed:
        table = {name: values[[track.kind]] for name, values in self._profile.table.items()}
        variance = seen.std[:, [0, 0, 2]] ** 2
        value = np.column_stack([seen.place[:, :2], seen.heading])
        drift = table["drift"][0] ** 2 * self._dt
        wander = np.array([drift, drift, drift * 0.01, drift if stands else _CLIMB**2 * self._dt])
        still, spread = smooth_values(
            chains,
            seen.cell,
            np.column_stack([value, seen.place[:, 2]]),
            np.column_stack([variance, seen.std[:, 1] ** 2]),
            wander=np.tile(wander, (chains.cells, 1)),
        )
        if stands:
            return _Smoothed(
                place=still[:, [0, 1, 3]],
                heading=still[:, 2],
                velocity=np.zeros((chains.cells, 2)),
                std=np.sqrt(spread[:, [0, 1, 3, 2]]),
            )
        wheeled = has_wheels(np.array([track.kind], np.uint8))
        course = smooth(
            chains,
            Measurements(seen.cell, value, variance),
            wheeled=wheeled,
            acceleration=table["acceleration"],
            turning=table["turning"],
            speed=table["speed"],
            dt=self._dt,
        )
        state = course.state
        heading, speed = state[:, StateIndex.HEADING], state[:, StateIndex.SPEED]
        driven = np.column_stack([speed * np.cos(heading), speed * np.sin(heading)])
        flat = np.sqrt(np.diagonal(course.covariance, axis1=1, axis2=2))[:, :3]
        return _Smoothed(
            place=np.column_stack([state[:, :2], still[:, 3]]),
            heading=heading,
            velocity=driven if wheeled[0] else state[:, 3:5],
            std=np.column_stack([flat[:, :2], np.sqrt(spread[:, 3]), flat[:, 2]]),
        )


def _check_detections(labels: Labels, detections: Detections) -> None:
    made = labels.row >= 0
    fits = bool((labels.row[made] < len(detections)).all())
    if not fits or (detections.step[labels.row[made]] != labels.step[made]).any():
        raise InputError(
            "reference",
            "the detections are not those that the labels were made from",
            where=f"scene {labels.scene.id}",
            remedy="give the same detections, or none",
        )


def _stands(old: Cells, keys: Keys) -> bool:
    """Tell whether a track stands: it never moves, and its keys say nothing else."""
    if not len(old["step"]) or old["velocity"].any():
        return False
    reviewed = old["place"][old["provenance"] == Provenance.REVIEWED]
    told = np.concatenate([keys.box[:, :2], reviewed[:, :2]])
    return not len(told) or bool((np.ptp(told, axis=0) <= _STANDING_TRAVEL).all())


def _find_flips(old: Cells, keys: Keys, *, wheeled: bool) -> Bool[np.ndarray, " cell"]:
    """Tell which cells have their front turned round by the key that is nearest to them."""
    flip = np.zeros(len(old["step"]), bool)
    if not wheeled or not len(flip) or not len(keys.step):
        return flip
    was = old["heading"][_nearest(old["step"], keys.step)]
    turned = np.abs(angle_difference(keys.box[:, BoxIndex.HEADING], was)) > np.pi / 2
    if not turned.any():
        return flip
    reviewed = old["provenance"] == Provenance.REVIEWED
    fixed = np.flatnonzero(reviewed & ~np.isin(old["step"], keys.step))
    step = np.concatenate([keys.step, old["step"][fixed]])
    says = np.concatenate([turned, np.zeros(len(fixed), bool)])
    order = np.argsort(step)
    flip = says[order][_nearest(step[order], old["step"])]
    flip[fixed] = False
    return flip


def _targets(
    keys: Keys, first: int, old: Cells, flip: Bool[np.ndarray, " cell"], without: _Smoothed | None
) -> _Seen:
    """Return what keys say, as measurements.

    Labels and what is smoothed here differ a little. So a key in the place of a label says how far
    that was off: what it does not change does not move its neighbours.
    """
    place = keys.box[:, : BoxIndex.HEADING].copy()
    heading = keys.box[:, BoxIndex.HEADING].copy()
    if without is None:
        heading = np.unwrap(heading)
    else:
        was = np.unwrap(old["heading"] + np.pi * flip)[_nearest(old["step"], keys.step)]
        heading = was + angle_difference(heading, was)
        _, mine, theirs = np.intersect1d(keys.step, old["step"], return_indices=True)
        at = keys.step[mine] - first
        place[mine] += without.place[at] - old["place"][theirs]
        heading[mine] += without.heading[at] - was[mine]
    std = np.full((len(heading), 3), _KEY_STD)
    return _Seen(keys.step - first, place, heading, std)


def _with_keys(seen: _Seen, keys: _Seen) -> _Seen:
    """Return measurements in which keys stand in the place of what was measured at their cells."""
    kept = ~np.isin(seen.cell, keys.cell)
    order = np.argsort(np.concatenate([seen.cell[kept], keys.cell]))
    return _Seen(
        *(
            np.concatenate([getattr(seen, name)[kept], getattr(keys, name)])[order]
            for name in ("cell", "place", "heading", "std")
        )
    )


def _nearest(
    steps: Int64[np.ndarray, " known"], wanted: Int64[np.ndarray, " step"]
) -> Int64[np.ndarray, " step"]:
    """Return which of some rising steps is nearest to each step; the earlier of two."""
    after = np.clip(np.searchsorted(steps, wanted), 1, max(len(steps) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(steps) - 1)
    is_after = np.abs(steps[after] - wanted) < np.abs(steps[before] - wanted)
    return np.where(is_after, after, before)


def _steps_to_fill(
    old: Int64[np.ndarray, " cell"],
    keys: Int64[np.ndarray, " key"],
    seams: Sequence[tuple[int, int]],
) -> Int64[np.ndarray, " step"]:
    """Return the empty steps between keys and the next cells on both sides, and those of seams."""
    there = np.union1d(old, keys)
    holes = np.flatnonzero(np.diff(there) > 1)
    ends = np.column_stack([there[holes], there[holes + 1]])
    fresh = np.isin(ends, np.setdiff1d(keys, old)).any(axis=1)
    pairs = [*map(tuple, ends[fresh].tolist()), *seams]
    steps = [np.arange(low + 1, high) for low, high in pairs]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *steps]))


def _shift(
    old: Cells,
    flip: Bool[np.ndarray, " cell"],
    final: _Smoothed,
    without: _Smoothed | None,
    first: int,
) -> Cells:
    """Return cells moved by what the keys change; the rest bit for bit as it was."""
    if without is None:
        return old
    at = old["step"] - first
    off = {
        name: getattr(final, name)[at] - getattr(without, name)[at]
        for name in ("place", "heading", "velocity")
    }
    moved = (np.abs(off["place"]) >= _LEAST_CHANGE).any(axis=1)
    moved |= (np.abs(off["heading"]) >= _LEAST_CHANGE) | flip
    # What a person placed before stays; the new keys come in place of their cells.
    moved &= old["provenance"] != Provenance.REVIEWED
    cells = {name: column.copy() for name, column in old.items()}
    cells["place"][moved] += off["place"][moved]
    cells["heading"][moved] += (off["heading"] + np.pi * flip)[moved]
    cells["velocity"][moved] += off["velocity"][moved]
    cells["std"][moved] *= (final.std[at] / without.std[at])[moved]
    return cells


def _make(
    steps: Int64[np.ndarray, " cell"], smoothed: _Smoothed, first: int, track: Track
) -> Cells:
    """Return new cells at steps that were empty."""
    at = steps - first
    return {
        "step": steps,
        "place": smoothed.place[at],
        "heading": smoothed.heading[at],
        "velocity": smoothed.velocity[at],
        "std": smoothed.std[at],
        "confidence": _chance(smoothed.heading[at], smoothed.std[at], track.size),
        "provenance": np.full(len(at), Provenance.INTERPOLATED, np.uint8),
        "row": np.full(len(at), -1, np.int64),
    }


def _make_keys(keys: Keys, smoothed: _Smoothed, first: int, old: Cells) -> Cells:
    at = keys.step - first
    row = np.full(len(at), -1, np.int64)
    _, mine, theirs = np.intersect1d(keys.step, old["step"], return_indices=True)
    row[mine] = old["row"][theirs]
    return {
        "step": keys.step,
        "place": keys.box[:, : BoxIndex.HEADING],
        "heading": keys.box[:, BoxIndex.HEADING],
        "velocity": smoothed.velocity[at],
        "std": np.tile(REVIEWED_STD, (len(at), 1)),
        "confidence": np.ones(len(at)),
        "provenance": np.full(len(at), Provenance.REVIEWED, np.uint8),
        "row": row,
    }


def _chance(
    heading: Float64[np.ndarray, " cell"],
    std: Float64[np.ndarray, "cell 4"],
    size: Float64[np.ndarray, " 3"],
) -> Float64[np.ndarray, " cell"]:
    """Return the chance that boxes overlap the truth by more than half, by their place alone.

    A box that is off by a third of its length, or of its width, shares half of the union.
    """
    cos, sin = np.abs(np.cos(heading)), np.abs(np.sin(heading))
    along = np.hypot(std[:, 0] * cos, std[:, 1] * sin)
    across = np.hypot(std[:, 0] * sin, std[:, 1] * cos)
    lengthways = erf(size[0] / 3 / (np.sqrt(2) * along))
    return lengthways * erf(size[1] / 3 / (np.sqrt(2) * across))


def _join(cells: Cells, filled: Cells, keys: Cells) -> Cells:
    kept = ~np.isin(cells["step"], keys["step"])
    fresh = ~np.isin(filled["step"], cells["step"])
    parts = ((cells, kept), (filled, fresh), (keys, np.ones(len(keys["step"]), bool)))
    order = np.argsort(np.concatenate([part["step"][rows] for part, rows in parts]), kind="stable")
    return {
        name: np.concatenate([part[name][rows] for part, rows in parts])[order] for name in CELLS
    }
