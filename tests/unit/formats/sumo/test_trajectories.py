import numpy as np
import pyarrow as pa
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo.recordings import Rows
from kerbstone.formats.sumo.trajectories import build_agents, smooth_walks
from kerbstone.formats.sumo.vehicle_types import VehicleType
from kerbstone.scene import Kind

TYPES = {
    "car": VehicleType("car", "passenger", 4.0, 1.8, 1.5),
    "walker": VehicleType("walker", "pedestrian", 0.4, 0.5, 1.7),
}


def make_rows(x, y, *, heading=0.0, speed=10.0, kind="car"):
    count = len(x)
    return Rows(
        time_ns=100_000_000 * np.arange(count),
        id=pa.array(["a"] * count),
        type=pa.array([kind] * count),
        lane=pa.array([None] * count, pa.string()),
        front=np.stack([x, y, np.zeros(count)], axis=1),
        heading=np.full(count, float(heading)),
        speed=np.full(count, float(speed)),
    )


def build(rows, types=TYPES):
    return build_agents(
        rows, start_ns=0, dt_ns=100_000_000, steps=len(rows), types=types, where="fcd.xml"
    )


@pytest.mark.parametrize("heading", [0.0, 1.0, -2.5])
def test_the_centre_is_half_a_length_behind_the_front(heading):
    agents = build(make_rows(np.zeros(2), np.zeros(2), heading=heading))
    back = -2.0 * np.array([np.cos(heading), np.sin(heading)])
    np.testing.assert_allclose(agents.centre[0, 0, :2], back)
    assert agents.centre[0, 0, 2] == 0.75  # half the height above the road


def test_a_vehicle_moves_the_way_it_heads():
    agents = build(make_rows(np.zeros(3), np.zeros(3), heading=np.pi / 2))
    np.testing.assert_allclose(agents.velocity[0], [[0.0, 10.0]] * 3, atol=1e-12)


def test_a_pedestrian_moves_the_way_its_position_does():
    step = 0.1 * np.arange(4)
    agents = build(make_rows(np.zeros(4), step, heading=0.0, speed=300.0, kind="walker"))
    np.testing.assert_allclose(agents.velocity[0], [[0.0, 1.0]] * 4, atol=1e-12)


def test_kind_size_and_label_come_from_the_type():
    agents = build(make_rows(np.zeros(1), np.zeros(1), kind="walker"))
    assert agents.kind[0] == Kind.PEDESTRIAN
    assert agents.label == ("walker",)
    assert agents.size[0].tolist() == [0.4, 0.5, 1.7]


def test_a_type_that_was_changed_on_the_way_is_still_the_type():
    agents = build(make_rows(np.zeros(1), np.zeros(1), kind="car@a"))
    assert agents.label == ("car",)
    named = {**TYPES, "car@a": VehicleType("car@a", "bus", 12.0, 2.5, 3.0)}
    assert build(make_rows(np.zeros(1), np.zeros(1), kind="car@a"), named).label == ("car@a",)


def test_an_unknown_type_is_refused():
    with pytest.raises(InputError) as caught:
        build(make_rows(np.zeros(1), np.zeros(1), kind="tank"))
    assert caught.value.code == "label"
    assert "'tank'" in caught.value.what


def test_a_jump_to_the_side_becomes_a_step_to_the_side():
    y = np.where(np.arange(40) < 20, 0.0, 0.8)
    agents = smooth_walks(build(make_rows(0.13 * np.arange(40), y, kind="walker")), 0.1)
    assert np.abs(np.diff(agents.centre[0, :, 1])).max() < 0.15
    np.testing.assert_allclose(agents.centre[0, [0, -1], 1], [0.0, 0.8], atol=1e-6)
    assert np.abs(agents.velocity[0, :, 1]).max() < 1.5


def test_vehicles_and_gaps_are_not_smoothed():
    rows = make_rows(np.arange(10.0), np.where(np.arange(10) < 5, 0.0, 3.0))
    agents = build(rows)
    np.testing.assert_array_equal(smooth_walks(agents, 0.1).centre, agents.centre)
    walker = build(make_rows(np.arange(6.0), np.zeros(6), kind="walker"))
    walker.valid[0, 3] = False
    walker.centre[0, 3] = np.nan
    smooth = smooth_walks(walker, 0.1)
    assert np.isnan(smooth.centre[0, 3]).all()
    assert np.isfinite(smooth.centre[0, [2, 4], :2]).all()
