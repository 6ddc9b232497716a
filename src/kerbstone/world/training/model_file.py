"""A trained model in one file, with all that is needed to use it and to know where it is from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from kerbstone.errors import InputError
from kerbstone.settings import read_config
from kerbstone.world.model_version import MODEL
from kerbstone.world.training.leaves import read_header, read_tree, write_tree

if TYPE_CHECKING:
    from kerbstone.world.network import SceneModel

KIND = "scene model"


def write_model(
    path: Path | str, model: Any, *, config: Any, objective: str, told: Mapping[str, Any]
) -> None:
    """Write a model.

    Args:
        path: The file; it is replaced if it is there.
        model: The model.
        config: Its configuration, a dataclass of plain values.
        objective: Name of what it was trained for.
        told: What else is known of it, as JSON values.

    Raises:
        InputError: The file cannot be written.
    """
    header = {**told, "objective": objective, "model": asdict(config)}
    write_tree(Path(path), KIND, header, eqx.filter(model, eqx.is_array))


def read_model(path: Path | str) -> tuple[SceneModel, dict[str, Any]]:
    """Read a model that `write_model` wrote. Nothing in the file is run.

    Args:
        path: The file, or the folder of the run that made it.

    Returns:
        The model and the file's header.

    Raises:
        InputError: There is no such file, it is damaged or none of ours, or its weights are not
            those of a model of its configuration, or not finite.
    """
    from kerbstone.world.network import ModelConfig, build_model

    return read_model_as(path, ModelConfig, lambda config, key: build_model(config, key=key))


def read_model_as(
    path: Path | str, kind: type, build: Callable[[Any, jax.Array], Any]
) -> tuple[Any, dict[str, Any]]:
    """Read a model of any network; see `read_model`.

    Args:
        path: The file, or the folder of the run that made it.
        kind: Class of the network's configuration.
        build: Makes the network of its configuration and a key. It is only traced: no memory is
            needed for a model before the file is found to hold its weights.
    """
    path = Path(path)
    path = path / MODEL if path.is_dir() else path
    header = read_header(path, KIND)
    values = header.get("model")
    if not isinstance(values, dict):
        raise InputError("value", "a model does not say what it is", where=str(path))
    try:
        config = read_config(kind, overrides=values)
    except InputError as error:
        raise InputError(
            "value",
            "a model has a configuration that this version does not know",
            where=str(path),
            why=error.why or error.what,
        ) from error
    like = eqx.filter_eval_shape(lambda key: build(config, key), jax.random.key(0))
    shapes, static = eqx.partition(like, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    arrays = read_tree(path, KIND, shapes)
    for leaf in jax.tree.leaves(arrays):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not np.isfinite(leaf).all():
            raise InputError("value", "the weights of a model are not finite", where=str(path))
    return eqx.combine(jax.tree.map(jnp.asarray, arrays), static), header
