"""SUMO as a road generator, and its recordings as scenes.

Simulating needs the extra `sumo`; reading recordings does not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerbstone.formats.sumo.batch import simulate_roads, vary_config
    from kerbstone.formats.sumo.events import EventKind
    from kerbstone.formats.sumo.log import SimulatedLog
    from kerbstone.formats.sumo.network import Network, read_network
    from kerbstone.formats.sumo.reader import Sumo
    from kerbstone.formats.sumo.road_map import build_map
    from kerbstone.formats.sumo.scenario import simulate_scenario
    from kerbstone.formats.sumo.sensor import Detections, SensorConfig, simulate_detections
    from kerbstone.formats.sumo.simulation import SimulationConfig, simulate
    from kerbstone.formats.sumo.towns import TOWNS, Town, build_town
    from kerbstone.formats.sumo.truth import Event, read_events

__all__ = [
    "TOWNS",
    "Detections",
    "Event",
    "EventKind",
    "Network",
    "SensorConfig",
    "SimulatedLog",
    "SimulationConfig",
    "Sumo",
    "Town",
    "build_map",
    "build_town",
    "read_events",
    "read_network",
    "simulate",
    "simulate_detections",
    "simulate_roads",
    "simulate_scenario",
    "vary_config",
]

_HOMES = {
    "batch": ("simulate_roads", "vary_config"),
    "events": ("EventKind",),
    "log": ("SimulatedLog",),
    "network": ("Network", "read_network"),
    "reader": ("Sumo",),
    "road_map": ("build_map",),
    "scenario": ("simulate_scenario",),
    "sensor": ("Detections", "SensorConfig", "simulate_detections"),
    "simulation": ("SimulationConfig", "simulate"),
    "towns": ("TOWNS", "Town", "build_town"),
    "truth": ("Event", "read_events"),
}


def __getattr__(name: str) -> Any:
    # On first use: recognising a recording needs neither the simulator nor the store.
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
