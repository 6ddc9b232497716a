"""A window of a crossing with everything in it, and an untrained model, for the tests of the core."""

import jax
import pytest

from crossing import crossing_scene
from kerbstone.world.network import ModelConfig, build_model
from kerbstone.world.windows import cut_window


@pytest.fixture(scope="session")
def crossing():
    return crossing_scene(steps=80)


@pytest.fixture(scope="session")
def window(crossing):
    return cut_window(crossing, 0.0, 16)


@pytest.fixture(scope="session")
def model():
    return build_model(ModelConfig(width=32, heads=2, layers=1), key=jax.random.key(1))
