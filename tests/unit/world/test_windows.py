import numpy as np
import pytest

from crossing import crossing_scene
from kerbstone.errors import InputError
from kerbstone.scene import SE2, Clock, Scene, derive_heading
from kerbstone.world.windows import STEPS_PER_PATCH, cut_window
from roads import moved


def test_window_of_a_10_hz_scene_is_the_scene(crossing):
    window = cut_window(crossing, 2.0, 8)
    rows = [crossing.agents.ids.index(name) for name in window.ids]
    part = slice(20, 60)
    np.testing.assert_array_equal(window.valid, crossing.agents.valid[rows, part])
    np.testing.assert_array_equal(window.position, crossing.agents.centre[rows, part, :2])
    np.testing.assert_array_equal(window.light_state, crossing.signals.state[:, part])
    assert window.ids[window.ego] == "ego"
    assert window.patches * STEPS_PER_PATCH == window.steps


def test_window_beyond_the_end_is_not_valid_there(crossing):
    window = cut_window(crossing, 6.0, 8)
    assert window.valid[:, :20].any()
    assert not window.valid[:, 20:].any()
    assert np.isnan(window.position[:, 20:]).all()
    assert (window.light_state[:, 20:] == 0).all()


@pytest.mark.parametrize(("start", "patches"), [(-1.0, 4), (8.0, 4), (100.0, 4), (0.0, 0)])
def test_window_outside_its_scene_is_an_error(crossing, start, patches):
    with pytest.raises(InputError, match="outside its scene"):
        cut_window(crossing, start, patches)


def test_slower_scene_is_interpolated_between_neighbours(crossing):
    slow = _every(crossing, 5)
    window, full = cut_window(slow, 0.0, 14), cut_window(crossing, 0.0, 14)
    row = window.ids.index("ego")
    valid = window.valid[row]
    assert valid.all()
    # It drives straight at constant speed, so between samples it was where it was.
    np.testing.assert_allclose(
        window.position[row], full.position[full.ids.index("ego")], atol=1e-9
    )
    gap = window.ids.index("gap")
    assert (window.valid[gap] <= np.roll(window.valid[gap], 1) | window.valid[gap]).all()
    assert window.valid[gap].sum() < window.steps


def test_samples_too_far_apart_are_a_gap(crossing):
    window = cut_window(_every(crossing, 10), 0.0, 14)
    valid = window.valid[window.ids.index("ego")]
    np.testing.assert_array_equal(np.flatnonzero(valid) % 10, 0)


def test_heading_that_is_only_the_way_travelled_is_known_as_such():
    scene = crossing_scene(steps=60)
    agents = scene.agents
    aside = _replace(scene, heading=np.where(agents.valid, agents.heading + 0.01, np.nan))
    assert not cut_window(aside, 0.0, 12).is_heading_derived[0]
    x = np.linspace(0, 30, 60)
    centre = agents.centre.copy()
    centre[0, :, 0], centre[0, :, 1] = x, 0.02 * x**2
    heading = agents.heading.copy()
    heading[0] = derive_heading(centre[:1], agents.valid[:1])
    bent = _replace(scene, centre=centre, heading=heading)
    assert cut_window(bent, 0.0, 12).is_heading_derived[0]


def test_direction_of_a_light_turns_with_the_scene(crossing):
    window = cut_window(crossing, 0.0, 4)
    assert np.isfinite(window.light_heading).any()
    turned = cut_window(moved(crossing, SE2(np.array([5.0, -3.0]), np.array(0.7))), 0.0, 4)
    apart = np.angle(np.exp(1j * (turned.light_heading - window.light_heading)))
    np.testing.assert_allclose(apart[np.isfinite(apart)], 0.7, atol=1e-9)


def _replace(scene, **arrays):
    import dataclasses

    return dataclasses.replace(scene, agents=dataclasses.replace(scene.agents, **arrays))


def _every(scene, stride):
    import dataclasses

    agents, signals = scene.agents, scene.signals
    cells = {
        name: getattr(agents, name)[:, ::stride]
        for name in ("centre", "heading", "velocity", "valid")
    }
    return Scene(
        id=scene.id,
        clock=Clock(scene.clock.start_ns, scene.clock.dt_ns * stride, cells["valid"].shape[1]),
        agents=dataclasses.replace(agents, **cells),
        ego=scene.ego,
        source=scene.source,
        map=scene.map,
        signals=dataclasses.replace(signals, state=signals.state[:, ::stride]),
    )
