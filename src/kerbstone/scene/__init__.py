"""What a scene is: frames, poses, boxes, polylines, lanes; pure arrays."""

from kerbstone.scene.agents import Agents, agents_from_rows, derive_heading, derive_velocity
from kerbstone.scene.boxes import (
    BevIndex,
    BoxIndex,
    bev_boxes,
    bev_intersection_area,
    bev_iou,
    box_corners_3d,
    box_corners_bev,
    box_distance,
    boxes_overlap,
    iou_3d,
    pack_boxes,
    points_in_boxes,
)
from kerbstone.scene.clock import NS_PER_S, Clock
from kerbstone.scene.detections import Detections, Rejects, detections_from_rows
from kerbstone.scene.frenet import Projection, from_frenet, project, project_packed, to_frenet
from kerbstone.scene.kinds import (
    RINGS,
    VEHICLES,
    VULNERABLE,
    DrivingSide,
    Kind,
    LaneKind,
    Marking,
    PieceKind,
    SignalState,
    Tristate,
)
from kerbstone.scene.lanes import (
    DEFAULT_LANE_WIDTH,
    LaneCandidates,
    LaneIndex,
    LanePositions,
)
from kerbstone.scene.map import LaneGraph, Map, MapBuilder
from kerbstone.scene.polylines import (
    Segments,
    arc_length,
    curvature,
    headings,
    interpolate,
    resample,
    resample_packed,
)
from kerbstone.scene.scene import EgoPoses, Scene, Source
from kerbstone.scene.sensors import Camera, Lidar
from kerbstone.scene.sight import see_agents
from kerbstone.scene.signals import Signals
from kerbstone.scene.transforms import SE2, SE3, angle_difference, wrap_angle

__all__ = [
    "DEFAULT_LANE_WIDTH",
    "NS_PER_S",
    "RINGS",
    "SE2",
    "SE3",
    "VEHICLES",
    "VULNERABLE",
    "Agents",
    "BevIndex",
    "BoxIndex",
    "Camera",
    "Clock",
    "Detections",
    "DrivingSide",
    "EgoPoses",
    "Kind",
    "LaneCandidates",
    "LaneGraph",
    "LaneIndex",
    "LaneKind",
    "LanePositions",
    "Lidar",
    "Map",
    "MapBuilder",
    "Marking",
    "PieceKind",
    "Projection",
    "Rejects",
    "Scene",
    "Segments",
    "SignalState",
    "Signals",
    "Source",
    "Tristate",
    "agents_from_rows",
    "angle_difference",
    "arc_length",
    "bev_boxes",
    "bev_intersection_area",
    "bev_iou",
    "box_corners_3d",
    "box_corners_bev",
    "box_distance",
    "boxes_overlap",
    "curvature",
    "derive_heading",
    "derive_velocity",
    "detections_from_rows",
    "from_frenet",
    "headings",
    "interpolate",
    "iou_3d",
    "pack_boxes",
    "points_in_boxes",
    "project",
    "project_packed",
    "resample",
    "resample_packed",
    "see_agents",
    "to_frenet",
    "wrap_angle",
]
