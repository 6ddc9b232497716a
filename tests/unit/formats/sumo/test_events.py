"""Each script on a road of its own, in the situation that it waits for."""

import numpy as np
import pytest

from kerbstone.formats.sumo.events import EventKind, plant_events
from kerbstone.formats.sumo.log import SimulatedLog
from kerbstone.formats.sumo.network import read_network
from kerbstone.formats.sumo.program import run_connected, run_program
from kerbstone.formats.sumo.recordings import read_stretches
from kerbstone.formats.sumo.simulation import signals_request
from kerbstone.formats.sumo.truth import confirm_events

# A main road from a by b to c with a side road from d, and lights at b.
NODES = """<nodes>
  <node id="a" x="0" y="0"/><node id="b" x="600" y="0" type="traffic_light"/>
  <node id="c" x="1200" y="0"/><node id="d" x="600" y="-300"/>
</nodes>"""
EDGES = "<edges>{}</edges>".format(
    "".join(
        f'<edge id="{one}{two}" from="{one}" to="{two}" numLanes="{lanes}" speed="13.9" '
        'sidewalkWidth="2"/>'
        for one, two, lanes in (
            *(("a", "b", 2), ("b", "a", 2), ("b", "c", 2), ("c", "b", 2)),
            *(("b", "d", 1), ("d", "b", 1)),
        )
    )
)
TYPE = '<vType id="car" length="4.5" width="1.8" sigma="0" speedFactor="1" lcKeepRight="0"/>'

# For each kind: where the others are: id, first lane, position, speed, route.
OTHERS = {
    EventKind.RED_LIGHT_RUNNING: [("x", "1", 230, 12, "db ba")],
    EventKind.EMERGENCY_BRAKING: [("x", "1", 225, 12, "ab bc")],
    EventKind.CLOSE_CUT_IN: [("x", "2", 206, 12, "ab bc")],
    EventKind.HIDDEN_PEDESTRIAN: [("x", "2", 290, 8, "ba")],
    EventKind.STOPPED_VEHICLE: [("x", "1", 230, 12, "ab bc")],
    EventKind.SLOW_VEHICLE: [("x", "1", 230, 12, "ab bc")],
    EventKind.WRONG_WAY: [("x", "2", 230, 12, "ba")],
    EventKind.TAILGATING: [("x", "1", 170, 12, "ab bc")],
}
# Where ego is; the lane beside the middle of the road where it must meet oncoming traffic.
EGO = {
    EventKind.RED_LIGHT_RUNNING: (540, "1"),
    EventKind.HIDDEN_PEDESTRIAN: (200, "2"),
    EventKind.WRONG_WAY: (200, "2"),
}


