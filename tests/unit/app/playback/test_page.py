import json
import re
from html.parser import HTMLParser

import pytest

from crossing import crossing_scene
from kerbstone.app.playback import Event, playback_page
from kerbstone.errors import InputError


class Reader(HTMLParser):
    """Collects the elements of a page, and the text of its scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts = [], {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements:
            tag, attributes = self.elements[-1]
            self.texts.setdefault((tag, attributes.get("id")), data)


def test_the_page_refers_to_nothing_outside_of_itself():
    page = Reader(playback_page([crossing_scene()], title="Test"))
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert attributes.get(name, "data:").startswith(("data:", "#")), (tag, attributes)
    assert not re.search(r"@import|url\(", page.texts["style", None])
    (policy,) = [a["content"] for _, a in page.elements if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_what_comes_from_the_data_cannot_leave_its_place():
    hostile = "</script><script>alert(1)</script><!--"
    scene = crossing_scene(id=hostile)
    event = Event(hostile, ("ego",), 0.0, 1.0, note=hostile)
    page = playback_page(
        [scene],
        title=hostile,
        facts=[(hostile, hostile)],
        notes=[hostile],
        events={hostile: [event]},
    )
    read = Reader(page)
    assert [tag for tag, _ in read.elements].count("script") == 2
    data = json.loads(read.texts["script", "data"])
    assert data["scenes"][0]["id"] == hostile
    assert data["scenes"][0]["events"][0]["note"] == hostile
    assert read.texts["h1", None] == hostile


def test_the_same_scenes_give_the_same_page():
    assert playback_page([crossing_scene()], title="a") == playback_page(
        [crossing_scene()], title="a"
    )


def test_dollars_in_a_title_are_only_dollars():
    assert "<h1>$data ${x}</h1>" in playback_page([crossing_scene()], title="$data ${x}")


def test_a_page_without_scenes_is_refused():
    with pytest.raises(InputError, match="at least one scene"):
        playback_page([], title="Test")


def test_events_of_a_scene_that_is_not_on_the_page_are_refused():
    with pytest.raises(InputError, match="not on the page") as caught:
        playback_page([crossing_scene()], title="Test", events={"made/crosing": []})
    assert "made/crossing" in caught.value.remedy


def test_an_event_of_an_agent_that_is_not_there_is_refused():
    events = {"made/crossing": [Event("cut_in", ("nobody",), 1.0, 2.0)]}
    with pytest.raises(InputError, match="nobody"):
        playback_page([crossing_scene()], title="Test", events=events)


def test_events_are_in_order_and_within_the_scene():
    marks = [Event("b", (), 4.0, 99.0), Event("a", (), -1.0, 2.0)]
    page = playback_page([crossing_scene()], title="Test", events={"made/crossing": marks})
    (scene,) = json.loads(Reader(page).texts["script", "data"])["scenes"]
    assert [(e["kind"], e["start"], e["end"]) for e in scene["events"]] == [
        ("a", 0.0, 2.0),
        ("b", 4.0, 6.0),
    ]
