"""What the descriptor says: its features by name, unit and block.

A feature is a number that stays the same when the whole scene is turned or shifted and when its
road users come in another order. Sides are told as *far* (towards oncoming traffic: left where one
drives on the right) and *near* (towards the kerb), so that mirrored roads are alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

VERSION = 1
"""Number of this layout; vectors of another one are made again."""

NEAR, FAR = 20.0, 50.0
"""How far around its anchor a moment reaches: nearby, and altogether [m]."""

GROUPS = ("cars", "heavy vehicles", "motorcycles", "cyclists", "pedestrians", "others", "objects")
SECTORS = (
    *("ahead", "ahead on the far side", "on the far side", "behind on the far side"),
    *("behind", "behind on the near side", "on the near side", "ahead on the near side"),
)
"""Eighths of the circle around the anchor, from ahead towards the far side."""


@dataclass(frozen=True)
class Feature:
    """One number of the descriptor.

    Args:
        name: What it is, in words that complete "unusual: …".
        unit: Its SI unit, "" for counts, shares and flags.
        floor: The smallest difference worth telling, in its unit: no feature is scaled by less,
            however little it varies in a store.
    """

    name: str
    unit: str
    floor: float


def _many(names: list[str], unit: str, floor: float) -> list[Feature]:
    return [Feature(name, unit, floor) for name in names]


BLOCKS: dict[str, tuple[Feature, ...]] = {
    "crowd": (
        *_many([f"{group} within {NEAR:g} m" for group in GROUPS], "", 1.0),
        *_many([f"{group} within {FAR:g} m" for group in GROUPS], "", 2.0),
        *_many(["moving vehicles", "standing vehicles"], "", 2.0),
    ),
    "traffic": (
        Feature("mean speed of the vehicles around", "m/s", 1.0),
        Feature("spread of the vehicles' speeds", "m/s", 1.0),
        Feature("speed of the fastest vehicle around", "m/s", 2.0),
        Feature("hardest braking of a vehicle around", "m/s2", 1.0),
        Feature("hardest acceleration of a vehicle around", "m/s2", 1.0),
        Feature("quickest turning of a vehicle around", "rad/s", 0.1),
        Feature("largest lateral acceleration of a vehicle around", "m/s2", 1.0),
        Feature("speed of the fastest pedestrian or cyclist around", "m/s", 1.0),
        Feature("share of the vehicles that go the same way", "", 0.2),
        Feature("share of the vehicles that come the other way", "", 0.2),
        Feature("share of the vehicles that go across", "", 0.2),
    ),
    "own": (
        Feature("own speed at first", "m/s", 1.0),
        Feature("own speed in the middle", "m/s", 1.0),
        Feature("own speed at last", "m/s", 1.0),
        Feature("lowest own speed", "m/s", 1.0),
        Feature("highest own speed", "m/s", 1.0),
        Feature("own hardest braking", "m/s2", 1.0),
        Feature("own hardest acceleration", "m/s2", 1.0),
        Feature("own turn towards the far side", "rad", 0.1),
        Feature("own quickest turning", "rad/s", 0.1),
        Feature("own largest lateral acceleration", "m/s2", 1.0),
        Feature("own shift towards the far side", "m", 0.5),
        Feature("own way", "m", 3.0),
        Feature("share of the time that it stands", "", 0.2),
        Feature("whether it is the recording car", "", 1.0),
        Feature("whether it is on foot or on a bicycle", "", 1.0),
    ),
    "around": (
        *_many([f"closeness at first, {s}" for s in SECTORS], "", 0.2),
        *_many([f"closeness in the middle, {s}" for s in SECTORS], "", 0.2),
        *_many([f"closeness at last, {s}" for s in SECTORS], "", 0.2),
        *_many([f"closing speed, {s}" for s in SECTORS], "m/s", 2.0),
        *_many([f"speed across, {s}" for s in SECTORS], "m/s", 2.0),
        *_many([f"closeness of a pedestrian or cyclist, {s}" for s in SECTORS], "", 0.2),
    ),
    "danger": (
        Feature("distance to the nearest road user", "m", 2.0),
        Feature("distance to the nearest pedestrian or cyclist", "m", 5.0),
        Feature("inverse of the own time to collision", "1/s", 0.2),
        Feature("inverse of the time to collision with a pedestrian or cyclist", "1/s", 0.2),
        Feature("inverse of the shortest time to collision of others around", "1/s", 0.3),
        Feature("deceleration needed for the one ahead", "m/s2", 1.0),
        Feature("time gap to the one ahead", "s", 1.0),
        Feature("largest difference of speed nearby", "m/s", 3.0),
    ),
    "road": (
        Feature("share of the time on a lane", "", 0.3),
        Feature("share of the time in an intersection", "", 0.3),
        Feature("bend of the lane", "1/m", 0.01),
        Feature("offset from the lane's centre", "m", 0.5),
        Feature("angle to the lane", "rad", 0.1),
        Feature("lanes the same way", "", 1.0),
        Feature("whether the lane beside goes the other way", "", 0.5),
        Feature("speed limit", "m/s", 3.0),
        Feature("whether the lane is not for all vehicles", "", 0.5),
        Feature("number of lane changes", "", 0.5),
        Feature("distance to a crosswalk", "m", 10.0),
        Feature("distance to an intersection", "m", 10.0),
        Feature("share of the time that the light ahead is red", "", 0.3),
        Feature("share of the time that the light ahead is green", "", 0.3),
    ),
}
"""The features of each block, in the order in which they stand in the vector."""

FEATURES = tuple(feature for block in BLOCKS.values() for feature in block)
SIZE = len(FEATURES)


def block_slices() -> dict[str, slice]:
    """Return where each block stands in the vector."""
    ends = np.cumsum([len(block) for block in BLOCKS.values()])
    return {
        name: slice(int(end) - len(block), int(end))
        for (name, block), end in zip(BLOCKS.items(), ends, strict=True)
    }


def feature_weights() -> Float32[np.ndarray, " feature"]:
    """Return what each feature counts: every block as much, and within it every feature.

    Multiplied by it, vectors have a distance that is the root of the mean squared difference: 1
    where all features differ by their scale.
    """
    return np.concatenate(
        [np.full(len(block), (len(BLOCKS) * len(block)) ** -0.5) for block in BLOCKS.values()]
    ).astype(np.float32)
