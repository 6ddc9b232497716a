"""The model of the road: one self-supervised network, for which a task is a mask."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerbstone.world.checking import ForecastCheck, check_forecasts
    from kerbstone.world.covering import describe_cells
    from kerbstone.world.embedding import SceneVectors, embed_scene
    from kerbstone.world.masks import (
        Counterfactual,
        Forecast,
        HideKind,
        Infill,
        Mask,
        MaskFamily,
        OneOf,
        Scatter,
        Together,
        WholeAgent,
    )
    from kerbstone.world.mixture import Mixture, condense
    from kerbstone.world.network import SIZES, ModelConfig, SceneModel, build_model
    from kerbstone.world.observed import Observed, hide
    from kerbstone.world.predicting import Prediction, predict, predict_all
    from kerbstone.world.regions import Regions, read_regions
    from kerbstone.world.scoring import SceneScores, score_scene
    from kerbstone.world.training.config import PretrainConfig
    from kerbstone.world.training.model_file import read_model
    from kerbstone.world.training.named import pretrain
    from kerbstone.world.windows import Window, cut_window

# Where each public name comes from. Its module is loaded when it is first asked for: to cut or to
# mask windows, nobody needs to load JAX.
_HOMES = {
    "checking": ("ForecastCheck", "check_forecasts"),
    "covering": ("describe_cells",),
    "embedding": ("SceneVectors", "embed_scene"),
    "masks": (
        "Counterfactual",
        "Forecast",
        "HideKind",
        "Infill",
        "Mask",
        "MaskFamily",
        "OneOf",
        "Scatter",
        "Together",
        "WholeAgent",
    ),
    "mixture": ("Mixture", "condense"),
    "network": ("SIZES", "ModelConfig", "SceneModel", "build_model"),
    "observed": ("Observed", "hide"),
    "predicting": ("Prediction", "predict", "predict_all"),
    "regions": ("Regions", "read_regions"),
    "scoring": ("SceneScores", "score_scene"),
    "training.config": ("PretrainConfig",),
    "training.model_file": ("read_model",),
    "training.named": ("pretrain",),
    "windows": ("Window", "cut_window"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SIZES",
    "Counterfactual",
    "Forecast",
    "ForecastCheck",
    "HideKind",
    "Infill",
    "Mask",
    "MaskFamily",
    "Mixture",
    "ModelConfig",
    "Observed",
    "OneOf",
    "Prediction",
    "PretrainConfig",
    "Regions",
    "Scatter",
    "SceneModel",
    "SceneScores",
    "SceneVectors",
    "Together",
    "WholeAgent",
    "Window",
    "build_model",
    "check_forecasts",
    "condense",
    "cut_window",
    "describe_cells",
    "embed_scene",
    "hide",
    "predict",
    "predict_all",
    "pretrain",
    "read_model",
    "read_regions",
    "score_scene",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
