import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.lane_links import infer_links
from kerbstone.formats.lanelet2 import read_lanelet2


def line(*points, z: float = np.nan) -> np.ndarray:
    return np.array([[x, y, z] for x, y in points], np.float64)


def test_a_lane_is_followed_by_those_that_begin_at_its_end():
    links = infer_links(
        [
            line((0, 0), (20, 0)),
            line((20.3, 0), (40, 0)),
            line((20, 0.2), (30, 2), (36, 8)),
            line((21.5, 0), (50, 0)),  # begins too far off
        ]
    )
    assert links.following == [[1, 2], [], [], []]


def test_a_lane_is_not_followed_by_one_that_turns_off_sharply():
    links = infer_links([line((0, 0), (20, 0)), line((20, 0), (20, 30)), line((20, 0), (0, 0.1))])
    assert links.following == [[], [], []]


def test_a_ring_does_not_follow_itself():
    angle = np.linspace(0, 2 * np.pi, 50)
    ring = np.column_stack([20 * np.cos(angle), 20 * np.sin(angle), np.zeros(50)])
    assert infer_links([ring]).following == [[]]


def test_a_bridge_does_not_follow_the_road_below():
    below, above = line((0, 0), (20, 0), z=0.0), line((20, 0), (40, 0), z=6.0)
    assert infer_links([below, above]).following == [[], []]
    unknown = line((20, 0), (40, 0))
    assert infer_links([below, unknown]).following == [[1], []]


def test_neighbours_run_beside_in_the_same_direction():
    links = infer_links(
        [
            line((0, 0), (40, 0)),
            line((0, 3.5), (40, 3.5)),  # to the left
            line((40, -3.5), (0, -3.5)),  # oncoming
            line((5, 7), (40, 7)),  # left of the left one
        ]
    )
    assert links.left.tolist() == [1, 3, -1, -1]
    assert links.right.tolist() == [-1, 0, -1, 1]


def test_of_two_lanes_beside_the_nearer_one_is_the_neighbour():
    narrow = [line((0, y), (40, y)) for y in (0.0, 4.7, 2.4)]
    links = infer_links(narrow)
    assert links.left.tolist() == [2, -1, 1]
    assert links.right.tolist() == [-1, 2, 0]


def test_a_lane_that_is_beside_for_a_short_part_only_is_no_neighbour():
    links = infer_links([line((0, 0), (60, 0)), line((0, 3.5), (20, 3.5))])
    assert links.left.tolist() == [-1, -1]
    assert links.right.tolist() == [-1, 0]  # for the short lane it is all of its length


def test_lanes_on_a_bridge_are_no_neighbours():
    links = infer_links([line((0, 0), (40, 0), z=0.0), line((0, 3.5), (40, 3.5), z=5.0)])
    assert links.left.tolist() == [-1, -1]


def test_no_lanes_have_no_links():
    links = infer_links([])
    assert links.following == []
    assert links.left.shape == (0,)


def test_a_lane_of_one_point_is_refused():
    with pytest.raises(InputError, match="two distinct"):
        infer_links([line((0, 0), (0, 0))])


@pytest.mark.data
def test_real_lane_graphs_are_found_again(data_root):
    said, found, both = 0, 0, 0
    for path in sorted((data_root / "interaction" / "maps").glob("*.osm")):
        road = read_lanelet2(path)
        lanes = range(len(road.lanes))
        links = infer_links([road.centre_line(lane) for lane in lanes])
        true = {(a, int(b)) for a in lanes for b in road.lanes.successors(a)}
        inferred = {(a, b) for a in lanes for b in links.following[a]}
        said, found, both = said + len(true), found + len(inferred), both + len(true & inferred)
    assert both / said > 0.98
    assert both / found > 0.96  # the rest are lanes whose corners are drawn twice
