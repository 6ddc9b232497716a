"""Simulated roads from the command line to the store, and the demo's report."""

import json
import re
from pathlib import Path

import pytest

from commands import run
from drives import write_drive
from kerbstone.app import demo
from kerbstone.app.simulate import _scenario_name
from kerbstone.formats import ingest
from kerbstone.formats.sumo import SimulationConfig, vary_config
from kerbstone.store import Store

pytest.importorskip("sumo", reason="the extra 'sumo' is not installed")


def simulate(*arguments: object) -> dict:
    return json.loads(run("simulate", *arguments, "--json").stdout)


def read_states(road: Path) -> dict[str, bytes]:
    store = Store.open(str(road))
    scenes = [store.scene(name) for name in store.scenes().column("id").to_pylist()]
    return {s.id: s.agents.centre.tobytes() + s.agents.heading.tobytes() for s in scenes}


def recordings(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("fcd.parquet")}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A configuration of which little is simulated."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.toml"
    path.write_text("duration = 4\nagents = 6\nwarm_up = 2\n")
    return path


@pytest.fixture(scope="module")
def both(tmp_path_factory, tiny) -> Path:
    """A store with one town on both sides of the road."""
    road = tmp_path_factory.mktemp("both") / "road"
    done = simulate("--store", road, "--side", "both", "--config", tiny)
    assert (done["logs"], done["scenes"], done["known"]) == (2, 2, 0)
    return road


def test_both_sides_are_simulated_and_recorded(both):
    rows = Store.open(str(both)).scenes().to_pylist()
    assert {row["town"] for row in rows} == {"grid-0-right", "grid-1-left"}
    assert sorted(row["driving_side"] for row in rows) == [1, 2]
    assert all(row["simulated"] for row in rows)
    assert all(row["duration"] == pytest.approx(4.0, abs=0.11) for row in rows)


def test_events_and_detections_come_with_the_scenes(both):
    store = Store.open(str(both))
    ids = set(store.scenes().column("id").to_pylist())
    assert {"scene_id", "kind", "agents", "start_ns", "end_ns"} <= set(
        store.rows("events").column_names
    )
    detections = store.rows("detections")
    assert detections.num_rows > 0
    assert set(detections.column("scene_id").to_pylist()) <= ids


def test_what_is_there_is_neither_simulated_nor_read_again(both, tiny):
    before = recordings(both.with_name("road-logs"))
    assert len(before) == 2
    again = simulate("--store", both, "--side", "both", "--config", tiny)
    assert (again["known"], again["scenes"]) == (2, 0)
    assert recordings(both.with_name("road-logs")) == before


def test_a_log_that_is_missing_is_simulated_again_to_the_same_bits(both, tiny, tmp_path):
    road = tmp_path / "road"
    simulate("--store", road, "--side", "left", "--seed", 1, "--config", tiny)
    first, second = read_states(both), read_states(road)
    (name,) = second
    assert first[name] == second[name]


def test_flags_lie_on_top_of_the_configuration_file(tmp_path):
    config = tmp_path / "roads.toml"
    config.write_text('side = "left"\nduration = 2\nagents = 3\nevents = []\nwarm_up = 5\n')
    road = tmp_path / "road"
    simulate("--store", road, "--config", config, "--duration", 3, "--seed", 7)
    store = Store.open(str(road))
    (scene,) = store.scenes().to_pylist()
    assert scene["town"] == "grid-7-left"
    assert scene["duration"] == pytest.approx(3.0, abs=0.11)
    runs = {row["command"]: row for row in store.runs().to_pylist()}
    (log,) = json.loads(runs["simulate"]["config"])["logs"]
    assert (log["agents"], log["warm_up"], log["duration"], log["events"]) == (3, 5.0, 3.0, [])
    assert runs["simulate"]["seed"] == 7


