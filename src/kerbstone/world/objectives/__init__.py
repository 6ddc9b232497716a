"""Objectives: what the model is trained to do, all without labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jax import Array

from kerbstone.world.objectives.contrastive import contrastive_loss, make_views
from kerbstone.world.objectives.following import following_loss, make_following
from kerbstone.world.objectives.masked import make_masked, masked_loss


@dataclass(frozen=True)
class Objective:
    """What the model is shown of a window, and what is made small.

    Args:
        make: Takes a window, a random generator and limits; returns an example, or None where the
            window has nothing to learn from.
        loss: Takes a model and a batch of examples; returns the loss, and what it is made of.
    """

    make: Callable[..., Any]
    loss: Callable[[Any, Any], tuple[Array, dict[str, Array]]]


OBJECTIVES = {
    "masked": Objective(make_masked, masked_loss),
    "next": Objective(make_following, following_loss),
    "contrastive": Objective(make_views, contrastive_loss),
}
