"""Blind places and stretches: whoever is hidden is in one, and the shield keeps clear of them."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from kerbstone.plan.beliefs.phantoms import is_in_view
from kerbstone.plan.blind import find_blind
from kerbstone.plan.guard import Guard
from kerbstone.plan.roads import prepare_road
from kerbstone.plan.shield import Assumptions, Road
from kerbstone.plan.sight import SightRules, cast_sight, gather_hiding, look_out
from kerbstone.plan.stretches import NARROWEST, SHORTEST, Way, find_stretches
from kerbstone.plan.survey import look_around, survey_road
from kerbstone.plan.vehicle import Vehicle
from kerbstone.scene import Kind, box_corners_bev
from roads import EAST, WEST, Track, crossing_road, drive, stage, stand, straight_road, way_through

VEHICLE, ASSUMED, RULES = Vehicle(), Assumptions(control_step=0.15), SightRules()
REAR = VEHICLE.centre_offset


def look(scene, step=20, *, line=EAST, speed=8.0, rules=RULES, road=None):
    """What ego does not see, which drives along a line."""
    x, y = scene.agents.centre[0, step, :2]
    heading = scene.agents.heading[0, step]
    state = np.array([x - REAR * np.cos(heading), y - REAR * np.sin(heading), heading, speed, 0, 0])
    if road is None:
        road = survey_road(prepare_road(scene.map), state[:2], reach=75.0)
    ahead = state[:2] + np.arange(0.0, 80.0, 2.0)[:, None] * [np.cos(heading), np.sin(heading)]
    sight = look_out(scene, step, 0, rules=rules)
    blind = find_blind(sight, ahead, state, road, vehicle=VEHICLE, assumptions=ASSUMED, rules=rules)
    return blind, state, road


def in_places(places, points):
    """Which points lie in one of some thick segments."""
    start, way = places.start[0], places.end[0] - places.start[0]
    square = np.maximum((way**2).sum(axis=-1), 1e-12)
    share = np.clip(((points[:, None] - start) * way).sum(axis=-1) / square, 0.0, 1.0)
    gap = np.hypot(*np.moveaxis(points[:, None] - start - share[..., None] * way, -1, 0))
    return ((gap <= places.radius[0] + 1e-9) & places.valid[0]).any(axis=1)


def in_stretches(stretches, road, box):
    """Whether a box lies wholly on a stretch of a route whose lane its middle is in."""
    turn = np.array([np.cos(box[2]), np.sin(box[2])])
    for k in np.flatnonzero(stretches.valid[0]):
        route = road.routes[stretches.route[0, k]]
        extent = route.path.bound_boxes(box[None, :2], turn[None], box[None, 3:] / 2.0)
        low, high = extent.station[0]
        beside = abs(extent.offset[0].mean()) < route.half_width
        if beside and stretches.start[0, k] <= low and high <= stretches.end[0, k]:
            return True
    return False


def parked_street(*more, speed=8.0):
    parked = [Track(f"p{k}", stand(-170.0 + 7.0 * k, -4.9)) for k in range(8)]
    truck = Track("truck", drive(WEST, start=330.0, speed=0.0), Kind.TRUCK)
    ego = Track("ego", drive(EAST, start=10.0, speed=speed))
    return stage(straight_road(), [ego, *parked, truck, *more])


@pytest.mark.parametrize("step", [0, 15, 30])
def test_whoever_walks_in_range_and_not_in_view_is_in_a_blind_place(step):
    rng = np.random.default_rng(step)
    scene = parked_street()
    ego = scene.agents.centre[0, step, :2]
    near = ego + rng.uniform([-10.0, -12.0], [45.0, 12.0], (600, 2))
    boxes = gather_hiding(scene, step, 0, ego, RULES)
    hidden = ~is_in_view(ego, near[None], boxes)[0]
    blind, _, _ = look(scene, step)
    # Nobody walks inside of a car, nor is pressed to its side.
    free = ~shapely.intersects_xy(blind.sight.bodies, *near.T)
    assert (hidden & free).sum() > 40
    assert in_places(blind.places, near[hidden & free]).all()


def test_places_reach_no_farther_beyond_what_is_hidden_than_is_said():
    blind, _, _ = look(parked_street())
    rng = np.random.default_rng(1)
    points = rng.uniform([-200.0, -15.0], [-120.0, 15.0], (3000, 2))
    inside = in_places(blind.places, points)
    far = shapely.distance(blind.sight.hidden, shapely.points(points[inside]))
    assert 100 < inside.sum() < 2500
    assert far.max() <= RULES.cover + 1e-6


def test_whoever_drives_unseen_in_a_crossing_street_is_on_a_blind_stretch():
    line = way_through("west", "through")
    van = Track("van", stand(-8.0, -7.0), Kind.TRUCK)
    ego = Track("ego", drive(line, start=65.0, speed=0.0), heading=0.0)
    rng = np.random.default_rng(3)
    checked = 0
    scene = stage(crossing_road(), [ego, van])
    blind, _, road = look(scene, 20, line=line)
    south, north = way_through("south", "through"), way_through("north", "through")
    eye = scene.agents.centre[0, 20, :2]
    boxes = gather_hiding(scene, 20, 0, eye, RULES)
    for _ in range(300):
        lane = south if rng.random() < 0.7 else north
        place = drive(lane, start=rng.uniform(40.0, 110.0), speed=0.0, steps=1)[0]
        size = rng.choice([[4.5, 1.8], [SHORTEST, NARROWEST], [2.1, 0.8]])
        turn = np.arctan2(*(lane[-1] - lane[0])[::-1])
        box = np.array([*place, turn, *size])
        corners = box_corners_bev(box[None])[0]
        outline = shapely.get_coordinates(shapely.segmentize(shapely.polygons(corners), 0.2))
        if is_in_view(eye, outline[None], boxes)[0].any() or np.hypot(*(place - eye)) > 55.0:
            continue
        if shapely.intersects(shapely.polygons(corners), blind.sight.bodies):
            continue
        checked += 1
        assert in_stretches(blind.stretches, road, box), box
    assert checked > 15


def test_where_all_is_seen_nothing_is_blind_but_what_is_beyond_the_range():
    scene = stage(straight_road(), [Track("ego", drive(EAST, start=150.0, speed=8.0))])
    blind, _, _ = look(scene, speed=4.0)
    assert not blind.places.valid.any()
    ends = [region.area.bounds for region in blind.regions]
    assert all(region.is_lane for region in blind.regions)
    middle = scene.agents.centre[0, 20, 0]
    assert all(high < middle - 58.0 or low > middle + 58.0 for low, _, high, _ in ends)


def test_of_the_cars_own_lane_what_is_behind_does_not_count():
    follower = Track("follower", drive(EAST, start=140.0, speed=8.0))
    leader = Track("leader", drive(EAST, start=175.0, speed=8.0))
    ego = Track("ego", drive(EAST, start=150.0, speed=8.0))
    blind, state, road = look(stage(straight_road(), [ego, follower, leader]))
    begins = []
    for k in np.flatnonzero(blind.stretches.valid[0]):
        points = road.lanes[road.routes[blind.stretches.route[0, k]].lanes[0]].centre
        if points[0, 1] == -1.75:
            begins.append(points[0, 0] + blind.stretches.start[0, k])
    # The leader hides what is ahead of it; what the follower hides is left out.
    assert len(begins) >= 1
    assert min(begins) > state[0]
    valid = blind.stretches.valid
    assert (blind.stretches.end[valid] > blind.stretches.start[valid]).all()


@pytest.mark.parametrize(
    ("length", "width", "found"), [(3.0, 0.65, True), (3.0, 0.55, False), (0.7, 1.0, False)]
)
def test_a_stretch_is_where_the_smallest_vehicle_has_room(length, width, found):
    road = survey_road(prepare_road(straight_road()), np.array([0.0, -1.75]), reach=75.0)
    state = np.array([0.0, -1.75, 0.0, 8.0, 0.0, 0.0])
    way = Way(shapely.LineString([[0.0, -1.75], [30.0, -1.75]]), 3.0)
    dark = shapely.box(25.0, 1.0, 25.0 + length, 1.0 + width)
    made = find_stretches(
        dark, way, state, road, vehicle=VEHICLE, assumptions=ASSUMED, cell=RULES.cover
    )
    assert len(made.route) == len(made.areas) == int(found)
    if found:
        low, _, high, _ = made.areas[0].bounds
        assert 24.3 < low <= 25.31
        assert 25.0 + length - 0.31 <= high < 25.7 + length
        assert made.end[0] - made.start[0] >= length


def test_without_lanes_only_people_on_foot_are_expected():
    blind, _, _ = look(parked_street(), road=Road())
    assert not blind.stretches.valid.any()
    assert blind.places.valid.any()


def test_each_place_and_stretch_knows_its_region_and_no_number_means_two():
    blind, _, _ = look(parked_street())
    count = blind.places.valid.shape[1]
    assert not blind.stretches.valid[0, :count].any()
    assert blind.stretches.valid[0, count:].all()
    assert len(blind.owner) == blind.stretches.valid.shape[1] > count
    for index, owner in enumerate(blind.owner):
        region = blind.regions[owner]
        assert region.is_lane == (index >= count)
        assert shapely.distance(blind.outline(index), region.area) < 0.01


def judge(scene, speed, *, hides):
    blind, state, road = look(scene, speed=speed)
    around = look_around(scene, 20, 0)
    if hides:
        around = replace(around, places=blind.places, stretches=blind.stretches)
    ids = scene.agents.ids[1:]
    guard = Guard(state, around, road, vehicle=VEHICLE, assumptions=ASSUMED, ids=ids)
    return guard.judge(np.zeros(2), shadow_times=np.array([0.0, 1.0])), blind


def test_a_blind_place_makes_the_shield_refuse_a_command_that_passes_without():
    scene = parked_street()
    plain, _ = judge(scene, 8.0, hides=False)
    wary, blind = judge(scene, 8.0, hides=True)
    assert plain.passes
    assert not wary.passes
    assert wary.cause == "it may touch one who is not seen"
    assert not blind.regions[blind.owner[wary.unseen]].is_lane
    assert plain.unseen == -1


def test_where_nobody_can_be_hidden_near_the_way_the_command_passes_all_the_same():
    scene = stage(
        straight_road(),
        [Track("ego", drive(EAST, start=150.0, speed=8.0)), Track("far", stand(40.0, 30.0))],
    )
    wary, blind = judge(scene, 8.0, hides=True)
    assert blind.stretches.valid.any()
    assert wary.passes
    assert wary.unseen == -1


def test_a_larger_range_shows_more():
    scene = parked_street()
    near, far = (
        look(scene, rules=replace(RULES, reach=reach))[0].sight.hidden for reach in (20.0, 60.0)
    )
    assert shapely.covers(shapely.buffer(near, 1e-6), far)
    assert cast_sight(np.zeros(2), np.zeros((0, 5)), RULES).bodies.is_empty
