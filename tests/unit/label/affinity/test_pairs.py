import numpy as np
import pytest

from kerbstone.label.affinity.pairs import (
    PairIndex,
    RowIndex,
    TrackIndex,
    describe_pairs,
    describe_rows,
    describe_tracks,
)
from kerbstone.label.candidates import Expected, LookIndex, Sightings, find_candidates
from kerbstone.label.profile import Profile
from kerbstone.scene import Kind


def expected(heading, *, kind=Kind.CAR, hits=5, unseen=0.1, variance=(1.0, 1.0), speed=3.0):
    state = np.array([[10.0, 20.0, heading, speed, 0.0]])
    covariance = np.diag([*variance, 0.04, 1.0, 0.1])[None]
    look = np.zeros((1, len(LookIndex)))
    kinds = np.array([kind], np.uint8)
    return Expected(state, covariance, kinds, np.array([hits]), np.array([unseen]), look)


def sighting(x, y, heading, *, kind=Kind.CAR, look=(0.0, 0.0, 0.0, 0.0, 0.0)):
    place = np.array([[x, y, heading]])
    return Sightings(place, np.zeros((1, 3)), np.array([kind], np.uint8), np.array([look]))


def tell(tracks, rows):
    pairs = find_candidates(tracks, rows, Profile(gate=1e6))
    return dict(zip(PairIndex, describe_pairs(tracks, rows, pairs)[0], strict=True))


def test_ahead_and_aside_are_in_the_frame_of_the_track():
    told = tell(expected(np.pi / 2, variance=(4.0, 1.0)), sighting(14.0, 23.0, np.pi / 2))
    assert told[PairIndex.AHEAD] == pytest.approx(3.0)  # north, where it is sure to 1 m
    assert told[PairIndex.ASIDE] == pytest.approx(2.0)  # 4 m east, where it is sure to 2 m
    assert told[PairIndex.DISTANCE] == pytest.approx((9 + 4) / 2)
    assert told[PairIndex.AREA] == pytest.approx(np.log(4.0) / 2)
    assert told[PairIndex.REACH] == pytest.approx(np.log(6.0))


def test_ahead_tells_forward_from_backward_and_aside_not_left_from_right():
    ahead, behind = (tell(expected(0.3), sighting(*at, 0.3)) for at in ((11, 20.5), (9, 19.5)))
    assert ahead[PairIndex.AHEAD] == pytest.approx(-behind[PairIndex.AHEAD])
    assert ahead[PairIndex.ASIDE] == pytest.approx(behind[PairIndex.ASIDE])


def test_standard_deviations_turn_with_the_world():
    values = []
    for turn in (0.0, 0.7, 2.0):
        cos, sin = np.cos(turn), np.sin(turn)
        rotation = np.array([[cos, -sin], [sin, cos]])
        tracks = expected(0.4 + turn)
        tracks.covariance[0, :2, :2] = rotation @ np.diag([4.0, 0.5]) @ rotation.T
        off = rotation @ [1.5, -0.7]
        told = tell(tracks, sighting(10 + off[0], 20 + off[1], 0.5 + turn))
        values.append(list(told.values()))
    np.testing.assert_allclose(values[1:], [values[0]] * 2, atol=1e-12)


@pytest.mark.parametrize("heading", [0.2, 0.2 + np.pi, 0.2 - np.pi, 0.2 + 2 * np.pi])
def test_front_and_rear_are_alike(heading):
    told = tell(expected(0.1), sighting(10, 20, heading))
    assert told[PairIndex.TURN] == pytest.approx(0.1 / 0.2)


def test_sizes_heights_and_doubts_are_told():
    rows = sighting(10, 20, 0, look=(0.5, 0.1, -0.2, 9.0, 2.5))
    told = tell(expected(0.0), rows)
    assert told[PairIndex.RISE] == 0.5
    assert told[PairIndex.LENGTH] == pytest.approx(1.0)
    assert told[PairIndex.WIDTH] == pytest.approx(2.0)
    assert told[PairIndex.HEIGHT] == 4.0  # as far as it goes
    assert told[PairIndex.DOUBT] == 2.5
    assert told[PairIndex.TRACK_DOUBT] == 0.0


def test_history_is_told_of_pairs_and_of_tracks_alike():
    tracks = expected(0.0, hits=1, unseen=0.5, speed=-3.0)
    told = tell(tracks, sighting(10, 20, 0.0))
    alone = dict(zip(TrackIndex, describe_tracks(tracks)[0], strict=True))
    assert told[PairIndex.HITS] == alone[TrackIndex.HITS] == 0.0
    assert told[PairIndex.FRESH] == alone[TrackIndex.FRESH] == 1.0
    assert told[PairIndex.UNSEEN] == alone[TrackIndex.UNSEEN] == pytest.approx(np.log(1.5))
    assert told[PairIndex.SPEED] == pytest.approx(np.log(4.0))


def test_kinds_with_wheels_are_told_from_those_that_walk():
    car, walker = expected(0.0), expected(0.0, kind=Kind.PEDESTRIAN)
    assert describe_tracks(car)[0, TrackIndex.WHEELED] == 1
    assert describe_tracks(walker)[0, TrackIndex.WHEELED] == 0
    assert describe_rows(sighting(0, 0, 0, kind=Kind.PEDESTRIAN))[0, RowIndex.WHEELED] == 0
    told = tell(expected(0.0), sighting(10, 20, 0.0, kind=Kind.TRUCK))
    assert told[PairIndex.STRANGENESS] == pytest.approx(-np.log(0.05))


def test_a_crowd_is_counted_from_both_sides():
    one, other = expected(0.0), sighting(10, 20, 0.0)
    tracks = Expected(*(np.concatenate([part] * 2) for part in one))
    rows = Sightings(*(np.concatenate([part] * 3) for part in other))
    pairs = find_candidates(tracks, rows, Profile())
    told = describe_pairs(tracks, rows, pairs)
    np.testing.assert_allclose(told[:, PairIndex.CROWD], np.log(3))
    np.testing.assert_allclose(told[:, PairIndex.RIVALS], np.log(2))


def test_no_pairs_are_told_of_nothing():
    pairs = find_candidates(expected(0.0), sighting(999, 0, 0.0), Profile())
    assert describe_pairs(expected(0.0), sighting(999, 0, 0.0), pairs).shape == (0, len(PairIndex))
