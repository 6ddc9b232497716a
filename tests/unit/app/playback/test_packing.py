import json
from dataclasses import replace

import numpy as np

from crossing import crossing_scene
from kerbstone.app.playback.codec import UNKNOWN
from kerbstone.app.playback.packing import pack_scene
from kerbstone.scene import Agents
from playback_codec import unpack


def spread(packed, name, scale=1.0):
    """Return a packed track value as [agent, time], NaN outside of the agents' spans."""
    first, count = unpack(packed["tracks"]["first"]), unpack(packed["tracks"]["count"])
    values = unpack(packed["tracks"][name])
    cells = np.full((len(first), packed["steps"]), np.nan)
    for agent, part in enumerate(np.split(values, np.cumsum(count)[:-1])):
        cells[agent, first[agent] : first[agent] + count[agent]] = np.where(
            part == UNKNOWN, np.nan, part / scale
        )
    return cells


def test_tracks_come_back_within_what_the_page_promises():
    scene = crossing_scene(shift=(412_345.678, 5_498_765.432))
    packed = pack_scene(scene)
    there = spread(packed, "valid") == 1
    np.testing.assert_array_equal(there, scene.agents.valid)
    for name, axis in (("x", 0), ("y", 1)):
        shown = spread(packed, name, 100) + packed["origin"][axis]
        off = np.abs(shown - scene.agents.centre[..., axis])[there]
        assert off.max() <= 0.005 + 1e-6
    off = np.abs(np.radians(spread(packed, "heading", 10)) - scene.agents.heading)[there]
    assert np.nanmax(off) <= np.radians(0.05) + 1e-9
    off = np.abs(spread(packed, "vx", 100) - scene.agents.velocity[..., 0])[there]
    assert np.nanmax(off) <= 0.005 + 1e-9
    ghost = scene.agents.index("ghost")
    assert np.isnan(spread(packed, "heading")[ghost]).all()
    assert np.isnan(spread(packed, "vx")[ghost]).all()


def test_agents_that_are_never_there_are_left_out_and_ego_is_still_ego():
    scene = crossing_scene()
    order = [scene.agents.index(name) for name in ("late", "truck", "ego")]
    scene = replace(scene, agents=scene.agents.select(order), ego=2).window(0, 1.0)
    packed = pack_scene(scene)
    assert packed["ids"] == ["truck", "ego"]
    assert packed["ego"] == 1
    assert packed["steps"] == 10


def test_a_scene_in_which_nobody_ever_is_can_be_packed():
    scene = replace(crossing_scene(ego=False), agents=Agents.empty(60))
    packed = pack_scene(scene)
    assert packed["ids"] == []
    assert packed["road"]
    assert pack_scene(replace(scene, map=None, signals=None))["road"] == {}


def test_times_beyond_the_numbers_of_javascript_are_text():
    packed = pack_scene(crossing_scene())
    assert packed["startNs"] == "1700000000123456789"


def test_a_minute_of_a_hundred_agents_takes_less_than_half_a_megabyte():
    rng = np.random.default_rng(5)
    agents, steps = 100, 600
    heading = np.cumsum(rng.normal(0, 0.01, (agents, steps)), axis=1)
    heading = np.remainder(heading + np.pi, 2 * np.pi) - np.pi
    speed = np.abs(10 + np.cumsum(rng.normal(0, 0.1, (agents, steps)), axis=1))
    velocity = speed[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    ground = np.cumsum(velocity * 0.1, axis=1) + rng.normal(0, 100, (agents, 1, 2))
    scene = crossing_scene(steps=steps, ego=False, road=False)
    crowd = Agents(
        ids=tuple(map(str, range(agents))),
        kind=np.ones(agents, np.uint8),
        label=("car",) * agents,
        size=np.tile([4.5, 1.8, 1.5], (agents, 1)),
        centre=np.concatenate([ground, np.zeros((agents, steps, 1))], axis=-1),
        heading=heading,
        velocity=velocity,
        valid=np.ones((agents, steps), bool),
    )
    assert len(json.dumps(pack_scene(replace(scene, agents=crowd)))) < 500_000
