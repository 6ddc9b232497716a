"""Numbers as the page carries them: whole, small, and exact to what a screen can show.

Positions are kept to 1 cm, velocities to 1 cm/s and headings to 0.1°. Every array is written as
differences, split into byte planes, deflated and put into base64: tracks are smooth and parked
cars stand still, so little is left.
"""

from __future__ import annotations

import base64
import zlib

import numpy as np
from jaxtyping import Bool, Float, Integer

UNKNOWN = -(2**31)
"""Stands for NaN in a packed array."""

CM = 100.0
"""Steps per metre."""

TENTH_DEG = 1800.0 / np.pi
"""Steps per radian."""

_LARGEST = 2**31 - 1


def pack(values: Integer[np.ndarray, " value"] | Bool[np.ndarray, " value"]) -> str:
    """Return integers of 32 bits as the page's `unpack` reads them."""
    numbers = values.astype(np.int32).view(np.uint32)
    difference = numbers.copy()
    difference[1:] -= numbers[:-1]  # it wraps around, and so does the sum in the page
    planes = difference.astype("<u4").view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")


def quantise(values: Float[np.ndarray, "*shape"], per_unit: float) -> Integer[np.ndarray, "*shape"]:
    """Return values as whole steps of `1 / per_unit`, and `UNKNOWN` where they are not finite."""
    known = np.isfinite(values)
    steps = np.rint(np.where(known, values, 0.0) * per_unit)
    return np.where(known, np.clip(steps, -_LARGEST, _LARGEST), UNKNOWN).astype(np.int64)
