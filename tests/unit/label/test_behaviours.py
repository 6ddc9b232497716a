import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.behaviours import behaviour_rows, check_behaviours, label_behaviours
from kerbstone.scene import Agents, Clock, Kind, Scene, Source

STEPS, BRAKES = 60, 30


@pytest.fixture
def scene():
    """A car that drives at 15 m/s and brakes with 7 m/s², and one that drives on."""
    dt = 0.1
    speed = np.full((2, STEPS), 15.0)
    speed[0, BRAKES:] = np.maximum(15.0 - 7.0 * dt * np.arange(STEPS - BRAKES), 0.0)
    centre = np.zeros((2, STEPS, 3))
    centre[:, :, 0] = np.cumsum(speed * dt, axis=1)
    centre[1, :, 1] = 20.0
    agents = Agents(
        ids=("brakes", "goes on"),
        kind=np.full(2, Kind.CAR, np.uint8),
        label=("car", "car"),
        size=np.tile([4.5, 1.8, 1.5], (2, 1)),
        centre=centre,
        heading=np.zeros((2, STEPS)),
        velocity=np.stack([speed, np.zeros_like(speed)], axis=-1),
        valid=np.ones((2, STEPS), bool),
    )
    clock = Clock(5_000_000_000, 100_000_000, STEPS)
    return Scene("made/up", clock, agents, None, Source("made", "up"))


def test_a_behaviour_is_found_where_and_when_it_happens(scene):
    found = label_behaviours(scene, ["hard_braking"])
    assert {tuple(match.witnesses.values()) for _, match in found} == {("brakes",)}
    (row,) = behaviour_rows(scene, found)
    begins = (row["start_ns"] - scene.clock.start_ns) / 1e9
    assert begins == pytest.approx(BRAKES * 0.1, abs=0.5)
    assert row["start_ns"] < row["end_ns"] <= scene.clock.start_ns + STEPS * 100_000_000
    assert row["behaviour"] == "hard_braking"
    assert row["robustness"] > 0


def test_all_behaviours_are_the_named_scenarios_each_once():
    names = check_behaviours(["all", "hard_braking"])
    assert "hard_braking" in names
    assert len(names) == len(set(names)) > 50


def test_an_unknown_behaviour_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="hard_braking"):
        check_behaviours(["hard_brakin"])
