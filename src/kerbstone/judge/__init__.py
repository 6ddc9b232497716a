"""Judging models: what they can do, where, and by which rule that is called good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerbstone.judge.generality import Matrix, measure_generality, train_specialist

__all__ = ["Matrix", "measure_generality", "train_specialist"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kerbstone.judge import generality

    return getattr(generality, name)
