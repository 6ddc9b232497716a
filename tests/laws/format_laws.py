"""What holds for every reader of an outside format.

A format's tests inherit `FormatLaws`, say which reader it is and how to write a small log, and get
every law as a test of their own. For real data a second class names a path below the data root:

    class TestLaws(FormatLaws):
        reader = Av2Sensor()

        def write_log(self, folder):
            return write_small_log(folder / "log-1")

    @pytest.mark.data
    class TestLawsOnRealLogs(FormatLaws):
        reader = Av2Sensor()
        data = "av2"
"""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.registry import Format, Log, _walk
from kerbstone.scene import RINGS, VEHICLES, PieceKind, Scene, Tristate
from kerbstone.scene.lanes import LaneIndex

# What other formats' logs look like to a reader that must leave them alone. Keys that name a
# format are skipped by that format; a name that ends in "/" is an empty folder.
ZOO: dict[str, dict[str, bytes]] = {
    "av2-sensor": {
        "zoo-av2/annotations.feather": b"ARROW1\0\0",
        "zoo-av2/city_SE3_egovehicle.feather": b"ARROW1\0\0",
    },
    "av2-forecasting": {
        "zoo-av2-forecasting/scenario_zoo-av2-forecasting.parquet": b"PAR1",
        "zoo-av2-forecasting/log_map_archive_zoo-av2-forecasting.json": b"{}",
    },
    "argoverse1": {
        "zoo-av1/1.csv": b"TIMESTAMP,TRACK_ID,OBJECT_TYPE,X,Y,CITY_NAME\n0.0,a,AV,1.0,2.0,PIT\n",
    },
    "kitti-tracking": {
        "zoo-kitti/training/label_02/0000.txt": b"0 1 Car 0 0 -1.8 296 161 455 292 2 1.8 4.4 "
        b"-4.6 1.9 13.4 -2.1\n",
        "zoo-kitti/training/calib/0000.txt": b"P0: 1 0 0 0 0 1 0 0 0 0 1 0\n",
    },
    "kitti-odometry": {
        "zoo-odometry/sequences/00/times.txt": b"0.0\n0.1\n",
        "zoo-odometry/sequences/00/calib.txt": b"P0: 1 0 0 0 0 1 0 0 0 0 1 0\n",
        "zoo-odometry/poses/00.txt": b"1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1 1\n",
    },
    "nuscenes": {
        f"zoo-nuscenes/v1.0-mini/{table}.json": b"[]"
        for table in ("scene", "sample", "sample_annotation", "instance", "category", "ego_pose")
    },
    "scenarionet": {
        "zoo-scenarionet/sd_nuscenes_v1.0-mini_scene-0001.pkl": pickle.dumps(
            {"id": "0001", "version": "1", "length": 1, "metadata": {}, "tracks": {}}
        ),
    },
    "interaction": {
        "zoo-interaction/recorded_trackfiles/DR_USA_Zoo/vehicle_tracks_000.csv": b"track_id,"
        b"frame_id,timestamp_ms,agent_type,x,y,vx,vy,psi_rad,length,width\n1,1,100,car,1,2,0,0,0,4,2\n",
    },
    "waymo-json": {
        "zoo-waymo/tfrecord-00001-of-00150_4.json": b'{"name": "tfrecord-00001-of-00150_4", '
        b'"scenario_id": "x", "objects": [], "roads": [], "tl_states": {}}',
    },
    "commonroad": {
        "zoo-commonroad/USA_Zoo-1_1_T-1.xml": b"<?xml version='1.0'?>\n"
        b'<commonRoad commonRoadVersion="2020a" timeStepSize="0.1"></commonRoad>',
    },
    "sumo": {
        "zoo-sumo/town.net.xml": b"<?xml version='1.0'?>\n<net version='1.20'></net>",
        "zoo-sumo/fcd.xml": b"<?xml version='1.0'?>\n<fcd-export></fcd-export>",
    },
    "none": {
        "notes.txt": b"0 1 2\n",
        "empty.csv": b"",
        "numbers.csv": b"a,b\n1,2\n",
        "settings.json": b'{"a": 1}',
        "list.json": b"[1, 2, 3]",
        "model.pkl": pickle.dumps({"weights": [1, 2, 3]}),
        "garbage.pkl": b"\x80\x04garbage",
        "points.parquet": b"PAR1PAR1",
        "points.feather": b"ARROW1\0\0ARROW1",
        "page.xml": b"<html></html>",
        "broken.xml": b"<",
        "packed.xz": b"no xz at all",
        "table.csv.gz": b"no gzip at all",
        "pictures/": b"",
    },
}


