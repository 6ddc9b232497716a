import pytest

from kerbstone.errors import InputError
from kerbstone.formats.sumo import SimulationConfig, simulate_roads, vary_config


def test_configurations_go_through_towns_then_sides_each_with_its_own_seed():
    configs = vary_config(
        SimulationConfig(seed=5), towns=["grid", "berlin"], sides=["right", "left"], logs=5
    )
    assert [(config.town, config.side, config.seed) for config in configs] == [
        ("grid", "right", 5),
        ("berlin", "right", 6),
        ("grid", "left", 7),
        ("berlin", "left", 8),
        ("grid", "right", 9),
    ]


def test_a_town_that_is_not_there_is_refused_before_anything_is_made(tmp_path):
    configs = [SimulationConfig(town="grid"), SimulationConfig(town="girds")]
    with pytest.raises(InputError, match="there is no town 'girds'"):
        simulate_roads(configs, tmp_path / "road")
    assert not list(tmp_path.iterdir())
