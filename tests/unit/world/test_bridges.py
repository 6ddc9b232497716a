"""A bridge is what the smoother makes of what is seen beside a gap."""

import numpy as np
import pytest

from kerbstone.world.baselines.smoothing import smooth
from kerbstone.world.bridges import weigh
from random_walks import walk


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("level", [1, 4, 6])
def test_a_bridge_is_what_the_smoother_says(order, level):
    rng = np.random.default_rng(level)
    position = walk(order, 1.0, 3, 45, 0) + rng.normal(0, 0.05, (3, 45, 2))
    valid = np.ones((3, 45), bool)
    valid[:, 18:31] = False
    bridge = weigh(order, level, 13, 18, 14)
    seen = position[:, valid[0]]
    place, velocity = smooth(position @ [1, 1j], valid, order=order, ratio=10.0**level)
    origin = seen[:, :1]
    mine = origin + bridge.place @ (seen - origin)
    np.testing.assert_allclose(mine @ [1, 1j], place[:, 18:31], atol=1e-4)
    speed = bridge.velocity @ (seen - origin)
    np.testing.assert_allclose(speed @ [1, 1j], velocity[:, 18:31], atol=1e-4)
