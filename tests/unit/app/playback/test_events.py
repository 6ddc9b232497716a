"""What a page carries of events, their plots and the list of matches."""

import json

import numpy as np
import pytest

from crossing import crossing_scene
from kerbstone.app.playback import Curve, Event, Listed, Plot, playback_page
from kerbstone.app.playback.events import pack_events, pack_list
from kerbstone.errors import InputError

SCENE = crossing_scene()


def event(start: float, end: float, **more) -> Event:
    return Event("match", ("ego", "car"), start, end, **more)


def test_events_come_in_the_order_of_time_and_within_their_scene():
    packed = pack_events(SCENE, [event(2.0, 99.0), event(-1.0, 1.0)])
    assert [(one["start"], one["end"]) for one in packed] == [(0.0, 1.0), (2.0, 6.0)]


def test_a_plot_is_packed_to_four_digits_with_nothing_where_nothing_is_known():
    curve = Curve("x", np.array([1.23456, np.nan, np.inf, -np.inf]), np.array([1e-9, 2, 3, 4]), "m")
    (packed,) = pack_events(SCENE, [event(1.0, 2.0, plot=Plot(10, (curve,)))])
    assert packed["plot"]["first"] == 10
    (shown,) = packed["plot"]["curves"]
    assert shown["robustness"] == [1.235, None, 1e9, -1e9]
    assert (shown["values"], shown["unit"]) == ([1e-9, 2, 3, 4], "m")
    json.dumps(packed, allow_nan=False)


def test_a_listed_match_finds_its_event_among_those_of_its_scene():
    late, early = event(3.0, 4.0), event(1.0, 2.0)
    listed = [
        Listed("1", "", "", "", scene=SCENE.id, event=late),
        Listed("2", "", "", "", is_match=False),
    ]
    first, second = pack_list([SCENE], {SCENE.id: [late, early]}, listed)
    assert (first["scene"], first["event"], first["isMatch"]) == (0, 1, True)
    assert (second["scene"], second["event"], second["isMatch"]) == (None, None, False)


@pytest.mark.parametrize(("scene", "known"), [("made/crosing", True), (SCENE.id, False)])
def test_a_match_that_is_not_on_the_page_is_refused(scene, known):
    shown = event(1.0, 2.0)
    line = Listed("1", "", "", "", scene=scene, event=shown)
    with pytest.raises(InputError, match="not on the page"):
        pack_list([SCENE], {SCENE.id: [shown] if known else []}, [line])


def test_what_comes_from_a_query_cannot_leave_its_place():
    hostile = "</script><script>alert(1)</script><!--"
    shown = event(1.0, 2.0, roles=(hostile, "b"), plot=Plot(0, (Curve(hostile, np.zeros(3)),)))
    line = Listed(hostile, hostile, hostile, hostile, scene=SCENE.id, event=shown)
    page = playback_page([SCENE], title="t", events={SCENE.id: [shown]}, matches=[line])
    assert page.count("<script") == 2
    assert "<!--" not in page
