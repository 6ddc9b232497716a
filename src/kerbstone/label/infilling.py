"""Gaps filled by a scene model, where it fills what was hidden better than the smoother does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int64

from kerbstone.label.fill_scores import Scores
from kerbstone.label.fillings import Filling
from kerbstone.label.gap_windows import Predictor, fill_gaps
from kerbstone.label.gaps import BINS, GROUPS, Gaps, find_gaps
from kerbstone.label.held_out import Seen, score_fillings
from kerbstone.label.infilled import GapCount, Infilling
from kerbstone.label.labelling import LabelConfig, label_tracks, sensor_path
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.profile import Profile
from kerbstone.scene import BoxIndex, Detections


def infill(
    labels: Labels,
    detections: Detections,
    track: Int64[np.ndarray, " row"],
    profile: Profile,
    predictor: Predictor,
    config: LabelConfig | None = None,
    *,
    seed: int = 0,
) -> tuple[Labels, Infilling]:
    """Return labels whose gaps a scene model has filled, where it does so better.

    A gap is a stretch of 0.5 to 8 s in which nothing saw a road user that moves, between two
    detections of it. The smoother has filled it, knowing only how road users move. The model sees
    the road and the others as well. Which of them is better is found out in the same log:
    stretches with detections, as long as the gaps are, are hidden from both, and whoever gives the
    hidden detections the higher likelihood fills the gaps of that length and group of road users.

    What the model fills has its likeliest path, joined to the track at both ends; `std` of x and y
    is what the whole mixture says of the error of this path, scaled by what was seen of it in the
    hidden stretches. Height, confidence and the standard
    deviation of the heading stay as they were.

    Args:
        labels: Finished labels, of `label_detections`.
        detections: What they were made of.
        track: Track of each detection, as `Association.track` has it.
        profile: What is known of the detector and of road users.
        predictor: The model: `functools.partial(world.predict_all, model)`.
        config: How the labels were made.
        seed: Of the choice of what is hidden.

    Returns:
        The labels, and what was filled by whom.
    """
    gaps = find_gaps(labels)
    known = gaps.bin < len(BINS)
    if not known.any():
        return labels, Infilling()
    short = _select(gaps, known)
    sensor = sensor_path(labels.scene)
    seen = Seen(
        place=detections.box[:, : BoxIndex.Z],
        noise=profile.place_noise(detections, sensor),
        track=track,
    )
    everything = replace(config or LabelConfig(), keep=0.0)

    def relabel(track: Int64[np.ndarray, " row"]) -> Labels:
        return label_tracks(detections, labels.scene, track, profile, everything)

    scores = score_fillings(labels, short, seen, relabel, predictor, seed=seed)
    chosen = scores.choose()[short.group, short.bin]
    wanted = np.flatnonzero(known)[chosen]
    fillings = fill_gaps(labels, gaps, wanted, predictor)
    filled = np.zeros(len(short), bool)
    filled[chosen] = [filling is not None for filling in fillings]
    return _write(labels, gaps, wanted, fillings, scores), _count(short, filled, scores)


def _select(gaps: Gaps, some: Bool[np.ndarray, " gap"]) -> Gaps:
    return Gaps(**{name: values[some] for name, values in vars(gaps).items()})


def _write(
    labels: Labels,
    gaps: Gaps,
    wanted: Int64[np.ndarray, " some"],
    fillings: list[Filling | None],
    scores: Scores,
) -> Labels:
    """Return labels with the likeliest path of each filling in the place of the smoother's."""
    place, heading, velocity = labels.place.copy(), labels.heading.copy(), labels.velocity.copy()
    std, provenance = labels.std.copy(), labels.provenance.copy()
    dt, spread = labels.scene.clock.dt, scores.spread()
    for gap, filling in zip(wanted, fillings, strict=True):
        if filling is None:
            continue
        before, after = int(gaps.before[gap]), int(gaps.after[gap])
        # Cells of too little confidence are missing.
        cells = np.arange(before + 1, after)
        step = labels.step[cells] - gaps.first[gap] - 1
        path = filling.place[filling.likeliest]
        whole = np.concatenate([labels.place[[before], :2], path, labels.place[[after], :2]])
        place[cells, :2] = path[step]
        heading[cells] = filling.heading[filling.likeliest, step]
        velocity[cells] = (whole[2:] - whole[:-2])[step] / (2 * dt)
        times = float(spread[gaps.group[gap], gaps.bin[gap]])
        std[cells, :2] = filling.std(times)[step]
        provenance[cells] = Provenance.INFILLED
    return replace(
        labels, place=place, heading=heading, velocity=velocity, std=std, provenance=provenance
    )


def _count(gaps: Gaps, filled: Bool[np.ndarray, " gap"], scores: Scores) -> Infilling:
    counts: list[GapCount] = []
    for group, each in np.ndindex(len(GROUPS), len(BINS)):
        mine = (gaps.group == group) & (gaps.bin == each)
        if not mine.any():
            continue
        rows = (scores.group == group) & (scores.bin == each)
        some = bool(rows.any())
        counts.append(
            GapCount(
                group=GROUPS[group],
                longest=BINS[each],
                gaps=int(mine.sum()),
                infilled=int(filled[mine].sum()),
                held_out=scores.stretches(rows),
                cells=int(rows.sum()),
                smoother=float(scores.smoother[rows].mean()) if some else np.nan,
                model=float(scores.model[rows].mean()) if some else np.nan,
            )
        )
    return Infilling(tuple(counts))
