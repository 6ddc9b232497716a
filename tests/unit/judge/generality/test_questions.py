"""Questions of intent, and events: what is asked of whom, and what is true."""

import numpy as np
import pytest

from kerbstone.judge.generality.events import Event
from kerbstone.judge.generality.intents import ask_entries, ask_lane_changes, foretell_entries
from kerbstone.judge.generality.sampling import PATCHES, PRESENT, Drawn
from kerbstone.world.mixture import Mixture
from kerbstone.world.windows import STEP, cut_window
from roads import Track, crossing_road, drive, ramp, stage, stand, straight_road, way_through

OUTER = np.array([[-200.0, -5.25], [200, -5.25]])
STEPS = 140


def drawn(scene, start=0.0):
    return Drawn(scene, "log", cut_window(scene, start, PATCHES))


def lanes(start=0.0):
    """Two lanes; one road user changes to the inner one, from about 3.5 s to 6 s."""
    offset = ramp(0.0, 3.5, first=25, last=65, steps=STEPS)
    tracks = [
        Track("changes", drive(OUTER, start=20, speed=10.0, offset=offset, steps=STEPS)),
        Track("stays", drive(OUTER, start=60, speed=10.0, steps=STEPS)),
        Track("stands", stand(-100, -5.25, steps=STEPS)),
    ]
    return drawn(stage(straight_road(lanes=4), tracks, ego=None), start)


def by_name(found, asked):
    return {
        found.window.ids[row]: value for row, value in zip(asked.rows, asked.target, strict=True)
    }


def test_who_begins_to_change_lanes_within_three_seconds_is_told_from_who_stays():
    found = lanes()
    assert by_name(found, ask_lane_changes(found)) == {"changes": 1.0, "stays": 0.0}


def test_who_changes_lanes_already_is_not_asked_about():
    found = lanes(start=2.5)
    assert by_name(found, ask_lane_changes(found)) == {"stays": 0.0}


def test_who_has_changed_lanes_stays_afterwards():
    found = lanes(start=6.0)
    assert by_name(found, ask_lane_changes(found)) == {"changes": 0.0, "stays": 0.0}


def test_features_tell_nothing_of_the_future():
    found, other = lanes(), lanes()
    cut = other.window.valid.copy()
    cut[:, 20:] = False
    from dataclasses import replace

    position = np.where(cut[..., None], other.window.position, np.nan)
    window = replace(other.window, position=position, valid=cut)
    blind = ask_lane_changes(Drawn(other.scene, "log", window))
    seen = ask_lane_changes(found)
    np.testing.assert_array_equal(blind.features, seen.features)


def crossing(speed):
    line = way_through("west", "through")
    tracks = [
        Track("comes", drive(line, start=60, speed=speed, steps=STEPS)),
        Track("waits", drive(way_through("south", "through"), start=80, speed=0.0, steps=STEPS)),
        Track("gone", drive(way_through("east", "through"), start=130, speed=8.0, steps=STEPS)),
    ]
    return drawn(stage(crossing_road(), tracks, ego=None))


def test_the_time_until_an_intersection_is_that_of_the_way():
    found = crossing(8.0)
    asked = ask_entries(found)
    told = by_name(found, asked)
    assert list(told) == ["comes"]
    lane = found.scene.map.centre_line(2)
    inside = np.abs(lane[0, 0])
    way = (100 - 60 - inside) / 8.0 - 1.9
    assert told["comes"] == pytest.approx(way, abs=0.11)
    assert asked.rules["constant_velocity"][0] == pytest.approx(told["comes"], abs=0.11)


def test_who_goes_straight_on_and_never_enters_is_given_the_longest_time():
    speed = np.concatenate([np.full(20, 0.2), np.full(STEPS - 20, 12.0)])
    found = crossing(speed)
    asked = ask_entries(found)
    assert asked.rules["constant_velocity"].tolist() == [5.0]
    assert asked.target[0] < 4.0


@pytest.mark.parametrize(
    ("weight", "mode"),
    [
        ([0.6, 0.3, 0.1], 0),
        ([0.3, 0.6, 0.1], 1),
        # All who are asked about enter: a mode that does not says nothing of when.
        ([0.2, 0.1, 0.7], 0),
        ([0.0, 0.0, 1.0], 2),
    ],
)
def test_a_forecast_tells_when_an_intersection_is_entered(weight, mode):
    found = crossing(8.0)
    asked = ask_entries(found)
    row = int(asked.rows[0])
    window = found.window
    place = window.position[row, PRESENT]
    since = STEP * np.maximum(np.arange(window.steps) - PRESENT, 0)
    way = window.position[row, PRESENT + 10] - place
    ways = [place + since[:, None] * speed * way for speed in (1.0, 0.5, 0.0)]
    position = np.full((len(window), 3, window.steps, 2), np.nan)
    position[row] = ways
    mixture = Mixture(
        np.tile(weight, (len(window), 1)),
        position,
        np.ones_like(position),
        np.zeros((len(window), window.steps)),
    )
    time = asked.target[0]
    expected = [time, 2.0 * time, 5.0][mode]
    assert foretell_entries(found, asked, mixture) == pytest.approx([expected], abs=0.21)


def test_without_a_map_nothing_is_asked():
    scene = stage(None, [Track("a", drive(OUTER, start=0, speed=5.0, steps=STEPS))], ego=None)
    assert ask_lane_changes(drawn(scene)) is None
    assert ask_entries(drawn(scene)) is None


def test_a_road_without_intersections_asks_for_no_entry():
    assert ask_entries(lanes()) is None


@pytest.mark.parametrize(
    ("start", "end", "shares"),
    [
        (0, 3, False),
        (3, 6, False),
        (3.5, 6.5, False),
        (4, 7, True),
        (9, 12, True),
        (9.5, 12.5, False),
    ],
)
def test_a_stretch_is_of_an_event_if_they_share_a_second(start, end, shares):
    assert Event("kind", ("a",), 6.0, 10.0).shares(start, end) is shares


def test_a_short_event_is_shared_whole():
    event = Event("kind", ("a",), 6.0, 6.4)
    assert event.shares(5.0, 8.0)
    assert not event.shares(6.2, 9.2)
