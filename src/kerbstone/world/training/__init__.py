"""Training the model of the road on a store: streaming, checkpoints, exact resumption, logs.

Everything here but the configuration and the split loads JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kerbstone.world.training.config import Budget, PretrainConfig

if TYPE_CHECKING:
    from kerbstone.world.training.model_file import read_model, write_model
    from kerbstone.world.training.named import OBJECTIVES, plan_pretrain, pretrain
    from kerbstone.world.training.pretraining import (
        PretrainPlan,
        PretrainReport,
        plan_training,
        train_on_store,
    )
    from kerbstone.world.training.progress import Progress
    from kerbstone.world.training.splits import Split, split_store
    from kerbstone.world.training.task import Task

__all__ = [
    "OBJECTIVES",
    "Budget",
    "PretrainConfig",
    "PretrainPlan",
    "PretrainReport",
    "Progress",
    "Split",
    "Task",
    "plan_pretrain",
    "plan_training",
    "pretrain",
    "read_model",
    "split_store",
    "train_on_store",
    "write_model",
]

_HOMES = {
    "model_file": ("read_model", "write_model"),
    "named": ("OBJECTIVES", "plan_pretrain", "pretrain"),
    "pretraining": ("PretrainPlan", "PretrainReport", "plan_training", "train_on_store"),
    "progress": ("Progress",),
    "splits": ("Split", "split_store"),
    "task": ("Task",),
}


def __getattr__(name: str) -> Any:
    # On first use: these load JAX or Lance.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
