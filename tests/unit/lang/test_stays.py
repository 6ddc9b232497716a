"""Which lane road users are on, against all ways to assign lanes."""

import itertools

import numpy as np
import pytest

from kerbstone.lang import Facts, stays
from kerbstone.lang.roads import road_of
from roads import Track, crossing_road, drive, stage, stand, way_through


def lanes_of(scene, row=0):
    places = Facts(scene).places
    ids = scene.map.lanes.ids
    return [ids[lane] if lane >= 0 else "" for lane in places.lane[row]]


@pytest.mark.parametrize("seed", range(20))
def test_the_cheapest_of_all_paths_is_chosen(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    stretches = rng.integers(1, 4, size=6)
    agents = np.sort(rng.integers(0, 2, size=6))
    lane = rng.integers(0, 5, size=stretches.sum())
    total = rng.uniform(size=len(lane))
    steps = rng.uniform(0, 2, size=(5, 5))
    monkeypatch.setattr(stays, "_step_costs", lambda _, lanes: steps[np.ix_(lanes, lanes)])
    first = np.cumsum(stretches) - stretches
    column = np.arange(stretches.max())
    table = np.where(column < stretches[:, None], first[:, None] + column, -1)
    rank = np.concatenate([np.arange((agents == agent).sum()) for agent in np.unique(agents)])
    best = stays._cheapest_path(road_of(crossing_road()), total, lane, table, rank)

    for agent in np.unique(agents):
        mine = np.flatnonzero(agents == agent)
        options = [range(first[k], first[k] + stretches[k]) for k in mine]

        def cost(path):
            return total[list(path)].sum() + sum(
                steps[lane[a], lane[b]] for a, b in itertools.pairwise(path)
            )

        chosen = [option for part in options for option in part if best[option]]
        assert len(chosen) == len(mine)
        assert cost(chosen) == pytest.approx(min(map(cost, itertools.product(*options))))


@pytest.mark.parametrize("arm", ["west", "south", "east", "north"])
@pytest.mark.parametrize("way", ["through", "left", "right"])
def test_a_noisy_track_through_an_intersection_stays_on_its_lane(arm, way):
    rng = np.random.default_rng(3)
    points = drive(way_through(arm, way), start=70, speed=7.0)
    points = points + rng.normal(scale=0.15, size=points.shape)
    scene = stage(crossing_road(), [Track("a", points)])
    passed = list(dict.fromkeys(lanes_of(scene)))
    exits = {"through": 2, "left": 3, "right": 1}
    arms = ("west", "south", "east", "north")
    to = arms[(arms.index(arm) + exits[way]) % 4]
    assert passed == [f"{arm} in", f"{arm} {way}", f"{to} out"]


def test_a_stay_is_a_stretch_on_one_lane():
    points = drive(way_through("west", "through"), start=60, speed=8.0)
    points[20:30] = np.nan
    scene = stage(crossing_road(), [Track("a", points), Track("b", stand(60, 60))])
    found = Facts(scene).stays
    ids = [scene.map.lanes.ids[lane] for lane in found.lane]
    assert ids == ["west in", "west in", "west through", "east out"]
    assert found.agent.tolist() == [0, 0, 0, 0]
    assert found.first.tolist()[:2] == [0, 30]
    assert found.last[0] == 19
    for stay in range(4):
        cells = np.flatnonzero(found.number[0] == stay)
        assert cells.tolist() == list(range(found.first[stay], found.last[stay] + 1))
    assert (found.number[1] == -1).all()


def test_nobody_on_a_lane_makes_no_stays():
    scene = stage(crossing_road(), [Track("a", stand(60, 60))])
    found = Facts(scene).stays
    assert len(found.lane) == 0
    assert (found.places.lane == -1).all()
