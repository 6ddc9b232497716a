"""Which detections are of one road user: the online pass, and what the whole log says of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.label.linking import LinkPrices, find_doubles, group_tracks, link
from kerbstone.label.online import track_online
from kerbstone.label.profile import Profile
from kerbstone.label.refinement import Tracks, refine
from kerbstone.scene import Detections, bev_boxes, bev_iou

_ROUNDS = 3
"""Tracks that are not yet whole need not be smoothed to the end."""


@dataclass(frozen=True, eq=False)
class Association:
    """Which detections are of one road user.

    Args:
        track: Road user of each detection, numbered from 0; -1 for what is a double.
        online: The same as the online pass alone had it.
    """

    track: Int64[np.ndarray, " row"]
    online: Int64[np.ndarray, " row"]


def associate(
    detections: Detections,
    profile: Profile,
    *,
    sensor: Float64[np.ndarray, "time 2"] | None = None,
    prices: LinkPrices | None = None,
) -> Association:
    """Return which detections are of one road user.

    The online pass gives tracklets. Detections that do not even touch where the rest of their
    tracklet says it was are let go, tracklets that stand in one another's place become one, and
    those that one road user left before and after a gap are joined, in two rounds: what was joined
    knows better how it moved.

    Args:
        detections: What the detector saw.
        profile: What is known of the detector and of road users.
        sensor: Where the recording car was at each step [m].
        prices: What joining costs; as the profile says if not given.
    """
    prices = prices or LinkPrices(apart=profile.apart)
    online = track_online(detections, profile.matching, sensor=sensor)
    tracks = refine(detections, online, profile, sensor=sensor, rounds=_ROUNDS)
    track = _let_go(detections, online, tracks)
    for _ in range(2):
        tracks = refine(detections, track, profile, sensor=sensor, rounds=_ROUNDS)
        same = find_doubles(tracks, profile)
        group = group_tracks(*same, len(tracks.kind))
        following = link(tracks, profile, prices, detections.clock.dt, group=group)
        track = _join(detections, track, profile, same, following)
    return Association(track, online)


def _let_go(
    detections: Detections, track: Int64[np.ndarray, " row"], tracks: Tracks
) -> Int64[np.ndarray, " row"]:
    """Give each detection that does not touch its track's box a track of its own."""
    boxes = bev_boxes(tracks.boxes())[tracks.cell]
    apart = bev_iou(boxes, bev_boxes(detections.box[tracks.row])) <= 0
    rows = tracks.row[apart]
    track = track.copy()
    track[rows] = track.max(initial=-1) + 1 + np.arange(len(rows))
    return _renumber(track)


def _join(
    detections: Detections,
    track: Int64[np.ndarray, " row"],
    profile: Profile,
    *pairs: tuple[Int64[np.ndarray, "_"], Int64[np.ndarray, "_"]],
) -> Int64[np.ndarray, " row"]:
    """Make one of pairs of tracks; where both were seen at a step, the surer detection counts."""
    one = np.concatenate([pair[0] for pair in pairs])
    other = np.concatenate([pair[1] for pair in pairs])
    group = group_tracks(one, other, int(track.max(initial=-1)) + 1)
    track = np.where(track >= 0, group[track], -1) if len(group) else track
    real = profile.reality(detections.kind, detections.score)
    order = np.lexsort((-real, detections.step, track))
    again = np.zeros(len(track), bool)
    again[1:] = (np.diff(track[order]) == 0) & (np.diff(detections.step[order]) == 0)
    track[order[again]] = -1
    return _renumber(track)


def _renumber(track: Int64[np.ndarray, " row"]) -> Int64[np.ndarray, " row"]:
    """Return tracks numbered from 0 without holes, in their order; -1 stays."""
    numbers, dense = np.unique(track, return_inverse=True)
    return (dense - (1 if len(numbers) and numbers[0] < 0 else 0)).astype(np.int64)
