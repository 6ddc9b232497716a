"""Who is next ahead, against a search among all."""

import numpy as np
import pytest

from kerbstone.lang import Facts, leaders
from kerbstone.scene import Kind
from measures import measure
from roads import EAST, EAST_OUTER, Track, drive, stage, straight_road


def traffic(seed, road):
    rng = np.random.default_rng(seed)
    lines = [EAST, EAST_OUTER]
    tracks = []
    for k in range(8):
        kind = Kind(int(rng.choice([Kind.CAR, Kind.CAR, Kind.CYCLIST, Kind.PEDESTRIAN])))
        line = lines[int(rng.integers(2))]
        points = drive(
            line, start=rng.uniform(10, 90), speed=rng.uniform(3, 12), offset=rng.normal(0, 0.3)
        )
        points[rng.random(100) < 0.1] = np.nan
        tracks.append(Track(f"a{k}", points, kind))
    return stage(road, tracks)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("road", [straight_road(lanes=4), None])
def test_the_leader_is_the_nearest_driver_ahead_in_the_lane(seed, road):
    scene = traffic(seed, road)
    found = leaders.leaders_of(Facts(scene))
    ids, drives = scene.agents.ids, scene.agents.kind != Kind.PEDESTRIAN
    half = scene.agents.size[:, 0] / 2
    for row, name in enumerate(ids):
        along = np.full((len(ids), 100), np.inf)
        for other, other_name in enumerate(ids):
            if other == row or not (drives[row] and drives[other]):
                continue
            gap = measure("gap", scene, other_name, name) + half[row] + half[other]
            ahead = measure("longitudinal_offset", scene, other_name, name) > 0
            along[other] = np.where(ahead & np.isfinite(gap), gap, np.inf)
        expected = np.where(np.isfinite(along.min(axis=0)), along.argmin(axis=0), -1)
        np.testing.assert_array_equal(found.row[row], expected)
        np.testing.assert_allclose(found.along[row], along.min(axis=0))


def test_blocks_of_time_change_nothing(monkeypatch):
    scene = traffic(1, straight_road(lanes=4))
    whole = leaders.leaders_of(Facts(scene))
    monkeypatch.setattr(leaders, "_BLOCK", 100)
    parts = leaders.leaders_of(Facts(scene))
    np.testing.assert_array_equal(parts.row, whole.row)
    np.testing.assert_array_equal(parts.along, whole.along)
