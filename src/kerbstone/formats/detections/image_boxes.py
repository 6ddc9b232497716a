"""Boxes in space as a camera's image shows them: the rectangle around the part that it sees.

A box that reaches behind the camera, or out of the image, has corners without a place in it. So
faces are cut to what the camera sees while they are still in space, where that is a pyramid of five
planes, and only what is left is projected.

References:
    Sutherland and Hodgman, "Reentrant polygon clipping", CACM 17(1), 1974.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.errors import InputError
from kerbstone.scene import SE3, Camera, box_corners_3d

# Corners of the faces: floor, roof, front, left, rear, right; of `box_corners_3d`.
_FACES = np.array(
    [[0, 1, 2, 3], [4, 5, 6, 7], [0, 3, 7, 4], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6]]
)
_NEAR = 0.1
"""Nearer than this nothing is seen [m]."""
_LEAST = np.array([_NEAR, 0.0, 0.0, 0.0, 0.0])
"""How far within each plane (`_planes`) a point is seen."""


def image_boxes(
    boxes_world: Float64[np.ndarray, "row 7"], world_from_ego: SE3, camera: Camera
) -> Float64[np.ndarray, "row 4"]:
    """Return left, top, right and bottom of what an image shows of boxes in space [px].

    What hides them is not considered. Boxes stand upright in the frame that they are given in, which
    need not be the world: any other that the pose leads to will do. Pixel centres lie at whole numbers, so an image reaches from
    0 to its size less one.

    Args:
        boxes_world: Boxes (`BoxIndex`); one that holds NaN is not seen.
        world_from_ego: Pose of the ego frame at the time of each row, or one for all.
        camera: The camera; without distortion.

    Returns:
        NaN where no part of a box is in the image.

    Raises:
        InputError: The camera's images are distorted, or it is not known how it sees.
    """
    _check_camera(camera)
    planes = _planes(camera)
    camera_from_world = (world_from_ego @ SE3.from_matrix(camera.ego_from_camera)).inverse()
    corners = camera_from_world @ box_corners_3d(boxes_world)
    beyond = corners @ planes.T < _LEAST
    found = np.full((len(boxes_world), 4), np.nan)
    inside = ~beyond.any(axis=(1, 2)) & np.isfinite(corners).all(axis=(1, 2))
    found[inside] = _bounds(corners[inside], camera)
    # With all corners beyond one plane nothing is seen; only the rest needs to be cut.
    cut = ~inside & ~np.any(np.all(beyond, axis=1), axis=1) & np.isfinite(corners).all(axis=(1, 2))
    faces, owner = _cut_faces(
        corners[cut][:, _FACES].reshape(-1, 4, 3),
        np.repeat(np.flatnonzero(cut), len(_FACES)),
        planes,
    )
    if len(owner):
        rows, first = np.unique(owner, return_index=True)
        bounds = _bounds(faces, camera)
        low = np.minimum.reduceat(bounds[:, :2], first)
        high = np.maximum.reduceat(bounds[:, 2:], first)
        found[rows] = np.concatenate([low, high], axis=1)
    edge = np.array([camera.width_px, camera.height_px] * 2) - 1.0
    found = np.clip(found, 0.0, edge)
    found[(found[:, 2:] <= found[:, :2]).any(axis=1)] = np.nan
    return found


def _check_camera(camera: Camera) -> None:
    if camera.distortion.any():
        raise InputError(
            "value",
            f"images of camera {camera.name!r} are distorted",
            why="straight lines are not straight in them, so boxes cannot be projected by corners",
            remedy="rectify the images, and give the camera of the rectified ones",
        )
    if not np.isfinite(camera.intrinsics).all() or not np.isfinite(camera.ego_from_camera).all():
        raise InputError("value", f"it is not known how camera {camera.name!r} sees")


def _planes(camera: Camera) -> Float64[np.ndarray, "5 3"]:
    """Return normals that point into what a camera sees: ahead, then from the image's edges."""
    right, down, ahead = camera.intrinsics
    width, height = camera.width_px - 1.0, camera.height_px - 1.0
    planes = np.stack([right, width * ahead - right, down, height * ahead - down])
    return np.concatenate([ahead[None], planes])


def _cut_faces(
    faces: Float64[np.ndarray, "face vertex 3"],
    owner: Int64[np.ndarray, " face"],
    planes: Float64[np.ndarray, "5 3"],
) -> tuple[Float64[np.ndarray, "left more 3"], Int64[np.ndarray, " left"]]:
    """Return what is left of convex faces within all planes, and whose they are.

    A face with fewer vertices than there is room for repeats its last one.
    """
    for normal, least in zip(planes, _LEAST, strict=True):
        distance = faces @ normal - least
        keep = (distance >= 0).any(axis=1)
        faces, owner = _cut(faces[keep], distance[keep]), owner[keep]
    return faces, owner


def _cut(
    faces: Float64[np.ndarray, "face vertex 3"], distance: Float64[np.ndarray, "face vertex"]
) -> Float64[np.ndarray, "face _ 3"]:
    """Return the parts of convex faces at which the distance is not negative; each has some."""
    count, room = distance.shape
    after, further = np.roll(faces, -1, axis=1), np.roll(distance, -1, axis=1)
    inside: Bool[np.ndarray, "face vertex"] = distance >= 0
    crosses = inside != (further >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(crosses, distance / (distance - further), 0.0)
    # Each vertex is followed by where the edge behind it meets the plane.
    points = np.stack([faces, faces + share[..., None] * (after - faces)], axis=2)
    points = points.reshape(count, 2 * room, 3)
    there = np.stack([inside, crosses], axis=2).reshape(count, 2 * room)
    order = np.argsort(~there, axis=1, kind="stable")[:, : room + 1]
    last = there.sum(axis=1) - 1
    # A plane adds one vertex to a convex face at most.
    place = np.minimum(np.arange(room + 1), last[:, None])
    chosen = np.take_along_axis(order, place, axis=1)
    return np.take_along_axis(points, chosen[..., None], axis=1)


def _bounds(
    points: Float64[np.ndarray, "row point 3"], camera: Camera
) -> Float64[np.ndarray, "row 4"]:
    seen = points @ camera.intrinsics.T
    pixels = seen[..., :2] / seen[..., 2:]
    return np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
