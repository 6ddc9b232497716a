import numpy as np
import pytest

from crossing import crossing_scene
from kerbstone.app.playback.codec import UNKNOWN
from kerbstone.app.playback.lights import pack_signals
from kerbstone.scene import LaneKind, MapBuilder, PieceKind, Signals, SignalState
from playback_codec import unpack

ORIGIN = np.zeros(2)


def three_ways():
    """Return lanes from the origin: left, on and right, entered northwards."""
    road = MapBuilder()
    for name, end in (("right", (20, 20)), ("left", (-20, 20)), ("on", (0, 40))):
        line = [(0, 0), (0, 5), (end[0] / 2, 15), end]
        centre = road.add_piece(PieceKind.LANE_CENTRE, line)
        road.add_lane(name, LaneKind.VEHICLE, centre, width=3.0)
    return road.build("ways")


def test_a_light_stands_where_its_lane_begins_and_faces_along_it():
    scene = crossing_scene()
    packed = pack_signals(scene.map, scene.signals, ORIGIN)
    places = sorted(zip(unpack(packed["x"]), unpack(packed["y"]), strict=True))
    assert places == [(-900, -175), (175, -900)]
    headings = dict(zip(unpack(packed["x"]), unpack(packed["heading"]), strict=True))
    assert headings == {-900: 0, 175: 900}
    state = unpack(packed["state"]).reshape(2, -1)
    assert set(np.unique(state)) == {SignalState.RED, SignalState.GREEN}


def test_lights_of_one_place_stand_side_by_side_from_left_to_right():
    state = np.array([[1, 1], [4, 1], [3, 4]], np.uint8)
    signals = Signals(np.arange(3), np.zeros((3, 3)), state)
    packed = pack_signals(three_ways(), signals, ORIGIN)
    assert unpack(packed["slots"]).tolist() == [3, 3, 3]
    shown = unpack(packed["state"]).reshape(3, 2)[np.argsort(unpack(packed["slot"]))]
    assert shown.tolist() == [[4, 1], [3, 4], [1, 1]]
    assert unpack(packed["width"]).tolist() == [300] * 3


def test_lights_of_one_place_that_show_the_same_are_one():
    signals = Signals(np.arange(3), np.zeros((3, 3)), np.full((3, 4), 4, np.uint8))
    packed = pack_signals(three_ways(), signals, ORIGIN)
    assert unpack(packed["slots"]).tolist() == [1]


@pytest.mark.parametrize("has_map", [True, False])
def test_a_light_whose_lane_is_not_known_has_no_direction(has_map):
    signals = Signals(np.array([-1]), np.zeros((1, 3)), np.ones((1, 2), np.uint8))
    packed = pack_signals(three_ways() if has_map else None, signals, ORIGIN)
    assert unpack(packed["heading"]).tolist() == [UNKNOWN]


def test_no_lights_are_no_lights():
    assert pack_signals(None, None, ORIGIN) is None
    assert pack_signals(None, Signals.empty(3), ORIGIN) is None
