"""Vehicle types: what SUMO's classes stand for, and the sizes that a scenario gives them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kerbstone.errors import InputError
from kerbstone.formats.sumo.xml_stream import iterate_children
from kerbstone.scene import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


# Sizes [m] that SUMO gives a class unless its type says otherwise:
# https://sumo.dlr.de/docs/Vehicle_Type_Parameter_Defaults.html
CLASSES: dict[str, tuple[Kind, float, float, float]] = {
    "passenger": (Kind.CAR, 5.0, 1.8, 1.5),
    "private": (Kind.CAR, 5.0, 1.8, 1.5),
    "taxi": (Kind.CAR, 5.0, 1.8, 1.5),
    "hov": (Kind.CAR, 5.0, 1.8, 1.5),
    "evehicle": (Kind.CAR, 5.0, 1.8, 1.5),
    "vip": (Kind.CAR, 5.0, 1.8, 1.5),
    "army": (Kind.TRUCK, 5.0, 1.8, 1.5),
    "authority": (Kind.CAR, 5.0, 1.8, 1.5),
    "custom1": (Kind.UNKNOWN, 5.0, 1.8, 1.5),
    "custom2": (Kind.UNKNOWN, 5.0, 1.8, 1.5),
    "ignoring": (Kind.CAR, 5.0, 1.8, 1.5),
    "emergency": (Kind.TRUCK, 6.5, 2.16, 2.86),
    "delivery": (Kind.TRUCK, 6.5, 2.16, 2.86),
    "truck": (Kind.TRUCK, 7.1, 2.4, 2.4),
    "trailer": (Kind.TRUCK, 16.5, 2.55, 4.0),
    "bus": (Kind.BUS, 12.0, 2.5, 3.4),
    "coach": (Kind.BUS, 14.0, 2.6, 4.0),
    "tram": (Kind.TRAIN, 22.0, 2.4, 3.2),
    "rail_urban": (Kind.TRAIN, 109.5, 3.0, 3.6),
    "subway": (Kind.TRAIN, 109.5, 3.0, 3.6),
    "rail": (Kind.TRAIN, 135.0, 2.84, 3.75),
    "rail_electric": (Kind.TRAIN, 200.0, 2.95, 3.89),
    "rail_fast": (Kind.TRAIN, 200.0, 2.95, 3.89),
    "cable_car": (Kind.TRAIN, 5.0, 1.8, 1.5),
    "motorcycle": (Kind.MOTORCYCLE, 2.2, 0.9, 1.5),
    "moped": (Kind.MOTORCYCLE, 2.1, 0.78, 1.7),
    "bicycle": (Kind.CYCLIST, 1.6, 0.65, 1.7),
    "scooter": (Kind.RIDER, 1.2, 0.5, 1.7),
    "pedestrian": (Kind.PEDESTRIAN, 0.215, 0.478, 1.719),
    "wheelchair": (Kind.PEDESTRIAN, 1.2, 0.72, 1.2),
    "ship": (Kind.UNKNOWN, 17.0, 4.0, 4.0),
    "container": (Kind.OBJECT, 6.096, 2.438, 2.591),
    "aircraft": (Kind.UNKNOWN, 72.7, 79.8, 1.5),
    "drone": (Kind.UNKNOWN, 0.5, 0.5, 1.5),
}


@dataclass(frozen=True)
class VehicleType:
    """What a vehicle type of a scenario stands for.

    Args:
        name: The type's id.
        vehicle_class: SUMO's name of its class, a key of `CLASSES`.
        length: [m].
        width: [m].
        height: [m].
    """

    name: str
    vehicle_class: str
    length: float
    width: float
    height: float

    @property
    def kind(self) -> Kind:
        """What kind of road user it is."""
        return CLASSES[self.vehicle_class][0]


# The types that exist without being declared, and their classes.
_IMPLICIT = {
    "DEFAULT_VEHTYPE": "passenger",
    "DEFAULT_PEDTYPE": "pedestrian",
    "DEFAULT_BIKETYPE": "bicycle",
    "DEFAULT_TAXITYPE": "taxi",
    "DEFAULT_RAILTYPE": "rail",
    "DEFAULT_CONTAINERTYPE": "container",
}


def read_vehicle_types(paths: Iterable[Path]) -> dict[str, VehicleType]:
    """Return the vehicle types that route and additional files declare, and SUMO's own.

    Raises:
        InputError: A file is missing or broken, or a type has no usable size or class.
    """
    types = {name: _of_class(name, kind) for name, kind in _IMPLICIT.items()}
    for path in paths:
        for element in iterate_children(path):
            for declared in element.iter("vType"):
                found = _read(declared, path)
                types[found.name] = found
    return types


def write_vehicle_types(types: Iterable[VehicleType], path: Path) -> None:
    """Write vehicle types as an additional file, so that a recording keeps them beside it."""
    root = ET.Element("additional")
    for each in types:
        attributes = {"id": each.name, "vClass": each.vehicle_class}
        size = {"length": each.length, "width": each.width, "height": each.height}
        ET.SubElement(
            root, "vType", attributes | {key: f"{value:g}" for key, value in size.items()}
        )
    ET.indent(root)
    ET.ElementTree(root).write(path)


def _of_class(name: str, vehicle_class: str) -> VehicleType:
    if vehicle_class not in CLASSES:
        raise InputError(
            "label",
            f"vehicle type {name!r} has the unknown class {vehicle_class!r}",
            why="known classes: " + ", ".join(sorted(CLASSES)),
        )
    return VehicleType(name, vehicle_class, *CLASSES[vehicle_class][1:])


def _read(element: ET.Element, path: Path) -> VehicleType:
    attributes = element.attrib
    name = attributes.get("id", "")
    default = _of_class(name, attributes.get("vClass", "passenger"))
    try:
        length, width, height = (
            float(attributes[key]) if key in attributes else getattr(default, key)
            for key in ("length", "width", "height")
        )
    except ValueError as error:
        raise InputError(
            "value", f"vehicle type {name!r} has no size", where=str(path), why=str(error)
        ) from None
    if not (length > 0 and width > 0 and height > 0):
        raise InputError(
            "value",
            f"vehicle type {name!r} has no size",
            where=str(path),
            why=f"length={length}, width={width}, height={height}",
        )
    return VehicleType(name, default.vehicle_class, length, width, height)
