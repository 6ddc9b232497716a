"""The parts of a scene as messages of the published `foxglove.*` schemas.

References:
    https://docs.foxglove.dev/docs/visualization/message-schemas
"""

from __future__ import annotations

from typing import Any

import numpy as np
from foxglove import Context, channels, messages
from jaxtyping import Float64, UInt8

from kerbstone.formats.appearance import SIGNAL_COLOURS, split_colours
from kerbstone.formats.stage import (
    Stage,
    ego_track,
    find_frames,
    map_layers,
    read_points,
)
from kerbstone.scene import NS_PER_S, SE3, Camera, Kind, Lidar, Scene, SignalState

_IMAGE_FORMATS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}

# Our camera models by the names that the schema knows; a lens that it does not know is left out,
# and its image is shown as it is.
_DISTORTIONS = {"opencv": "plumb_bob", "fisheye": "kannala_brandt"}
_LINE_WIDTH = 0.12
_LIGHT_SIZE = 1.2
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


class SceneWriter:
    """Turns the parts of a scene into messages.

    Args:
        scene: The scene.
        stage: What stands in for what the scene lacks.
        context: Where channels write to.
    """

    def __init__(self, scene: Scene, stage: Stage, context: Context) -> None:
        self._scene = scene
        self._stage = stage
        self._context = context
        self._start_ns = int(scene.clock.times_ns[0])

    def write_map(self) -> None:
        """Write the map, as it stays."""
        entities = []
        for layer in map_layers(self._scene, self._stage):
            colours, group = np.unique(layer.colour, axis=0, return_inverse=True)
            lines = [
                self._line_list([layer.lines[i] for i in np.flatnonzero(group == number)], colour)
                for number, colour in enumerate(colours)
            ]
            entities.append(
                messages.SceneEntity(
                    timestamp=_timestamp(self._start_ns),
                    frame_id="world",
                    id=layer.name,
                    lines=lines,
                )
            )
        if entities:
            channel = channels.SceneUpdateChannel("/map", context=self._context)
            channel.log(messages.SceneUpdate(entities=entities), log_time=self._start_ns)

    def write_ego(self) -> None:
        """Write the frame of the ego, its pose and its whole way."""
        scene, stage = self._scene, self._stage
        if track := ego_track(scene, stage):
            channel = channels.FrameTransformsChannel("/tf", context=self._context)
            times_ns, world_from_ego = track
            places = world_from_ego.translation + stage.origin
            for time_ns, place, turn in zip(
                times_ns.tolist(), places, world_from_ego.rotation, strict=True
            ):
                transform = _transform(time_ns, "world", "ego", place, turn)
                message = messages.FrameTransforms(transforms=[transform])
                channel.log(message, log_time=time_ns)
        if scene.ego is None:
            return
        there = np.flatnonzero(scene.agents.valid[scene.ego])
        times_ns = scene.clock.times_ns[there].tolist()
        places = stage.centre[scene.ego, there] + stage.origin
        poses = [
            _pose(place, turn)
            for place, turn in zip(places, stage.rotation[scene.ego, there], strict=True)
        ]
        if not poses:
            return
        path = channels.PosesInFrameChannel("/ego/path", context=self._context)
        whole = messages.PosesInFrame(
            timestamp=_timestamp(self._start_ns), frame_id="world", poses=poses
        )
        path.log(whole, log_time=self._start_ns)
        channel = channels.PoseInFrameChannel("/ego/pose", context=self._context)
        for time_ns, pose in zip(times_ns, poses, strict=True):
            message = messages.PoseInFrame(
                timestamp=_timestamp(time_ns), frame_id="world", pose=pose
            )
            channel.log(message, log_time=time_ns)

    def write_agents(self) -> None:
        """Write the boxes of all who are there, step by step."""
        scene, stage = self._scene, self._stage
        agents = scene.agents
        channel = channels.SceneUpdateChannel("/agents", context=self._context)
        # A box that is not sent again vanishes before the next step but one.
        lifetime = _duration(scene.clock.dt_ns * 3 // 2)
        looks = [self._look(row) for row in range(len(agents))]
        places = stage.centre + stage.origin
        speed = agents.speed
        for step, time_ns in enumerate(scene.clock.times_ns.tolist()):
            entities = []
            for row in np.flatnonzero(agents.valid[:, step]).tolist():
                size, colour, facts = looks[row]
                pose = _pose(places[row, step], stage.rotation[row, step])
                metadata = facts
                if np.isfinite(speed[row, step]):
                    text = f"{speed[row, step]:.3f} m/s"
                    metadata = [*facts, messages.KeyValuePair(key="speed", value=text)]
                entities.append(
                    messages.SceneEntity(
                        timestamp=_timestamp(time_ns),
                        frame_id="world",
                        id=agents.ids[row],
                        lifetime=lifetime,
                        metadata=metadata,
                        cubes=[messages.CubePrimitive(pose=pose, size=size, color=colour)],
                    )
                )
            channel.log(messages.SceneUpdate(entities=entities), log_time=time_ns)

    def write_signals(self) -> None:
        """Write what the lights show, step by step."""
        scene = self._scene
        signals = scene.signals
        if signals is None or not len(signals):
            return
        channel = channels.SceneUpdateChannel("/signals", context=self._context)
        places = signals.stop_point.copy()
        places[:, 2] = np.where(np.isfinite(places[:, 2]), places[:, 2], self._stage.ground)
        poses = [_pose(place, _IDENTITY) for place in places]
        colours = [_colour(rgb) for rgb in split_colours(SIGNAL_COLOURS[s] for s in SignalState)]
        size = messages.Vector3(x=_LIGHT_SIZE, y=_LIGHT_SIZE, z=_LIGHT_SIZE)
        for step, time_ns in enumerate(scene.clock.times_ns.tolist()):
            spheres = [
                messages.SpherePrimitive(pose=pose, size=size, color=colours[state])
                for pose, state in zip(poses, signals.state[:, step].tolist(), strict=True)
            ]
            entity = messages.SceneEntity(
                timestamp=_timestamp(time_ns), frame_id="world", id="signals", spheres=spheres
            )
            channel.log(messages.SceneUpdate(entities=[entity]), log_time=time_ns)

    def write_sensors(self) -> None:
        """Write what is there of images and sweeps, and where each sensor sits."""
        scene = self._scene
        mounts = {c.name: c.ego_from_camera for c in scene.cameras if self._write_camera(c)}
        mounts |= {s.name: s.ego_from_lidar for s in scene.lidars if self._write_lidar(s)}
        if not mounts:
            return
        poses = {name: SE3.from_matrix(matrix) for name, matrix in mounts.items()}
        transforms = [
            _transform(self._start_ns, "ego", name, pose.translation, pose.rotation)
            for name, pose in poses.items()
        ]
        channel = channels.FrameTransformsChannel("/tf_static", context=self._context)
        message = messages.FrameTransforms(transforms=transforms)
        channel.log(message, log_time=self._start_ns)

    def _write_camera(self, camera: Camera) -> bool:
        frames = [
            (time_ns, file)
            for time_ns, file in find_frames(self._scene, camera)
            if file.suffix.lower() in _IMAGE_FORMATS
        ]
        if not frames:
            return False
        topic = f"/camera/{camera.name}"
        images = channels.CompressedImageChannel(f"{topic}/image", context=self._context)
        lenses = channels.CameraCalibrationChannel(f"{topic}/calibration", context=self._context)
        model = _DISTORTIONS.get(camera.model, "")
        matrix = camera.intrinsics
        for time_ns, file in frames:
            calibration = messages.CameraCalibration(
                timestamp=_timestamp(time_ns),
                frame_id=camera.name,
                width=camera.width_px,
                height=camera.height_px,
                distortion_model=model,
                D=camera.distortion.tolist() if model else [],
                K=matrix.ravel().tolist(),
                P=np.column_stack([matrix, np.zeros(3)]).ravel().tolist(),
            )
            lenses.log(calibration, log_time=time_ns)
            image = messages.CompressedImage(
                timestamp=_timestamp(time_ns),
                frame_id=camera.name,
                data=file.read_bytes(),
                format=_IMAGE_FORMATS[file.suffix.lower()],
            )
            images.log(image, log_time=time_ns)
        return True

    def _write_lidar(self, lidar: Lidar) -> bool:
        real = messages.PackedElementFieldNumericType.Float32
        fields = [
            messages.PackedElementField(name=name, offset=4 * i, type=real)
            for i, name in enumerate("xyz")
        ]
        sweeps = [
            (time_ns, points)
            for time_ns, file in find_frames(self._scene, lidar)
            if (points := read_points(file)) is not None
        ]
        if not sweeps:
            return False
        topic = f"/lidar/{lidar.name}/points"
        channel = channels.PointCloudChannel(topic, context=self._context)
        for time_ns, points in sweeps:
            cloud = messages.PointCloud(
                timestamp=_timestamp(time_ns),
                frame_id=lidar.name,
                pose=_pose(np.zeros(3), _IDENTITY),
                point_stride=12,
                fields=fields,
                data=points.astype("<f4").tobytes(),
            )
            channel.log(cloud, log_time=time_ns)
        return True

    def _look(self, row: int) -> tuple[Any, Any, list[Any]]:
        """Return size, colour and constant facts of an agent."""
        agents = self._scene.agents
        length, width, height = self._stage.size[row].tolist()
        facts = {"kind": Kind(int(agents.kind[row])).name.lower(), "label": agents.label[row]}
        if row == self._scene.ego:
            facts["ego"] = "true"
        return (
            messages.Vector3(x=length, y=width, z=height),
            _colour(self._stage.colour[row]),
            [messages.KeyValuePair(key=key, value=value) for key, value in facts.items()],
        )

    def _line_list(
        self, lines: list[Float64[np.ndarray, "_ 3"]], colour: UInt8[np.ndarray, " 3"]
    ) -> Any:
        """Return many lines as one primitive: their points, and the pairs that are joined."""
        ends = np.cumsum([len(line) for line in lines])
        first = np.setdiff1d(np.arange(ends[-1] - 1), ends - 1)
        points = np.concatenate(lines).tolist()
        return messages.LinePrimitive(
            type=messages.LinePrimitiveLineType.LineList,
            pose=_pose(self._stage.origin, _IDENTITY),
            thickness=_LINE_WIDTH,
            points=[messages.Point3(x=x, y=y, z=z) for x, y, z in points],
            indices=np.stack([first, first + 1], axis=-1).ravel().tolist(),
            color=_colour(colour),
        )


def _timestamp(time_ns: int) -> Any:
    return messages.Timestamp(sec=time_ns // NS_PER_S, nsec=time_ns % NS_PER_S)


def _duration(length_ns: int) -> Any:
    return messages.Duration(sec=length_ns // NS_PER_S, nsec=length_ns % NS_PER_S)


def _colour(rgb: UInt8[np.ndarray, " 3"]) -> Any:
    red, green, blue = (rgb / 255).tolist()
    return messages.Color(r=red, g=green, b=blue, a=1.0)


def _quaternion(rotation: Float64[np.ndarray, " 4"]) -> Any:
    w, x, y, z = rotation.tolist()
    return messages.Quaternion(x=x, y=y, z=z, w=w)


def _vector(values: Float64[np.ndarray, " 3"]) -> Any:
    x, y, z = values.tolist()
    return messages.Vector3(x=x, y=y, z=z)


def _pose(place: Float64[np.ndarray, " 3"], rotation: Float64[np.ndarray, " 4"]) -> Any:
    return messages.Pose(position=_vector(place), orientation=_quaternion(rotation))


def _transform(
    time_ns: int,
    parent: str,
    child: str,
    place: Float64[np.ndarray, " 3"],
    rotation: Float64[np.ndarray, " 4"],
) -> Any:
    return messages.FrameTransform(
        timestamp=_timestamp(time_ns),
        parent_frame_id=parent,
        child_frame_id=child,
        translation=_vector(place),
        rotation=_quaternion(rotation),
    )
