import gzip

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo.network import read_network
from small.sumo import draw_network

# A straight road of 100 m with one lane each way, each 3.5 m wide.
OPENDRIVE = """<?xml version="1.0"?>
<OpenDRIVE>
  <header revMajor="1" revMinor="4" name="" version="1.00"/>
  <road name="r" length="100.0" id="1" junction="-1">
    <planView><geometry s="0" x="5" y="7" hdg="0" length="100"><line/></geometry></planView>
    <elevationProfile/>
    <lanes>
      <laneSection s="0">
        <left><lane id="1" type="driving" level="false">
          <width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></left>
        <center><lane id="0" type="none" level="false"/></center>
        <right><lane id="-1" type="driving" level="false">
          <width sOffset="0" a="3.5" b="0" c="0" d="0"/></lane></right>
      </laneSection>
    </lanes>
  </road>
</OpenDRIVE>
"""


def write(folder, text, name="town.net.xml"):
    path = folder / name
    path.write_text(text)
    return path


def test_edges_lanes_connections_and_junctions_are_read(tmp_path):
    network = read_network(write(tmp_path, draw_network()))
    assert network.name == "town"
    assert not network.left_hand
    assert list(network.roads) == ["ab", "ba", "bc"]
    assert network.edges["ab"].source == "a"
    lane = network.lanes["ab_1"]
    assert (lane.width, lane.speed, lane.length, lane.index) == (3.2, 13.89, 100.0, 1)
    np.testing.assert_array_equal(lane.shape, [[0, -3.4, 0], [100, -3.4, 0]])
    (first, *_) = network.connections
    assert (first.source, first.target, first.via) == ("ab_1", "bc_0", ":b_0_0")
    assert (first.light, first.link) == ("b", 0)
    assert network.junctions["b"].type == "traffic_light"


def test_permissions_are_allow_or_else_disallow(tmp_path):
    lanes = read_network(write(tmp_path, draw_network())).lanes
    assert lanes["ab_0"].permits("pedestrian")
    assert not lanes["ab_0"].permits("passenger")
    assert not lanes["ab_1"].permits("pedestrian")
    assert lanes["ab_1"].permits("passenger")


def test_the_driving_side_is_read(tmp_path):
    assert read_network(write(tmp_path, draw_network(left_hand=True))).left_hand


def test_a_packed_network_is_the_same(tmp_path):
    plain = read_network(write(tmp_path, draw_network()))
    (tmp_path / "packed.net.xml.gz").write_bytes(gzip.compress(draw_network().encode()))
    packed = read_network(tmp_path / "packed.net.xml.gz")
    assert list(packed.lanes) == list(plain.lanes)
    assert packed.connections == plain.connections


def test_a_place_on_a_lane_is_along_it_and_to_its_left(tmp_path):
    lane = read_network(write(tmp_path, draw_network())).lanes["ba_0"]
    point, heading = lane.place(30.0, 1.0)
    np.testing.assert_allclose(point, [70.0, 2.0])
    assert heading == pytest.approx(np.pi)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (draw_network()[:900], "truncated"),
        (draw_network().replace("</edge>", "</egde>", 1), "syntax"),
        ("<routes/>", "syntax"),
        ("<net version='1.20'></net>", "empty"),
        (draw_network().replace('speed="13.89"', 'speed="fast"', 1), "value"),
        (draw_network().replace("0.00,-3.40 100.00,-3.40", "0.00,nan 100.00,-3.40", 1), "value"),
        (draw_network().replace('id="ab" ', "", 1), "value"),
    ],
)
def test_a_broken_network_is_refused(tmp_path, text, code):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_network(path)
    assert caught.value.code == code
    assert str(path) in caught.value.where


def test_a_missing_network_is_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        read_network(tmp_path / "none.net.xml")
    assert caught.value.code == "missing-file"


def test_opendrive_is_read_in_its_own_coordinates(tmp_path, sumo):
    network = read_network(write(tmp_path, OPENDRIVE, "road.xodr"))
    drivable = [lane for lane in network.lanes.values() if lane.permits("passenger")]
    assert len(network.roads) == 2
    assert {round(lane.width, 2) for lane in drivable} == {3.5}
    heads = {round(float(lane.shape[0, 1]), 2): lane.shape[-1, 0] > 50 for lane in drivable}
    assert heads == {5.25: True, 8.75: False}  # one drives on the right, around y = 7


def test_a_broken_opendrive_file_is_refused(tmp_path, sumo):
    with pytest.raises(InputError) as caught:
        read_network(write(tmp_path, "<OpenDRIVE><road", "road.xodr"))
    assert "road.xodr" in caught.value.where
    with pytest.raises(InputError) as caught:
        read_network(tmp_path / "none.xodr")
    assert caught.value.code == "missing-file"
