import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.av2_map import TOWNS, find_map, read_map, town_of
from kerbstone.scene import LaneKind, Map, Marking, PieceKind, Tristate
from kerbstone.scene.frenet import project
from small.av2 import lane, road


def read(tmp_path, content) -> Map:
    path = tmp_path / "log_map_archive_x____PIT_city_7.json"
    path.write_text(json.dumps(content))
    return read_map(path)


def test_lanes_have_their_kinds_neighbours_and_followers(tmp_path):
    lanes = read(tmp_path, road()).lanes
    assert lanes.ids == ("1", "2", "3")
    assert lanes.kind.tolist() == [LaneKind.VEHICLE, LaneKind.VEHICLE, LaneKind.BICYCLE]
    assert lanes.left.tolist() == [1, -1, -1]
    assert lanes.right.tolist() == [-1, 0, -1]
    assert lanes.successors(0).tolist() == [2]  # 999 lies beyond the map
    assert lanes.in_intersection.tolist() == [Tristate.NO, Tristate.NO, Tristate.YES]
    np.testing.assert_allclose(lanes.width, 3.0)


def test_the_centre_line_runs_halfway_between_the_boundaries(tmp_path):
    built = read(tmp_path, road())
    line = built.centre_line(1)
    np.testing.assert_allclose(line, [[0, 3, 0.5], [20, 3, 0.5], [60, 3, 0.5]])


def test_the_centre_line_keeps_the_corners_of_both_boundaries(tmp_path):
    bent = lane(1, 0.0)
    bent["right_lane_boundary"] = [{"x": float(x), "y": -1.5, "z": 0.5} for x in (0, 30, 60)]
    content = {"lane_segments": {"1": bent}, "drivable_areas": {}, "pedestrian_crossings": {}}
    assert read(tmp_path, content).centre_line(0)[:, 0].tolist() == [0.0, 20.0, 30.0, 60.0]


def test_a_boundary_may_be_a_single_place(tmp_path):
    pointed = lane(1, 0.0)
    pointed["left_lane_boundary"] = [{"x": 0.0, "y": 1.5, "z": 0.0}] * 2
    content = {"lane_segments": {"1": pointed}, "drivable_areas": {}, "pedestrian_crossings": {}}
    assert np.isfinite(read(tmp_path, content).centre_line(0)).all()


def test_markings_are_told_apart_and_those_of_intersections_are_virtual(tmp_path):
    built = read(tmp_path, road())
    marking = built.marking[built.lanes.left_boundary].tolist()
    assert marking == [Marking.DASHED, Marking.DOUBLE_SOLID_YELLOW, Marking.VIRTUAL]
    assert set(built.marking[built.lanes.right_boundary].tolist()) == {Marking.SOLID}


def test_crossings_become_rings_whichever_way_their_edges_run(tmp_path):
    import shapely

    content = road()
    for _ in range(2):
        built = read(tmp_path, content)
        (piece,) = built.pieces_of(PieceKind.CROSSWALK)
        ring = shapely.Polygon(built.piece(int(piece)))
        assert ring.is_valid
        assert ring.area == pytest.approx(3 * 13)
        content["pedestrian_crossings"]["8"]["edge2"].reverse()


def test_a_drivable_area_is_closed(tmp_path):
    built = read(tmp_path, road())
    (piece,) = built.pieces_of(PieceKind.DRIVABLE_AREA)
    ring = built.piece(int(piece))
    assert len(ring) == 5
    np.testing.assert_array_equal(ring[0], ring[-1])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda m: m.pop("lane_segments"), "syntax"),
        (lambda m: m["lane_segments"]["1"].pop("successors"), "syntax"),
        (lambda m: m["lane_segments"]["1"].update(lane_type="HOVER"), "label"),
        (lambda m: m["lane_segments"]["1"].update(left_lane_mark_type="PINK"), "label"),
        (lambda m: m["lane_segments"]["1"].update(left_lane_boundary=[]), "geometry"),
        (lambda m: m["lane_segments"].update({"4": lane(1, 9.0)}), "duplicate"),
        (lambda m: m["drivable_areas"]["7"]["area_boundary"][0].update(x="west"), "syntax"),
        (lambda m: m["drivable_areas"]["7"]["area_boundary"][0].update(x=float("nan")), "geometry"),
    ],
)
def test_a_malformed_map_is_told(tmp_path, change, code):
    content = road()
    change(content)
    with pytest.raises(InputError) as caught:
        read(tmp_path, content)
    assert caught.value.code == code
    assert "log_map_archive_x" in caught.value.where


def test_a_map_that_is_a_list_is_no_map(tmp_path):
    with pytest.raises(InputError, match="no Argoverse 2 map"):
        read(tmp_path, [1, 2])


def test_towns_are_told_by_the_file_name(tmp_path):
    assert town_of(tmp_path / "log_map_archive_a____DTW_city_1.json") == TOWNS["dearborn"]
    assert town_of(tmp_path / "log_map_archive_a.json") == ""
    assert find_map(tmp_path) is None


@pytest.mark.data
def test_real_centre_lines_agree_with_the_ones_that_scenarios_come_with(data_root):
    path = find_map(next((data_root / "av2" / "forecasting").iterdir()))
    built = read_map(path)
    lanes = json.loads(path.read_text())["lane_segments"].values()
    for row, one in enumerate(lanes):
        given = np.array([(point["x"], point["y"]) for point in one["centerline"]])
        assert np.abs(project(given, built.centre_line(row)).d).max() < 0.01
