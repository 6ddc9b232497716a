import gzip
import lzma

import numpy as np
import pytest
from pyarrow import parquet

from kerbstone.formats.argoverse1 import Argoverse1
from kerbstone.scene import Kind, Scene
from laws.format_laws import FormatLaws, read_all, refused, walk
from small.argoverse1 import GAPS, SPEEDS, TIMES, rows, write_csv, write_packed

READER = Argoverse1()
DATA = "argoverse1_forecasting"


class TestLaws(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_csv(folder / "val" / "data" / "17.csv")


class TestLawsOfPackedSequences(FormatLaws):
    reader = READER

    def write_log(self, folder):
        return write_packed(folder / "packed")


@pytest.mark.data
class TestLawsOnRealSequences(FormatLaws):
    reader = READER
    data = DATA
    noise = 0.3  # as the tracker's is


def small(tmp_path, **changes) -> Scene:
    return read_all(write_csv(tmp_path / "17.csv", {**rows(), **changes}), READER)[0]


def test_frames_are_put_at_the_steps_nearest_to_their_times(tmp_path):
    scene = small(tmp_path)
    seen = scene.agents.valid[scene.ego]
    assert scene.clock.dt == 0.1
    assert seen.sum() == len(TIMES)
    assert scene.clock.steps > len(TIMES)  # the gap has steps without a frame
    np.testing.assert_allclose(scene.clock.measured_ns[seen] / 1e9, TIMES, atol=1e-7)
    assert np.abs(scene.clock.offset_ns).max() < 0.1e9


def test_velocities_count_the_true_time_between_frames(tmp_path):
    agents = small(tmp_path).agents
    for row, (label, speed) in enumerate(SPEEDS.items()):
        assert agents.label[row] == label
        np.testing.assert_allclose(agents.velocity[row, agents.valid[row], 0], speed, rtol=1e-5)
    assert agents.kind.tolist() == [Kind.CAR, Kind.CAR, Kind.UNKNOWN]
    np.testing.assert_allclose(agents.heading[1, agents.valid[1]], 0.0, atol=1e-9)
    assert np.isnan(agents.size).all()
    assert np.isnan(agents.centre[..., 2]).all()


def test_a_sequence_keeps_its_focal_track_and_place(tmp_path):
    scene = small(tmp_path)
    assert scene.agents.label[scene.ego] == "AV"
    assert scene.source.extra == {"focal_track": "0000-1", "jumps": []}
    assert scene.source.town == "Miami"
    assert scene.source.derived == ("velocity", "heading")


def test_jumps_of_the_tracker_are_kept_and_marked(tmp_path):
    columns = rows()
    columns["Y"][13] += 9.0  # AGENT in frame 5
    columns["X"][13] += 1.0
    scene = small(tmp_path, **columns)
    row = scene.agents.index("0000-1")
    jumped = np.flatnonzero(scene.agents.centre[row, :, 1] > 1110)
    assert len(jumped) == 1
    step = int(jumped[0])
    assert scene.source.extra["jumps"] == [["0000-1", step], ["0000-1", step + 1]]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files_are_read_as_they_are(tmp_path, ending, pack):
    plain = write_csv(tmp_path / "17.csv")
    packed = tmp_path / "other" / ("17.csv" + ending)
    packed.parent.mkdir()
    packed.write_bytes(pack(plain.read_bytes()))
    (scene,) = read_all(packed, READER)
    assert scene.id == "argoverse1/17"


def test_packed_sequences_are_the_csv_files_ones(tmp_path):
    first, second = read_all(write_packed(tmp_path / "packed"), READER)
    other = small(tmp_path)
    assert (first.id, second.id) == ("argoverse1/packed/2", "argoverse1/packed/4")
    np.testing.assert_allclose(first.agents.centre, other.agents.centre, atol=6e-4)
    np.testing.assert_allclose(first.agents.velocity, other.agents.velocity, atol=0.02)
    np.testing.assert_array_equal(first.clock.measured_ns, other.clock.measured_ns)


def test_splits_are_told_by_their_folders(tmp_path):
    (log,) = walk(write_csv(tmp_path / "test_obs" / "data" / "1.csv"), READER)
    assert next(READER.read(log)).source.split == "test"


def test_malformed_sequences_are_told(tmp_path):
    whole = rows()

    def changed(name, row, value):
        return {**whole, name: [*whole[name][:row], value, *whole[name][row + 1 :]]}

    late = [time + 60.0 * (time > TIMES[5]) for time in whole["TIMESTAMP"]]
    cases = {
        "value": changed("X", 4, float("nan")),
        "label": changed("OBJECT_TYPE", 0, "TREE"),
        "duplicate": {name: [*column, column[-1]] for name, column in whole.items()},
        "empty": {name: [] for name in whole},
        "clock": {**whole, "TIMESTAMP": late},
        "syntax": changed("X", 4, "here"),
    }
    for code, columns in cases.items():
        path = write_csv(tmp_path / code / "1.csv", columns)
        assert str(path) in refused(code, path, READER).where


def test_a_sequence_that_is_cut_off_is_told(tmp_path):
    path = write_csv(tmp_path / "1.csv")
    text = path.read_text()
    path.write_text(text[: text.rfind(",1100.0") + 3])
    assert "Expected 6 columns" in refused("syntax", path, READER).why
    packed = tmp_path / "2.csv.gz"
    packed.write_bytes(gzip.compress(text.encode())[:-30])
    refused("truncated", packed, READER)


def test_malformed_packed_sequences_are_told(tmp_path):
    count = len(rows()["X"])
    times = np.tile(TIMES, 2)
    cases = {
        "clock": {"times__timestamp_s": times[::-1]},
        "value": {"times__timestamp_s": np.where(np.arange(len(times)) == 3, np.nan, times)},
        "reference": {"tracks__t_idx": np.full(2 * count, 77, np.int32)},
        "duplicate": {"tracks__t_idx": np.zeros(2 * count, np.int32)},
    }
    for code, changes in cases.items():
        refused(code, write_packed(tmp_path / code, **changes), READER)
    folder = write_packed(tmp_path / "cut")
    path = folder / "timestamps.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    assert "timestamps.parquet" in refused("truncated", folder, READER).where


def test_the_gaps_of_the_small_sequence_hold_what_they_should():
    assert GAPS.max() > 0.25
    assert GAPS.min() < 0.1


@pytest.mark.data
def test_real_packed_sequences_hold_every_row(data_root):
    log = next(log for log in walk(data_root / DATA, READER) if len(log.files) == 2)
    scenes = [scene for _, scene in zip(range(40), READER.read(log), strict=False)]
    rows = parquet.read_table(log.path, columns=["seq"])["seq"].to_numpy()
    numbers, counts = np.unique(rows, return_counts=True)
    assert len(numbers) == 1952
    assert [int(scene.id.rsplit("/", 1)[1]) for scene in scenes] == numbers[:40].tolist()
    assert [int(scene.agents.valid.sum()) for scene in scenes] == counts[:40].tolist()
    assert {scene.source.town for scene in scenes} == {"Miami", "Pittsburgh"}


@pytest.mark.data
def test_real_times_are_true_for_with_them_no_recording_car_speeds(data_root):
    log = next(log for log in walk(data_root / DATA, READER) if len(log.files) == 2)
    uneven = 0
    for _, scene in zip(range(150), READER.read(log), strict=False):
        assert np.nanmax(scene.agents.speed[scene.ego]) < 15.0
        seen = scene.agents.centre[scene.ego, scene.agents.valid[scene.ego], :2]
        by_frame = np.hypot(*(seen[2:] - seen[:-2]).T) / 0.2
        uneven += by_frame.max() > 15.0
    assert uneven > 2  # counted as 0.1 s each, their frames would say so


@pytest.mark.data
def test_a_real_sequence_is_the_same_in_both_forms(data_root, tmp_path):
    for name in ("tracks.parquet", "timestamps.parquet"):
        table = parquet.read_table(data_root / DATA / name, filters=[("seq", "==", 3700)])
        parquet.write_table(table, tmp_path / name)
    (single,) = read_all(data_root / DATA / "sample_csv" / "3700.csv", READER)
    (same,) = read_all(tmp_path, READER)
    assert len(same.agents) == len(single.agents)
    np.testing.assert_allclose(same.agents.centre, single.agents.centre, atol=6e-4)
    np.testing.assert_allclose(same.clock.measured_ns, single.clock.measured_ns, atol=1_000)
