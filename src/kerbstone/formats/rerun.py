"""Writes a scene as a Rerun recording (`.rrd`).

| entity | what |
|---|---|
| `/world/map/KIND` | lines of the map, by kind of piece |
| `/world/agents/KIND/ID` | one box; it is empty while the agent is not there |
| `/world/signals` | a point per light, in the colour that it shows |
| `/world/ego` | the pose of the ego frame, at the rate at which it was recorded |
| `/world/ego/SENSOR` | images or video with their pinhole, and sweeps, if the files are there |
| `/speed/ego` | speed of the ego [km/h] |

The timelines are `time` (the log's own, in nanoseconds) and `step`. Rerun keeps positions as 32-bit
floats, so `/world` is the scene's world frame moved by the recording property `origin`.

References:
    https://rerun.io/docs
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import missing_extra
from kerbstone.formats.appearance import (
    EGO_COLOUR,
    KIND_COLOURS,
    SIGNAL_COLOURS,
    split_colours,
)
from kerbstone.formats.stage import (
    Stage,
    ego_track,
    find_frames,
    find_video,
    is_during,
    map_layers,
    read_points,
    set_stage,
    steps_at,
    writing_whole,
)
from kerbstone.scene import Camera, Kind, Lidar, Scene, SignalState

_EGO_CLASS = 100
_LINE_RADIUS = 0.06
_LIGHT_RADIUS = 0.7
_AXIS_LENGTH = 2.0
_BACKGROUND = (24, 28, 32)  # road markings are white
_EYE_HEIGHT = 110.0
_POINT_COLOUR = (150, 162, 174)
_MEDIA_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
_IS_DATE_NS = 10**17
"""Times from here on (1973) are dates; many logs start their clock at zero instead."""


def write_rerun(scene: Scene, path: str | Path, *, sensors: bool = True) -> None:
    """Write a scene for the Rerun viewer, with a blueprint that looks down on it.

    Args:
        scene: The scene.
        path: File to write; one that is there is replaced.
        sensors: Whether to put in the images and sweeps whose files are there.

    Raises:
        MissingError: The extra `rerun` is not installed.
        InputError: The folder is not there, or a sweep cannot be read.
    """
    try:
        import rerun as rr
    except ImportError:
        raise missing_extra("rerun", "writing a Rerun recording") from None

    stage = set_stage(scene)
    # Left to itself the recording would hold today's date, and no two writes would be the same.
    with (
        writing_whole(Path(path)) as part,
        rr.RecordingStream("kerbstone", recording_id=scene.id, send_properties=False) as recording,
    ):
        recording.save(part, default_blueprint=_blueprint(scene, stage))
        recording.send_recording_name(scene.id)
        _write_static(recording, scene, stage)
        _write_agents(recording, scene, stage)
        _write_signals(recording, scene, stage)
        _write_ego(recording, scene, stage)
        if sensors:
            for camera in scene.cameras:
                _write_camera(recording, scene, camera)
            for lidar in scene.lidars:
                _write_lidar(recording, scene, lidar)


def _times(scene: Scene, times_ns: Int64[np.ndarray, " row"]) -> list[Any]:
    """Return the time columns of rows: the log's time, and the step that is under way."""
    import rerun as rr

    is_date = scene.clock.start_ns >= _IS_DATE_NS
    if is_date:
        time = rr.TimeColumn("time", timestamp=times_ns.astype("datetime64[ns]"))
    else:
        time = rr.TimeColumn("time", duration=times_ns.astype("timedelta64[ns]"))
    return [time, rr.TimeColumn("step", sequence=steps_at(scene, times_ns))]


