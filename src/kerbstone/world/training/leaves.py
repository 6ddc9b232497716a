"""Files that hold a tree of arrays: a line of JSON, the leaves as Equinox writes them, a digest.

The leaves are NumPy arrays one after the other (`.npy`), and no objects: reading runs nothing. A
file is written beside its place and then moved there, so it is there whole or not at all; and
what a bad disk makes of it is seen by the SHA-256 of all that stands before the digest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import jax
import numpy as np

from kerbstone.errors import InputError

Tree = TypeVar("Tree")

VERSION = 5
"""Goes up when the layout changes, or what a network is told: 2 since gaps are asked for at bridges,
3 since those are of the force that fills best what is left out, 4 since accelerations are told,
5 since gaps have readouts of their own, and forces are weighed."""
_DIGEST = 32
_CHUNK = 1 << 20
_LONGEST_HEADER = 4_000_000  # [bytes]: it lists held-out places and damaged scenes
_LARGEST_FILE = 64_000_000_000  # [bytes]
_LONGEST_LEAF_HEADER = 1000


def write_tree(path: Path, kind: str, header: Mapping[str, Any], tree: Any) -> None:
    """Write a tree of arrays and a header, at once or not at all.

    Args:
        path: The file; it is replaced if it is there.
        kind: What is in the file.
        header: JSON values.
        tree: Arrays of numbers in a tree; leaves are written in the tree's order.

    Raises:
        InputError: The file cannot be written.
    """
    line = json.dumps({"kerbstone": kind, "version": VERSION, **header}, allow_nan=False)
    with _replacing(path) as file:
        sink = _Hashing(file)
        sink.write(line.encode() + b"\n")
        for leaf in jax.tree.leaves(tree):
            array = np.asarray(leaf, order="C")
            # bfloat16 and its like are no types of NumPy's own format.
            plain = array.view(_plain(array.dtype))
            np.lib.format.write_array(sink, plain, version=(1, 0), allow_pickle=False)
        file.write(sink.digest.digest())


def read_header(path: Path, kind: str) -> dict[str, Any]:
    """Return the header of a file, which is checked to be whole.

    Raises:
        InputError: There is no such file, it is damaged, or is of another kind or version.
    """
    with _reading(path) as file:
        return _read_header(path, file, kind)


def read_tree(path: Path, kind: str, like: Tree) -> Tree:
    """Return the arrays of a file as a tree.

    Args:
        path: The file.
        kind: What should be in it.
        like: A tree whose leaves have the shape and type that are expected, such as
            `jax.ShapeDtypeStruct`. No array is made before its leaf in the file is found to agree.

    Raises:
        InputError: There is no such file, it is damaged or of another kind, or its arrays are not
            those expected.
    """
    with _reading(path) as file:
        _read_header(path, file, kind)
        end = os.fstat(file.fileno()).st_size - _DIGEST
        leaves, structure = jax.tree.flatten(like)
        found = [_read_leaf(path, file, leaf, end) for leaf in leaves]
        if file.tell() != end:
            _refuse(path, "shape", "a file holds more arrays than expected")
    return jax.tree.unflatten(structure, found)


class _Hashing:
    """A file that is written while a digest of it is made."""

    def __init__(self, file: BinaryIO) -> None:
        self.digest = hashlib.sha256()
        self._file = file

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self._file.write(data)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of another once it is whole and on the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with beside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise InputError(
            "output",
            "a file cannot be written",
            where=str(path),
            why=error.strerror or str(error),
            remedy="see that the disk has room and that you may write there",
        ) from error


def sync_folder(folder: Path) -> None:
    """Have the disk know the names of a folder's files; where a system cannot, it need not."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """Open a file at its beginning, after its digest was checked."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST_FILE:
                _refuse(path, "unsafe", "a file is too large to be read", f"{size:,} bytes")
            _check_digest(path, file, size)
            file.seek(0)
            yield file
    except FileNotFoundError as error:
        raise InputError("missing-file", "there is no such file", where=str(path)) from error
    except OSError as error:
        raise InputError(
            "unreadable",
            "a file cannot be read",
            where=str(path),
            why=error.strerror or str(error),
        ) from error


def _check_digest(path: Path, file: BinaryIO, size: int) -> None:
    digest = hashlib.sha256()
    left = size - _DIGEST
    while left > 0:
        part = file.read(min(_CHUNK, left))
        if not part:
            break
        digest.update(part)
        left -= len(part)
    if left or file.read(_DIGEST) != digest.digest():
        _refuse(path, "truncated", "a file is damaged, or none of ours", "its digest is another")


def _read_header(path: Path, file: BinaryIO, kind: str) -> dict[str, Any]:
    line = file.readline(_LONGEST_HEADER)
    if not line.endswith(b"\n"):
        _refuse(path, "syntax", "a file does not begin with a line of JSON")
    try:
        header = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "syntax", "a file does not begin with a line of JSON", where=str(path), why=str(error)
        ) from error
    if not isinstance(header, dict) or header.get("kerbstone") != kind:
        found = header.get("kerbstone") if isinstance(header, dict) else None
        _refuse(path, "value", f"a file is no {kind}", f"it says {found!r:.100}")
    if header.get("version") != VERSION:
        _refuse(
            path,
            "value",
            f"a {kind} is of another version of Kerbstone",
            f"version {header.get('version')!r:.100}, this one reads {VERSION}: train it again",
        )
    return header


def _read_leaf(path: Path, file: BinaryIO, like: Any, end: int) -> np.ndarray:
    expected, plain = np.dtype(like.dtype), _plain(like.dtype)
    try:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            _refuse(path, "value", "an array is of another format", f"version {version}")
        shape, is_turned, dtype = np.lib.format.read_array_header_1_0(
            file, max_header_size=_LONGEST_LEAF_HEADER
        )
    except ValueError as error:
        raise InputError(
            "shape", "a file holds fewer arrays than expected", where=str(path), why=str(error)
        ) from error
    if shape != tuple(like.shape) or dtype != plain or is_turned:
        _refuse(
            path,
            "shape",
            "an array of a file is not the one expected",
            f"{dtype}{list(shape)}, expected {plain}{list(like.shape)}",
        )
    count = int(np.prod(shape, dtype=object)) * plain.itemsize
    if count > end - file.tell():
        _refuse(path, "truncated", "an array of a file ends too early")
    return np.frombuffer(file.read(count), plain).view(expected).reshape(shape).copy()


def _plain(dtype: Any) -> np.dtype:
    """Return the type that stands for another in a file: unsigned integers for what is no NumPy."""
    dtype = np.dtype(dtype)
    return np.dtype(f"u{dtype.itemsize}") if dtype.kind == "V" else dtype


def _refuse(path: Path, code: str, what: str, why: str = "") -> NoReturn:
    raise InputError(code, what, where=str(path), why=why)
