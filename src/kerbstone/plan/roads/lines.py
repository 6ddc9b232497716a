"""Reference lines: a route's polyline as a smooth curve that a car can follow."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from scipy.interpolate import CubicSpline, make_smoothing_spline

from kerbstone.scene import arc_length, resample

_STEP = 1.0
"""Distance of the points that are smoothed [m]."""
_SHORTEST_WAVE = 12.0
"""Ripples of this wavelength are halved at first; shorter ones vanish [m]."""
_LONGEST_WAVE = 60.0
_END = 6.0
"""Over this length at its end a line is taken to show where it leads [m]."""


def smooth_line(line: Float64[np.ndarray, "vertex 2"], *, curvature: float) -> CubicSpline:
    """Return a polyline as a smooth curve over its arc length.

    A smoothing spline halves ripples of 12 m; a curve of 8 m radius moves by 3 cm. Where that
    leaves the line bent too sharply, it is smoothed more, up to ripples of 60 m.

    Args:
        line: The line [m].
        curvature: The sharpest a car can follow, above 0 [1/m].

    Returns:
        Position [m] as a function of arc length from the line's start [m].

    References:
        Woltring, "A Fortran package for generalized, cross-validatory spline smoothing and
        differentiation", Advances in Engineering Software 1986.
    """
    points = resample(line[:, :2], spacing=_STEP)
    if len(points) < 5:
        points = resample(line[:, :2], number=5)
    step = arc_length(points)
    wave = _SHORTEST_WAVE
    while True:
        # A penalty of weight w on the second derivative, against points that lie h apart, halves
        # waves of length 2 pi (w h)^(1/4).
        smooth = make_smoothing_spline(step, points, lam=(wave / (2 * np.pi)) ** 4 / _STEP)
        fine = smooth(np.linspace(step[0], step[-1], 2 * len(points) - 1))
        curve = CubicSpline(arc_length(fine), fine)
        sharpest = float(np.abs(bend(curve, curve.x)).max())
        if sharpest <= curvature or wave >= _LONGEST_WAVE:
            return curve
        wave = min(wave * float(np.clip(sharpest / curvature, 1.2, 3.0)), _LONGEST_WAVE)


def bend(curve: CubicSpline, s: Float64[np.ndarray, " sample"]) -> Float64[np.ndarray, " sample"]:
    """Return the signed curvature of a curve, positive in left turns [1/m]."""
    first, second = curve(s, 1), curve(s, 2)
    cross = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return cross / np.maximum(np.hypot(first[:, 0], first[:, 1]), 1e-9) ** 3


def normals(
    curve: CubicSpline, s: Float64[np.ndarray, " sample"]
) -> Float64[np.ndarray, "sample 2"]:
    """Return the unit vectors to the left of a curve."""
    tangent = curve(s, 1)
    tangent = tangent / np.hypot(tangent[:, 0], tangent[:, 1])[:, None]
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=-1)


def prolong(
    line: Float64[np.ndarray, "vertex 2"], *, before: float, after: float
) -> Float64[np.ndarray, "longer 2"]:
    """Return a line that goes on straight at its ends, by so many metres each."""
    points = resample(line[:, :2], spacing=_STEP)
    reach = min(round(_END / _STEP), len(points) - 1)
    parts = [points]
    if before > 0:
        parts.insert(0, _beyond(points[reach], points[0], before)[None])
    if after > 0:
        parts.append(_beyond(points[-1 - reach], points[-1], after)[None])
    return np.concatenate(parts)


def _beyond(inner: np.ndarray, end: np.ndarray, length: float) -> np.ndarray:
    way = end - inner
    return end + length * way / max(float(np.hypot(*way)), 1e-9)