_KEPT: dict[tuple[type, str], Any] = {}


class FormatLaws:
    """The laws. A subclass sets `reader`, and `data` or `write_log`."""

    reader: ClassVar[Format]
    data: ClassVar[str] = ""
    """Where the log lies below the root of the real data; "" for one that `write_log` writes."""
    most_scenes: ClassVar[int] = 3
    """How many scenes of each log the laws look at."""
    lane_gap: ClassVar[float] = 1.0
    """Largest distance from a lane's end to the start of one that follows [m]."""
    noise: ClassVar[float] = 0.1
    """How far velocities may be off the change of position, as a share, in the middle of all."""
    claims_from_file: ClassVar[bool] = True
    """Whether the log is also recognised when one of its files is named."""

    def write_log(self, folder: Path) -> Path:
        """Write a small log into an empty folder; return its path as a user would name it."""
        raise NotImplementedError

    @pytest.fixture
    def log_path(self, request: pytest.FixtureRequest, tmp_path_factory) -> Path:
        """Return the path of the log (or of several), as a user would name it."""
        if self.data:
            return request.getfixturevalue("data_root") / self.data
        return self.keep("path", lambda: self.write_log(tmp_path_factory.mktemp("log")))

    @pytest.fixture
    def logs(self, log_path: Path) -> list[Log]:
        found = self.keep("logs", lambda: walk(log_path, self.reader))
        assert found, f"{self.reader.name} does not recognise {log_path}"
        return found

    @pytest.fixture
    def scenes(self, logs: list[Log]) -> list[Scene]:
        found = self.keep("scenes", lambda: [s for log in logs for s in self.first_scenes(log)])
        assert found
        return found

    def keep(self, what: str, make: Callable[[], Any]) -> Any:
        """Make something once for all laws of a class."""
        key = (type(self), what)
        if key not in _KEPT:
            _KEPT[key] = make()
        return _KEPT[key]

    def first_scenes(self, log: Log) -> list[Scene]:
        return list(itertools.islice(self.reader.read(log), self.most_scenes))

    # What a reader says about itself and recognises

    def test_a_format_describes_itself(self):
        assert isinstance(self.reader, Format)
        assert self.reader.name == self.reader.name.lower()
        assert self.reader.title
        assert self.reader.reads

    def test_a_log_has_a_name_of_its_own_and_files_that_are_there(self, logs):
        assert len({log.name for log in logs}) == len(logs)
        for log in logs:
            assert log.format == self.reader.name
            assert "/" in log.name
            assert log.path.exists()
            assert log.files
            assert all(file.is_file() for file in log.files)
            assert pickle.loads(pickle.dumps(log)) == log

    def test_a_log_is_recognised_among_other_files(self, log_path, logs):
        names = frozenset(entry.name for entry in log_path.parent.iterdir())
        found = list(self.reader.claim(log_path.parent, names | {"no-such-file.txt"}))
        if found:  # a folder of logs is recognised further below
            assert {log.name for log in logs} <= {log.name for log in found}
            assert log_path.name in {name for log in found for name in log.claimed}

    def test_a_log_is_recognised_from_one_of_its_files(self, logs):
        if self.claims_from_file:
            log = logs[0]
            again = walk(log.files[0], self.reader)
            assert log.name in {other.name for other in again}

    def test_other_formats_logs_are_left_alone(self, tmp_path):
        write_zoo(tmp_path, without=self.reader.name)
        assert walk(tmp_path, self.reader) == []
        for entry in tmp_path.rglob("*"):
            if entry.is_file():
                assert walk(entry, self.reader) == []

    # What a scene must be

    def test_scenes_pass_the_check(self, scenes):
        for scene in scenes:
            assert scene.check() is scene

    def test_scenes_have_names_of_their_own(self, scenes, logs):
        assert len({scene.id for scene in scenes}) == len(scenes)
        assert all(scene.id.startswith(tuple(log.name for log in logs)) for scene in scenes)

    def test_scenes_say_where_they_come_from(self, scenes):
        for scene in scenes:
            assert scene.source.dataset
            assert scene.source.log
            assert Path(scene.source.path).exists()

    def test_what_the_format_says_besides_is_plain_json(self, scenes):
        def is_plain(value: Any) -> bool:
            if isinstance(value, dict):
                return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
            if isinstance(value, list | tuple):
                return all(map(is_plain, value))
            return value is None or type(value) in (bool, int, float, str)

        assert all(is_plain(dict(scene.source.extra)) for scene in scenes)

    def test_agents_are_somewhere_at_some_time(self, scenes):
        for scene in scenes:
            assert scene.agents.valid.any(axis=1).all()

    def test_measured_times_rise(self, scenes):
        for scene in scenes:
            seen = scene.agents.valid.any(axis=0)
            assert (np.diff(scene.clock.measured_ns[seen]) > 0).all()

    def test_velocity_is_the_change_of_position(self, scenes):
        for scene in scenes:
            agents = scene.agents
            gap = np.diff(scene.clock.measured_ns) / 1e9
            moved = np.diff(agents.centre[..., :2], axis=1) / gap[:, None]
            mean = (agents.velocity[:, 1:] + agents.velocity[:, :-1]) / 2
            speed = np.hypot(moved[..., 0], moved[..., 1])
            fast = np.isfinite(mean).all(axis=-1) & (speed > 3.0)
            if fast.sum() >= 20:
                off = np.linalg.norm(moved - mean, axis=-1)[fast] / speed[fast]
                assert np.median(off) < self.noise, (
                    f"{scene.id}: velocities are off by {np.median(off)}"
                )

    def test_fast_vehicles_head_where_they_go(self, scenes):
        for scene in scenes:
            agents = scene.agents
            fast = agents.is_kind(*VEHICLES)[:, None] & (agents.speed > 5.0)
            fast &= np.isfinite(agents.heading)
            if fast.sum() >= 20:
                course = np.arctan2(agents.velocity[..., 1], agents.velocity[..., 0])
                off = np.abs(np.angle(np.exp(1j * (course - agents.heading))))[fast]
                assert np.median(off) < 0.1, f"{scene.id}: headings are off by {np.median(off)}"
                assert np.mean(off < 0.5) > 0.9

    # What a map must be

    def test_rings_are_closed(self, scenes):
        for road in maps_of(scenes):
            for piece in road.pieces_of(*RINGS):
                ring = road.piece(int(piece))
                np.testing.assert_array_equal(ring[0], ring[-1])

    def test_lanes_have_centre_lines(self, scenes):
        for road in maps_of(scenes):
            assert (road.kind[road.lanes.centre] == PieceKind.LANE_CENTRE).all()
            assert (np.diff(road.offsets)[road.lanes.centre] >= 2).all()

    def test_a_lane_goes_on_where_it_ends(self, scenes):
        for road in maps_of(scenes):
            gaps = [
                np.hypot(*(road.centre_line(int(later))[0] - road.centre_line(lane)[-1])[:2])
                for lane in range(len(road.lanes))
                for later in road.lanes.successors(lane)
            ]
            if gaps:
                assert np.mean(np.array(gaps) <= self.lane_gap) > 0.95, f"gaps: {np.sort(gaps)}"

    def test_the_left_boundary_lies_on_the_left(self, scenes):
        for road in maps_of(scenes):
            both = (road.lanes.left_boundary >= 0) & (road.lanes.right_boundary >= 0)
            sides = [boundary_side(road, int(lane)) for lane in np.flatnonzero(both)]
            if sides:
                assert np.mean(np.array(sides) > 0) > 0.95

    def test_a_map_that_is_read_again_has_the_same_name_and_content(self, scenes):
        seen: dict[str, Any] = {}
        for road in maps_of(scenes):
            assert_same(seen.setdefault(road.id, road), road)

    # What reading must be

    def test_reading_twice_gives_the_same(self, logs, scenes):
        again = [scene for log in logs for scene in self.first_scenes(log)]
        assert len(again) == len(scenes)
        for first, second in zip(scenes, again, strict=True):
            assert_same(first, second)

    def test_a_window_is_a_slice(self, scenes):
        for scene in scenes:
            steps = scene.clock.steps
            first, length = steps // 3, max(steps // 2, 1)
            part = scene.window_steps(first, length)
            assert part.clock.start_ns == scene.clock.times_ns[first]
            np.testing.assert_array_equal(
                part.agents.centre, scene.agents.centre[:, first : first + length]
            )


