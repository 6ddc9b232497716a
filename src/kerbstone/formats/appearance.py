"""How road users, roads and lights look, the same in every viewer.

The hues of road users are those of Okabe and Ito, which people with any common colour vision tell
apart. The recording car alone is vermillion.

References:
    Okabe, Ito: Color Universal Design, 2008, https://jfly.uni-koeln.de/color/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float64, UInt8

from kerbstone.scene import Kind, Marking, PieceKind, Scene, SignalState

EGO_COLOUR = 0xD55E00

KIND_COLOURS: Mapping[Kind, int] = {
    Kind.UNKNOWN: 0xC9CED4,
    Kind.CAR: 0x56B4E9,
    Kind.TRUCK: 0x0072B2,
    Kind.BUS: 0xCC79A7,
    Kind.TRAILER: 0x4C93C4,
    Kind.TRAIN: 0x8A4F7D,
    Kind.MOTORCYCLE: 0xF0E442,
    Kind.CYCLIST: 0x009E73,
    Kind.BICYCLE: 0x8CCFB9,
    Kind.PEDESTRIAN: 0xE69F00,
    Kind.RIDER: 0xF6CE7A,
    Kind.ANIMAL: 0x9C6B3F,
    Kind.OBJECT: 0x9AA1A9,
}

USUAL_SIZE: Mapping[Kind, tuple[float, float, float]] = {
    Kind.UNKNOWN: (1.0, 1.0, 1.0),
    Kind.CAR: (4.6, 1.9, 1.5),
    Kind.TRUCK: (9.0, 2.5, 3.5),
    Kind.BUS: (12.0, 2.6, 3.2),
    Kind.TRAILER: (10.0, 2.5, 3.5),
    Kind.TRAIN: (30.0, 2.7, 3.8),
    Kind.MOTORCYCLE: (2.1, 0.8, 1.4),
    Kind.CYCLIST: (1.8, 0.7, 1.7),
    Kind.BICYCLE: (1.8, 0.6, 1.1),
    Kind.PEDESTRIAN: (0.6, 0.6, 1.7),
    Kind.RIDER: (1.2, 0.6, 1.7),
    Kind.ANIMAL: (0.9, 0.4, 0.6),
    Kind.OBJECT: (0.6, 0.6, 0.8),
}
"""What stands in where a format gives no size: length, width, height [m]."""

SIGNAL_COLOURS: Mapping[SignalState, int] = {
    SignalState.UNKNOWN: 0x9AA1A9,
    SignalState.RED: 0xE5383B,
    SignalState.RED_YELLOW: 0xF08C2E,
    SignalState.YELLOW: 0xF5C518,
    SignalState.GREEN: 0x00A878,
    SignalState.GREEN_YIELD: 0x5CC8A8,
    SignalState.FLASHING_YELLOW: 0xF5C518,
    SignalState.FLASHING_RED: 0xE5383B,
    SignalState.OFF: 0x4A5056,
}

PIECE_COLOURS: Mapping[PieceKind, int] = {
    PieceKind.LANE_CENTRE: 0x5B6670,
    PieceKind.LANE_BOUNDARY: 0x8A939C,
    PieceKind.ROAD_EDGE: 0x7C858F,
    PieceKind.CROSSWALK: 0xE8EBEE,
    PieceKind.STOP_LINE: 0xFFFFFF,
    PieceKind.SIDEWALK: 0xA89F8C,
    PieceKind.DRIVABLE_AREA: 0x4D565F,
    PieceKind.SPEED_BUMP: 0xB08A2E,
    PieceKind.DRIVEWAY: 0x8D8676,
    PieceKind.INTERSECTION: 0x4D565F,
    PieceKind.STOP_SIGN: 0xC8102E,
    PieceKind.PARKING: 0x6E7691,
    PieceKind.LANE_AREA: 0x4D565F,
}

_UNPAINTED = {Marking.UNKNOWN, Marking.NONE, Marking.CURB, Marking.VIRTUAL}
_WHITE, _YELLOW = 0xF2F4F6, 0xE8A900


def css_colour(colour: int) -> str:
    """Return a colour as style sheets write it.

    Example:
        >>> css_colour(EGO_COLOUR)
        '#d55e00'
    """
    return f"#{colour:06x}"


def split_colours(colours: Iterable[int]) -> UInt8[np.ndarray, "n 3"]:
    """Return red, green and blue of colours.

    Example:
        >>> split_colours([EGO_COLOUR]).tolist()
        [[213, 94, 0]]
    """
    packed = np.fromiter(colours, np.int64)
    return (packed[:, None] >> np.array([16, 8, 0]) & 0xFF).astype(np.uint8)


def piece_colour(kind: PieceKind, marking: Marking) -> int:
    """Return the colour of a piece of the map; a painted boundary has that of its paint."""
    if kind != PieceKind.LANE_BOUNDARY or marking in _UNPAINTED:
        return PIECE_COLOURS[kind]
    return _YELLOW if marking.name.endswith("YELLOW") else _WHITE


def agent_colours(scene: Scene) -> UInt8[np.ndarray, "agent 3"]:
    """Return red, green and blue of each agent of a scene."""
    colours = split_colours(KIND_COLOURS[Kind(int(kind))] for kind in scene.agents.kind)
    if scene.ego is not None:
        colours[scene.ego] = split_colours([EGO_COLOUR])
    return colours


def agent_sizes(scene: Scene) -> Float64[np.ndarray, "agent 3"]:
    """Return length, width and height of each agent [m], the usual ones where none are known."""
    usual = np.array([USUAL_SIZE[Kind(int(kind))] for kind in scene.agents.kind])
    return np.where(np.isfinite(scene.agents.size), scene.agents.size, usual.reshape(-1, 3))
