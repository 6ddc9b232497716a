"""Signals of models: their names are there, so that a query may be written before a model is.

A model's room replaces the measure behind a name with `provide`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np

from kerbstone.errors import InputError, MissingError, suggest_name
from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal

_NAMES = ("surprise", "similar", "image")
_PROVIDED: dict[str, tuple[Callable[..., np.ndarray], str]] = {}


def provide(name: str, measure: Callable[..., np.ndarray] | None, *, version: str = "") -> None:
    """Set what measures a model signal, `surprise`, `similar` or `image`; None takes it away.

    Args:
        name: The signal.
        measure: Takes the facts of a scene, and the texts of the signal.
        version: Another one where the model or what it read is another one. Answers to queries
            that ask a model are kept only where it says its version.

    Raises:
        InputError: There is no model signal of that name.
    """
    if name not in _NAMES:
        raise InputError(
            "name", f"there is no model signal {name!r}", remedy=suggest_name(name, _NAMES)
        )
    if measure is None:
        _PROVIDED.pop(name, None)
    else:
        _PROVIDED[name] = (measure, version)


def provided_version(name: str) -> str:
    """Return the version of the model behind a signal; empty where there is none."""
    return _PROVIDED[name][1] if name in _PROVIDED else ""


@signal(agents=1, unit="", margin=1.0)
def surprise(facts: Facts) -> np.ndarray:
    """How unlikely the world model found what a road user did (negative log-likelihood)."""
    return _measure("surprise", _missing_world)(facts)


@signal(agents=0, unit="", margin=0.1, texts=1)
def similar(facts: Facts, scene: str) -> np.ndarray:
    """Cosine similarity of the scene to another, named by its id."""
    return _measure("similar", _missing_index)(facts, scene)


@signal(agents=0, unit="", margin=0.05, texts=1)
def image(facts: Facts, words: str) -> np.ndarray:
    """Cosine similarity of what the cameras saw to words."""
    return _measure("image", _missing_encoder)(facts, words)


def _measure(name: str, missing: Callable[..., NoReturn]) -> Callable[..., np.ndarray]:
    return _PROVIDED[name][0] if name in _PROVIDED else missing


def _missing_world(*_: object) -> NoReturn:
    raise _missing("surprise", "a trained world model")


def _missing_index(*_: object) -> NoReturn:
    raise _missing("similar", "an index of scene embeddings")


def _missing_encoder(*_: object) -> NoReturn:
    raise _missing("image", "an image-text encoder")


def _missing(name: str, what: str) -> MissingError:
    return MissingError(
        "model-missing",
        f"the signal {name!r} needs {what}, and there is none",
        remedy="leave it out of the query",
    )
