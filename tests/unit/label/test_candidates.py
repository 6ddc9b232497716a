import numpy as np
import pytest

from kerbstone.label import candidates
from kerbstone.label.candidates import find_candidates
from kerbstone.label.profile import Profile
from sightings import situation


def test_candidates_are_those_within_the_gate():
    tracks, rows = situation(0)
    profile = Profile(gate=12.0)
    pairs = find_candidates(tracks, rows, profile)
    listed = dict(
        zip(zip(pairs.track.tolist(), pairs.row.tolist(), strict=True), range(999), strict=False)
    )
    for track in range(len(tracks.kind)):
        for row in range(len(rows.kind)):
            off = rows.place[row, :2] - tracks.state[track, :2]
            total = tracks.covariance[track, :2, :2] + np.diag(rows.variance[row, :2])
            distance = off @ np.linalg.solve(total, off)
            strange = profile.strangeness[tracks.kind[track], rows.kind[row]]
            assert ((track, row) in listed) == (distance < 12 and np.isfinite(strange))
            if (track, row) in listed:
                place = listed[track, row]
                assert pairs.distance[place] == pytest.approx(distance)
                assert pairs.log_area[place] == pytest.approx(np.log(np.linalg.det(total)))
                assert pairs.strangeness[place] == strange
    assert listed


@pytest.mark.parametrize(("tracks", "rows"), [(30, 40), (5, 1), (1, 7), (60, 12)])
def test_large_steps_find_the_same_pairs_where_few_are_near(monkeypatch, tracks, rows):
    parts = situation(1, tracks, rows, extent=15.0)
    exact = find_candidates(*parts, Profile())
    monkeypatch.setattr(candidates, "_FEW", 0)
    monkeypatch.setattr(candidates, "_NEAREST", 40)
    for one, other in zip(exact, find_candidates(*parts, Profile()), strict=True):
        np.testing.assert_allclose(other, one)


def test_in_large_steps_a_track_has_few_candidates_however_dense_they_are(monkeypatch):
    monkeypatch.setattr(candidates, "_FEW", 0)
    pairs = find_candidates(*situation(2, 20, 500, extent=0.5), Profile(confusion=0.5))
    assert np.bincount(pairs.track).max() <= 32
    assert len(pairs.track) > 100


@pytest.mark.parametrize(("tracks", "rows"), [(0, 4), (4, 0), (0, 0)])
def test_nothing_pairs_with_nothing(tracks, rows):
    assert len(find_candidates(*situation(3, tracks, rows), Profile()).track) == 0
