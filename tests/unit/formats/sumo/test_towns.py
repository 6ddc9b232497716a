import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.towns import TOWNS, build_town
from small.sumo import draw_network


@pytest.fixture(scope="module", params=sorted(TOWNS))
def both_sides(request, sumo, tmp_path_factory):
    networks = {}
    for side in ("right", "left"):
        folder = tmp_path_factory.mktemp("town")
        build_town(request.param, folder / "town.net.xml.gz", side=side, seed=4)
        networks[side] = read_network(folder / "town.net.xml.gz")
    return networks


def length(network):
    return sum(edge.lanes[0].length for edge in network.roads.values())


def test_a_town_has_its_driving_side(both_sides):
    assert not both_sides["right"].left_hand
    assert both_sides["left"].left_hand


def test_a_left_hand_town_is_as_large_as_its_right_hand_one(both_sides):
    right, left = both_sides["right"], both_sides["left"]
    assert length(left) == pytest.approx(length(right), rel=0.02)
    lights = [len({c.light for c in n.connections if c.light}) for n in (right, left)]
    assert lights[0] == lights[1]


def test_lanes_of_two_directions_do_not_overlap(both_sides):
    for network in both_sides.values():
        for edge in list(network.roads.values())[:40]:
            middle, kerb = edge.lanes[-1].shape[0, :2], edge.lanes[0].shape[0, :2]
            step = np.diff(edge.lanes[0].shape[:2, :2], axis=0)[0]
            if len(edge.lanes) > 1:
                across = middle - kerb
                aside = step[0] * across[1] - step[1] * across[0]
                # The middle of the road is on the left where one drives on the right.
                assert (aside > 0) == (not network.left_hand)


def test_a_seed_gives_a_variant_of_its_own(sumo, tmp_path):
    found = []
    for seed in (1, 1, 2):
        build_town("grid", tmp_path / "town.net.xml", seed=seed)
        found.append(
            [lane.shape.tolist() for lane in read_network(tmp_path / "town.net.xml").lanes.values()]
        )
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_the_motorway_has_slip_roads_and_no_dead_end(sumo, tmp_path):
    build_town("motorway", tmp_path / "town.net.xml")
    network = read_network(tmp_path / "town.net.xml")
    slips = [e for e in network.roads.values() if e.type == "highway.motorway_link"]
    assert len(slips) == 12
    sources = {network.lanes[c.source].edge for c in network.connections}
    targets = {network.lanes[c.target].edge for c in network.connections}
    assert set(network.roads) <= sources & targets
    through = max(len(edge.lanes) for edge in network.roads.values())
    assert through == min(len(e.lanes) for e in network.roads.values() if e not in slips) + 1


def test_a_network_of_ones_own_is_a_town(sumo, tmp_path):
    build_town("roundabouts", tmp_path / "mine.net.xml")
    build_town(str(tmp_path / "mine.net.xml"), tmp_path / "town.net.xml")
    mine, town = (read_network(tmp_path / f"{n}.net.xml") for n in ("mine", "town"))
    assert set(town.roads) == set(mine.roads)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_street_map_is_a_town(sumo, tmp_path, side):
    nodes = "".join(
        f'<node id="{i + 1}" lat="{52 + y / 1000}" lon="{13 + x / 700}" version="1"/>'
        for i, (x, y) in enumerate([(0, 0), (1, 0), (1, 1), (0, 1)])
    )
    way = "".join(f'<nd ref="{i}"/>' for i in (1, 2, 3, 4, 1))
    (tmp_path / "streets.osm").write_text(
        f'<osm version="0.6">{nodes}<way id="1" version="1">{way}'
        '<tag k="highway" v="residential"/></way></osm>'
    )
    build_town(str(tmp_path / "streets.osm"), tmp_path / "town.net.xml", side=side)
    network = read_network(tmp_path / "town.net.xml")
    assert network.left_hand == (side == "left")
    assert any(lane.permits("passenger") for lane in network.lanes.values())


def test_an_unknown_town_offers_the_nearest(sumo, tmp_path):
    with pytest.raises(InputError) as caught:
        build_town("gird", tmp_path / "town.net.xml")
    assert "did you mean 'grid'?" in caught.value.remedy


def test_a_broken_network_of_ones_own_is_refused(sumo, tmp_path):
    (tmp_path / "mine.net.xml").write_text(draw_network()[:500])
    with pytest.raises(InputError) as caught:
        build_town(str(tmp_path / "mine.net.xml"), tmp_path / "town.net.xml")
    assert "mine.net.xml" in caught.value.where
