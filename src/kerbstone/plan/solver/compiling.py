"""How the planner's programs are compiled."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax

_WANTED = {"xla_cpu_use_fusion_emitters": False}


@cache
def compiler_options() -> dict[str, Any]:
    """Return the options for `jax.jit` with which plans are fastest, where XLA knows them.

    XLA's older code for loops is twice as fast as its newer one on the planner's small products of
    matrices, and compiles in half the time.
    """
    try:
        jax.jit(lambda x: x, compiler_options=_WANTED).lower(0.0).compile()
    except Exception:  # noqa: BLE001  Whatever XLA says: it does not know the option, so none is set.
        return {}
    return dict(_WANTED)
