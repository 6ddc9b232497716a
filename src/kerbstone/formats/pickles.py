"""Pickles of strangers, read without running anything of theirs.

A pickle is a program that may call any function. Here it may only ask for a short list of names,
and behind each stands a function of this module that builds plain data: NumPy arrays of numbers
and text, dicts, sets. Whatever else is named refuses the file. Arrays are only built from bytes
that are in the file, so a small file cannot ask for a large array.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from kerbstone.errors import InputError
from kerbstone.formats.files import cut_off, read_bytes

_MAX_BYTES = 2 * 1024**3
_PLAIN_DTYPE = re.compile(r"[<>|=]?([biufcSUO]\d+|\?)")


def read_pickle(path: Path, *, limit: int = _MAX_BYTES) -> Any:
    """Read a pickle of builtins and NumPy arrays; dicts of any class come back as dicts.

    Args:
        path: The file, plain or packed.
        limit: Most bytes that it may unpack to.

    Raises:
        InputError: It is missing, cut off, too large, no pickle, or asks for anything else.
    """
    data = read_bytes(path, limit=limit)
    unpickler = _Unpickler(io.BytesIO(data))
    try:
        return unpickler.load()
    except InputError as error:
        error.where = str(path)
        raise
    except EOFError as error:
        raise cut_off(path, str(error)) from None
    except MemoryError:
        raise _refuse("more memory than there is", where=str(path)) from None
    except (
        pickle.UnpicklingError,
        AttributeError,
        ImportError,
        LookupError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        if "truncated" in str(error):
            raise cut_off(path, str(error)) from None
        raise InputError(
            "syntax",
            "a file is not a pickle of plain data",
            where=str(path),
            why=f"{type(error).__name__}: {error}",
        ) from None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = _RENAMED.get(module, module)
        stand_in = _ALLOWED.get((module, name))
        if stand_in is None:
            raise _refuse(f"{module}.{name}")
        return stand_in


def _refuse(what: str, *, where: str = "") -> InputError:
    return InputError(
        "unsafe",
        "a pickle asks for more than plain data, and is refused",
        where=where,
        why=f"it asks for {what}",
        remedy="have its owner save it with NumPy arrays and builtins only",
    )


class _Name:
    """Stands for a type that is only mentioned: it can be passed on, not called."""


class _Dtype:
    """Stands for `numpy.dtype` until its state is known to be a plain one."""

    def __init__(self, name: str, *_: object) -> None:
        if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
            raise _refuse(f"an array of {name!r}")
        self.plain = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, parts = state[1], state[2:5]
        if order not in ("<", ">", "|", "=") or parts != (None, None, None):
            raise _refuse(f"a structured array {state!r:.80}")
        if order in ("<", ">"):
            self.plain = self.plain.newbyteorder(order)


class _Array(np.ndarray):
    """An array that takes its state only if the bytes for it are there."""

    def __setstate__(self, state: Any, /) -> None:
        version, shape, dtype, is_fortran, raw = state
        plain = _plain_dtype(dtype)
        item = 1 if plain.hasobject else plain.itemsize
        if len(raw) != math.prod(shape) * item or min(shape, default=0) < 0:
            raise _refuse(f"an array of shape {shape!r:.80} from {len(raw)} bytes")
        super().__setstate__((version, shape, plain, is_fortran, raw))


def _plain_dtype(dtype: Any) -> np.dtype:
    if not isinstance(dtype, _Dtype):
        raise _refuse(f"an array of {dtype!r:.80}")
    return dtype.plain


def _reconstruct(*_: object) -> np.ndarray:
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _scalar(dtype: Any, raw: bytes) -> Any:
    plain = _plain_dtype(dtype)
    if plain.hasobject or len(raw) != plain.itemsize:
        raise _refuse("a scalar that is no number")
    return np.frombuffer(raw, plain)[0]


def _from_buffer(buffer: Any, dtype: Any, shape: tuple[int, ...], order: str) -> np.ndarray:
    plain = _plain_dtype(dtype)
    if plain.hasobject:
        raise _refuse("objects in a buffer")
    return np.frombuffer(buffer, plain).reshape(shape, order="F" if order == "F" else "C")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise _refuse(f"text in {encoding!r:.80}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


def _dict(*_: object) -> dict[Any, Any]:
    return {}


def _ordered_dict(items: Iterable[Any] = ()) -> dict[Any, Any]:
    return dict(items)


def _set(items: Iterable[Any] = ()) -> set[Any]:
    return set(items)


# Old pickles and new NumPy have other names for the same modules.
_RENAMED = {
    "__builtin__": "builtins",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}
_ALLOWED: dict[tuple[str, str], Callable[..., Any] | _Name] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Name(),
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("collections", "defaultdict"): _dict,
    ("collections", "OrderedDict"): _ordered_dict,
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _set,
    ("builtins", "bytes"): _no_bytes,
    ("_codecs", "encode"): _latin1,
    **{
        ("builtins", name): _Name()
        for name in ("int", "long", "float", "str", "bool", "list", "dict", "tuple")
    },
}
