"""Short simulations that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerbstone.errors import MissingError


@pytest.fixture(scope="session")
def sumo() -> None:
    """Skip where SUMO is not installed."""
    from kerbstone.formats.sumo.program import find_home

    try:
        find_home()
    except MissingError as error:
        pytest.skip(f"SUMO is not installed: {error.remedy}")


@pytest.fixture(scope="session")
def town(sumo, tmp_path_factory) -> Path:
    """Return a folder that holds a simulated log of a small town, with planted events."""
    from kerbstone.formats.sumo import SimulationConfig, simulate

    folder = tmp_path_factory.mktemp("simulated") / "town"
    config = SimulationConfig(
        town="spider", seed=3, duration=45.0, agents=70, warm_up=15.0, event_pause=1.0,
        scene_duration=15.0,
    )  # fmt: skip
    return simulate(config, folder).folder


@pytest.fixture(scope="session")
def left_town(sumo, tmp_path_factory) -> Path:
    """Return a simulated log in which one drives on the left, without events."""
    from kerbstone.formats.sumo import SimulationConfig, simulate

    folder = tmp_path_factory.mktemp("simulated") / "left"
    config = SimulationConfig(
        town="roundabouts", side="left", seed=2, duration=12.0, agents=50, warm_up=10.0, events=(),
        radius=0.0,
    )  # fmt: skip
    return simulate(config, folder).folder
