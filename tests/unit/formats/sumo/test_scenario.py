import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo import Sumo, simulate_scenario
from kerbstone.formats.sumo.towns import build_town
from kerbstone.scene import Kind
from laws.format_laws import read_all, share_along_lanes, share_on_road

ROUTES = """<routes>
  <vType id="mine" length="4.20" width="1.70"/>
  <trip id="a" type="mine" depart="0" from="r00to10-r10to00" to="r11to21-r21to11"/>
  <trip id="b" type="mine" depart="1" from="r01to11-r11to01" to="r11to21-r21to11"/>
</routes>
"""
CONFIG = """<configuration>
  <input><net-file value="net/town.net.xml"/><route-files value="mine.rou.xml"/>
    <additional-files value="detectors.add.xml"/></input>
  <output><tripinfo-output value="trips.xml"/></output>
</configuration>
"""
DETECTORS = """<additional>
  <inductionLoop id="d" lane="r11to21-r21to11_1" pos="5" period="5" file="loops.xml"/>
</additional>
"""


@pytest.fixture(scope="module")
def network(sumo, tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "town.net.xml"
    build_town("roundabouts", path, seed=1)
    return path.read_text()


@pytest.fixture
def scenario(network, tmp_path):
    folder = tmp_path / "mine"
    (folder / "net").mkdir(parents=True)
    (folder / "net" / "town.net.xml").write_text(network)
    (folder / "mine.rou.xml").write_text(ROUTES)
    (folder / "detectors.add.xml").write_text(DETECTORS)
    (folder / "run.sumocfg").write_text(CONFIG)
    return folder / "run.sumocfg"


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_scenario_becomes_a_log_at_10_hz(scenario, tmp_path):
    log = simulate_scenario(scenario, tmp_path / "log", duration=12.0)
    (scene,) = read_all(log.folder, Sumo())
    assert scene.clock.dt == 0.1
    assert scene.clock.duration == pytest.approx(12.1, abs=0.11)
    assert scene.agents.ids[scene.ego] == "a"  # the only one that is there all the time
    assert scene.agents.size[scene.ego].tolist() == [4.2, 1.7, 1.5]
    assert scene.source.town == "town"
    assert scene.source.simulated


def test_a_scenario_s_own_folder_stays_as_it_is(scenario, tmp_path):
    before = files_below(scenario.parent)
    log = simulate_scenario(scenario, tmp_path / "log", duration=2.0)
    assert files_below(scenario.parent) == before
    assert files_below(log.folder) == {
        "simulation.json", "fcd.parquet", "town.net.xml", "types.add.xml",
    }  # fmt: skip


def test_ego_and_scene_length_can_be_chosen(scenario, tmp_path):
    log = simulate_scenario(
        scenario, tmp_path / "log", duration=12.0, ego="b", scene_duration=6.0, radius=0.0
    )
    scenes = read_all(log.folder, Sumo())
    assert [scene.agents.ids[scene.ego] for scene in scenes] == ["b", "b"]
    assert scenes[0].clock.start_ns == 1_000_000_000  # it departs after a second


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("net/town.net.xml", "net/none.net.xml", "missing-file"),
        ("mine.rou.xml", "none.rou.xml", "missing-file"),
        ("detectors.add.xml", "none.add.xml", "missing-file"),
        ('<net-file value="net/town.net.xml"/>', "", "missing-file"),
        ("</configuration>", "", "truncated"),
        ("</input>", "</imput>", "syntax"),
        ("configuration>", "routes>", "syntax"),
        ("<output>", '<time><begin value="noon"/></time><output>', "value"),
    ],
)
def test_a_broken_scenario_is_refused(scenario, tmp_path, old, new, code):
    scenario.write_text(CONFIG.replace(old, new))
    with pytest.raises(InputError) as caught:
        simulate_scenario(scenario, tmp_path / "log")
    assert caught.value.code == code
    assert "run.sumocfg" in caught.value.where
    assert not (tmp_path / "log").exists()


def test_what_sumo_refuses_is_told_in_its_own_words(scenario, tmp_path):
    routes = scenario.with_name("mine.rou.xml")
    routes.write_text(ROUTES.replace('from="r00to10-r10to00"', 'from="nowhere"'))
    with pytest.raises(InputError) as caught:
        simulate_scenario(scenario, tmp_path / "log", duration=2.0)
    assert caught.value.code == "simulation"
    assert "nowhere" in caught.value.why
    assert caught.value.where == str(scenario)


def test_a_broken_network_of_a_scenario_is_refused(scenario, tmp_path, network):
    (scenario.parent / "net" / "town.net.xml").write_text(network[:2000])
    with pytest.raises(InputError) as caught:
        simulate_scenario(scenario, tmp_path / "log")
    assert caught.value.code == "truncated"


@pytest.mark.data
@pytest.mark.parametrize("place", ["acosta", "joined", "pasubio"])
def test_the_scenarios_of_bologna_run(data_root, sumo, tmp_path, place):
    folder = data_root / "sumo_bologna" / place
    before = files_below(folder)
    log = simulate_scenario(folder / "run.sumocfg", tmp_path / "log", duration=25.0)
    assert files_below(folder) == before
    scenes = read_all(log.folder, Sumo())
    scene = scenes[0]
    assert scene.agents.is_kind(Kind.BUS).any() or len(scene.agents) > 5
    assert scene.signals is not None
    assert share_on_road(scene) > 0.98
    assert share_along_lanes(scene) > 0.95
