from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label import (
    Example,
    KindProfile,
    LabelConfig,
    Profile,
    fit_profile,
    label_detections,
)
from kerbstone.label.confidence import expected_calibration_error
from kerbstone.label.fitting import STEPS, _fit_detections, _fit_noise, _fit_scores, _judge
from kerbstone.label.refinement import refine
from kerbstone.scene import BoxIndex, Kind, bev_boxes, bev_iou, detections_from_rows
from watched import WALKER, User, drive, make_clock, make_scene, true_boxes, walk, watch

CLOCK = make_clock(120)


def street(seed):
    draw = np.random.default_rng(seed)
    users = [
        User(drive(draw.uniform(3, 12), draw.normal(0, 0.05), steps=120, start=(*place, heading)))
        for place, heading in zip(
            draw.uniform(-45, 45, (7, 2)), draw.uniform(-3, 3, 7), strict=True
        )
    ]
    users += [
        User(drive(0.0, steps=120, start=(*draw.uniform(-45, 45, 2), draw.uniform(-3, 3))))
        for _ in range(4)
    ]
    users += [
        User(
            walk(draw.normal(0, 1, 2), steps=120, start=draw.uniform(-30, 30, 2)),
            Kind.PEDESTRIAN,
            WALKER,
        )
        for _ in range(4)
    ]
    return users


def example(seed, *, growth=0.0, bias=1.0, ego=True, **more):
    """Return a log with truth; noise grows with the distance from the origin, sizes are off."""
    users = street(seed)
    values = {"noise": 0.1, "ghosts": 2.0, "recall": 0.9} | more
    detections, _ = watch(users, CLOCK, seed=seed, **values)
    if growth or bias != 1.0:
        draw = np.random.default_rng(seed + 1000)
        box = detections.box.copy()
        away = np.hypot(box[:, 0], box[:, 1])
        box[:, :2] += growth * away[:, None] * draw.normal(size=(len(box), 2))
        box[:, BoxIndex.LENGTH] *= bias
        detections = replace(detections, box=box)
    standing = drive(0.0, steps=120)
    scene = make_scene(CLOCK, ego=standing if ego else None)
    return Example(detections, scene, make_scene(CLOCK, users, ego=standing if ego else None))


@pytest.fixture(scope="module")
def fitted():
    reports = []
    profile = fit_profile([example(1), example(2)], on_step=reports.append)
    return profile, reports


def test_progress_is_reported_as_often_as_it_says(fitted):
    assert fitted[1] == [1] * STEPS


def test_planted_noise_is_found():
    row = _fit_detections([example(1), example(2), example(3)], Profile()).of(Kind.CAR)
    assert row.noise == pytest.approx(0.1, rel=0.15)
    assert row.noise_growth < 0.001
    assert row.height_noise == pytest.approx(0.1, rel=0.15)
    assert row.heading_noise == pytest.approx(0.03, rel=0.15)
    assert row.size_noise == pytest.approx(0.03, rel=0.15)


def test_noise_that_grows_with_distance_is_found():
    draw = np.random.default_rng(0)
    away = draw.uniform(0, 60, 20_000)
    error = np.zeros((20_000, 9))
    error[:, :2] = (0.1 + 0.005 * away)[:, None] * draw.normal(size=(20_000, 2))
    row = _fit_noise(error, away, KindProfile())
    assert row.noise == pytest.approx(0.1, rel=0.15)
    assert row.noise_growth == pytest.approx(0.005, rel=0.1)


def test_what_a_wrong_length_moves_the_centre_by_is_found():
    draw = np.random.default_rng(1)
    error = np.zeros((5000, 9))
    error[:, 7] = draw.normal(0, 0.5, 5000)  # of the length
    error[:, 8] = draw.choice([-1.0, 1.0], 5000)  # the far end is ahead, or behind
    error[:, 0] = 0.35 * error[:, 7] * error[:, 8] + draw.normal(0, 0.1, 5000)
    row = _fit_noise(error, draw.uniform(5, 50, 5000), KindProfile())
    assert row.anchoring == pytest.approx(0.35, abs=0.02)


def test_the_curve_from_score_to_being_real_is_found():
    draw = np.random.default_rng(2)
    score = draw.uniform(-2, 8, 30_000)
    real = draw.random(30_000) < 1 / (1 + np.exp(-1.3 * (score - 2.5)))
    even, slope = _fit_scores(score, real, KindProfile())
    assert even == pytest.approx(2.5, abs=0.05)
    assert slope == pytest.approx(1.3, rel=0.05)


@pytest.mark.parametrize("met", [np.zeros(9, bool), np.ones(9, bool)])
def test_scores_that_tell_nothing_leave_what_was_believed(met):
    row = KindProfile(even_score=0.7, score_slope=9.0)
    assert _fit_scores(np.linspace(0, 1, 9), met, row) == (0.7, 9.0)
    assert _fit_scores(np.full(9, 0.5), np.arange(9) < 4, row) == (0.7, 9.0)
    assert _fit_scores(np.zeros(0), met[:0], row) == (0.7, 9.0)


