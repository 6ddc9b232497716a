"""Programs that JAX compiled are kept on disk, so that a second start is quick."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jax

_LEAST_SECONDS = 0.5


def keep_compiled() -> Path | None:
    """Keep what JAX compiles in the user's cache, unless JAX was told of another place.

    Returns:
        The folder, or None where it cannot be written.
    """
    set_before = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    if set_before:
        return Path(set_before)
    folder = cache_folder() / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        # Only speed is lost, for instance in a container whose home cannot be written.
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
    return folder


def cache_folder() -> Path:
    """Return the folder in which this user's programs keep what they could make again."""
    home = Path.home()
    if sys.platform == "darwin":
        place = home / "Library" / "Caches"
    elif sys.platform == "win32":
        place = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        # A relative path is to be ignored, says the XDG base directory specification.
        given = Path(os.environ.get("XDG_CACHE_HOME", ""))
        place = given if given.is_absolute() else home / ".cache"
    return place / "kerbstone"
