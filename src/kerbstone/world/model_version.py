"""The version of a model: what tells that two results are of the same weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kerbstone.errors import InputError

MODEL = "model.kst"
"""Name of the model in its folder."""


def version_of(path: Path | str) -> str:
    """Return the version of the model in a file, or a run's folder: a digest of the file.

    Raises:
        InputError: There is no such file.
    """
    file = Path(path)
    file = file / MODEL if file.is_dir() else file
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
    except OSError as error:
        raise InputError(
            "missing-file", "there is no such model", where=str(file), why=error.strerror or ""
        ) from error
