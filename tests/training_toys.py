"""A toy to train: it learns where the first road user will be, from where it is."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from kerbstone.errors import InputError
from kerbstone.store import Store
from kerbstone.world.training.config import Budget, PretrainConfig
from kerbstone.world.training.pretraining import PretrainReport, train_on_store
from kerbstone.world.training.task import Task


@dataclasses.dataclass(frozen=True)
class ToyConfig:
    """A network of one hidden layer."""

    width: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 64:
            raise InputError("config", "width is out of range")


class Toy(eqx.Module):
    """The network, with what real ones have too: whole numbers, and one array in two places."""

    mlp: eqx.nn.MLP
    shared: tuple[jax.Array, jax.Array]
    count: jax.Array
    name: str = eqx.field(static=True)

    def __init__(self, config: ToyConfig, key) -> None:
        self.mlp = eqx.nn.MLP(4, 2, config.width, 1, key=key)
        ones = jnp.ones(2)
        self.shared = (ones, ones)
        self.count = jnp.arange(3)
        self.name = "toy"


class ToyExample(NamedTuple):
    """Half a second of a track, and its last place."""

    seen: np.ndarray
    target: np.ndarray


def make_toy_example(window, rng):
    """Return an example of a road user, or None where nobody is there all the time."""
    whole = np.flatnonzero(window.valid[:, :20].all(axis=1))
    if not len(whole):
        return None
    track = window.position[rng.choice(whole)]
    near = (track[[1, 2]] - track[0]) / 10.0
    return ToyExample(near.ravel().astype(np.float32), ((track[19] - track[0]) / 10).astype("f4"))


def toy_loss(model, batch, key):
    """Return the mean square error, with some noise."""
    noise = 0.01 * jax.random.normal(key, batch.seen.shape)
    out = jax.vmap(model.mlp)(batch.seen + noise) * model.shared[0] + 0 * model.shared[1]
    loss = jnp.mean((out - batch.target) ** 2)
    return loss, {"error": jnp.sqrt(loss)}


def build_toy(config, key):
    return Toy(config, key)


def toy_task(config: ToyConfig | None = None, make=make_toy_example, loss=toy_loss) -> Task:
    config = config or ToyConfig()
    return Task("toy", config, lambda key: build_toy(config, key), make, loss)


TOY_SETTINGS = PretrainConfig(
    batch=4,
    rate=0.01,
    average=0.9,
    validations=6,
    validation_examples=8,
    patience=0,
    group=2,
    log_every=5,
    save_seconds=0.0,
)


def train_toy(
    store: Store | str, out: Path | str, *, task: Task | None = None, steps: int = 60, **options
) -> PretrainReport:
    options = {"config": TOY_SETTINGS, "held_out": ("There",), **options}
    return train_on_store(store, out, task or toy_task(), Budget(steps=steps), **options)


def _make_slowly(window, rng):
    time.sleep(0.02)
    return make_toy_example(window, rng)


if __name__ == "__main__":
    train_toy(sys.argv[1], sys.argv[2], task=toy_task(make=_make_slowly))
