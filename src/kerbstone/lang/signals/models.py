"""Signals of models: their names are there, so that a query may be written before a model is.

Their values are what a model wrote into a store, which a search hands over as `stored` of the
facts. Who has them from elsewhere replaces the measure behind a name with `provide`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np

from kerbstone.errors import InputError, MissingError, suggest_name
from kerbstone.lang.facts import Facts
from kerbstone.lang.registry import signal

_NAMES = ("surprise", "similar", "image")
_EMBED = "kerbstone embed --store STORE --model DIR; or "
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


def is_provided(name: str) -> bool:
    """Whether a model of this process is behind a signal."""
    return name in _PROVIDED


def provided_version(name: str) -> str:
    """Return the version of the model behind a signal; empty where there is none."""
    return _PROVIDED[name][1] if name in _PROVIDED else ""


@signal(agents=1, unit="", margin=1.0)
def surprise(facts: Facts) -> np.ndarray:
    """How rare what a road user does is for its kind and speed: 2 is 1 in 100, 3 is 1 in 1000."""
    return _measure("surprise", _missing_world)(facts)


@signal(agents=0, unit="", margin=0.1, texts=1)
def similar(facts: Facts, scene: str) -> np.ndarray:
    """Cosine similarity of the scene at that time to another, or to seconds of it: "ID@12-15"."""
    return _measure("similar", _missing_index)(facts, scene)


@signal(agents=0, unit="", margin=0.05, texts=1)
def image(facts: Facts, words: str) -> np.ndarray:
    """Cosine similarity of what the cameras saw to words."""
    return _measure("image", _missing_encoder)(facts, words)


def _measure(name: str, missing: Callable[..., NoReturn]) -> Callable[..., np.ndarray]:
    return _PROVIDED[name][0] if name in _PROVIDED else missing


def _missing_world(*_: object) -> NoReturn:
    raise _missing("surprise", "what a trained world model writes into the store", _EMBED)


def _missing_index(*_: object) -> NoReturn:
    raise _missing("similar", "the vectors of scenes that a trained world model writes", _EMBED)


def _missing_encoder(*_: object) -> NoReturn:
    raise _missing("image", "an image-text encoder")


def _missing(name: str, what: str, remedy: str = "") -> MissingError:
    return MissingError(
        "model-missing",
        f"the signal {name!r} needs {what}, and there is none",
        remedy=remedy + "leave it out of the query",
    )
