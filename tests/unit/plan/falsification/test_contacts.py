import numpy as np
import pytest
from shapely import affinity, box

from kerbstone.plan.falsification.contacts import box_gap, find_contacts


def _polygon(centre, heading, half):
    shape = box(-half[0], -half[1], half[0], half[1])
    return affinity.translate(affinity.rotate(shape, heading, (0, 0), use_radians=True), *centre)


def _draw_boxes(rng, count):
    centre = rng.uniform(-4, 4, (count, 2))
    return centre, rng.uniform(-7, 7, count), rng.uniform(0.1, 3, (count, 2))


def test_gap_is_above_zero_exactly_where_polygons_are_apart_and_never_beyond_their_distance():
    rng = np.random.default_rng(0)
    one, other = _draw_boxes(rng, 600), _draw_boxes(rng, 600)
    gap = box_gap(*one, *other)
    distance = np.array(
        [
            _polygon(*(part[i] for part in one)).distance(_polygon(*(part[i] for part in other)))
            for i in range(600)
        ]
    )
    assert ((gap > 0) == (distance > 0)).all()
    assert (gap[gap > 0] <= distance[gap > 0] + 1e-9).all()
    assert 100 < (distance > 0).sum() < 500


def _tracks(speed, offset, samples):
    """Ego stands at the origin; a thin other passes it from left to right at a height."""
    time = np.linspace(0.0, 1.0, samples + 1)
    centre = np.stack([speed * (time - 0.5), np.full_like(time, offset)], axis=-1)
    ego = np.zeros((1, samples + 1, 2))
    zero = np.zeros((1, samples + 1))
    return ego, zero, centre[None, None], zero[None]


@pytest.mark.parametrize(("offset", "touches"), [(0.0, True), (1.995, True), (2.01, False)])
def test_what_passes_between_two_samples_is_not_skipped(offset, touches):
    ego, zero, centre, heading = _tracks(100.0, offset, 1)
    found = find_contacts(
        ego,
        zero,
        np.array([2.0, 1.0]),
        centre,
        heading,
        np.array([[[0.1, 1.0]]]),
        duration=1.0,
    )
    assert np.isfinite(found.time[0, 0]) == touches
    assert (found.gap[0, 0] <= 0) == touches
    if touches:
        assert found.time[0, 0] == pytest.approx(0.5 - 2.1 / 100.0, abs=1e-3)


def test_many_samples_and_few_find_the_same_first_touch():
    rng = np.random.default_rng(1)
    start, end = rng.uniform(-15, 15, (2, 60, 1, 2))
    turn = rng.uniform(-2, 2, (60, 1, 2))
    half = rng.uniform(0.2, 2.5, (60, 1, 2))
    found = []
    for samples in (16, 512):
        share = np.linspace(0.0, 1.0, samples + 1)
        centre = start[:, :, None] + share[:, None] * (end - start)[:, :, None]
        heading = turn[..., :1] + share * turn[..., 1:]
        ego = np.zeros((60, samples + 1, 2))
        found.append(
            find_contacts(
                ego,
                np.broadcast_to(share, (60, samples + 1)) * 1.0,
                np.array([2.45, 0.95]),
                centre,
                heading,
                half,
                duration=1.0,
            )
        )
    touched = np.isfinite(found[0].time)
    assert 5 < touched.sum() < 55
    assert (touched == np.isfinite(found[1].time)).all()
    assert np.abs(found[0].time[touched] - found[1].time[touched]).max() < 2e-3


def test_absent_others_are_infinitely_far():
    ego, zero, centre, heading = _tracks(10.0, 0.0, 4)
    found = find_contacts(
        ego,
        zero,
        np.array([2.0, 1.0]),
        np.full_like(centre, np.nan),
        heading,
        np.array([[[1.0, 1.0]]]),
        duration=1.0,
    )
    assert found.gap[0, 0] == np.inf
    assert found.time[0, 0] == np.inf