@pytest.fixture(scope="module", params=["right", "left"])
def road(request, sumo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("road")
    (folder / "n.xml").write_text(NODES)
    (folder / "e.xml").write_text(EDGES)
    path = folder / "town.net.xml"
    side = ["--lefthand"] if request.param == "left" else []
    files = ("-n", str(folder / "n.xml"), "-e", str(folder / "e.xml"), "-o", str(path))
    run_program("netconvert", [*files, "--no-turnarounds", *side])
    return path


def vehicle(name, lane, position, speed, route):
    return (
        f'<vehicle id="{name}" type="car" depart="0" departLane="{lane}" departPos="{position}" '
        f'departSpeed="{speed}"><route edges="{route}"/></vehicle>'
    )


def play(folder, road, kind, others, *, kinds=(), duration=30.0):
    """Run the road with ego and others, plant one kind of event; return log and events."""
    position, lane = EGO.get(kind, (200, "1"))
    users = [("ego", lane, position, 12, "ab bc"), *others]
    (folder / "demand.rou.xml").write_text(
        f"<routes>{TYPE}{''.join(vehicle(*user) for user in users)}"
        '<vType id="adult" vClass="pedestrian"/></routes>'
    )
    (folder / "town.net.xml").write_bytes(road.read_bytes())
    (folder / "lights.add.xml").write_text(signals_request("signals.xml"))
    arguments = [
        *("-n", str(road), "-r", str(folder / "demand.rou.xml")),
        *("-a", str(folder / "lights.add.xml"), "--step-length", "0.1"),
        *("--lateral-resolution", "0.8", "--fcd-output", str(folder / "fcd.parquet")),
        *("--precision", "6", "--no-step-log", "--collision.action", "warn"),
    ]
    network = read_network(road)
    with run_connected(arguments, folder / "sumo.log") as connection:
        attempts = plant_events(
            connection, network, kinds=kinds or [kind], pause=0.2, start=0.2, end=duration,
            rng=np.random.default_rng(1),
        )  # fmt: skip
    log = SimulatedLog(
        folder, "road", "ego", 0.0, 60.0, "town.net.xml", ("fcd.parquet",), ("demand.rou.xml",),
        signals="signals.xml",
    )  # fmt: skip
    return attempts, confirm_events(attempts, log, network)


@pytest.mark.parametrize("kind", list(EventKind))
def test_in_its_situation_an_event_comes_off(road, kind, tmp_path):
    attempts, events = play(tmp_path, road, kind, OTHERS[kind])
    assert attempts
    assert {attempt.kind for attempt in attempts} == {kind}
    assert events, (tmp_path / "sumo.log").read_text()
    event = events[0]
    assert event.kind == kind
    assert event.agents[1] == "ego"
    assert "x" in event.agents
    assert event.start_ns < event.end_ns


def test_alone_on_the_road_nothing_is_staged(road, tmp_path):
    attempts, events = play(
        tmp_path, road, EventKind.WRONG_WAY, [], kinds=list(EventKind), duration=6.0
    )
    assert attempts == events == []


def test_who_took_part_drives_on_as_before(road, tmp_path):
    play(tmp_path, road, EventKind.SLOW_VEHICLE, OTHERS[EventKind.SLOW_VEHICLE], duration=45.0)
    (rows,) = read_stretches([tmp_path / "fcd.parquet"], duration=1000.0)
    is_actor = np.array(rows.id.to_pylist()) == "x"
    speed = rows.speed[is_actor]
    assert speed.min() < 6.0
    slow = np.flatnonzero(speed < 6.0)
    assert speed[slow[-1] :].max() > 6.0 or slow[-1] == len(speed) - 1


def test_ego_brakes_for_the_pedestrian_who_steps_out(road, tmp_path):
    kind = EventKind.HIDDEN_PEDESTRIAN
    _, events = play(tmp_path, road, kind, OTHERS[kind])
    (rows,) = read_stretches([tmp_path / "fcd.parquet"], duration=1000.0)
    during = (rows.time_ns >= events[0].start_ns) & (rows.time_ns <= events[0].end_ns)
    speed = rows.speed[during & (np.array(rows.id.to_pylist()) == "ego")]
    assert speed.min() < 0.6 * speed[0]


def test_a_vehicle_behind_ego_overtakes_it_before_it_cuts_in(road, tmp_path):
    kind = EventKind.CLOSE_CUT_IN
    attempts, events = play(tmp_path, road, kind, [("x", "1", 175, 12, "ab bc")])
    assert attempts[0].agents == ("x", "ego")
    assert events[0].kind == kind
    assert events[0].start_ns > attempts[0].start * 1e9


def test_who_arrives_in_the_middle_of_an_event_takes_no_part(road, tmp_path):
    def leave(stage):
        with stage.hold("x", "ego"):
            while True:
                stage.vehicles.setSpeed("ego", 2.0)
                stage.actor("x")
                if stage.time > 3.0:
                    stage.vehicles.remove("x")
                yield

    scripts = {EventKind.TAILGATING: leave}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kerbstone.formats.sumo.scripts.SCRIPTS", scripts)
        attempts, _ = play(tmp_path, road, EventKind.TAILGATING, [("x", "2", 300, 12, "ab bc")])
    assert attempts == []
    (rows,) = read_stretches([tmp_path / "fcd.parquet"], duration=1000.0)
    ego = rows.speed[np.array(rows.id.to_pylist()) == "ego"]
    assert ego[:50].min() < 4.0  # it was held,
    assert ego[-1] > 10.0  # and given back to its driver
