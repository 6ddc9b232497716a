"""What is trained: a network, what it is shown of a window, and what is made small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jax import Array

from kerbstone.world.training.optimiser import Objective
from kerbstone.world.training.stream import MakeExample


@dataclass(frozen=True)
class Task:
    """What is trained.

    Args:
        name: Name of the objective.
        config: Configuration of the network, a frozen dataclass of plain values.
        build: Makes the network, an Equinox module, of a key.
        make_example: Makes an example of a window with a generator, or None.
        objective: The loss of a model on a batch.
    """

    name: str
    config: Any
    build: Callable[[Array], Any]
    make_example: MakeExample
    objective: Objective
