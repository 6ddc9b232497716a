"""What an affinity learns from: steps of the online pass, with what would have been right.

Logs are split by town: windows of one road are too alike to tell whether anything was learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError, suggest_name
from kerbstone.label.affinity.model import Affinity
from kerbstone.label.affinity.pairs import describe_pairs, describe_rows, describe_tracks
from kerbstone.label.online import Situation, track_online
from kerbstone.label.profile import Profile
from kerbstone.scene import Detections


@dataclass(frozen=True, eq=False)
class LabelledDetections:
    """Detections of a log of which it is known who each is.

    Args:
        detections: What the detector saw.
        agent: Number of the road user that each row is of, or -1 where it is of nothing.
        town: Where the log is from; what is learned in a town is not tested there.
        sensor: Where the recording car was at each step [m].

    Raises:
        InputError: The lengths differ, an agent is below -1, or one is seen twice in a step.
    """

    detections: Detections
    agent: Int64[np.ndarray, "..."]
    town: str = ""
    sensor: Float64[np.ndarray, "time 2"] | None = None

    def __post_init__(self) -> None:
        if self.agent.shape != (len(self.detections),):
            raise InputError(
                "shape",
                "agents do not fit the detections",
                where=self.town,
                why=f"{self.agent.shape} for {len(self.detections)} rows",
            )
        if (self.agent < -1).any():
            raise InputError(
                "value",
                "a detection is of no agent and not of nothing",
                where=f"{self.town}, row {int(np.argmax(self.agent < -1))}",
                why="an agent's number is from 0 on, and -1 is for nothing",
            )
        real = self.agent >= 0
        cells = np.column_stack([self.detections.step[real], self.agent[real]])
        if len(np.unique(cells, axis=0)) < len(cells):
            raise InputError("duplicate", "an agent is seen twice in a step", where=self.town)


class Example(NamedTuple):
    """A step of the online pass, and what would have been right.

    Only tracks and detections that may be paired with something are in it. Of each, the right
    choices are some of its pairs, or to be alone, or both; its weight is 0 where nobody can tell.

    Args:
        told: What is told of each pair (`PairIndex`).
        track: Track of each pair.
        row: Detection of each pair.
        track_told: What is told of each track (`TrackIndex`).
        row_told: What is told of each detection (`RowIndex`).
        right: Whether a pair is right.
        track_alone: Whether it is right that a track has no detection.
        row_alone: Whether it is right that a detection has no track.
        track_weight: How much a track counts.
        row_weight: How much a detection counts.
    """

    told: Float64[np.ndarray, "pair told"]
    track: Int64[np.ndarray, " pair"]
    row: Int64[np.ndarray, " pair"]
    track_told: Float64[np.ndarray, "track track_told"]
    row_told: Float64[np.ndarray, "row row_told"]
    right: Bool[np.ndarray, " pair"]
    track_alone: Bool[np.ndarray, " track"]
    row_alone: Bool[np.ndarray, " row"]
    track_weight: Float64[np.ndarray, " track"]
    row_weight: Float64[np.ndarray, " row"]


def split_by_town(
    logs: Sequence[LabelledDetections], held: Iterable[str]
) -> tuple[list[LabelledDetections], list[LabelledDetections]]:
    """Return the logs to learn from, and those of the towns that are held out.

    Raises:
        InputError: There is no log of a town that is to be held out, or nothing else is left.
    """
    held, towns = set(held), {log.town for log in logs}
    for town in sorted(held - towns):
        raise InputError(
            "name", f"there is no log of the town {town!r}", remedy=suggest_name(town, towns)
        )
    if not towns - held:
        raise InputError("empty", "all towns are held out: there is nothing to learn from")
    return [log for log in logs if log.town not in held], [log for log in logs if log.town in held]


def collect_examples(
    log: LabelledDetections, profile: Profile, affinity: Affinity | None = None
) -> list[Example]:
    """Return the steps that the online pass goes through, with what would have been right.

    They hold the tracker's own errors, so what is learned knows how to go on after one.

    Args:
        log: A log whose truth is known.
        profile: What is known of the detector and of road users.
        affinity: What the pass decides by; the hand-made cost if not given.
    """
    situations: list[Situation] = []
    track = track_online(
        log.detections,
        profile,
        sensor=log.sensor,
        affinity=affinity,
        on_step=lambda now: situations.append(_copy(now)) if len(now.pairs.track) else None,
    )
    return [_make_example(now, log.agent, track) for now in situations]


def _copy(now: Situation) -> Situation:
    # The tracker goes on to write into its own arrays.
    return now._replace(
        number=now.number.copy(), tracks=type(now.tracks)(*(part.copy() for part in now.tracks))
    )


def _make_example(
    now: Situation, agent: Int64[np.ndarray, " all"], track: Int64[np.ndarray, " all"]
) -> Example:
    pairs = now.pairs
    identity = _identify(now, agent, track)
    seen = agent[now.first_row : now.first_row + len(now.rows.kind)]
    heir = _find_heirs(identity, now)
    of_track, of_row = identity[pairs.track], seen[pairs.row]
    right = (of_track == of_row) & (heir[pairs.track] | (of_track < 0))
    is_real = of_track >= 0
    # Who has its true partner within reach may not be alone.
    track_alone = np.ones(len(identity), bool)
    track_alone[pairs.track[right & is_real]] = False
    row_alone = np.ones(len(seen), bool)
    row_alone[pairs.row[right & is_real]] = False
    tracks, in_track = np.unique(pairs.track, return_inverse=True)
    rows, in_row = np.unique(pairs.row, return_inverse=True)
    return Example(
        told=describe_pairs(now.tracks, now.rows, pairs),
        track=in_track,
        row=in_row,
        track_told=describe_tracks(now.tracks)[tracks],
        row_told=describe_rows(now.rows)[rows],
        right=right,
        track_alone=track_alone[tracks],
        row_alone=row_alone[rows],
        # What a second track of somebody should do, nobody can tell.
        track_weight=(heir | (identity < 0))[tracks].astype(np.float64),
        row_weight=np.ones(len(rows)),
    )


def _identify(
    now: Situation, agent: Int64[np.ndarray, " all"], track: Int64[np.ndarray, " all"]
) -> Int64[np.ndarray, " track"]:
    """Return who each track is: whoever it was given last, or -1 where nothing real was."""
    before = np.flatnonzero(agent[: now.first_row] >= 0)
    last = np.full(int(track.max(initial=-1)) + 1, -1, np.int64)
    # Of several rows of a track, the last one written stays.
    last[track[before]] = agent[before]
    return last[now.number]


def _find_heirs(
    identity: Int64[np.ndarray, " track"], now: Situation
) -> Bool[np.ndarray, " track"]:
    """Tell which track stands for its road user: of several, the one with the most detections."""
    order = np.lexsort((now.tracks.unseen, -now.tracks.hits, identity))
    first = np.ones(len(order), bool)
    first[1:] = np.diff(identity[order]) != 0
    heir = np.zeros(len(order), bool)
    heir[order[first]] = True
    return heir & (identity >= 0)
