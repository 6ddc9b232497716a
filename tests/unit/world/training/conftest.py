"""A store of streets in two towns, and runs of a toy on it, for the tests of training."""

import shutil

import jax
import pytest

from kerbstone.store import Store
from streets import put_scenes, street
from training_toys import train_toy

_SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@pytest.fixture(scope="session")
def _compiled(tmp_path_factory):
    return str(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(autouse=True)
def _keep_compiled(_compiled):
    """Keep what is compiled for the other tests of the session, and for nobody after them."""
    before = [getattr(jax.config, name) for name in _SETTINGS]
    for name, value in zip(_SETTINGS, (_compiled, 0.0), strict=True):
        jax.config.update(name, value)
    yield
    for name, value in zip(_SETTINGS, before, strict=True):
        jax.config.update(name, value)


@pytest.fixture(scope="session")
def _towns(tmp_path_factory):
    store = Store.create(str(tmp_path_factory.mktemp("towns") / "road"))
    for number, speed in enumerate((6.0, 8.0, 10.0, 12.0)):
        town = "There" if number == 3 else "Here"
        log = f"log-{number}"
        put_scenes(store, log, street(f"{log}/0", speed=speed, town=town, log=log))
    return store


@pytest.fixture
def towns(_towns, tmp_path):
    """A store of four logs, the last of which is of another town; for the test alone."""
    folder = tmp_path / "road"
    shutil.copytree(_towns.uri, folder)
    return Store.open(str(folder))


@pytest.fixture(scope="session")
def whole(_towns, tmp_path_factory):
    """The folder of a run on such a store that nothing stopped; only to be read."""
    folder = tmp_path_factory.mktemp("whole")
    store = shutil.copytree(_towns.uri, folder / "road")
    train_toy(str(store), folder / "out")
    return folder / "out"


@pytest.fixture
def finished(whole, tmp_path):
    """The folder of the same run, for the test alone."""
    return shutil.copytree(whole, tmp_path / "finished")