@pytest.fixture
def scenario(tmp_path) -> Path:
    """A scenario of one's own: one straight road and two cars."""
    from kerbstone.formats.sumo.program import run_program

    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "n.nod.xml").write_text(
        '<nodes><node id="a" x="0" y="0"/><node id="b" x="300" y="0"/></nodes>'
    )
    (folder / "e.edg.xml").write_text(
        '<edges><edge id="ab" from="a" to="b" numLanes="2" speed="13.9"/></edges>'
    )
    network = folder / "road.net.xml"
    run_program(
        "netconvert",
        ["-n", str(folder / "n.nod.xml"), "-e", str(folder / "e.edg.xml"), "-o", str(network)],
    )
    (folder / "cars.rou.xml").write_text(
        '<routes><route id="r" edges="ab"/><vehicle id="first" route="r" depart="0"/>'
        '<vehicle id="second" route="r" depart="2"/></routes>'
    )
    path = folder / "run.sumocfg"
    path.write_text(
        '<configuration><input><net-file value="road.net.xml"/>'
        '<route-files value="cars.rou.xml"/></input><time><end value="8"/></time></configuration>'
    )
    return path


def test_a_scenario_of_ones_own_is_run_and_ingested(scenario, tmp_path):
    road = tmp_path / "road"
    before = sorted(path.name for path in scenario.parent.iterdir())
    done = simulate("--store", road, "--sumo", scenario, "--duration", 6)
    assert (done["logs"], done["agents"]) == (1, 2)
    store = Store.open(str(road))
    (name,) = store.scenes().column("id").to_pylist()
    assert set(store.scene(name).agents.ids) == {"first", "second"}
    assert sorted(path.name for path in scenario.parent.iterdir()) == before


def test_scenarios_that_are_called_alike_have_places_of_their_own():
    paths = [Path(f"/{user}/town/run.sumocfg") for user in ("ann", "bob")]
    names = [_scenario_name(path) for path in paths]
    assert names[0] != names[1]
    assert all(name.startswith("town-run-") for name in names)


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--side", "up"], 2, "right, left or both"),
        (["--sumo", "x.sumocfg", "--town", "grid"], 2, "--town"),
        (["--sumo", "x.sumocfg", "--seed", "0"], 2, "--seed"),
        (["--sumo", "x.sumocfg", "--config", "c.toml"], 2, "--config"),
        (["--sumo", "x.sumocfg", "--side", "left"], 2, "--side"),
        (["--sumo", "x.sumocfg"], 3, "no such file"),
        (["--town", "gird"], 3, "did you mean 'grid'"),
        (["--config", "c.toml"], 3, "did you mean 'agents'"),
        (["--duration", "nan"], 3, "out of range"),
        (["--seed", "99999999999999999999"], 2, "seed"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(tmp_path, monkeypatch, flags, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text("agentss = 3\n")
    assert message in run("simulate", *flags, code=code).stderr


def test_configurations_go_through_towns_and_sides_with_a_seed_each():
    made = vary_config(
        SimulationConfig(seed=5), towns=("grid", "spider"), sides=("right", "left"), logs=5
    )
    assert [(c.town, c.side, c.seed) for c in made] == [
        ("grid", "right", 5),
        ("spider", "right", 6),
        ("grid", "left", 7),
        ("spider", "left", 8),
        ("grid", "right", 9),
    ]


def test_the_demo_writes_a_report_that_needs_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "TOWNS", {"grid": demo.TOWNS["grid"]})
    tiny = {"duration": 30.0, "agents": 20, "event_pause": 1.0, "warm_up": 5.0}
    monkeypatch.setattr(demo, "SimulationConfig", lambda **given: SimulationConfig(**given | tiny))
    out = tmp_path / "demo"
    ingest([write_drive(tmp_path / "mine.csv")], out / "road")
    short = ("--seed", 0, "--workers", 1, "--minutes", 0.2)
    report = json.loads(run("demo", "--out", out, *short, "--json").stdout)
    assert [town["side"] for town in report["towns"]] == ["right", "left", "right"]
    assert [(d["dataset"], d["scenes"]) for d in report["datasets"]] == [("sumo (simulated)", 3)]
    store = Store.open(report["store"])
    assert report["detections"] == store.rows("detections").num_rows > 0
    assert sum(report["events"].values()) == store.rows("events").num_rows > 0
    page = Path(report["page"]).read_text("utf-8")
    assert "simulated" in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|@import|url\(\s*["']?http""", page)
    kept = recordings(out / "logs")
    assert run("demo", "--out", out, *short).stdout.count("look at it:") == 1
    assert recordings(out / "logs") == kept