def _write_static(recording: Any, scene: Scene, stage: Stage) -> None:
    import rerun as rr

    source = scene.source
    recording.send_property(
        "scene",
        rr.AnyValues(
            dataset=source.dataset,
            log=source.log,
            town=source.town,
            licence=source.licence,
            origin=stage.origin,
        ),
    )
    classes = [(int(kind), kind.name.lower(), colour) for kind, colour in KIND_COLOURS.items()]
    classes.append((_EGO_CLASS, "ego", EGO_COLOUR))
    colours = split_colours(colour for *_, colour in classes)
    context = [(id_, name, rgb) for (id_, name, _), rgb in zip(classes, colours, strict=True)]
    recording.log("/", rr.AnnotationContext(context), static=True)
    recording.log("/world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    for layer in map_layers(scene, stage):
        lines = rr.LineStrips3D(layer.lines, colors=layer.colour, radii=_LINE_RADIUS)
        recording.log(f"/world/map/{layer.name}", lines, static=True)


def _write_agents(recording: Any, scene: Scene, stage: Stage) -> None:
    import rerun as rr

    agents = scene.agents
    times_ns = scene.clock.times_ns
    for row in np.flatnonzero(agents.valid.any(axis=1)):
        kind = Kind(int(agents.kind[row])).name.lower()
        entity = rr.new_entity_path(["world", "agents", kind, agents.ids[row]])
        is_ego = row == scene.ego
        looks = rr.Boxes3D.from_fields(
            class_ids=_EGO_CLASS if is_ego else agents.kind[row],
            labels=agents.ids[row],
            show_labels=bool(is_ego),
            fill_mode="solid" if is_ego else None,
        )
        facts = rr.AnyValues(label=agents.label[row])
        recording.log(entity, looks, facts, static=True)
        present = np.flatnonzero(agents.valid[row])
        # A row without a box takes the last one away, in a gap and after the end.
        rows = slice(present[0], min(present[-1] + 2, agents.steps))
        there = agents.valid[row, rows]
        counts = there.astype(np.int64)
        columns = rr.Boxes3D.columns(
            half_sizes=np.tile(stage.size[row] / 2, (int(counts.sum()), 1)),
            centers=stage.centre[row, rows][there],
            quaternions=_xyzw(stage.rotation[row, rows][there]),
        ).partition(counts)
        recording.send_columns(entity, _times(scene, times_ns[rows]), columns)


def _write_signals(recording: Any, scene: Scene, stage: Stage) -> None:
    import rerun as rr

    signals = scene.signals
    if signals is None or not len(signals):
        return
    places = signals.stop_point - stage.origin
    places[:, 2] = np.where(np.isfinite(places[:, 2]), places[:, 2], stage.ground)
    lights = rr.Points3D(places, radii=_LIGHT_RADIUS, show_labels=False)
    recording.log("/world/signals", lights, static=True)
    colours = split_colours(SIGNAL_COLOURS[state] for state in SignalState)
    names = np.array([state.name.lower() for state in SignalState])
    states = signals.state.T.ravel()
    columns = rr.Points3D.columns(colors=colours[states], labels=names[states].tolist())
    counts = np.full(scene.clock.steps, len(signals))
    times = _times(scene, scene.clock.times_ns)
    recording.send_columns("/world/signals", times, columns.partition(counts))


def _write_ego(recording: Any, scene: Scene, stage: Stage) -> None:
    import rerun as rr

    track = ego_track(scene, stage)
    if track is not None:
        times_ns, world_from_ego = track
        columns = rr.Transform3D.columns(
            translation=world_from_ego.translation, quaternion=_xyzw(world_from_ego.rotation)
        )
        recording.send_columns("/world/ego", _times(scene, times_ns), columns)
        recording.log("/world/ego", rr.TransformAxes3D(_AXIS_LENGTH), static=True)
    if scene.ego is None:
        return
    speed = scene.agents.speed[scene.ego]
    known = np.isfinite(speed)
    if known.any():
        columns = rr.Scalars.columns(scalars=speed[known] * 3.6)
        recording.send_columns("/speed/ego", _times(scene, scene.clock.times_ns[known]), columns)


def _write_camera(recording: Any, scene: Scene, camera: Camera) -> None:
    import rerun as rr

    frames, video = find_frames(scene, camera), find_video(scene, camera)
    if not frames and video is None:
        return
    entity = f"/world/ego/{rr.escape_entity_path_part(camera.name)}"
    recording.log(
        entity,
        rr.Transform3D(
            translation=camera.ego_from_camera[:3, 3], mat3x3=camera.ego_from_camera[:3, :3]
        ),
        rr.Pinhole(
            image_from_camera=camera.intrinsics,
            resolution=[camera.width_px, camera.height_px],
            camera_xyz=rr.ViewCoordinates.RDF,
        ),
        static=True,
    )
    for time_ns, file in frames:
        columns = rr.EncodedImage.columns(
            blob=[file.read_bytes()], media_type=[_MEDIA_TYPES.get(file.suffix.lower(), "")]
        )
        recording.send_columns(entity, _times(scene, np.array([time_ns])), columns)
    if video is not None:
        asset = rr.AssetVideo(path=video)
        recording.log(entity, asset, static=True)
        shown_ns = np.asarray(asset.read_frame_timestamps_nanos())[: len(camera.times_ns)]
        taken_ns = camera.times_ns[: len(shown_ns)]
        during = is_during(scene, taken_ns)
        columns = rr.VideoFrameReference.columns_nanos(shown_ns[during])
        recording.send_columns(entity, _times(scene, taken_ns[during]), columns)


def _write_lidar(recording: Any, scene: Scene, lidar: Lidar) -> None:
    import rerun as rr

    frames = find_frames(scene, lidar)
    entity = f"/world/ego/{rr.escape_entity_path_part(lidar.name)}"
    # A sweep that is not followed by another soon is taken away: it would ride on with the ego.
    patience_ns = scene.clock.dt_ns * 3 // 2
    no_points = np.zeros((0, 3), np.float32)
    written = False
    for i, (time_ns, file) in enumerate(frames):
        points = read_points(file)
        if points is None:
            continue
        written = True
        rows = [(time_ns, points)]
        if i + 1 == len(frames) or frames[i + 1][0] > time_ns + patience_ns:
            rows.append((time_ns + patience_ns, no_points))
        columns = rr.Points3D.columns(positions=np.concatenate([points for _, points in rows]))
        times = _times(scene, np.array([time for time, _ in rows]))
        recording.send_columns(entity, times, columns.partition([len(p) for _, p in rows]))
    if written:
        mount = lidar.ego_from_lidar
        pose = rr.Transform3D(translation=mount[:3, 3], mat3x3=mount[:3, :3])
        looks = rr.Points3D.from_fields(colors=_POINT_COLOUR, radii=rr.Radius.ui_points(1.2))
        recording.log(entity, pose, looks, static=True)


def _xyzw(rotation: Float64[np.ndarray, "row 4"]) -> Float64[np.ndarray, "row 4"]:
    return rotation[:, [1, 2, 3, 0]]


def _blueprint(scene: Scene, stage: Stage) -> Any:
    import rerun.blueprint as rrb

    centre = np.array([0.0, 0.0, stage.ground])
    if scene.ego is not None and scene.agents.valid[scene.ego].any():
        way = stage.centre[scene.ego][scene.agents.valid[scene.ego]]
        centre = way[len(way) // 2]
    above = rrb.Spatial3DView(
        origin="/world",
        name="From above",
        eye_controls=rrb.EyeControls3D(
            position=centre + np.array([0.0, -1.0, _EYE_HEIGHT]),
            look_target=centre,
            eye_up=(0.0, 1.0, 0.0),
        ),
        background=_BACKGROUND,
        line_grid=False,
    )
    beside: list[Any] = [
        rrb.Spatial2DView(origin=f"/world/ego/{camera.name}", name=camera.name)
        for camera in scene.cameras
        if find_frames(scene, camera) or find_video(scene, camera)
    ]
    if scene.ego is not None:
        beside.append(rrb.TimeSeriesView(origin="/speed", name="Speed [km/h]"))
    if not beside:
        return rrb.Blueprint(above)
    return rrb.Blueprint(rrb.Horizontal(above, rrb.Vertical(*beside), column_shares=[3, 1]))
