"""Stores of streets for the tests of searching and choosing."""

import shutil

import pytest

from kerbstone.store import Store
from streets import put_scenes, street


@pytest.fixture
def store(tmp_path):
    """Return an empty store."""
    return Store.create(str(tmp_path / "road"))


@pytest.fixture(scope="session")
def _streets(tmp_path_factory):
    """A store of five logs of plain streets, one with a walker and one where the leader brakes."""
    store = Store.create(str(tmp_path_factory.mktemp("streets") / "road"))
    for number, speed in enumerate((9.0, 10.0, 11.0)):
        plain = street(f"plain/{number}", speed=speed, town="There", log=f"plain-{number}")
        put_scenes(store, f"plain-{number}", plain)
    put_scenes(
        store,
        "walkers",
        street("walk/0", walker=True, log="walkers"),
        street("walk/1", walker=True, speed=9.0, log="walkers"),
    )
    put_scenes(store, "brakes", street("brake/0", brake=True, lead=25.0, log="brakes"))
    return store


@pytest.fixture
def streets(_streets, tmp_path):
    """The store of streets, for the test alone."""
    folder = tmp_path / "streets"
    shutil.copytree(_streets.uri, folder)
    return Store.open(str(folder))
