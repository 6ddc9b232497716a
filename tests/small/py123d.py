"""A small 123D log, written with py123d itself: the car, two others, a light and a street."""

from pathlib import Path

import numpy as np

STEPS = 12
SPEED = 6.0
YAW = 0.4


def write_log(root: Path, *, location: str = "us-nv-las-vegas-strip", has_map: bool = True) -> Path:
    """Write a log as `logs/SPLIT/LOG` below a data root; return its folder."""
    from py123d.api.scene.arrow.arrow_log_writer import ArrowLogWriter
    from py123d.api.scene.arrow.utils.log_writer_config import LogWriterConfig
    from py123d.datatypes import LogMetadata
    from py123d.parser.base_dataset_parser import ModalitiesSync

    logs = root / "logs"
    writer = ArrowLogWriter(LogWriterConfig(write_route=False), logs, root / "sensors")
    writer.reset(LogMetadata("nuplan", "nuplan_val", "log-1", location))
    for k in range(STEPS):
        writer.write_sync(ModalitiesSync(time_of(k), [ego(k), boxes(k), lights(k), camera(k)]))
    writer.close()
    if has_map:
        write_map(root)
    return logs / "nuplan_val" / "log-1"


def time_of(k: int):
    from py123d.datatypes import Timestamp

    return Timestamp.from_us(1_000_000 + 100_000 * k)


def pose(x: float, y: float, yaw: float, z: float = 0.0):
    from py123d.geometry import PoseSE3

    return PoseSE3.from_list([x, y, z, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def ego(k: int):
    from py123d.datatypes import EgoStateSE3, EgoStateSE3Metadata

    about = EgoStateSE3Metadata(
        vehicle_name="test",
        width=2.3,
        length=5.2,
        height=1.8,
        wheel_base=3.1,
        center_to_imu_se3=pose(1.5, 0.0, 0.0, 0.6),
        rear_axle_to_imu_se3=pose(0.0, 0.0, 0.0),
    )
    distance = 0.1 * SPEED * k
    place = pose(distance * np.cos(YAW), distance * np.sin(YAW), YAW, 0.3)
    return EgoStateSE3.from_imu(place, about, time_of(k))


def boxes(k: int):
    from py123d.datatypes import BoxDetectionsSE3
    from py123d.datatypes.detections.box_detections import BoxDetectionAttributes, BoxDetectionSE3
    from py123d.datatypes.detections.box_detections_metadata import BoxDetectionsSE3Metadata
    from py123d.geometry import BoundingBoxSE3, Vector3D
    from py123d.parser.registry import NuPlanBoxDetectionLabel as Label

    def box(label, token: str, place, size, velocity):
        return BoxDetectionSE3(
            BoxDetectionAttributes(label, token),
            BoundingBoxSE3(place, *size),
            None if velocity is None else Vector3D(*velocity),
        )

    seen = [box(Label.VEHICLE, "a", pose(20, 8, -1.0, 0.8), (4.6, 1.9, 1.6), (0.0, 0.0, 0.0))]
    if k >= 3:
        place = pose(10, 5 + 0.3 * k, np.pi / 2, 0.9)
        seen.append(box(Label.BICYCLE, "b", place, (1.8, 0.6, 1.7), None))
    return BoxDetectionsSE3(seen, time_of(k), BoxDetectionsSE3Metadata(Label))


def lights(k: int):
    from py123d.datatypes import TrafficLightDetections
    from py123d.datatypes.detections.traffic_light_detections import (
        TrafficLightDetection,
        TrafficLightStatus,
    )

    status = TrafficLightStatus.RED if k < 5 else TrafficLightStatus.GREEN
    return TrafficLightDetections([TrafficLightDetection(2, status)], time_of(k))


def camera(k: int):
    from py123d.datatypes.sensors.base_camera import CameraID
    from py123d.datatypes.sensors.pinhole_camera import (
        PinholeCameraMetadata,
        PinholeDistortion,
        PinholeIntrinsics,
    )
    from py123d.parser.base_dataset_parser import ParsedCamera

    about = PinholeCameraMetadata(
        camera_name="front",
        camera_id=CameraID.PCAM_F0,
        intrinsics=PinholeIntrinsics(900.0, 910.0, 320.0, 240.0),
        distortion=PinholeDistortion(-0.1, 0.01, 0.001, 0.002, 0.0),
        width=640,
        height=480,
        camera_to_imu_se3=pose(1.6, 0.1, 0.0, 1.2),
    )
    return ParsedCamera(
        about, time_of(k), ego(k).imu_se3, dataset_root="/data", relative_path=f"front/{k}.jpg"
    )


def write_map(root: Path) -> None:
    """Write the data set's map: a lane in the lane group of a junction, and one before it."""
    from py123d.api.map.arrow.arrow_map_writer import ArrowMapWriter
    from py123d.datatypes import (
        Crosswalk,
        Intersection,
        Lane,
        LaneGroup,
        MapMetadata,
        RoadEdge,
        RoadLine,
    )
    from py123d.datatypes.map_objects.map_layer_types import (
        IntersectionType,
        LaneType,
        RoadEdgeType,
        RoadLineType,
    )
    from py123d.geometry import Polyline3D

    def line(*points: tuple[float, float]):
        return Polyline3D.from_array(np.array([(x, y, 0.5) for x, y in points]))

    def lane(id_: int, start: float, end: float, group: int, **more):
        return Lane(
            object_id=id_,
            lane_type=LaneType.SURFACE_STREET,
            lane_group_id=group,
            left_boundary=line((start, 1.5), (end, 1.5)),
            right_boundary=line((start, -1.5), (end, -1.5)),
            centerline=line((start, 0), (end, 0)),
            **more,
        )

    def group(id_: int, start: float, end: float, lanes: list[int], junction: int | None):
        left, right = line((start, 1.5), (end, 1.5)), line((start, -1.5), (end, -1.5))
        return LaneGroup(id_, lanes, left, right, intersection_id=junction)

    location = "us-nv-las-vegas-strip"
    writer = ArrowMapWriter(
        force_map_conversion=True, maps_root=root / "maps", logs_root=root / "logs"
    )
    writer.reset(MapMetadata("nuplan", location, map_has_z=True, map_is_per_log=False))
    for thing in (
        lane(1, -20, 20, 11, successor_ids=[2], speed_limit_mps=13.0),
        lane(2, 20, 50, 12, predecessor_ids=[1]),
        lane(9, 5000, 5020, 11),  # elsewhere in town
        group(11, -20, 20, [1, 9], None),
        group(12, 20, 50, [2], 7),
        Intersection(
            7,
            IntersectionType.TRAFFIC_LIGHT,
            [12],
            outline=line((20, -9), (50, -9), (50, 9), (20, 9), (20, -9)),
        ),
        Crosswalk(21, outline=line((15, -3), (18, -3), (18, 3), (15, 3), (15, -3))),
        RoadEdge(31, RoadEdgeType.ROAD_EDGE_BOUNDARY, line((-20, -2), (50, -2))),
        RoadLine(41, RoadLineType.DASHED_YELLOW, line((-20, 1.5), (50, 1.5))),
    ):
        writer.write_map_object(thing)
    writer.close()
