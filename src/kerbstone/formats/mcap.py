"""Writes a scene as an MCAP file with the published `foxglove.*` schemas.

| topic | schema | when |
|---|---|---|
| `/map` | `foxglove.SceneUpdate` | once |
| `/agents` | `foxglove.SceneUpdate`: a box per agent that is there, its facts as metadata | each step |
| `/signals` | `foxglove.SceneUpdate`: a ball per light, in the colour that it shows | each step |
| `/tf` | `foxglove.FrameTransforms`: `world` to `ego` | each recorded pose |
| `/tf_static` | `foxglove.FrameTransforms`: `ego` to the sensors | once |
| `/ego/pose` | `foxglove.PoseInFrame`: the ego's box | each step that it is there |
| `/ego/path` | `foxglove.PosesInFrame`: the whole way | once |
| `/camera/NAME/image` | `foxglove.CompressedImage` | each image that is there |
| `/camera/NAME/calibration` | `foxglove.CameraCalibration` | with each image |
| `/lidar/NAME/points` | `foxglove.PointCloud` | each sweep that is there |

Log times are the scene's clock; sensor data has its own. Positions are the scene's own, as 64-bit
floats; what says where the scene comes from is the metadata record `scene`.

References:
    https://docs.foxglove.dev/docs/visualization/message-schemas, https://mcap.dev/spec
"""

from __future__ import annotations

from pathlib import Path

from kerbstone.errors import InputError, missing_extra
from kerbstone.formats.stage import set_stage, writing_whole
from kerbstone.scene import Scene


def write_mcap(scene: Scene, path: str | Path, *, sensors: bool = True) -> None:
    """Write a scene for Foxglove and other readers of MCAP.

    Args:
        scene: The scene.
        path: File to write; one that is there is replaced.
        sensors: Whether to put in the images and sweeps whose files are there.

    Raises:
        MissingError: The extra `mcap` is not installed.
        InputError: The folder is not there, a sweep cannot be read, or times lie before zero,
            which MCAP cannot hold.
    """
    try:
        import foxglove
    except ImportError:
        raise missing_extra("mcap", "writing an MCAP file") from None

    if scene.clock.start_ns < 0:
        raise InputError(
            "clock",
            "an MCAP file cannot hold times before zero",
            where=f"scene {scene.id}",
            why=f"it starts at {scene.clock.start_ns} ns",
        )
    from kerbstone.formats.foxglove_messages import SceneWriter

    context = foxglove.Context()
    with (
        writing_whole(Path(path)) as part,
        foxglove.open_mcap(part, allow_overwrite=True, context=context) as file,
    ):
        file.write_metadata("scene", _facts(scene))
        writer = SceneWriter(scene, set_stage(scene), context)
        writer.write_map()
        writer.write_ego()
        writer.write_agents()
        writer.write_signals()
        if sensors:
            writer.write_sensors()


def _facts(scene: Scene) -> dict[str, str]:
    source = scene.source
    facts = {
        "id": scene.id,
        "dataset": source.dataset,
        "log": source.log,
        "town": source.town,
        "licence": source.licence,
    }
    return {name: text for name, text in facts.items() if text}
