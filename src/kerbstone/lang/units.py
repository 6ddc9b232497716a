"""Units: what may be compared with what, and the factors to SI."""

from __future__ import annotations

from typing import NamedTuple


class Dimension(NamedTuple):
    """Exponents of metre, second and radian; all zero is a plain number.

    Example:
        >>> Dimension(1, 0) / Dimension(0, 1) == UNITS["m/s"].dimension
        True
    """

    metre: int = 0
    second: int = 0
    radian: int = 0

    def times(self, other: Dimension) -> Dimension:
        """Return the dimension of a product."""
        return Dimension(*(a + b for a, b in zip(self, other, strict=True)))

    def __truediv__(self, other: Dimension) -> Dimension:
        return Dimension(*(a - b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        named = {unit.dimension: name for name, unit in reversed(UNITS.items()) if unit.factor == 1}
        if self in named:
            return named[self] or "a plain number"
        parts = zip(("m", "s", "rad"), self, strict=True)
        return " ".join(f"{name}^{power}" for name, power in parts if power)


NUMBER = Dimension()


class Unit(NamedTuple):
    """A unit of the language.

    Args:
        dimension: What it measures.
        factor: How many SI units it is.
    """

    dimension: Dimension
    factor: float


UNITS: dict[str, Unit] = {
    "": Unit(NUMBER, 1.0),
    "m": Unit(Dimension(1), 1.0),
    "cm": Unit(Dimension(1), 0.01),
    "km": Unit(Dimension(1), 1000.0),
    "ft": Unit(Dimension(1), 0.3048),
    "s": Unit(Dimension(0, 1), 1.0),
    "ms": Unit(Dimension(0, 1), 0.001),
    "min": Unit(Dimension(0, 1), 60.0),
    "m/s": Unit(Dimension(1, -1), 1.0),
    "km/h": Unit(Dimension(1, -1), 1 / 3.6),
    "mph": Unit(Dimension(1, -1), 0.44704),
    "m/s2": Unit(Dimension(1, -2), 1.0),
    "m/s3": Unit(Dimension(1, -3), 1.0),
    "rad": Unit(Dimension(0, 0, 1), 1.0),
    "deg": Unit(Dimension(0, 0, 1), 0.017453292519943295),
    "rad/s": Unit(Dimension(0, -1, 1), 1.0),
    "deg/s": Unit(Dimension(0, -1, 1), 0.017453292519943295),
    "1/m": Unit(Dimension(-1), 1.0),
    "1/s": Unit(Dimension(0, -1), 1.0),
}
"""Every unit of the language, by its symbol."""
