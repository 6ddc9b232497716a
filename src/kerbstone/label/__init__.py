"""Offline auto-labels: detections in, finished tracks out, by past and future."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from kerbstone.label.batch import Output, label
from kerbstone.label.examples import Example
from kerbstone.label.fitting import fit_profile
from kerbstone.label.infilled import GapCount, Infilling
from kerbstone.label.labelling import LabelConfig, label_detections
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.linking import LinkPrices
from kerbstone.label.profile import KindProfile, Profile
from kerbstone.label.profiles import built_in_profiles, read_profile, write_profile
from kerbstone.label.report import LabelReport, LogLabels
from kerbstone.label.stored import read_labels, write_reviewed

if TYPE_CHECKING:
    from kerbstone.label.gap_windows import Predictor
    from kerbstone.label.infilling import infill

# What reads windows is loaded when it is first asked for: labelling alone needs no scene model.
_HOME_OF = {"Predictor": "gap_windows", "infill": "infilling"}

__all__ = [
    "Example",
    "GapCount",
    "Infilling",
    "KindProfile",
    "LabelConfig",
    "LabelReport",
    "Labels",
    "LinkPrices",
    "LogLabels",
    "Output",
    "Predictor",
    "Profile",
    "Provenance",
    "built_in_profiles",
    "fit_profile",
    "infill",
    "label",
    "label_detections",
    "read_labels",
    "read_profile",
    "write_profile",
    "write_reviewed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
