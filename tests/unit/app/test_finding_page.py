"""What stands on the page of a finding: which stretches, under which title, with which curves."""

import dataclasses
import json
import re
from html import unescape

import numpy as np
import pytest

from kerbstone.app.finding_page import finding_page
from kerbstone.errors import InputError
from kerbstone.mine import Finding, find
from kerbstone.scene import Scene
from kerbstone.store import Store
from roads import EAST, Track, drive, stage, straight_road
from streets import damage_scene, put_scenes, street

BRAKES = "vehicle v: deceleration(v) > 3 m/s2 and speed(v) > 2 m/s"


@pytest.fixture
def road(tmp_path) -> Store:
    store = Store.create(str(tmp_path / "road"))
    for number in range(3):
        scene = street(f"street/{number}", brake=True, walker=True, speed=9.0 + number, lead=25.0)
        put_scenes(store, f"log-{number}", scene)
    return store


def long_scene(name: str = "long/0", *, seconds: int = 200) -> Scene:
    """A car that brakes every 50 s, as one long scene."""
    steps = seconds * 10
    speed = np.where(np.arange(steps) % 500 < 40, 10.0 - 0.25 * (np.arange(steps) % 500), 2.0)
    points = drive(EAST, start=0.0, speed=speed, steps=steps)
    scene = stage(straight_road(), [Track("ego", points), Track("slow", points - [0.0, 30.0])])
    return dataclasses.replace(scene, id=name)


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def heading(page: str) -> str:
    return unescape(re.search(r"<title>(.*?)</title>", page)[1])


def notes(page: str) -> str:
    return unescape(page.partition('id="data"')[0])


def shown(finding: Finding, store: Store) -> dict:
    return data_of(finding_page(finding, store))


def test_each_line_leads_to_its_own_event(road):
    found = find(BRAKES, road)
    data = shown(found, road)
    for match, line in zip(found.matches, data["matches"], strict=True):
        scene = data["scenes"][line["scene"]]
        event = scene["events"][line["event"]]
        assert event["agents"] == [who.agent for who in match.witnesses]
        assert event["start"] + scene["offset"] == pytest.approx(match.start, abs=1e-6)
        assert event["end"] + scene["offset"] == pytest.approx(match.end, abs=1e-6)
        assert line["isMatch"] == match.is_match


def test_the_title_is_what_the_user_said_and_the_query_stands_below(road):
    page = finding_page(find(BRAKES, road, given="hard brakers"), road)
    assert heading(page) == "hard brakers"
    assert BRAKES in notes(page)
    # Other spaces are no other words.
    plain = finding_page(find(BRAKES, road, given=BRAKES.replace(" ", "")), road)
    assert heading(plain) == BRAKES


def test_all_curves_are_there_and_a_lone_atom_is_drawn_once(road):
    def labels(text: str) -> list[str]:
        data = shown(find(text, road, top=1, near_misses=0), road)
        return [curve["label"] for curve in data["scenes"][0]["events"][0]["plot"]["curves"]]

    assert labels(BRAKES) == ["the query", "deceleration(v) > 3 m/s2", "speed(v) > 2 m/s"]
    assert labels("vehicle v: deceleration(v) > 3 m/s2") == ["deceleration(v) > 3 m/s2"]


def test_a_page_tells_whether_its_traffic_is_simulated(road, tmp_path):
    assert "simulated" not in notes(finding_page(find(BRAKES, road), road))
    other = Store.create(str(tmp_path / "other"))
    scene = street("made/0", brake=True, lead=25.0)
    simulated = dataclasses.replace(scene.source, simulated=True)
    put_scenes(other, "log", dataclasses.replace(scene, source=simulated))
    assert "All traffic is simulated." in notes(finding_page(find(BRAKES, other), other))
    put_scenes(other, "real", street("made/1", brake=True, lead=25.0))
    assert "Some traffic is simulated." in notes(finding_page(find(BRAKES, other), other))


def test_of_a_long_scene_only_the_stretches_around_matches_are_on_the_page(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    put_scenes(store, "long", long_scene())
    found = find("vehicle v: deceleration(v) > 2 m/s2", store, near_misses=0)
    assert len(found.matches) == 8
    data = shown(found, store)
    assert all(scene["steps"] * 0.1 <= 60.001 for scene in data["scenes"])
    assert len(data["scenes"]) < len(found.matches)
    assert all(line["scene"] is not None for line in data["matches"])
    assert {scene["offset"] > 0 for scene in data["scenes"]} == {True, False}


def test_near_misses_have_their_place_beside_many_matches(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    for number in range(16):
        scene = street(f"s/{number:02}", speed=9.0 if number > 13 else 10.0)
        put_scenes(store, f"log-{number}", scene)
    data = shown(find("vehicle v: speed(v) > 9.5 m/s", store, near_misses=2), store)
    on_page = [line["isMatch"] for line in data["matches"] if line["scene"] is not None]
    assert on_page.count(False) == 2
    assert len(data["scenes"]) <= 12


def test_a_finding_whose_scenes_changed_shows_what_can_still_be_played(road):
    found = find(BRAKES, road)
    first = found.matches[0]
    gone = street(first.scene, lead=None, oncoming=0)
    put_scenes(road, f"log-{first.scene[-1]}", gone, fingerprint="2")
    data = shown(found, road)
    line = data["matches"][0]
    assert line["scene"] is None, "its witness is not there any more"
    assert sum(line["scene"] is not None for line in data["matches"]) == len(found.matches) - sum(
        match.scene == first.scene for match in found.matches
    )


def test_a_scene_that_is_damaged_now_leaves_the_others_on_the_page(road):
    found = find(BRAKES, road)
    damage_scene(road, found.matches[0].scene)
    data = shown(found, Store.open(road.uri))
    assert data["matches"][0]["scene"] is None
    assert any(line["scene"] is not None for line in data["matches"])


def test_a_scene_that_is_shorter_now_is_no_error(road):
    found = find("vehicle v: speed(v) > 1 m/s and time() > 8 s", road, near_misses=0)
    for number in range(3):
        short = street(f"street/{number}", brake=True, walker=True).window(0.0, 2.0)
        short = dataclasses.replace(short, id=f"street/{number}")
        put_scenes(road, f"log-{number}", short, fingerprint="2")
    with pytest.raises(InputError, match="not in the store any more"):
        finding_page(found, road)


def test_hostile_words_of_the_user_are_text(road):
    hostile = "</script><script>alert(1)</script><!-- ${title} $data"
    page = finding_page(find(BRAKES, road, given=hostile), road)
    assert heading(page) == hostile
    assert "<script>alert" not in page
    assert page.count("<script") == finding_page(find(BRAKES, road), road).count("<script")


def test_long_names_of_witnesses_are_cut_in_the_list_and_whole_behind_it(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    scene = street("made/0", lead=None, oncoming=0)
    name = "c37f2aba-a536-423f-9a12-fa5d5cd1b522"
    agents = dataclasses.replace(scene.agents, ids=(name,))
    put_scenes(store, "log", dataclasses.replace(scene, agents=agents))
    data = shown(find("any a: speed(a) > 1 m/s", store), store)
    assert data["matches"][0]["detail"] == "a: c37f2a…b522 (car)"
    assert data["scenes"][0]["events"][0]["agents"] == [name]
