import numpy as np
import pytest

from kerbstone.plan.falsification.contacts import box_gap
from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.falsification.threats import measure_threats
from kerbstone.plan.vehicle import StateIndex, Vehicle

CAR = Vehicle()
HALF = np.array([[[2.2, 0.9]]])


def _threat(x, y, heading=0.0, *, speed=10.0):
    ego = np.zeros((1, 1, 6))
    ego[..., StateIndex.SPEED] = speed
    place = body_centre(ego, CAR)[:, None] + np.array([x, y])
    threat, slope = measure_threats(ego, place, np.full((1, 1, 1), heading), HALF, CAR)
    return threat.item(), slope[0, 0, 0]


def test_threat_of_an_aligned_box_is_its_distance():
    assert _threat(10.0, 0.0)[0] == pytest.approx(10.0 - CAR.length / 2 - 2.2)
    along, across = 3.0, 4.0
    x, y = along + CAR.length / 2 + 2.2, across + CAR.width / 2 + 0.9
    assert _threat(x, -y)[0] == pytest.approx(5.0)


def test_threat_is_below_zero_exactly_where_aligned_boxes_overlap():
    rng = np.random.default_rng(0)
    ego_half = np.array([CAR.length, CAR.width]) / 2
    for away in rng.uniform([-6, -3], [6, 3], (100, 2)):
        threat, _ = _threat(*away, np.pi)
        gap = box_gap(np.zeros(2), np.array(0.0), ego_half, away, np.array(np.pi), HALF[0, 0])
        assert (threat <= 0.0) == (gap <= 0.0)


@pytest.mark.parametrize("away", [(9.0, 0.5), (7.0, -4.0), (1.0, 5.0), (0.5, 0.4), (-9.0, 3.0)])
def test_slope_agrees_with_finite_differences(away):
    x, y = away
    _, slope = _threat(x, y, 2.0)
    found = [
        (_threat(x + 1e-6, y, 2.0)[0] - _threat(x - 1e-6, y, 2.0)[0]) / 2e-6,
        (_threat(x, y + 1e-6, 2.0)[0] - _threat(x, y - 1e-6, 2.0)[0]) / 2e-6,
    ]
    np.testing.assert_allclose(slope, found, atol=1e-6)


def test_others_are_less_of_a_threat_to_one_that_stands_or_that_they_follow():
    driving, _ = _threat(10.0, 0.0)
    assert _threat(10.0, 0.0, speed=0.0)[0] > driving + 4.0
    assert _threat(-10.0, 0.0)[0] > driving + 4.0
    # What comes from behind across ego's way does not follow it.
    assert _threat(-10.0, 0.0, np.pi / 2)[0] < driving + 4.0
