"""A recorded scene as the shield sees it."""

import dataclasses

import numpy as np
import pytest
import shapely

from kerbstone.plan.roads import prepare_road
from kerbstone.plan.roads.road import draw_areas
from kerbstone.plan.shield import Road
from kerbstone.plan.survey import SurveyRules, look_around, survey_road
from kerbstone.scene import Kind, MapBuilder, PieceKind
from roads import EAST, Track, crossing_road, drive, stage, stand, straight_road, walk

HERE = np.array([0.0, -1.75])
AHEAD, SIZE = np.array([[1.0, 0.0]]), np.array([[2.5, 1.0]])


def test_lanes_are_cut_around_the_place_and_go_on_as_in_the_map():
    road = survey_road(prepare_road(crossing_road()), np.array([-30.0, -1.75]), reach=60.0)
    points = np.concatenate([lane.centre for lane in road.lanes])
    away = np.hypot(*(points - [-30.0, -1.75]).T)
    assert away.min() < 10.0
    assert 50.0 < away.max() < 72.0
    assert len(road.routes) >= 4
    for route in road.routes:
        for before, after in zip(route.lanes[:-1], route.lanes[1:], strict=True):
            gap = road.lanes[after].centre[0] - road.lanes[before].centre[-1]
            assert np.hypot(*gap) < 0.1


def test_a_lane_that_is_cut_does_not_go_on():
    road = survey_road(prepare_road(straight_road()), np.array([-150.0, -1.75]), reach=20.0)
    assert all(not lane.successors for lane in road.lanes)


def test_a_car_on_the_road_is_inside_and_one_on_the_verge_is_not():
    road = survey_road(prepare_road(straight_road()), HERE, reach=50.0)
    box = np.array([[0.0, -1.75], [0.0, -9.0], [0.0, 60.0]])
    outside = road.find_outside(box, np.repeat(AHEAD, 3, 0), np.repeat(SIZE, 3, 0))
    # What lies beyond the cut may be road.
    assert outside.tolist() == [False, True, False]


def test_crosswalks_are_no_place_to_stop():
    road = survey_road(prepare_road(straight_road(crosswalk=0.0)), HERE, reach=50.0)
    box = np.array([[0.0, -1.75], [20.0, -1.75]])
    stopped = road.find_no_stopping(box, np.repeat(AHEAD, 2, 0), np.repeat(SIZE, 2, 0))
    assert stopped.tolist() == [True, False]


def test_without_a_map_the_road_is_an_open_plane():
    road = survey_road(None, HERE, reach=50.0)
    assert road.routes == ()
    assert road.drivable is None


def test_where_there_are_too_many_ways_the_road_is_cut_nearer(monkeypatch):
    monkeypatch.setattr("kerbstone.plan.shield.road._MOST_ROUTES", 6)
    town = prepare_road(crossing_road())
    near = survey_road(town, np.array([-90.0, -1.75]), reach=120.0)
    assert 0 < len(near.routes) <= 6
    monkeypatch.setattr("kerbstone.plan.shield.road._MOST_ROUTES", 0)
    none = survey_road(town, HERE, reach=120.0)
    assert none.routes == ()
    assert isinstance(none, Road)


def test_a_faster_car_is_told_more_of_the_road():
    rules = SurveyRules()
    assert rules.reach_at(20.0) == pytest.approx(100.0)
    assert rules.reach_at(-1.0) == pytest.approx(50.0)


def seen(*others, **how):
    scene = stage(straight_road(), [Track("ego", drive(EAST, start=200.0, speed=8.0)), *others])
    return look_around(scene, 20, 0, **how)


def test_others_are_seen_with_heading_speed_and_size():
    around = seen(Track("lead", drive(EAST, start=225.0, speed=6.0)))
    assert around.valid.tolist() == [[True]]
    assert around.position[0, 0] == pytest.approx([-200 + 225 + 12, -1.75])
    assert around.heading[0, 0] == pytest.approx(0.0)
    assert around.speed[0, 0] == pytest.approx(6.0)
    assert (around.length[0, 0], around.width[0, 0]) == pytest.approx((4.5, 1.8))


def test_one_that_reverses_is_turned_around_and_one_who_walks_heads_where_they_go():
    back = drive(EAST, start=225.0, speed=-3.0)
    around = seen(
        Track("reverses", back, heading=0.0),
        Track("walks", walk([10, -8], [10, 8]), Kind.PEDESTRIAN, heading=0.0),
    )
    assert np.abs(around.heading[0, 0]) == pytest.approx(np.pi)
    assert around.speed[0, 0] == pytest.approx(3.0)
    assert around.heading[0, 1] == pytest.approx(np.pi / 2)


def test_those_who_are_far_or_not_there_are_not_seen():
    gone = drive(EAST, start=210.0, speed=8.0)
    gone[10:30] = np.nan
    around = seen(Track("gone", gone), Track("far", stand(150.0, -1.75)), reach=60.0)
    assert around.valid.tolist() == [[False, False]]


def test_what_is_not_known_is_usual():
    scene = stage(
        straight_road(),
        [
            Track("ego", drive(EAST, start=200.0, speed=8.0)),
            Track("odd", stand(30.0, -1.75), size=(np.nan, np.nan, np.nan)),
        ],
    )
    heading = scene.agents.heading.copy()
    heading[1] = np.nan
    scene = dataclasses.replace(scene, agents=dataclasses.replace(scene.agents, heading=heading))
    around = look_around(scene, 20, 0)
    assert around.valid.all()
    assert around.length[0, 0] > 3.0
    assert np.isfinite(around.heading[0, 0])


def test_crossed_and_broken_crosswalks_are_no_place_to_stop_nor_an_error():
    town = MapBuilder()
    crossed = np.array([[50.0, -2.0], [54.0, 2.0], [54.0, -2.0], [50.0, 2.0]])
    for ring in (crossed, crossed + np.array([1.0, 0.0]), crossed[:2]):
        town.add_piece(PieceKind.CROSSWALK, ring)
    areas = draw_areas(town.build("town"), PieceKind.CROSSWALK)
    assert len(areas) == 2
    union = shapely.union_all(areas)
    assert union.is_valid
    assert union.area == pytest.approx(13.5)
