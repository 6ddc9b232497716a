import gzip

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.lanelet2 import read_lanelet2
from kerbstone.scene import LaneKind, Map, Marking, PieceKind
from small.interaction import WAYS, write_map

KMH = 1 / 3.6


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Map:
    return read_lanelet2(write_map(tmp_path_factory.mktemp("map") / "street.osm"))


def lane(street: Map, name: str) -> int:
    return street.lanes.ids.index(name)


def neighbour(street: Map, row: int) -> str:
    return street.lanes.ids[row] if row >= 0 else ""


def pieces(street: Map, kind: PieceKind) -> dict[str, np.ndarray]:
    return {street.ids[i]: street.piece(int(i)) for i in street.pieces_of(kind)}


def test_places_are_metres_from_the_origin(street):
    curb = pieces(street, PieceKind.ROAD_EDGE)["3"]
    np.testing.assert_allclose(curb[:, :2], WAYS[3][0], atol=1e-5)


def test_heights_are_kept_where_they_are_given(street):
    line = pieces(street, PieceKind.LANE_BOUNDARY)["1"]
    assert line[0, 2] == 3.5
    assert np.isnan(line[1, 2])


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("101", (1000, 1001.5), (1050, 1001.5)),
        ("102", (1000, 998.5), (1050, 998.5)),
        ("103", (1050, 1001.5), (1100, 1001.5)),
        ("104", (1050, 1004.5), (1000, 1004.5)),
    ],
)
def test_lanes_run_with_their_left_way_on_the_left(street, name, start, end):
    centre = street.centre_line(lane(street, name))
    np.testing.assert_allclose(centre[[0, -1], :2], [start, end], atol=1e-5)
    assert street.lanes.width[lane(street, name)] == pytest.approx(3.0, abs=1e-5)


def test_lanes_follow_where_both_bounds_go_on(street):
    followers = {
        name: [street.lanes.ids[i] for i in street.lanes.successors(row)]
        for row, name in enumerate(street.lanes.ids)
    }
    assert followers == {"101": ["103"], "102": [], "103": [], "104": [], "105": []}


def test_neighbours_share_a_bound(street):
    left = [neighbour(street, row) for row in street.lanes.left]
    right = [neighbour(street, row) for row in street.lanes.right]
    assert dict(zip(street.lanes.ids, zip(left, right, strict=True), strict=True)) == {
        "101": ("104", "102"),  # the oncoming lane lies on the left
        "102": ("101", ""),
        "103": ("", ""),
        "104": ("101", ""),
        "105": ("", ""),
    }


def test_lines_are_painted_as_their_tags_say(street):
    markings = {street.ids[i]: Marking(street.marking[i]) for i in range(len(street))}
    assert markings["1"] == Marking.DOUBLE_SOLID_YELLOW
    assert markings["2"] == Marking.DASHED
    assert markings["11"] == Marking.VIRTUAL
    assert markings["3"] == Marking.CURB
    bound = street.lanes.left_boundary[lane(street, "104")]
    assert street.ids[bound] == "1"


def test_edges_stop_lines_and_stop_signs_are_pieces(street):
    assert set(pieces(street, PieceKind.ROAD_EDGE)) == {"3", "4"}
    assert set(pieces(street, PieceKind.STOP_LINE)) == {"20"}
    signs = pieces(street, PieceKind.STOP_SIGN)
    np.testing.assert_allclose(signs["21"][:, :2], [[1048.25, 995]] * 2, atol=1e-5)


def test_parallel_markings_and_crosswalk_lanelets_are_crosswalks(street):
    crosswalks = pieces(street, PieceKind.CROSSWALK)
    assert set(crosswalks) == {"30+31", "105"}
    ring = crosswalks["30+31"][:, :2]
    np.testing.assert_allclose(ring[0], ring[-1])
    x, y = (ring - ring[0]).T
    area = np.abs(x[:-1] @ y[1:] - y[:-1] @ x[1:]) / 2
    assert area == pytest.approx(3 * 11, abs=1e-3)
    area_piece = street.lanes.area[lane(street, "105")]
    assert street.kind[area_piece] == PieceKind.CROSSWALK


def test_kinds_and_limits_come_from_tags_and_rules(street):
    assert LaneKind(street.lanes.kind[lane(street, "101")]) == LaneKind.VEHICLE
    assert LaneKind(street.lanes.kind[lane(street, "105")]) == LaneKind.PEDESTRIAN
    limits = dict(zip(street.lanes.ids, street.lanes.speed_limit, strict=True))
    assert limits["101"] == pytest.approx(25 * 0.44704)
    assert limits["102"] == pytest.approx(30 * KMH)  # its own tag counts before the rule
    assert np.isnan(limits["103"])
    assert np.isnan(limits["104"])


def test_packed_maps_are_the_same(tmp_path, street):
    path = write_map(tmp_path / "street.osm")
    packed = tmp_path / "street.osm.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    again = read_lanelet2(packed)
    assert again.id == street.id
    np.testing.assert_array_equal(again.points, street.points)


def test_a_map_that_changed_has_another_id(tmp_path):
    path = write_map(tmp_path / "street.osm")
    before = read_lanelet2(path)
    path.write_text(path.read_text().replace("25mph", "5mph"))
    after = read_lanelet2(path)
    assert after.id != before.id
    assert np.nanmin(after.lanes.speed_limit) == pytest.approx(5 * 0.44704)


@pytest.mark.parametrize(
    ("code", "before", "after", "place"),
    [
        ("reference", '<nd ref="5000"/>', '<nd ref="99"/>', "way 1"),
        ("reference", '<member type="way" ref="2" role="left"/>', "", "lanelet 102"),
        ("reference", 'ref="12" role="right"', 'ref="77" role="right"', "lanelet 103"),
        ("duplicate", '<way id="2">', '<way id="1">', ""),
        ("duplicate", '<node id="5001"', '<node id="5000"', ""),
        ("value", 'lat="0.', 'lat="north', ""),
        ("value", 'lat="0.', 'lat="nan" was="0.', "node 5000"),
        ("geometry", '<nd ref="5001"/>', '<nd ref="5000"/>', "lanelet 101"),
        ("syntax", "<osm", "<map", ""),
        ("truncated", "</osm>", "", ""),
    ],
)
def test_malformed_maps_are_refused_with_their_place(tmp_path, code, before, after, place):
    path = write_map(tmp_path / "street.osm")
    text = path.read_text()
    assert before in text
    text = text.replace(before, after, 1)
    path.write_text(text.replace("</osm>", "</map>") if after == "<map" else text)
    with pytest.raises(InputError) as caught:
        read_lanelet2(path)
    assert caught.value.code == code
    assert str(path) in caught.value.where
    assert place in caught.value.where


def test_a_map_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        read_lanelet2(tmp_path / "none.osm")
    assert caught.value.code == "missing-file"
