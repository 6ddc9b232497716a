"""Which road users the kinds of the language stand for."""

from __future__ import annotations

from kerbstone.scene import VEHICLES, VULNERABLE, Kind

KINDS: dict[str, frozenset[Kind]] = {
    "any": frozenset(Kind) - {Kind.OBJECT},
    "vehicle": VEHICLES,
    "car": frozenset({Kind.CAR}),
    "truck": frozenset({Kind.TRUCK}),
    "bus": frozenset({Kind.BUS}),
    "trailer": frozenset({Kind.TRAILER}),
    "train": frozenset({Kind.TRAIN}),
    "motorcycle": frozenset({Kind.MOTORCYCLE}),
    "cyclist": frozenset({Kind.CYCLIST}),
    "bicycle": frozenset({Kind.BICYCLE, Kind.CYCLIST}),
    "pedestrian": frozenset({Kind.PEDESTRIAN}),
    "rider": frozenset({Kind.RIDER}),
    "vulnerable": VULNERABLE | {Kind.BICYCLE},
    "animal": frozenset({Kind.ANIMAL}),
    "object": frozenset({Kind.OBJECT}),
}
"""Kinds by name. A `bicycle` is one with or without its rider; a `cyclist` rides."""

DRIVERS = VEHICLES | {Kind.CYCLIST, Kind.RIDER, Kind.UNKNOWN}
"""Who goes along lanes. A bicycle without a rider stands somewhere."""
