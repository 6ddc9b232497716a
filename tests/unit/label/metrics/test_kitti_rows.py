import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.metrics import read_kitti_rows
from kerbstone.scene import box_corners_3d

ROW = "3 7 Car 0 1 -1.5 100 120 200 180 1.5 1.6 4.0 2.0 1.7 20.0 0.4"


def read(tmp_path, text, types=("car",)):
    path = tmp_path / "0000.txt"
    path.write_text(text)
    return read_kitti_rows(path, types)


def test_columns_are_where_kitti_has_them(tmp_path):
    rows = read(tmp_path, f"{ROW} 0.75\n")
    assert (rows.frame[0], rows.track[0], rows.type) == (3, 7, ("car",))
    assert (rows.truncated[0], rows.occluded[0], rows.score[0]) == (0, 1, 0.75)
    assert rows.image_boxes[0].tolist() == [100, 120, 200, 180]


def test_boxes_have_the_corners_of_kittis_own_formula(tmp_path):
    height, width, length, x, y, z, turn = 1.5, 1.6, 4.0, 2.0, 1.7, 20.0, 0.4
    rotation = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    )
    corners = np.array(
        [
            [sx * length / 2, down, sz * width / 2]
            for sx in (-1, 1)
            for down in (0.0, -height)
            for sz in (-1, 1)
        ]
    )
    camera = corners @ rotation.T + [x, y, z]
    upright = camera[:, [0, 2, 1]] * [1, 1, -1]  # right, along the view, up
    ours = box_corners_3d(read(tmp_path, ROW).boxes)[0]
    order, own = np.lexsort(upright.round(6).T), np.lexsort(ours.round(6).T)
    np.testing.assert_allclose(ours[own], upright[order], atol=1e-12)


def test_a_file_without_scores_is_sure_of_all(tmp_path):
    assert read(tmp_path, ROW).score.tolist() == [1.0]


def test_rows_of_other_classes_are_left_out_whatever_they_hold(tmp_path):
    other = ROW.replace("Car", "Tram").replace("20.0", "nan")
    assert read(tmp_path, f"{other}\n\n{ROW}\n").frame.tolist() == [3]


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_file_has_no_rows(tmp_path, text):
    rows = read(tmp_path, text)
    assert (rows.boxes.shape, rows.image_boxes.shape, rows.type) == ((0, 7), (0, 4), ())


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (f"{ROW}\n{ROW[:40]}\n", "column", "line 2"),
        (f"{ROW}\n{ROW} 0.5 9\n", "column", "line 2"),
        (f"\n{ROW}\n{ROW.replace('20.0', 'nan')}\n", "value", "line 3"),
        (f"{ROW}\n{ROW.replace('20.0', 'inf')}\n", "value", "line 2"),
        (f"{ROW}\n{ROW.replace('20.0', 'near')}\n", "value", "0000.txt"),
    ],
)
def test_a_damaged_row_is_told_with_its_line(tmp_path, text, code, where):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert caught.value.code == code
    assert where in caught.value.where


def test_a_missing_file_is_told_by_name(tmp_path):
    with pytest.raises(InputError) as caught:
        read_kitti_rows(tmp_path / "0042.txt", {"car"})
    assert caught.value.code == "missing-file"
    assert "0042.txt" in caught.value.where


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "0000.txt"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError) as caught:
        read_kitti_rows(path, {"car"})
    assert caught.value.code == "syntax"
