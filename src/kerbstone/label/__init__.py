"""Offline auto-labels: detections in, finished tracks out, by past and future."""
