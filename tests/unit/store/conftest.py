"""A store to write into, and one that is only read."""

import pytest

from kerbstone.store import Store
from scenes import random_scene


@pytest.fixture
def store(tmp_path):
    """Return an empty store."""
    return Store.create(str(tmp_path / "road"))


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """Return a store of three logs of two scenes each, which tests only read."""
    store = Store.create(str(tmp_path_factory.mktemp("filled")))
    for log in range(3):
        scenes = [random_scene(2 * log + i, steps=100) for i in range(2)]
        store.add(scenes, log=f"log-{log}", fingerprint="1")
    return store