def test_a_size_that_is_always_off_is_put_right_as_far_as_there_is_evidence():
    profile = _fit_detections([example(seed, bias=0.9) for seed in (1, 2, 3)], Profile())
    length, width, height = profile.of(Kind.CAR).size_scale
    # Thirty-three cars are half again as many as what is doubted.
    assert 1.04 < length < 1 / 0.9
    assert width == pytest.approx(1.0, abs=0.01)
    assert height == pytest.approx(1.0, abs=0.01)


def test_the_fit_halves_the_error_of_places_in_another_log(fitted):
    other = example(7)
    labels, _ = label_detections(other.detections, other.scene, fitted[0], LabelConfig(keep=0.0))
    seen = labels.row >= 0
    _, step, box, _ = true_boxes(street(7))
    before, after = [], []
    for said, row in zip(labels.boxes()[seen], labels.row[seen], strict=True):
        now = box[step == other.detections.step[row]]
        near = np.argmin(np.hypot(*(now[:, :2] - said[:2]).T))
        if bev_iou(bev_boxes(now[near]), bev_boxes(said)) > 0.25:
            after.append(now[near, :2] - said[:2])
            before.append(now[near, :2] - other.detections.box[row, :2])
    assert len(after) > 1000
    assert (np.array(after) ** 2).mean() < 0.25 * (np.array(before) ** 2).mean()


def test_the_fit_is_calibrated_in_another_log(fitted):
    said, right = [], []
    for seed in (7, 8):
        other = example(seed)
        config = LabelConfig(keep=0.0)
        labels, found = label_detections(other.detections, other.scene, fitted[0], config)
        tracks = refine(
            other.detections,
            found.track,
            fitted[0],
            sensor=np.zeros((120, 2)),
            reach=config.reach_steps(0.1),
        )
        overlap, _ = _judge(other, tracks)
        said.append(labels.confidence)
        right.append(overlap > 0.5)
    assert expected_calibration_error(np.concatenate(said), np.concatenate(right)) < 0.03


def test_the_fit_keeps_what_was_there_and_little_else(fitted):
    other = example(9)
    labels, _ = label_detections(other.detections, other.scene, fitted[0])
    there = sum(len(user.course) for user in street(9))
    assert 0.9 * there < len(labels) < 1.1 * there


def test_the_fit_says_honestly_how_far_off_places_are(fitted):
    other = example(9)
    labels, _ = label_detections(other.detections, other.scene, fitted[0])
    _, step, box, _ = true_boxes(street(9))
    ratio = []
    for cell in np.flatnonzero(labels.row >= 0):
        now = box[step == labels.step[cell]]
        off = now[:, :2] - labels.place[cell, :2]
        near = np.argmin(np.hypot(*off.T))
        ratio.append(off[near] / labels.std[cell, :2])
    within = (np.abs(ratio) < 1).mean()
    assert 0.5 < within < 0.85


def test_what_the_examples_do_not_show_is_kept():
    base = Profile(
        kinds={Kind.BUS: KindProfile(keep=0.77, noise=0.9)},
        confidence={Kind.BUS: Profile()._confidence_model(Kind.BUS)},
        lifetime=3.0,
    )
    profile = fit_profile([example(1)], base=base)
    assert profile.of(Kind.BUS).keep == 0.77
    assert Kind.BUS in profile.confidence
    assert profile.lifetime == 3.0


def test_no_example_and_no_match_are_refused():
    with pytest.raises(InputError, match="truth"):
        fit_profile([])
    one = example(1)
    with pytest.raises(InputError, match="meets") as caught:
        fit_profile([replace(one, truth=make_scene(CLOCK))])
    assert caught.value.code == "empty"


def test_where_the_truth_is_not_known_nothing_is_judged():
    one = example(1)
    box = one.detections.box.copy()
    half = replace(one, judged=lambda _, boxes: boxes[:, 0] > 0)
    tracks = refine(one.detections, np.where(box[:, 0] > 99, 0, -1), Profile())
    overlap, known = _judge(half, tracks)
    assert overlap.shape == known.shape == (0,)
    scores = _fit_detections([half], Profile()).of(Kind.CAR)
    right = one.detections.select(box[:, 0] > 0)
    alone = _fit_detections([replace(one, detections=right)], Profile()).of(Kind.CAR)
    assert (scores.even_score, scores.score_slope) == pytest.approx(
        (alone.even_score, alone.score_slope)
    )


def test_a_log_without_a_recording_car_teaches_too():
    row = _fit_detections([example(1, ego=False)], Profile()).of(Kind.CAR)
    assert row.noise == pytest.approx(0.1, rel=0.2)
    assert row.anchoring == 0.0


def test_a_log_without_detections_is_no_trouble_beside_one_with():
    one = example(1)
    nothing, _, _ = detections_from_rows(
        clock=CLOCK,
        step=np.zeros(0, np.int64),
        box=np.zeros((0, 7)),
        kind=np.zeros(0, np.uint8),
        score=np.zeros(0),
    )
    row, same = (
        _fit_detections(examples, Profile()).of(Kind.CAR)
        for examples in ([one], [one, replace(one, detections=nothing)])
    )
    assert row == same
