"""What a detector is like, learned from logs whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from kerbstone.errors import InputError
from kerbstone.label.association import associate
from kerbstone.label.confidence import fit_confidence
from kerbstone.label.evidence import gather_evidence
from kerbstone.label.examples import (
    OVERLAP,
    Example,
    match_detections,
    reachable_boxes,
    true_boxes,
)
from kerbstone.label.labelling import LabelConfig, sensor_path
from kerbstone.label.metrics import TrackedBoxes, compare_boxes, score_hota
from kerbstone.label.profile import KindProfile, Profile
from kerbstone.label.refinement import Tracks, refine
from kerbstone.scene import Kind

_FEWEST = 50
"""Of a kind with fewer matches nothing is learned but how sure it is."""
_NOISE_FACTORS = (0.25, 0.5, 1.0, 1.5)
_DRIFTS = (0.0, 0.05, 0.1)
_APARTS = (0.0, 2.0, 4.0, 6.0)
_KEEPS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
_MODERATION = 20.0
"""A size is trusted to be off by as much as half of what so many tracks say."""


def fit_profile(
    examples: Sequence[Example],
    *,
    base: Profile | None = None,
    config: LabelConfig | None = None,
    on_step: Callable[[int], object] = lambda _: None,
) -> Profile:
    """Return what the examples tell of a detector.

    Scores, noise and sizes come from detections beside the truth that they overlap; by how much
    smoothing may trust its noise, and how far the world drifts, from what brings finished boxes
    nearest to the truth; the confidence from finished labels; and what is kept from the best HOTA.

    Args:
        examples: Logs whose truth is known; those that results are reported on must not be among
            them.
        base: What is believed before.
        config: How labels will be made.
        on_step: Called with 1 after each of the `STEPS` steps.

    Raises:
        InputError: There is no example, no detection meets a truth, or all labels are right or all
            wrong.
    """
    if not examples:
        raise InputError("empty", "a profile needs logs with truth", remedy="give one at least")
    base, config = base or Profile(), config or LabelConfig()
    profile = _fit_detections(examples, base)
    on_step(1)
    profile = _best(
        examples, config, [_scale_noise(profile, each) for each in _NOISE_FACTORS], on_step
    )
    profile = _best(examples, config, [_set_all(profile, drift=each) for each in _DRIFTS], on_step)
    weighed = []
    for apart in _APARTS:
        weighed.append(_weigh(examples, replace(profile, apart=apart), base, config))
        on_step(1)
    return max(weighed, key=lambda each: each[1])[0]


def _weigh(
    examples: Sequence[Example], profile: Profile, base: Profile, config: LabelConfig
) -> tuple[Profile, float]:
    """Return the profile with what finished labels tell, and the HOTA that it reaches."""
    finished = [_finish(example, profile, config) for example in examples]
    evidence = [
        gather_evidence(tracks, each.detections, profile, sensor=sensor_path(each.scene))
        for each, tracks in zip(examples, finished, strict=True)
    ]
    judged = [_judge(example, tracks) for example, tracks in zip(examples, finished, strict=True)]
    kinds = [tracks.kind[tracks.chains.track] for tracks in finished]
    models = fit_confidence(
        np.concatenate([each[known] for each, (_, known) in zip(evidence, judged, strict=True)]),
        np.concatenate([overlap[known] > 0.5 for overlap, known in judged]),
        np.concatenate([each[known] for each, (_, known) in zip(kinds, judged, strict=True)]),
    )
    profile = _fit_spread(examples, finished, profile)
    profile = replace(profile, confidence={**base.confidence, **models})
    chances = [
        profile.confidence_of(kind, each) for kind, each in zip(kinds, evidence, strict=True)
    ]
    keeps, merit = _best_keeps(examples, finished, chances, [known for _, known in judged])
    rows = {
        kind: replace(row, keep=keeps.get(kind, row.keep)) for kind, row in profile.kinds.items()
    }
    return replace(profile, kinds=rows), merit


STEPS = 1 + len(_NOISE_FACTORS) + len(_DRIFTS) + len(_APARTS)
"""How often `fit_profile` reports."""


def _fit_detections(examples: Sequence[Example], base: Profile) -> Profile:
    """Return the profile with what single detections tell."""
    parts = [match_detections(example) for example in examples]
    error = np.concatenate([part.error for part in parts])
    kind = np.concatenate([each.detections.kind for each in examples])
    score = np.concatenate([each.detections.score for each in examples])
    known = np.concatenate([part.known for part in parts])
    met = np.isfinite(error[:, 0])
    if not met.any():
        raise InputError(
            "empty",
            "no detection meets a truth",
            why=f"{len(kind)} detections in {len(examples)} logs",
            remedy="see that poses and times of detections and truth agree",
        )
    rows = dict(base.kinds)
    for each in np.unique(kind):
        mine = kind == each
        row = base.of(Kind(int(each)))
        even, slope = _fit_scores(score[mine & known], met[mine & known], row)
        row = replace(row, even_score=even, score_slope=slope)
        found = mine & met
        if found.sum() >= _FEWEST:
            row = _fit_noise(error[found], np.concatenate([p.range for p in parts])[found], row)
            tracks = len(
                np.unique(np.concatenate([p.agent + 10**6 * i for i, p in enumerate(parts)])[found])
            )
            row = _fit_size(error[found], tracks, row)
        rows[Kind(int(each))] = row
    return replace(base, kinds=rows)


def _fit_scores(
    score: Float64[np.ndarray, " row"], met: Bool[np.ndarray, " row"], row: KindProfile
) -> tuple[float, float]:
    """Return the even score and the slope of a logistic curve from score to being real."""
    from scipy.optimize import minimize
    from scipy.special import expit

    if not 0 < met.sum() < len(met) or np.ptp(score) == 0:
        return row.even_score, row.score_slope
    middle, scale = float(score.mean()), float(score.std())
    standard = (score - middle) / scale
    sign = np.where(met, 1.0, -1.0)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (at[0] + at[1] * standard)
        pull = -sign * expit(-margin) / len(sign)
        value = np.logaddexp(0.0, -margin).mean() + 1e-4 * (at[1] ** 2)
        return float(value), np.array([pull.sum(), (pull * standard).sum() + 2e-4 * at[1]])

    level, slope = minimize(loss, np.array([0.0, 1.0]), jac=True, method="L-BFGS-B").x
    slope = max(float(slope), 0.05)
    return middle - float(level) / slope * scale, slope / scale


def _fit_noise(
    error: Float64[np.ndarray, "row 9"], away: Float64[np.ndarray, " row"], row: KindProfile
) -> KindProfile:
    """Return the profile with the noise of place and heading, by medians: tails are another matter."""
    flat = np.hypot(error[:, 0], error[:, 1]) / np.sqrt(2 * np.log(2))  # Rayleigh's median
    middle = float(np.median(away))
    near, far = away <= middle, away > middle
    low, high = float(np.median(flat[near])), float(np.median(flat[far])) if far.any() else 0.0
    span = float(away[far].mean() - away[near].mean()) if far.any() else 0.0
    growth = max((high - low) / span, 0.0) if span > 1.0 else row.noise_growth
    # What a longer box moves its centre by is told by the slope of one against the other.
    pull, share = error[:, 7], error[:, 8]
    anchoring = float(
        (error[:, 0] * pull * share).sum() / max((pull * share) @ (pull * share), 1e-9)
    )
    return replace(
        row,
        noise=max(low - growth * float(away[near].mean()), 0.01),
        noise_growth=growth,
        height_noise=max(_deviation(error[:, 2]), 0.01),
        heading_noise=max(_deviation(error[:, 3]), 0.01),
        size_noise=max(float(np.mean([_deviation(error[:, c]) for c in (4, 5, 6)])), 0.01),
        anchoring=float(np.clip(anchoring, 0.0, 0.5)),
    )


def _deviation(values: Float64[np.ndarray, " row"]) -> float:
    return float(1.4826 * np.median(np.abs(values)))


def _fit_size(error: Float64[np.ndarray, "row 9"], tracks: int, row: KindProfile) -> KindProfile:
    ratio = -np.median(error[:, 4:7], axis=0) * tracks / (tracks + _MODERATION)
    length, width, height = np.exp(ratio).tolist()
    return replace(row, size_scale=(length, width, height))


def _scale_noise(profile: Profile, factor: float) -> Profile:
    rows = {
        kind: replace(row, noise=row.noise * factor, noise_growth=row.noise_growth * factor)
        for kind, row in profile.kinds.items()
    }
    # Matching goes by the noise as it is, whatever smoothing makes of it.
    return replace(
        profile, kinds=rows, slack=profile.slack / factor, std_scale=profile.std_scale * factor
    )


def _set_all(profile: Profile, **values: float) -> Profile:
    rows = {kind: replace(row, **values) for kind, row in profile.kinds.items()}
    return replace(profile, kinds=rows)


def _best(
    examples: Sequence[Example],
    config: LabelConfig,
    profiles: Sequence[Profile],
    on_step: Callable[[int], object],
) -> Profile:
    """Return the profile whose finished boxes overlap the truth most, where they meet it at all."""
    merits = []
    for profile in profiles:
        overlaps = [_judge(example, _finish(example, profile, config))[0] for example in examples]
        overlap = np.concatenate(overlaps)
        merits.append(float(np.maximum(overlap - OVERLAP, 0.0).sum()))
        on_step(1)
    return profiles[int(np.argmax(merits))]


def _finish(example: Example, profile: Profile, config: LabelConfig) -> Tracks:
    seen, sensor = example.detections, sensor_path(example.scene)
    found = associate(seen, profile, sensor=sensor)
    return refine(
        seen, found.track, profile, sensor=sensor, reach=config.reach_steps(seen.clock.dt)
    )


def _judge(
    example: Example, tracks: Tracks
) -> tuple[Float64[np.ndarray, " cell"], Bool[np.ndarray, " cell"]]:
    """Return how much each cell overlaps a truth of its kind, and whether that is known."""
    chains = tracks.chains
    agent, boxes, step, kind = true_boxes(example.truth)
    own = tracks.boxes()
    compared = compare_boxes(
        TrackedBoxes(step, agent, boxes), TrackedBoxes(chains.step, chains.track, own)
    )
    truth = np.argsort(step, kind="stable")[compared.pair_truth]
    cell = np.argsort(chains.step, kind="stable")[compared.pair_predicted]
    fits = kind[truth] == tracks.kind[chains.track[cell]]
    overlap = np.zeros(chains.cells)
    np.maximum.at(overlap, cell[fits], compared.similarity[fits])
    known = np.ones(chains.cells, bool)
    if example.judged is not None:
        known = example.judged(chains.step, own)
    return overlap, known


def _fit_spread(
    examples: Sequence[Example], finished: Sequence[Tracks], profile: Profile
) -> Profile:
    """Return the profile with how many times its own estimate the error of a finished place is.

    Errors that last from step to step are not told apart from motion, so what smoothing believes
    of its own error is too little.
    """
    ratio, kind = [np.zeros(0)], [np.zeros(0, np.uint8)]
    for example, tracks in zip(examples, finished, strict=True):
        truth, cell, agents, boxes = _overlapping(example, tracks)
        own = tracks.chains.track[cell]
        kept = agents[truth] == tracks.kind[own]
        off = tracks.place[cell, :2] - boxes[truth, :2]
        ratio.append((np.abs(off) / tracks.std[cell, :2]).mean(axis=1)[kept])
        kind.append(tracks.kind[own][kept])
    ratios, kinds = np.concatenate(ratio), np.concatenate(kind)
    rows = dict(profile.kinds)
    for each, row in profile.kinds.items():
        mine = ratios[kinds == each]
        if len(mine) >= _FEWEST:
            # The mean of two absolute normal values has its median at 0.743 standard deviations.
            rows[each] = replace(row, spread=max(float(np.median(mine)) / 0.743, 0.1))
    return replace(profile, kinds=rows)


def _overlapping(
    example: Example, tracks: Tracks
) -> tuple[
    Int64[np.ndarray, " pair"],
    Int64[np.ndarray, " pair"],
    UInt8[np.ndarray, " box"],
    Float64[np.ndarray, "box 7"],
]:
    """Return true boxes and cells that overlap, with the kind and the box of all true ones."""
    chains = tracks.chains
    agent, boxes, step, kind = true_boxes(example.truth)
    compared = compare_boxes(
        TrackedBoxes(step, agent, boxes), TrackedBoxes(chains.step, chains.track, tracks.boxes())
    )
    near = compared.similarity > OVERLAP
    truth = np.argsort(step, kind="stable")[compared.pair_truth[near]]
    cell = np.argsort(chains.step, kind="stable")[compared.pair_predicted[near]]
    return truth, cell, kind, boxes


def _best_keeps(
    examples: Sequence[Example],
    finished: Sequence[Tracks],
    chances: Sequence[Float64[np.ndarray, "_"]],
    known: Sequence[Bool[np.ndarray, "_"]],
) -> tuple[Mapping[Kind, float], float]:
    """Return for each kind the confidence from which on labels are worth keeping: the best HOTA.

    Returns:
        The confidences, and the mean of the best HOTAs, kinds counting by their true boxes.
    """
    keeps, merit, mass = {}, 0.0, 0
    there = [reachable_boxes(example) for example in examples]
    present = np.unique(np.concatenate([tracks.kind for tracks in finished]))
    for kind in present:
        merits = []
        for keep in _KEEPS:
            parts = []
            for (agent, boxes, step, kinds), tracks, chance, sure in zip(
                there, finished, chances, known, strict=True
            ):
                chains = tracks.chains
                cells = (tracks.kind[chains.track] == kind) & sure & (chance >= keep)
                true = kinds == kind
                compared = compare_boxes(
                    TrackedBoxes(step[true], agent[true], boxes[true]),
                    TrackedBoxes(chains.step[cells], chains.track[cells], tracks.boxes()[cells]),
                )
                parts.append(score_hota(compared))
            hota = sum(parts[1:], parts[0]).summarise()["HOTA"]
            merits.append(0.0 if np.isnan(hota) else float(hota))
        boxes_of_kind = sum(int((kinds == kind).sum()) for _, _, _, kinds in there)
        merit, mass = merit + boxes_of_kind * max(merits), mass + boxes_of_kind
        if max(merits) > 0:
            keeps[Kind(int(kind))] = _KEEPS[int(np.argmax(merits))]
    return keeps, merit / max(mass, 1)
