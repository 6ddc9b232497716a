"""What the recording car can see, and what hides it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal
from kerbstone.scene import see_agents

Rows = Int64[np.ndarray, " pair"]

_REACH = 100.0
_HEIGHT = 1.6
"""Of the eye above the road [m]: that of a driver in a passenger car."""
_HIDDEN = 0.2


@signal(unit="", margin=0.2)
def visible_share(facts: Facts) -> Float64[np.ndarray, "agent time"]:
    """How much of it the recording car sees past other road users, from 0 to 1, within 100 m.

    The eye is 1.6 m above the road, over the middle of the car; ten rays to a road user decide.
    Buildings are not known, and hide nothing.
    """
    scene = facts.scene
    if scene.ego is None or not facts.steps:
        return np.full(facts.agents.valid.shape, np.nan)
    return see_agents(scene, reach=_REACH, field_of_view=2 * np.pi, height=_HEIGHT)[1]


@signal(margin=1.0)
def occluded(facts: Facts) -> Float64[np.ndarray, "agent time"]:
    """Hidden from the recording car: it sees less than a fifth of it."""
    share = facts.keep(("visible_share", ()), lambda: visible_share(facts))
    return (_HIDDEN - share) / _HIDDEN


@signal(margin=0.2, texts=1)
def in_camera(facts: Facts, name: str) -> Float64[np.ndarray, "agent time"]:
    """Its centre is in the image of a camera, as in `in_camera(v, "ring_front_center")`, or of "any".

    The camera is a pinhole, without its distortion; what stands in between does not count.
    Undefined where the scene has no such camera or no ego poses.
    """
    scene = facts.scene
    cameras = [camera for camera in scene.cameras if name in (camera.name, "any")]
    out = np.full(facts.agents.valid.shape, np.nan)
    if not cameras or scene.ego_poses is None:
        return out
    known = scene.ego_poses.times_ns
    poses = scene.ego_poses.at(np.clip(scene.clock.times_ns, known[0], known[-1]))
    centre = facts.agents.centre
    # What a format does not tell is taken to be as high as the ego frame.
    height = np.where(np.isnan(centre[..., 2]), poses.translation[:, 2], centre[..., 2])
    points = np.concatenate([centre[..., :2], height[..., None]], axis=-1)
    ego_from_world = poses.inverse().matrix()
    for camera in cameras:
        camera_from_world = np.linalg.inv(camera.ego_from_camera) @ ego_from_world
        x, y, z = np.moveaxis(
            np.einsum("tij,atj->ati", camera_from_world[:, :3, :3], points)
            + camera_from_world[:, :3, 3],
            -1,
            0,
        )
        ahead = np.where(z > 0, z, np.nan)
        margins = []
        for offset, row, size in ((x, 0, camera.width_px), (y, 1, camera.height_px)):
            focal, middle = camera.intrinsics[row, row], camera.intrinsics[row, 2]
            pixel = focal * offset / ahead + middle
            margins.append(np.minimum(pixel, size - pixel) / (size / 2))
        inside = np.where(z > 0, np.minimum(*margins), -1.0)
        out = np.fmax(out, np.where(facts.agents.valid, inside, np.nan))
    return out


@signal(agents=2, margin=1.0)
def hidden_by(facts: Facts, a: Rows, b: Rows) -> Float64[np.ndarray, "pair time"]:
    """The box of b lies in the line from the middle of the recording car to the middle of a."""
    ego = facts.scene.ego
    if ego is None:
        return np.full((len(a), facts.steps), np.nan)
    eye = facts.point[ego] - facts.point[b]
    target = facts.point[a] - facts.point[b]
    cos, sin = facts.ahead[b, :, 0], facts.ahead[b, :, 1]
    x, y = cos * eye[..., 0] + sin * eye[..., 1], cos * eye[..., 1] - sin * eye[..., 0]
    end_x = cos * target[..., 0] + sin * target[..., 1]
    end_y = cos * target[..., 1] - sin * target[..., 0]
    half = facts.agents.size[b, :, None] / 2
    ray_x, ray_y = end_x - x, end_y - y
    # A ray along a side is between two sides everywhere or nowhere: infinities say that.
    safe_x = np.where(np.abs(ray_x) < 1e-12, 1e-12, ray_x)
    safe_y = np.where(np.abs(ray_y) < 1e-12, 1e-12, ray_y)
    ends_x = (-half[:, 0] - x) / safe_x, (half[:, 0] - x) / safe_x
    ends_y = (-half[:, 1] - y) / safe_y, (half[:, 1] - y) / safe_y
    enter = np.maximum(np.minimum(*ends_x), np.minimum(*ends_y))
    leave = np.minimum(np.maximum(*ends_x), np.maximum(*ends_y))
    # What is cut of the line of sight, as a length [m]: negative where it misses the box.
    cut = (np.minimum(leave, 1.0) - np.maximum(enter, 0.0)) * np.hypot(ray_x, ray_y)
    others = (a != ego) & (b != ego)
    return np.where(others[:, None], cut, np.nan)
