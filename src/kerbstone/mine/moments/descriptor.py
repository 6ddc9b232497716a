"""A hand-made descriptor of motion and map: what a moment of a scene is like, as a vector.

It is made for search by example while there is no better embedding, and stays as the one that
people can read. Each moment is three seconds long, one begins every second, and all is told as
seen from its anchor: the recording car, or the road user at the busiest place. The blocks are the
*crowd* (who is around), the *traffic* (how they move), the anchor's *own* motion, what is *around*
it in eighths of the circle, the *danger* (distances and times to collision) and the *road* (lane,
intersection, crosswalk, lights). `features.BLOCKS` names every number.

A vector does not change when the whole scene is turned or shifted or its road users come in
another order, and is the same for a scene and its mirror image with traffic on the other side.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.mine.moments.features import SIZE
from kerbstone.mine.moments.moments import cut_moments
from kerbstone.mine.moments.roadside import measure_road
from kerbstone.mine.moments.surroundings import (
    Surroundings,
    measure_around,
    measure_crowd,
    measure_danger,
    measure_own,
    measure_traffic,
)
from kerbstone.scene import Scene


def measure_moments(scene: Scene) -> Float64[np.ndarray, "moment feature"]:
    """Return the features of all moments of a scene, in their units; NaN where not known.

    Args:
        scene: The scene. It has at least one moment, however short it is.

    Example:
        >>> from kerbstone.scene import Agents, Clock, Source
        >>> empty = Scene("s", Clock(0, 100_000_000, 50), Agents.empty(50), None, Source("d", "l"))
        >>> measure_moments(empty).shape
        (3, 112)
    """
    blocks = []
    for moments in cut_moments(scene):
        around = Surroundings(moments)
        blocks.append(
            np.concatenate(
                [
                    measure_crowd(around),
                    measure_traffic(around),
                    measure_own(around),
                    measure_around(around),
                    measure_danger(around),
                    measure_road(moments),
                ],
                axis=1,
            )
        )
    found = np.concatenate(blocks)
    assert found.shape[1] == SIZE  # noqa: S101 - of our own making
    return found
