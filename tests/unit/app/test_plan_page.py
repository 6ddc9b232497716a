"""The page of plans, from plans that were made by hand."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import shapely

from kerbstone.app.plan_page import plan_page, say_shield, say_why, tell_region
from kerbstone.errors import InputError
from kerbstone.plan.blind import Blind, Region
from kerbstone.plan.emerging import Emergence
from kerbstone.plan.guard import Safety
from kerbstone.plan.planning import Plans
from kerbstone.plan.shadow import Shadow
from kerbstone.plan.shield import BlindPlaces, BlindStretches
from kerbstone.plan.sight import Sight
from kerbstone.plan.situations import situation_at
from kerbstone.plan.timeline import Moment, Timeline
from kerbstone.plan.ways import Ways
from roads import EAST, Track, drive, stage, straight_road
from streets import street

STRAIGHT = 41


def states(speed, modes=1):
    way = speed * 0.15 * np.arange(STRAIGHT)
    rows = np.column_stack(
        [way - 100.0, np.full(STRAIGHT, -1.75), np.zeros(STRAIGHT), np.full(STRAIGHT, speed)]
    )
    return np.tile(np.pad(rows, [(0, 0), (0, 2)]), (modes, 1, 1))


def moment(scene, time, *, feasible=True, passes=True, ready=True, who="", agent=None, ways=None):
    situation = situation_at(scene, time, agent=agent)
    failsafe = states(5.0)[0, :10].copy()
    failsafe[4:, 3] = 0.0
    safety = Safety(
        is_ready=ready,
        passes=passes,
        cause="" if passes else "it may touch a road user",
        who=who,
        time=np.inf if passes else 0.6,
        margin=-1.25 if not passes else np.inf,
        failsafe=failsafe,
        controls=np.zeros((9, 2)),
        step=0.15,
        shadows=tuple(
            Shadow(start, start + 0.5, shapely.Point(0.0, 0.0).buffer(2.0 + start))
            for start in np.arange(0.0, 3.0, 0.5)
        ),
    )
    made = Plans(
        np.zeros((1, 1, STRAIGHT - 1, 2)),
        states(8.0)[None],
        np.array([-1.5]),
        np.array([feasible]),
        np.array([2]),
        np.array([0.125 if feasible else -0.5]),
    )
    return Moment(situation, ("lanes",), made, "other road users", "go", 0.0042, ways, safety)


def read(page):
    text = re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1)
    (scene,) = json.loads(text)["scenes"]
    return scene


def facts(drawn):
    return {label: (text, tone) for label, text, tone, _ in drawn["facts"]}


def test_the_panel_says_what_was_planned_and_what_the_shield_says():
    scene = street("plain/0")
    page = plan_page(scene, Timeline((moment(scene, 4.0),), (), 1.0))
    shown = read(page)
    (drawn,) = shown["plans"]["moments"]
    said = facts(drawn)
    assert said["Feasible"] == ("yes", "good")
    assert said["Tightest"][0] == "other road users, 0.12"
    assert said["Cost"][0] == "−1.50"
    assert said["Began as"][0] == "go"
    assert said["Planned in"][0] == "4.2 ms"
    assert said["Shield"] == ("passes", "good")
    assert said["Fail-safe"][0].startswith("stands after 0.6 s")
    assert "Why" not in said
    assert drawn["isVerified"]
    assert "1 plan, made from where the car was." in page


def test_the_scene_is_shown_from_before_the_first_plan_to_the_horizon_of_the_last():
    scene = street("plain/0")
    moments = (moment(scene, 3.0), moment(scene, 3.5))
    shown = read(plan_page(scene, Timeline(moments, (), 1.0)))
    assert shown["offset"] == pytest.approx(1.0)
    assert shown["steps"] == 86
    assert [one["time"] for one in shown["plans"]["moments"]] == pytest.approx([2.0, 2.5])


def test_what_is_wrong_is_marked_on_the_time_line():
    scene = street("plain/0")
    held = moment(scene, 3.0, passes=False, who="lead")
    unfit = moment(scene, 4.0, feasible=False)
    failed = ((9.9, InputError("value", "the car is not there")),)
    page = plan_page(scene, Timeline((held, unfit, moment(scene, 5.0)), failed, 1.0))
    shown = read(page)
    assert [(mark["kind"], mark["start"]) for mark in shown["events"]] == [
        ("held by the shield", 2.0),
        ("not feasible", 3.0),
    ]
    assert "lead, after 0.6 s" in shown["events"][0]["note"]
    said = facts(shown["plans"]["moments"][0])
    assert said["Shield"] == ("holds", "bad")
    assert said["Least room"][0] == "−1.2 m"
    assert facts(shown["plans"]["moments"][1])["Feasible"] == ("no", "bad")
    assert "1 time could not be planned." in page


def test_without_a_failsafe_the_shield_says_so():
    scene = street("plain/0")
    safety = moment(scene, 3.0, passes=False, ready=False).safety
    assert say_shield(safety) == "no verified fail-safe"
    assert say_why(safety) == "it may touch a road user, after 0.6 s"
    assert say_why(moment(scene, 3.0).safety) == ""


def test_sets_are_drawn_until_the_failsafe_stands():
    scene = street("plain/0")
    shown = read(plan_page(scene, Timeline((moment(scene, 4.0),), (), 1.0)))
    (drawn,) = shown["plans"]["moments"]
    assert [reach["end"] for reach in drawn["reaches"]] == [0.5, 1.0, 1.5]


def test_other_ways_are_listed_with_their_cost():
    scene = street("plain/0")
    ways = Ways(
        ("left",),
        np.zeros((1, 1, STRAIGHT - 1, 2)),
        states(9.0)[None],
        np.array([2.0]),
        np.array([True]),
        np.array([0.1]),
    )
    shown = read(plan_page(scene, Timeline((moment(scene, 4.0, ways=ways),), (), 1.0)))
    (other,) = shown["plans"]["moments"][0]["others"]
    assert (other["name"], other["note"], other["count"]) == ("left", "cost 2.00", STRAIGHT)


def test_any_road_user_can_be_drawn_as_ego():
    scene = stage(
        straight_road(), [Track(name, drive(EAST, start=s, speed=8.0)) for name, s in
                          (("a", 60.0), ("b", 100.0))], ego=None
    )  # fmt: skip
    made = moment(scene, 3.0, agent="b")
    page = plan_page(scene, Timeline((made,), (), 1.0))
    assert "for road user b, drawn as ego" in page
    shown = read(page)
    assert shown["ids"][shown["ego"]] == "b"


def wary(scene, *, unseen, emergence):
    lane, kerb = shapely.box(0.0, -3.5, 10.0, 0.0), shapely.box(-90.0, -8.0, -60.0, -7.0)
    places = BlindPlaces(
        np.array([[[-90.0, -7.5]]]), np.array([[[-60.0, -7.5]]]), np.full((1, 1), 0.5),
        np.ones((1, 1), bool),
    )  # fmt: skip
    stretches = BlindStretches(
        np.zeros((1, 2), np.int64),
        np.zeros((1, 2)),
        np.full((1, 2), 9.0),
        np.array([[False, True]]),
    )
    blind = Blind(
        Sight(np.zeros(2), shapely.Polygon(), shapely.Polygon()),
        (Region(is_lane=False, area=kerb), Region(is_lane=True, area=lane)),
        places,
        stretches,
        np.array([0, 1]),
    )
    plain = moment(scene, 4.0, passes=unseen < 0)
    return replace(
        plain,
        modes=("steps out",),
        blind=blind,
        emergence=emergence,
        safety=replace(plain.safety, unseen=unseen),
        value=3.0,
    )


def test_what_is_not_seen_is_drawn_and_what_stops_the_failsafe_is_marked():
    scene = street("plain/0")
    out = Emergence(place=(-70.0, -6.9), heading=1.57, reach=5.0, ahead=20.0)
    made = wary(scene, unseen=0, emergence=out)
    (drawn,) = read(plan_page(scene, Timeline((made,), (), 1.0)))["plans"]["moments"]
    assert [(area["isLane"], area["name"], area["isBad"]) for area in drawn["blind"]] == [
        (False, "", False),
        (True, "", False),
        (False, "steps out here", False),
        (False, "one not seen stops the fail-safe", True),
    ]
    said = facts(drawn)
    assert said["Not seen"][0] == "2 regions, 1 on lanes"
    assert said["Steps out"][0] == "20 m ahead, 5.0 m aside"
    assert said["At risk"][0] == "3.00"
    assert "in region 1" in said["Why"][0]
    assert tell_region(made.safety, made.blind) == 1
    assert made.blind.outline(0).bounds == pytest.approx((-90.5, -8.0, -59.5, -7.0))


def test_where_nobody_steps_out_or_stops_anything_only_the_regions_are_drawn():
    scene = street("plain/0")
    made = wary(scene, unseen=-1, emergence=None)
    (drawn,) = read(plan_page(scene, Timeline((made,), (), 1.0)))["plans"]["moments"]
    assert [area["name"] for area in drawn["blind"]] == ["", ""]
    assert drawn["branches"][0]["name"] == "steps out: nobody"
    assert facts(drawn)["Steps out"][0] == "nobody could in time"
    assert tell_region(made.safety, None) is None


def test_without_the_shield_there_is_nothing_of_it():
    scene = street("plain/0")
    made = moment(scene, 4.0)
    bare = Moment(*(None if name == "safety" else value for name, value in vars(made).items()))
    (drawn,) = read(plan_page(scene, Timeline((bare,), (), 1.0)))["plans"]["moments"]
    assert drawn["failsafe"] is None
    assert drawn["reaches"] == []
    assert "Shield" not in facts(drawn)
