"""An affinity of tracks and detections that is learned through the assignment itself.

Learning loads JAX; tracking with what was learned does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kerbstone.label.affinity.model import Affinity, initial_affinity, read_affinity

if TYPE_CHECKING:
    from kerbstone.label.affinity.examples import LabelledDetections, split_by_town
    from kerbstone.label.affinity.learning import LearningConfig, learn_affinity
    from kerbstone.label.affinity.transport import Plan, relax_assignment

__all__ = [
    "Affinity",
    "LabelledDetections",
    "LearningConfig",
    "Plan",
    "initial_affinity",
    "learn_affinity",
    "read_affinity",
    "relax_assignment",
    "split_by_town",
]

_HOMES = {
    "examples": ("LabelledDetections", "split_by_town"),
    "learning": ("LearningConfig", "learn_affinity"),
    "transport": ("Plan", "relax_assignment"),
}


def __getattr__(name: str) -> Any:
    # On first use: these load JAX, or import the tracker, which imports the model.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
