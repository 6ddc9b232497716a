"""What a learned affinity is told of a track and a detection that may belong together.

Tracking and training call the same functions. All numbers are scaled to about ±3 by constants, not
by data, and what has no bound of its own is cut off, so that nothing unheard of reaches a network.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import Float64

from kerbstone.label.candidates import Candidates, Expected, LookIndex, Sightings
from kerbstone.label.motion import MEASURED, StateIndex, has_wheels


class PairIndex(IntEnum):
    """Columns of what is told of a pair. Half a squared distance is in units of log chance."""

    DISTANCE = 0  # half the squared Mahalanobis distance
    AREA = 1  # half the log determinant of the covariance of the difference
    STRANGENESS = 2  # minus log of the chance of both classes
    DOUBT = 3  # minus log of the chance that the detection is real
    TRACK_DOUBT = 4  # the same of the track's detections, on average
    AHEAD = 5  # how far the detection is ahead of where the track should be [std]
    ASIDE = 6  # how far to either side [std]
    TURN = 7  # difference of headings, front and rear aside [std]
    REACH = 8  # log of 1 + distance [m]
    RISE = 9  # difference of heights [m]
    LENGTH = 10  # log ratio of lengths, either way, ten times
    WIDTH = 11
    HEIGHT = 12
    HITS = 13  # log of the number of the track's detections
    UNSEEN = 14  # log of 1 + time since the track was last seen [s]
    SPEED = 15  # log of 1 + speed of the track [m/s]
    FRESH = 16  # 1 where the track was seen only once
    WHEELED = 17  # 1 where the track has wheels
    CROWD = 18  # log of the number of detections that may be of the track
    RIVALS = 19  # log of the number of tracks that the detection may be of


class TrackIndex(IntEnum):
    """Columns of what is told of a track, for what it costs to go without a detection."""

    HITS = 0  # as in `PairIndex`
    UNSEEN = 1
    FRESH = 2
    WHEELED = 3
    DOUBT = 4


class RowIndex(IntEnum):
    """Columns of what is told of a detection, for what it costs to go without a track."""

    DOUBT = 0  # as in `PairIndex`
    WHEELED = 1


def describe_pairs(
    tracks: Expected, rows: Sightings, pairs: Candidates
) -> Float64[np.ndarray, "pair 20"]:
    """Return what is told of each pair (`PairIndex`)."""
    told = np.empty((len(pairs.track), len(PairIndex)))
    track, row = pairs.track, pairs.row
    state, covariance = tracks.state[track], tracks.covariance[track]
    off = rows.place[row] - state[:, :MEASURED]
    variance = rows.variance[row]
    cos, sin = np.cos(state[:, StateIndex.HEADING]), np.sin(state[:, StateIndex.HEADING])
    xx = covariance[:, 0, 0] + variance[:, 0]
    yy = covariance[:, 1, 1] + variance[:, 1]
    cross = 2 * cos * sin * covariance[:, 0, 1]
    turn = off[:, 2] - np.pi * np.round(off[:, 2] / np.pi)
    wheeled = has_wheels(tracks.kind)
    pace = np.hypot(tracks.state[:, 3], np.where(wheeled, 0.0, tracks.state[:, 4]))
    unlike = np.abs(rows.look[row] - tracks.look[track])
    told[:, PairIndex.DISTANCE] = 0.5 * pairs.distance
    told[:, PairIndex.AREA] = 0.5 * pairs.log_area
    told[:, PairIndex.STRANGENESS] = pairs.strangeness
    told[:, PairIndex.DOUBT] = rows.look[row, LookIndex.DOUBT]
    told[:, PairIndex.TRACK_DOUBT] = tracks.look[track, LookIndex.DOUBT]
    told[:, PairIndex.AHEAD] = (cos * off[:, 0] + sin * off[:, 1]) / np.sqrt(
        cos * cos * xx + sin * sin * yy + cross
    )
    told[:, PairIndex.ASIDE] = np.abs(cos * off[:, 1] - sin * off[:, 0]) / np.sqrt(
        sin * sin * xx + cos * cos * yy - cross
    )
    told[:, PairIndex.TURN] = np.minimum(
        np.abs(turn) / np.sqrt(covariance[:, 2, 2] + variance[:, 2]), 4.0
    )
    told[:, PairIndex.REACH] = np.log1p(np.hypot(off[:, 0], off[:, 1]))
    told[:, PairIndex.RISE] = np.minimum(unlike[:, LookIndex.Z], 3.0)
    sides = slice(PairIndex.LENGTH, PairIndex.HEIGHT + 1)
    lengths = slice(LookIndex.LOG_LENGTH, LookIndex.LOG_HEIGHT + 1)
    told[:, sides] = np.minimum(10 * unlike[:, lengths], 4.0)
    told[:, PairIndex.HITS] = _log_hits(tracks)[track]
    told[:, PairIndex.UNSEEN] = np.log1p(tracks.unseen)[track]
    told[:, PairIndex.SPEED] = np.log1p(pace)[track]
    told[:, PairIndex.FRESH] = (tracks.hits == 1)[track]
    told[:, PairIndex.WHEELED] = wheeled[track]
    told[:, PairIndex.CROWD] = np.log(np.bincount(track)[track])
    told[:, PairIndex.RIVALS] = np.log(np.bincount(row)[row])
    return told


def describe_tracks(tracks: Expected) -> Float64[np.ndarray, "track 5"]:
    """Return what is told of each track (`TrackIndex`)."""
    told = np.empty((len(tracks.kind), len(TrackIndex)))
    told[:, TrackIndex.HITS] = _log_hits(tracks)
    told[:, TrackIndex.UNSEEN] = np.log1p(tracks.unseen)
    told[:, TrackIndex.FRESH] = tracks.hits == 1
    told[:, TrackIndex.WHEELED] = has_wheels(tracks.kind)
    told[:, TrackIndex.DOUBT] = tracks.look[:, LookIndex.DOUBT]
    return told


def describe_rows(rows: Sightings) -> Float64[np.ndarray, "row 2"]:
    """Return what is told of each detection (`RowIndex`)."""
    told = np.empty((len(rows.kind), len(RowIndex)))
    told[:, RowIndex.DOUBT] = rows.look[:, LookIndex.DOUBT]
    told[:, RowIndex.WHEELED] = has_wheels(rows.kind)
    return told


def _log_hits(tracks: Expected) -> Float64[np.ndarray, " track"]:
    return np.minimum(np.log(tracks.hits), 4.0)
