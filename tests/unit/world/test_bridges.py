"""A bridge is what the smoother makes of what is seen beside a gap."""

import numpy as np
import pytest

from kerbstone.world.baselines.smoothing import smooth
from kerbstone.world.bridges import weigh
from random_walks import walk


# Of the strongest forces a start is wider than the smoother's, which shows in long gaps.
@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize(
    ("level", "before", "gap", "after"),
    [
        *((level, 18, 13, 14) for level in (0, 1, 3, 4, 6)),
        *((level, 20, 60, 15) for level in (0, 1, 3)),
    ],
)
def test_a_bridge_is_what_the_smoother_says(order, level, before, gap, after):
    rng = np.random.default_rng(level)
    steps, hidden = before + gap + after, slice(before, before + gap)
    position = walk(order, 1.0, 3, steps, 0) + rng.normal(0, 0.05, (3, steps, 2))
    valid = np.ones((3, steps), bool)
    valid[:, hidden] = False
    bridge = weigh(order, level, gap, before, after)
    seen = position[:, valid[0]]
    place, velocity = smooth(position @ [1, 1j], valid, order=order, ratio=10.0**level)
    origin = seen[:, :1]
    mine = origin + bridge.place @ (seen - origin)
    np.testing.assert_allclose(mine @ [1, 1j], place[:, hidden], atol=1e-4)
    speed = bridge.velocity @ (seen - origin)
    np.testing.assert_allclose(speed @ [1, 1j], velocity[:, hidden], atol=1e-4)