def walk(path: Path, reader: Format) -> list[Log]:
    """Return the logs that one reader finds at or below a path, as an ingest would."""
    return list(_walk(Path(path).resolve(), [reader]))


def read_all(path: Path, reader: Format) -> list[Scene]:
    """Return all scenes at a path, checked."""
    return [scene.check() for log in walk(path, reader) for scene in reader.read(log)]


def refused(code: str, path: Path, reader: Format) -> InputError:
    """Return the error that reading a path must end in, after looking at its four lines."""
    with pytest.raises(InputError) as caught:
        read_all(path, reader)
    error = caught.value
    assert error.code == code, f"{error.code} instead of {code}: {error}"
    assert error.where, "the error does not say where"
    return error


def write_zoo(folder: Path, *, without: str) -> None:
    """Write files that look like logs of every format but one."""
    for name, files in ZOO.items():
        if name == without:
            continue
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                target.mkdir()
            else:
                target.write_bytes(content)


def share_on_road(scene: Scene, *, min_speed: float = 2.0) -> float:
    """Return which share of the moving vehicles' positions is on a lane or a drivable area.

    Positions beyond the map, which may be cut out of a larger one, do not count.
    """
    import shapely

    road = scene.map
    assert road is not None
    points = scene.agents.centre[moving_vehicles(scene, min_speed)][:, :2]
    points = points[((points >= road.bounds[:2]) & (points <= road.bounds[2:])).all(axis=1)]
    assert len(points) > 100
    areas = [shapely.Polygon(road.piece(int(i))) for i in road.pieces_of(PieceKind.DRIVABLE_AREA)]
    surface = shapely.union_all(shapely.make_valid([*areas, *LaneIndex(road).surfaces]))
    shapely.prepare(surface)
    return float(shapely.contains_xy(surface, points).mean())


