import pytest

from kerbstone.errors import InputError
from kerbstone.formats.mp4 import Video, read_video_header
from small.kitti import mp4


def test_size_and_frames_are_read_behind_a_large_box_of_images(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4(620, 186, 801))
    assert read_video_header(path) == Video(620, 186, 801)


@pytest.mark.parametrize("length", [0, 4, 30, 60, 150, -30, -1])
def test_a_video_that_is_cut_off_is_refused(tmp_path, length):
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4(620, 186, 801)[:length])
    with pytest.raises(InputError, match="header cannot be read") as caught:
        read_video_header(path)
    assert caught.value.code == "truncated"
    assert caught.value.where == str(path)


def test_a_file_that_is_no_video_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"this is no video at all, whatever it is called")
    with pytest.raises(InputError) as caught:
        read_video_header(path)
    assert caught.value.code == "truncated"


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(mp4(620, 186, 801, handler=b"soun"))
    with pytest.raises(InputError) as caught:
        read_video_header(path)
    assert caught.value.code == "empty"


@pytest.mark.data
def test_real_videos_are_read(data_root):
    assert read_video_header(data_root / "kitti_odometry_03" / "image_0.mp4") == Video(
        620, 186, 801
    )
    highway = data_root / "udacity_highway_video" / "project_video_frames.mp4"
    assert read_video_header(highway) == Video(640, 360, 1259)
