from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.labels import Labels, Provenance
from kerbstone.scene import Kind
from watched import drive, make_clock, make_scene

CLOCK = make_clock(10)


def labels(*, ego=True, **changes):
    """Return two agents: a car at steps 2 to 5, a walker at 4 and 8."""
    agent = np.array([0, 0, 0, 0, 1, 1])
    step = np.array([2, 3, 4, 5, 4, 8])
    values = {
        "scene": make_scene(CLOCK, ego=drive(5.0, steps=10) if ego else None),
        "ids": ("1", "2"),
        "kind": np.array([Kind.CAR, Kind.PEDESTRIAN], np.uint8),
        "name": ("Van", "Person"),
        "size": np.array([[4.0, 2.0, 1.5], [0.6, 0.7, 1.8]]),
        "agent": agent,
        "step": step,
        "place": np.column_stack([step, agent, np.ones(6)]).astype(np.float64),
        "heading": np.array([3.0, 3.1, 3.2, 3.3, 0.0, 9.0]),
        "velocity": np.ones((6, 2)),
        "std": np.full((6, 4), 0.1),
        "confidence": np.linspace(0.5, 1.0, 6),
        "provenance": np.array([3, 1, 2, 1, 1, 1], np.uint8),
        "row": np.array([-1, 0, -1, 3, 2, 5]),
    }
    return Labels(**(values | changes))


def test_boxes_are_those_of_the_cells():
    box = labels().boxes()
    assert box.shape == (6, 7)
    np.testing.assert_array_equal(box[4], [4.0, 1.0, 1.0, 0.0, 0.6, 0.7, 1.8])


def test_a_selection_keeps_only_agents_that_have_a_cell():
    some = labels().select(np.array([False] * 4 + [True, True]))
    assert (some.ids, some.name, some.agent.tolist()) == (("2",), ("Person",), [0, 0])
    assert some.step.tolist() == [4, 8]
    np.testing.assert_array_equal(some.size, [[0.6, 0.7, 1.8]])
    nobody = labels().select(np.zeros(6, bool))
    assert (len(nobody), nobody.ids, nobody.size.shape) == (0, (), (0, 3))


def test_cells_are_counted_by_where_they_come_from():
    assert labels().count() == {"detected": 4, "interpolated": 1, "extrapolated": 1}
    assert labels().select(np.zeros(6, bool)).count() == {}


def test_a_scene_holds_the_recording_car_first_and_then_everyone():
    scene, part = labels().to_scene()
    scene.check()
    assert (scene.ego, scene.agents.ids) == (0, ("ego", "1", "2"))
    assert scene.agents.label == ("car", "Van", "Person")
    assert scene.agents.valid.sum(axis=1).tolist() == [10, 4, 2]
    assert np.flatnonzero(scene.agents.valid[2]).tolist() == [4, 8]
    np.testing.assert_allclose(scene.agents.heading[1, 5], 3.3 - 2 * np.pi)
    assert len(part) == 6


def test_a_window_has_its_own_steps_and_only_who_is_there():
    scene, part = labels().to_scene(6, 3)
    assert scene.clock.steps == 3
    assert scene.agents.ids == ("ego", "2")
    assert np.flatnonzero(scene.agents.valid[1]).tolist() == [2]
    assert part.step.tolist() == [2]
    np.testing.assert_allclose(scene.agents.centre[0, :, 0], [3.0, 3.5, 4.0])
    empty, nobody = labels().to_scene(9, 1)
    assert (empty.agents.ids, len(nobody)) == (("ego",), 0)


def test_windows_side_by_side_hold_all_cells_once():
    whole = labels()
    parts = [whole.to_scene(first, 5)[1] for first in (0, 5)]
    assert sum(map(len, parts)) == len(whole)
    assert [p.row.tolist() for p in parts] == [[-1, 0, -1, 2], [3, 5]]


def test_without_a_recording_car_there_are_only_labels():
    scene, _ = labels(ego=False).to_scene()
    assert (scene.ego, scene.agents.ids) == (None, ("1", "2"))


def test_a_recording_car_of_an_id_that_is_taken_gets_another_in_all_windows():
    found = labels(ids=("ego", "2"))
    with pytest.raises(InputError, match="twice"):
        found.to_scene()
    own = found.scene
    own = replace(own, agents=replace(own.agents, ids=("1",)))
    found = labels(scene=own)
    for first in (0, 6):
        scene, _ = found.to_scene(first, 4)
        assert scene.agents.ids[0] == "ego"


def test_a_window_beyond_the_log_is_refused():
    with pytest.raises(InputError) as caught:
        labels().to_scene(8, 5)
    assert caught.value.code == "index"


def test_values_are_laid_out_over_agents_and_steps():
    found = labels()
    grid = found.grid(found.confidence, np.nan)
    assert grid.shape == (2, 10)
    np.testing.assert_array_equal(grid[found.agent, found.step], found.confidence)
    assert np.isnan(grid).sum() == 14
    source = found.grid(found.provenance, Provenance.ABSENT)
    assert source.dtype == np.uint8
    assert (source == Provenance.ABSENT).sum() == 14


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("step", np.array([2, 3, 3, 5, 4, 8]), "duplicate"),
        ("step", np.array([2, 3, 5, 4, 4, 8]), "duplicate"),
        ("agent", np.array([1, 1, 1, 1, 0, 0]), "duplicate"),
        ("step", np.array([2, 3, 4, 5, 4, 10]), "index"),
        ("step", np.array([-1, 3, 4, 5, 4, 8]), "index"),
        ("agent", np.array([0, 0, 0, 0, 1, 2]), "index"),
    ],
)
def test_cells_out_of_order_or_out_of_the_log_are_refused(name, value, code):
    with pytest.raises(InputError) as caught:
        labels(**{name: value})
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["confidence", "row", "place", "size", "name", "step"])
@pytest.mark.usefixtures("unchecked")
def test_columns_of_other_lengths_are_refused(name):
    with pytest.raises(InputError, match=name):
        labels(**{name: getattr(labels(), name)[:-1]})
