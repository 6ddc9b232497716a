import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats import kitti
from kerbstone.formats.detections import find_detections, image_boxes, read_detections
from kerbstone.scene import SE3, Camera

HERE = SE3.identity()


def camera(width=1242, height=375, **changes) -> Camera:
    known = {
        "name": "front",
        "paths": (),
        "times_ns": np.zeros(0, np.int64),
        "width_px": width,
        "height_px": height,
        "intrinsics": np.array([[720.0, 0.0, 610.0], [0.0, 720.0, 173.0], [0.0, 0.0, 1.0]]),
        "distortion": np.zeros(0),
        "model": "pinhole",
        "ego_from_camera": kitti.NOMINAL_EGO_FROM_CAMERA.matrix(),
    }
    return Camera(**known | changes)


def surface(box, count=61):
    """Return points all over the faces of a box, dense."""
    line = np.linspace(-0.5, 0.5, count)
    u, v = (grid.ravel() for grid in np.meshgrid(line, line))
    faces = [
        np.stack([np.full_like(u, side) if axis == a else (u, v)[k] for a, k in order], axis=-1)
        for axis, order in (
            (0, ((0, 0), (1, 0), (2, 1))),
            (1, ((0, 0), (1, 0), (2, 1))),
            (2, ((0, 0), (1, 1), (2, 0))),
        )
        for side in (-0.5, 0.5)
    ]
    pose = SE3.from_yaw(np.array(box[3]), np.array(box[:3]))
    return pose @ (np.concatenate(faces) * np.array(box[4:]))


def sampled(box, world_from_ego, lens):
    """Return the rectangle around those points of a box's surface that an image shows."""
    pose = (world_from_ego @ SE3.from_matrix(lens.ego_from_camera)).inverse()
    seen = (pose @ surface(box)) @ lens.intrinsics.T
    seen = seen[seen[:, 2] > 0.1]
    pixels = seen[:, :2] / seen[:, 2:]
    edge = np.array([lens.width_px, lens.height_px]) - 1
    pixels = pixels[((pixels >= 0) & (pixels <= edge)).all(axis=1)]
    return None if not len(pixels) else np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def test_a_box_before_the_camera_lies_between_its_corners():
    box = np.array([[11.08, -0.32, 0.72, 0.0, 2.0, 2.0, 1.0]])
    # The near face is 9 m away: half its width is 1 m, half its height 0.5 m.
    reach = 720 / 9
    expected = [610 - reach, 173 - reach / 2, 610 + reach, 173 + reach / 2]
    np.testing.assert_allclose(image_boxes(box, HERE, camera()), [expected])


def test_what_is_behind_beside_or_above_is_not_seen():
    boxes = np.array(
        [
            [-20.0, 0.0, 0.7, 0.3, 4.0, 2.0, 1.5],
            [5.0, 40.0, 0.7, 0.0, 4.0, 2.0, 1.5],
            [5.0, -40.0, 0.7, 0.0, 4.0, 2.0, 1.5],
            [20.0, 0.0, 30.0, 0.0, 4.0, 2.0, 1.5],
            [20.0, np.nan, 0.7, 0.0, 4.0, 2.0, 1.5],
        ]
    )
    assert np.isnan(image_boxes(boxes, HERE, camera())).all()


def test_no_boxes_give_no_rectangles():
    assert image_boxes(np.zeros((0, 7)), HERE, camera()).shape == (0, 4)


def test_rectangles_hold_what_is_seen_and_no_more():
    rng = np.random.default_rng(3)
    lens, compared = camera(), 0
    pose = SE3.from_euler(roll=0.02, pitch=-0.03, yaw=0.4, translation=np.array([30.0, 20.0, 1.0]))
    for _ in range(100):
        place = pose @ np.array([rng.uniform(-4, 15), rng.uniform(-10, 10), rng.uniform(-1, 1)])
        box = np.array([*place, rng.uniform(-3, 3), *rng.uniform(0.5, 6, 3)])
        (found,) = image_boxes(box[None], pose, lens)
        expected = sampled(box, pose, lens)
        if expected is None:
            continue
        # Points are some pixels apart where a face is near, so the sampled one is smaller.
        assert (found[:2] <= expected[:2] + 1e-6).all()
        assert (found[2:] >= expected[2:] - 1e-6).all()
        if np.linalg.norm(place - pose.translation) > 8:
            np.testing.assert_allclose(found, expected, atol=20)
        compared += 1
    assert compared > 40


def test_a_car_alongside_is_no_taller_than_the_part_in_the_image():
    # Its rear lies behind the camera; what is near it there would reach to the image's bottom.
    box = np.array([[10.0, 8.0, -0.1, 0.0, 20.0, 2.0, 1.5]])
    (found,) = image_boxes(box, HERE, camera())
    expected = sampled(box[0], HERE, camera())
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(found, expected, atol=5)
    assert found[3] < 310


def test_a_camera_inside_a_box_sees_it_everywhere():
    box = np.array([[1.0, 0.0, 0.7, 0.2, 8.0, 8.0, 8.0]])
    np.testing.assert_allclose(image_boxes(box, HERE, camera()), [[0, 0, 1241, 374]], atol=1e-9)


def test_rows_have_poses_of_their_own():
    box = np.array([30.0, 0.0, 0.7, 0.0, 4.0, 2.0, 1.5])
    poses = SE3.from_yaw(np.array([0.0, 0.1]), np.array([[0.0, 0, 0], [10, 0, 0]]))
    both = image_boxes(np.stack([box, box]), poses, camera())
    for row in range(2):
        np.testing.assert_array_equal(both[row], image_boxes(box[None], poses[row], camera())[0])


def test_distorted_images_are_refused():
    with pytest.raises(InputError, match="distorted"):
        image_boxes(np.ones((1, 7)), HERE, camera(distortion=np.array([0.1])))


@pytest.mark.data
def test_real_detections_lie_where_their_own_2d_boxes_are(data_root):
    (source,) = find_detections(sorted((data_root / "kitti_tracking").glob("pointrcnn_*/0012.txt")))
    log = read_detections(source)
    lens = next(c for c in log.scene.cameras if c.name == "image_02")
    pose = log.scene.ego_poses.world_from_ego[log.detections.step]
    off = np.abs(image_boxes(log.detections.box, pose, lens) - log.detections.image_box).max(axis=1)
    # On this level road a world that stands upright hardly differs from the camera's own.
    assert np.median(off) < 0.5
    assert np.quantile(off, 0.95) < 2.0
