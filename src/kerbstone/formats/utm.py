"""Universal Transverse Mercator: latitude and longitude to metres on the plane.

References:
    C. F. F. Karney, "Transverse Mercator with an accuracy of a few nanometers", Journal of Geodesy
    85 (2011): Krüger's series in the third flattening, here to fourth order, which is exact to
    less than a micrometre within a zone and its neighbours.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from kerbstone.errors import InputError

# The WGS 84 ellipsoid.
_RADIUS = 6_378_137.0
_FLATTENING = 1 / 298.257223563

_N = _FLATTENING / (2 - _FLATTENING)
_MERIDIAN = _RADIUS / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
_SERIES = (
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16 + 41 * _N**4 / 180,
    13 * _N**2 / 48 - 3 * _N**3 / 5 + 557 * _N**4 / 1440,
    61 * _N**3 / 240 - 103 * _N**4 / 140,
    49561 * _N**4 / 161280,
)
_SCALE = 0.9996
_EASTING = 500_000.0


def zone_of(longitude: float) -> int:
    """Return the UTM zone of a longitude [deg], without the exceptions around Norway."""
    return int((longitude + 180.0) // 6) % 60 + 1


def project(
    latitude: Float64[np.ndarray, " point"], longitude: Float64[np.ndarray, " point"], *, zone: int
) -> Float64[np.ndarray, "point 2"]:
    """Return easting and northing of points [m].

    Args:
        latitude: On WGS 84; south of the equator northings are negative [deg].
        longitude: On WGS 84 [deg].
        zone: UTM zone, 1 to 60.

    Raises:
        InputError: There is no such zone, or a point is no place on Earth.

    Example:
        >>> project(np.array([49.0]), np.array([8.4]), zone=32).round(3).tolist()
        [[456114.596, 5427629.204]]
    """
    if not 1 <= zone <= 60:
        raise InputError("value", "there is no such UTM zone", why=f"zone {zone}, not 1 to 60")
    if not ((np.abs(latitude) <= 90) & (np.abs(longitude) <= 360)).all():
        raise InputError("value", "a latitude or longitude is no place on Earth")
    phi = np.radians(latitude)
    lam = np.radians(longitude - (6 * zone - 183))
    eccentricity = np.sqrt(_FLATTENING * (2 - _FLATTENING))
    sine = np.sin(phi)
    conformal = np.sinh(np.arctanh(sine) - eccentricity * np.arctanh(eccentricity * sine))
    xi = np.arctan2(conformal, np.cos(lam))
    eta = np.arcsinh(np.sin(lam) / np.hypot(conformal, np.cos(lam)))
    north, east = xi, eta
    for order, factor in enumerate(_SERIES, start=1):
        north = north + factor * np.sin(2 * order * xi) * np.cosh(2 * order * eta)
        east = east + factor * np.cos(2 * order * xi) * np.sinh(2 * order * eta)
    return _SCALE * _MERIDIAN * np.column_stack([east, north]) + [_EASTING, 0.0]
