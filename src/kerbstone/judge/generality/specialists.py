"""Specialists: the same network, trained for one task alone with the generalist's budget."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.world.masks import Forecast, HideKind, Infill, MaskFamily, Together

if TYPE_CHECKING:
    import numpy as np

    from kerbstone.store import Store
    from kerbstone.world.network import SceneModel
    from kerbstone.world.tokens import Example, Limits
    from kerbstone.world.training import PretrainReport, Progress
    from kerbstone.world.windows import Window

FAMILIES: dict[str, MaskFamily] = {
    "forecast": Forecast(),
    "infill": Infill(share=0.9),
    "kind": HideKind(),
    "forecast-kind-hidden": Together((Forecast(), HideKind(share=1.0))),
}
"""What each specialist is trained on, by its name, which is that of its folder."""


def train_specialist(
    family: str,
    store: Store | str,
    out: Path | str,
    header: Mapping[str, Any],
    *,
    on_progress: Callable[[Progress], object] = lambda _: None,
) -> PretrainReport:
    """Train a specialist as the generalist was: as large, as long, on the same scenes.

    Training that was stopped goes on where it was.

    Args:
        family: A key of `FAMILIES`.
        store: The store that the generalist was trained on.
        out: Folder of the specialist.
        header: Header of the generalist's file.
        on_progress: Called with each line of the log.

    Raises:
        UsageError: There is no such family, or the folder holds another run.
        InputError: The generalist does not say how it was trained, or training fails.
    """
    from kerbstone.settings import read_config
    from kerbstone.world.network import ModelConfig, build_model
    from kerbstone.world.objectives.masked import masked_loss
    from kerbstone.world.tokens import Limits
    from kerbstone.world.training import Budget, PretrainConfig, Task, train_on_store

    if family not in FAMILIES:
        raise UsageError(
            "name", f"there is no specialist {family!r}", remedy=suggest_name(family, FAMILIES)
        )
    training, data = header.get("training"), header.get("data")
    if not isinstance(training, dict) or not isinstance(data, dict):
        raise InputError("value", "a model does not say how it was trained")
    config = read_config(ModelConfig, overrides=header["model"])
    task = Task(
        name_objective(family),
        config,
        lambda key: build_model(config, key=key),
        functools.partial(make_special, family=family, limits=Limits()),
        lambda model, batch, _: masked_loss(model, batch),
    )
    return train_on_store(
        store,
        out,
        task,
        read_config(Budget, overrides=training["budget"]),
        seed=int(training["seed"]),
        where=training.get("where"),
        held_out=tuple(data["held_out"]),
        config=read_config(PretrainConfig, overrides=training.get("config", {})),
        on_progress=on_progress,
    )


def make_special(
    window: Window, rng: np.random.Generator, *, family: str, limits: Limits
) -> Example | None:
    """Return an example of a specialist's task; None where a window has nothing to ask."""
    from kerbstone.world.objectives.focus import draw_focus
    from kerbstone.world.tokens import make_example

    if not len(window):
        return None
    mask = FAMILIES[family](window, rng)
    example = make_example(window, mask, limits, focus=draw_focus(window, mask, rng))
    targets = example.targets
    return example if targets.valid.any() or targets.is_kind_asked.any() else None


def name_objective(family: str) -> str:
    """Return what a specialist's file says that it was trained for."""
    return f"masked {family}"


def read_specialists(
    folder: Path | str, families: Collection[str], header: Mapping[str, Any]
) -> tuple[dict[str, SceneModel], tuple[str, ...]]:
    """Read the specialists that are there, and check that they are the generalist's match.

    Args:
        folder: A folder with one for each family.
        families: Those that are needed.
        header: Header of the generalist's file.

    Returns:
        The models by family, and what a reader should know: who is not there, or had another
        budget or other scenes.

    Raises:
        InputError: One is damaged, was trained for something else, or is of another size.
    """
    from kerbstone.world.training import read_model

    found, notes = {}, []
    for family in families:
        path = Path(folder) / family
        if not (path / "model.kst").is_file():
            notes.append(f"there is no specialist for {family}")
            continue
        model, told = read_model(path)
        for name, expected in (("objective", name_objective(family)), ("model", header["model"])):
            if told.get(name) != expected:
                raise InputError(
                    "value",
                    f"a specialist is no match for the model: its {name} is another",
                    where=str(path),
                    why=f"{told.get(name)!r}, expected {expected!r}",
                    remedy="delete it to train it anew",
                )
        for name in ("budget", "recipe"):
            own, other = (each.get("training", {}).get(name) for each in (told, header))
            if own != other:
                notes.append(f"the specialist for {family} had another {name}: {own}, not {other}")
        own, other = (each.get("data", {}).get("data") for each in (told, header))
        if own != other:
            notes.append(f"the specialist for {family} was trained on other scenes")
        found[family] = model
    return found, tuple(notes)
