"""The generality matrix: is a model of the road a foundation? Computed, by a rule fixed before."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerbstone.judge.generality.domains import Domain
    from kerbstone.judge.generality.matrix import Matrix, measure_generality
    from kerbstone.judge.generality.outcomes import Row
    from kerbstone.judge.generality.specialists import FAMILIES, train_specialist
    from kerbstone.judge.generality.tasks import TASKS, GeneralityTask
    from kerbstone.judge.generality.verdict import Verdict, give_verdict

_HOMES = {
    "domains": ("Domain",),
    "matrix": ("Matrix", "measure_generality"),
    "outcomes": ("Row",),
    "specialists": ("FAMILIES", "train_specialist"),
    "tasks": ("TASKS", "GeneralityTask"),
    "verdict": ("Verdict", "give_verdict"),
}

__all__ = [
    "FAMILIES",
    "TASKS",
    "Domain",
    "GeneralityTask",
    "Matrix",
    "Row",
    "Verdict",
    "give_verdict",
    "measure_generality",
    "train_specialist",
]


def __getattr__(name: str) -> Any:
    # On first use: most of these load JAX.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
