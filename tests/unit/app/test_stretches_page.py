"""The page of stretches: what is played, what is only listed, and under which names."""

import dataclasses
import json
import re

import numpy as np
import pytest

from kerbstone.app.stretches_page import Line, stretches_page
from kerbstone.errors import InputError
from kerbstone.store import Store
from streets import put_scenes, street


@pytest.fixture
def store(tmp_path):
    store = Store.create(str(tmp_path / "road"))
    put_scenes(store, "a", street("made/a", log="a"), street("made/b", log="a", brake=True))
    return store


def data_of(page):
    return json.loads(
        re.search(
            r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL
        ).group(1)
    )


def test_each_line_is_played_with_a_little_around_it(store):
    lines = [
        Line("made/b", 4.0, 7.0, detail="it brakes", strength="0.1", agents=("lead",), rank=1),
        Line("made/a", 0.0, 10.0, rank=2),
    ]
    data = data_of(stretches_page(lines, store, title="like", listed_as="Stretches"))
    assert [row["title"] for row in data["matches"]] == ["1. b", "2. a"]
    assert [scene["offset"] for scene in data["scenes"]] == [1.0, 0.0]
    first = data["scenes"][0]["events"][0]
    assert (first["start"], first["end"], first["agents"]) == (3.0, 6.0, ["lead"])
    assert data["scenes"][1]["events"][0]["agents"] == ["ego"]


def test_what_the_list_is_compared_with_has_no_number(store):
    data = data_of(
        stretches_page([Line("made/a", 1.0, 2.0)], store, title="like", listed_as="Stretches")
    )
    assert data["matches"][0]["title"] == "a"


def test_a_long_list_is_listed_whole_and_played_in_part(store):
    lines = [Line("made/a", 0.5 * i, 0.5 * i + 1, rank=i + 1) for i in range(15)]
    page = stretches_page(lines, store, title="many", listed_as="Stretches")
    data = data_of(page)
    assert len(data["matches"]) == 15
    assert [row["scene"] is None for row in data["matches"]] == [False] * 12 + [True] * 3
    assert "3 lines of the list are not played here" in page


def test_an_empty_list_is_an_error(store):
    with pytest.raises(InputError, match="nothing to show"):
        stretches_page([], store, title="none", listed_as="Stretches")


def test_the_list_says_what_it_is_of_and_the_page_what_is_simulated(store):
    page = stretches_page([Line("made/a", 1.0, 2.0)], store, title="rare", listed_as="Moments")
    assert ">Moments</h2>" in page
    assert "simulated" not in page.partition('id="data"')[0]
    scene = street("made/s", log="s")
    source = dataclasses.replace(scene.source, simulated=True)
    put_scenes(store, "s", dataclasses.replace(scene, source=source))
    lines = [Line("made/s", 1.0, 2.0)]
    page = stretches_page(lines, store, title="rare", listed_as="Moments")
    assert "All traffic is simulated." in page
    lines.append(Line("made/a", 1.0, 2.0))
    page = stretches_page(lines, store, title="rare", listed_as="Moments")
    assert "Some traffic is simulated." in page


def test_of_a_stretch_longer_than_a_minute_its_first_minute_is_played(store):
    scene = street("made/long", speed=1.0, log="long")
    steps = 1500
    agents = scene.agents
    repeated = {
        name: np.repeat(getattr(agents, name)[:, :1], steps, axis=1)
        for name in ("centre", "heading", "velocity", "valid")
    }
    clock = dataclasses.replace(scene.clock, steps=steps)
    long = dataclasses.replace(
        scene, clock=clock, agents=dataclasses.replace(agents, **repeated), signals=None
    )
    put_scenes(store, "long", long)
    line = Line("made/long", 20.0, 140.0, agents=("nobody",))
    (shown,) = data_of(stretches_page([line], store, title="x", listed_as="Moments"))["scenes"]
    assert (shown["steps"], shown["offset"]) == (660, 17.0)
    # Who is not in the scene cannot be shown; the recording car is.
    assert shown["events"][0]["agents"] == ["ego"]
