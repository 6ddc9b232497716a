import xml.etree.ElementTree as ET
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo.demand import write_demand
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.towns import build_town
from kerbstone.formats.sumo.vehicle_types import read_vehicle_types
from kerbstone.scene import Kind
from small.sumo import draw_network


@pytest.fixture(scope="module")
def grid(sumo, tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "town.net.xml"
    build_town("grid", path, seed=1)
    return read_network(path)


@pytest.fixture(scope="module")
def motorway(sumo, tmp_path_factory):
    path = tmp_path_factory.mktemp("motorway") / "town.net.xml"
    build_town("motorway", path, seed=1)
    return read_network(path)


def write(path, network, **changes):
    settings = {"agents": 60, "population": "mixed", "duration": 100.0} | changes
    write_demand(path, network, rng=np.random.default_rng(3), **settings)
    return ET.parse(path).getroot()


def test_there_are_as_many_road_users_as_asked_for(grid, tmp_path):
    root = write(tmp_path / "d.rou.xml", grid)
    assert len(root.findall("vehicle")) + len(root.findall("person")) == 60
    assert len(root.findall("person")) == 12
    assert root.find("vehicle").get("id") == "ego"


def test_routes_follow_connections_and_never_turn_back(grid, tmp_path):
    lanes = grid.lanes
    joined = {(lanes[c.source].edge, lanes[c.target].edge) for c in grid.connections}
    for vehicle in write(tmp_path / "d.rou.xml", grid).findall("vehicle"):
        route = vehicle.find("route").get("edges").split()
        assert all(pair in joined for pair in pairwise(route))
        for here, there in pairwise(route):
            assert grid.edges[here].source != grid.edges[there].target


def test_routes_last_as_long_as_the_simulation(grid, tmp_path):
    for vehicle in write(tmp_path / "d.rou.xml", grid, duration=500.0).findall("vehicle"):
        route = vehicle.find("route").get("edges").split()
        if not vehicle.get("type").startswith(("car", "suv")):
            continue
        fastest = sum(
            grid.edges[name].lanes[0].length / (1.4 * grid.edges[name].lanes[0].speed)
            for name in route
        )
        assert fastest > 500.0


def test_all_kinds_of_road_users_and_drivers_take_part(grid, tmp_path):
    root = write(tmp_path / "d.rou.xml", grid, agents=110)
    types = read_vehicle_types([tmp_path / "d.rou.xml"])
    used = [user.get("type") for user in [*root.findall("vehicle"), *root.findall("person")]]
    kinds = Counter(types[name].kind for name in used)
    assert set(kinds) == {
        Kind.CAR, Kind.TRUCK, Kind.BUS, Kind.MOTORCYCLE, Kind.CYCLIST, Kind.PEDESTRIAN,
    }  # fmt: skip
    drivers = {name.partition(".")[2] for name in used if "." in name}
    assert drivers == {"calm", "normal", "aggressive"}


def test_nobody_walks_or_cycles_on_a_motorway(motorway, tmp_path):
    root = write(tmp_path / "d.rou.xml", motorway)
    assert not root.findall("person")
    assert not [v for v in root.findall("vehicle") if v.get("type").startswith("bicycle")]
    assert [v for v in root.findall("vehicle") if v.get("type").startswith("articulated")]


def test_both_directions_of_a_motorway_are_driven_on(motorway, tmp_path):
    root = write(tmp_path / "d.rou.xml", motorway)
    starts = [v.find("route").get("edges").split()[0] for v in root.findall("vehicle")]
    inner = sum(name.startswith("inner") for name in starts)
    assert 0.25 < inner / len(starts) < 0.75


def test_a_population_has_the_drivers_that_it_is_named_after(grid, tmp_path):
    def share(population, driver):
        root = write(tmp_path / "d.rou.xml", grid, population=population, agents=100)
        drivers = [v.get("type").partition(".")[2] for v in root.findall("vehicle")[1:]]
        return drivers.count(driver) / len(drivers)

    assert share("calm", "calm") > 0.6
    assert share("aggressive", "aggressive") > 0.5
    assert share("calm", "aggressive") == 0


def test_buses_stop_on_their_way(grid, tmp_path):
    root = write(tmp_path / "d.rou.xml", grid, agents=110)
    buses = [v for v in root.findall("vehicle") if v.get("type").startswith("bus")]
    assert buses
    assert all(bus.findall("stop") for bus in buses)


def test_the_same_random_numbers_give_the_same_demand(grid, tmp_path):
    first, second = (ET.tostring(write(tmp_path / f"{i}.rou.xml", grid)) for i in range(2))
    assert first == second


def test_more_road_users_than_a_town_has_room_for_are_refused(grid, tmp_path):
    with pytest.raises(InputError) as caught:
        write(tmp_path / "d.rou.xml", grid, agents=5000)
    assert caught.value.code == "config"


def test_a_road_that_leads_nowhere_is_no_town(tmp_path):
    (tmp_path / "town.net.xml").write_text(draw_network())
    network = read_network(tmp_path / "town.net.xml")
    with pytest.raises(InputError) as caught:
        write(tmp_path / "d.rou.xml", network)
    assert caught.value.code == "empty"
