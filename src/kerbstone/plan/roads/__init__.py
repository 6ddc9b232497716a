"""From the map of a scene to a road to plan on: routes, corridors, the drivable area."""

from kerbstone.plan.roads.corridors import (
    KNOTS,
    CorridorRules,
    LaidCorridor,
    count_knots,
    lay_corridor,
    length_ahead,
    pad_corridor,
)
from kerbstone.plan.roads.drivable_area import join_surfaces
from kerbstone.plan.roads.forecasts import predict_along_lanes
from kerbstone.plan.roads.records import follow_record
from kerbstone.plan.roads.road import DRIVABLE, Road, prepare_road
from kerbstone.plan.roads.rooms import Room
from kerbstone.plan.roads.routes import Route, find_neighbours, find_route

__all__ = [
    "DRIVABLE",
    "KNOTS",
    "CorridorRules",
    "LaidCorridor",
    "Road",
    "Room",
    "Route",
    "count_knots",
    "find_neighbours",
    "find_route",
    "follow_record",
    "join_surfaces",
    "lay_corridor",
    "length_ahead",
    "pad_corridor",
    "predict_along_lanes",
    "prepare_road",
]
