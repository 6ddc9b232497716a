import dataclasses

import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo import (
    EventKind,
    SimulatedLog,
    SimulationConfig,
    Sumo,
    read_events,
    simulate,
    simulate_detections,
)
from kerbstone.formats.sumo.simulation import new_folder
from kerbstone.settings import read_config
from laws.format_laws import assert_same, read_all


def test_the_same_seed_gives_the_same_scenes_bit_by_bit(town, tmp_path, sumo):
    config = SimulationConfig(**SimulatedLog.read(town).config | {"events": ("all",)})
    again = simulate(config, tmp_path / "town")
    assert read_events(again.folder) == read_events(town)
    for one, two in zip(read_all(town, Sumo()), read_all(again.folder, Sumo()), strict=True):
        assert_same(one.agents, two.agents)
        assert_same(one.signals, two.signals)
        assert_same(one.clock, two.clock)
        assert one.map.id == two.map.id
        assert simulate_detections(one).detections.equals(simulate_detections(two).detections)


def test_a_log_says_how_it_came_about(town):
    log = SimulatedLog.read(town)
    assert log.town == "spider-3-right"
    assert log.sumo[0].isdigit()
    assert log.config["agents"] == 70
    assert log.licence


def test_scenes_of_a_simulation_are_called_simulated(left_town):
    (scene,) = read_all(left_town, Sumo())
    assert scene.source.simulated
    assert scene.source.town == "roundabouts-2-left"
    assert "velocity" in scene.source.derived


def test_no_events_are_planted_where_none_are_asked_for(left_town):
    assert read_events(left_town) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": 0.0}, {"agents": 0}, {"radius": -1.0}, {"scene_duration": float("nan")},
        {"event_pause": 0.0}, {"seed": -1},
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused(changes):
    with pytest.raises(InputError) as caught:
        SimulationConfig(**changes)
    assert next(iter(changes)) in caught.value.what


def test_an_unknown_event_offers_the_nearest():
    with pytest.raises(InputError) as caught:
        SimulationConfig(events=("tailgateing",))
    assert "did you mean 'tailgating'?" in caught.value.remedy


def test_all_stands_for_every_kind_of_event():
    assert SimulationConfig().event_kinds == tuple(EventKind)
    assert SimulationConfig(events=("tailgating",)).event_kinds == (EventKind.TAILGATING,)
    assert SimulationConfig(events=()).event_kinds == ()


def test_a_configuration_file_is_read(tmp_path):
    path = tmp_path / "roads.toml"
    path.write_text('town = "motorway"\nside = "left"\nevents = ["tailgating"]\nduration = 60\n')
    config = read_config(SimulationConfig, path)
    assert (config.town, config.side, config.duration) == ("motorway", "left", 60.0)


def test_towns_of_one_seed_are_one_town_and_others_are_not():
    base = SimulationConfig(town="grid", seed=1)
    assert base.town_name == dataclasses.replace(base, agents=5).town_name
    assert base.town_name != dataclasses.replace(base, seed=2).town_name
    assert base.town_name != dataclasses.replace(base, side="left").town_name
    real = SimulationConfig(town="berlin", seed=1)
    assert real.town_name == dataclasses.replace(real, seed=2).town_name
    assert SimulationConfig(town="a/mine.net.xml").town_name == "mine"


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(InputError) as caught:
        simulate(SimulationConfig(), tmp_path)
    assert caught.value.code == "value"
    assert (tmp_path / "thesis.txt").read_text() == "irreplaceable"


def test_a_simulation_that_fails_leaves_nothing_behind(tmp_path):
    def fail():
        with new_folder(tmp_path / "log") as place:
            (place / "half").write_text("done")
            raise InputError("value", "it went wrong")

    with pytest.raises(InputError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_simulation_is_replaced(tmp_path):
    for text in ("first", "second"):
        with new_folder(tmp_path / "log") as place:
            (place / "simulation.json").write_text(text)
            (place / text).write_text("")
    assert {path.name for path in (tmp_path / "log").iterdir()} == {"simulation.json", "second"}


def test_an_unknown_town_is_refused(tmp_path, sumo):
    with pytest.raises(InputError) as caught:
        simulate(SimulationConfig(town="atlantis"), tmp_path / "log")
    assert caught.value.code == "name"
