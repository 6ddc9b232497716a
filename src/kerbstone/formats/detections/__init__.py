"""Detections of outside formats, read with their logs, and tracks written back."""

from kerbstone.formats.detections.finding import (
    detection_formats,
    find_detections,
    read_detections,
)
from kerbstone.formats.detections.image_boxes import image_boxes
from kerbstone.formats.detections.source import (
    DetectedLog,
    DetectionFormat,
    DetectionSource,
    hide_agents,
)
from kerbstone.formats.detections.stored import stored_detections
from kerbstone.formats.detections.tracks import join_tracks, write_tracks

__all__ = [
    "DetectedLog",
    "DetectionFormat",
    "DetectionSource",
    "detection_formats",
    "find_detections",
    "hide_agents",
    "image_boxes",
    "join_tracks",
    "read_detections",
    "stored_detections",
    "write_tracks",
]
