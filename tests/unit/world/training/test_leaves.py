import hashlib
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.world.training import leaves
from kerbstone.world.training.leaves import read_header, read_tree, write_tree

TREE = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": (np.array(3, np.int32), np.zeros((0, 4)), np.array([True, False])),
    "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


def seal(path, body: bytes) -> None:
    """Write a file whose digest is right, as someone hostile would."""
    path.write_bytes(body + hashlib.sha256(body).digest())


def header_line(**values) -> bytes:
    return json.dumps({"kerbstone": "kind", "version": leaves.VERSION, **values}).encode() + b"\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tree.kst"


def test_a_tree_comes_back_bit_by_bit_with_its_header(path):
    write_tree(path, "kind", {"told": [1, None, "ü"]}, TREE)
    back = read_tree(path, "kind", TREE)
    assert jax.tree.structure(back) == jax.tree.structure(TREE)
    for a, b in zip(jax.tree.leaves(TREE), jax.tree.leaves(back), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert read_header(path, "kind")["told"] == [1, None, "ü"]
    assert [file.name for file in path.parent.iterdir()] == ["tree.kst"]


def test_bfloat16_comes_back_bit_by_bit(path):
    tree = [jnp.linspace(-1, 1, 7, dtype=jnp.bfloat16)]
    write_tree(path, "kind", {}, tree)
    (back,) = read_tree(path, "kind", tree)
    assert back.dtype == jnp.bfloat16
    np.testing.assert_array_equal(np.asarray(tree[0]).view("u2"), back.view("u2"))


def test_the_arrays_are_plain_npy_without_objects(path):
    write_tree(path, "kind", {}, TREE)
    with path.open("rb") as file:
        file.readline()
        np.testing.assert_array_equal(np.load(file, allow_pickle=False), TREE["a"])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_a_file_that_was_cut_off_is_seen(path, share):
    write_tree(path, "kind", {}, TREE)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError) as error:
        read_tree(path, "kind", TREE)
    assert error.value.code == "truncated"


def test_any_changed_bit_is_seen(path):
    write_tree(path, "kind", {}, TREE)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(data), 40).tolist():
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(InputError):
            read_header(path, "kind")


@pytest.mark.parametrize(
    "like",
    [
        {**TREE, "a": TREE["a"].astype(np.float64)},
        {**TREE, "a": TREE["a"].T},
        {**TREE, "z": TREE["a"]},
        {"a": TREE["a"]},
    ],
)
def test_arrays_that_are_not_those_expected_are_refused(path, like):
    write_tree(path, "kind", {}, TREE)
    with pytest.raises(InputError) as error:
        read_tree(path, "kind", like)
    assert error.value.code == "shape"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json\n",
        b"[1, 2]\n",
        b"null\n",
        b"{" + b'"a":{' * 100_000 + b"\n",
        b'{"kerbstone": "kind", "version": ' + b"9" * 5000 + b"}\n",
        b"\xff\xfe\n",
        header_line(version=leaves.VERSION + 1),
        header_line(version=1),
        header_line(kerbstone="other"),
        b" " * 5_000_000 + b"\n",
    ],
)
def test_hostile_headers_are_refused(path, line):
    seal(path, line)
    with pytest.raises(InputError):
        read_header(path, "kind")


def npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    "array",
    [
        b"",
        b"nonsense",
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}") + pickle.dumps([1, 2]),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}") + b"1234",
        npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2,)}") + b"12345678",
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000,)}"),
        npy("__import__('os').abort()"),
        npy("{" * 60_000),
        b"\x93NUMPY\x03\x00",
    ],
)
def test_hostile_arrays_are_refused_and_nothing_is_run(path, array):
    seal(path, header_line() + array)
    with pytest.raises(InputError):
        read_tree(path, "kind", [np.zeros(2, np.float32)])


def test_an_array_larger_than_its_file_is_refused_before_memory_is_taken(path):
    seal(
        path,
        header_line()
        + npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + str(10**13) + ",)}"),
    )
    with pytest.raises(InputError, match="ends too early"):
        read_tree(path, "kind", [jax.ShapeDtypeStruct((10**13,), np.float32)])


def test_a_file_too_large_is_refused(path, monkeypatch):
    write_tree(path, "kind", {}, TREE)
    monkeypatch.setattr(leaves, "_LARGEST_FILE", 100)
    with pytest.raises(InputError) as error:
        read_header(path, "kind")
    assert error.value.code == "unsafe"


def test_a_file_that_is_not_there_is_told(path):
    with pytest.raises(InputError) as error:
        read_header(path, "kind")
    assert error.value.code == "missing-file"


def test_what_stops_a_write_leaves_the_file_as_it_was(path, monkeypatch):
    write_tree(path, "kind", {"first": True}, TREE)

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(InputError, match="cannot be written") as error:
        write_tree(path, "kind", {"first": False}, TREE)
    assert "No space" in error.value.why
    assert read_header(path, "kind")["first"]
    assert len(list(path.parent.iterdir())) == 1


def test_a_header_that_is_no_json_is_a_fault(path):
    with pytest.raises(ValueError, match="JSON"):
        write_tree(path, "kind", {"x": float("nan")}, TREE)