def share_along_lanes(scene: Scene, *, min_speed: float = 2.0) -> float:
    """Return which share of the moving vehicles on a lane goes its way, within 30 degrees.

    Lanes of an intersection cross one another, so those do not count.
    """
    assert scene.map is not None
    moving = moving_vehicles(scene, min_speed)
    heading = scene.agents.heading[moving]
    # The heading is not told to the index, lest it choose the lane that suits it.
    place = LaneIndex(scene.map).locate(scene.agents.centre[moving][:, :2])
    counts = (place.lane >= 0) & (scene.map.lanes.in_intersection[place.lane] != Tristate.YES)
    counts &= np.isfinite(heading)
    off = np.abs(np.angle(np.exp(1j * (place.heading - heading))))[counts]
    assert counts.sum() > 100
    return float(np.mean(off < np.pi / 6))


def moving_vehicles(scene: Scene, min_speed: float) -> np.ndarray:
    """Return the cells [agent, time] in which a vehicle moves."""
    return scene.agents.is_kind(*VEHICLES)[:, None] & (scene.agents.speed > min_speed)


def maps_of(scenes: list[Scene]) -> list:
    return [scene.map for scene in scenes if scene.map is not None]


def boundary_side(road: Any, lane: int) -> float:
    """Return how far the left boundary lies to the left of the right one, at their middles."""
    centre = road.centre_line(lane)[:, :2]
    along = centre[-1] - centre[0]
    left, right = (
        road.piece(int(piece))[:, :2].mean(axis=0)
        for piece in (road.lanes.left_boundary[lane], road.lanes.right_boundary[lane])
    )
    across = left - right
    return float(along[0] * across[1] - along[1] * across[0])


def assert_same(first: Any, second: Any) -> None:
    """Compare two scenes, or parts of them, to the last bit."""
    assert type(first) is type(second)
    if dataclasses.is_dataclass(first):
        for field in dataclasses.fields(first):
            assert_same(getattr(first, field.name), getattr(second, field.name))
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    elif isinstance(first, tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second
