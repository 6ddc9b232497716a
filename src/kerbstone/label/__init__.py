"""Offline auto-labels: detections in, finished tracks out, by past and future."""

from kerbstone.label.batch import LabelReport, LogLabels, Output, label
from kerbstone.label.examples import Example
from kerbstone.label.fitting import fit_profile
from kerbstone.label.labelling import LabelConfig, label_detections
from kerbstone.label.labels import Labels, Provenance
from kerbstone.label.linking import LinkPrices
from kerbstone.label.profile import KindProfile, Profile
from kerbstone.label.profiles import built_in_profiles, read_profile, write_profile
from kerbstone.label.stored import read_labels, write_reviewed

__all__ = [
    "Example",
    "KindProfile",
    "LabelConfig",
    "LabelReport",
    "Labels",
    "LinkPrices",
    "LogLabels",
    "Output",
    "Profile",
    "Provenance",
    "built_in_profiles",
    "fit_profile",
    "label",
    "label_detections",
    "read_labels",
    "read_profile",
    "write_profile",
    "write_reviewed",
]
