"""Which code answers a query: a digest that changes when a signal or an operator does."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from kerbstone.lang import formula as f
from kerbstone.lang.signals.models import is_provided, provided_version

_ROOMS = ("kerbstone.scene", "kerbstone.lang", "kerbstone.lang.signals")


def answering_code(query: f.Compiled, stored: Mapping[str, str] | None = None) -> str | None:
    """Return a digest of the code that answers a query.

    What was answered by the same code need not be asked again. It covers the rooms of scenes and
    of the language, and the modules of signals that come from elsewhere.

    Args:
        query: The query.
        stored: Versions of what models wrote into the store that is asked, by the signal's name.

    Returns:
        The digest; None where the query asks a model that does not say which one it is, and
        whose answers must therefore not be kept.
    """
    digest = hashlib.blake2b(language_version().encode(), digest_size=16)
    parts = f.walk(query.body)
    signals = {part.signal for part in parts if isinstance(part, f.Claim | f.Measure)}
    for signal in sorted(signals, key=lambda signal: signal.name):
        module = signal.measure.__module__
        if module == f"{_ROOMS[-1]}.models":
            version = provided_version(signal.name)
            if not is_provided(signal.name):
                version = (stored or {}).get(signal.name, "")
            if not version:
                return None
            digest.update(f"\0{signal.name}\0{version}".encode())
        elif not module.startswith("kerbstone.lang."):
            digest.update(f"\0{signal.name}\0{module}\0".encode() + _source(module))
    return digest.hexdigest()


@cache
def language_version() -> str:
    """Return a digest of all code of the language and of scenes."""
    return code_version(*_ROOMS)


@cache
def code_version(*packages: str) -> str:
    """Return a digest of the modules of some packages, without the packages in them."""
    digest = hashlib.blake2b(digest_size=16)
    for room in packages:
        sources = (item for item in files(room).iterdir() if item.name.endswith((".py", ".lark")))
        for source in sorted(sources, key=lambda item: item.name):
            digest.update(f"\0{room}/{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()


def _source(module: str) -> bytes:
    path = getattr(sys.modules.get(module), "__file__", None)
    return Path(path).read_bytes() if path else b""
