import collections
import contextlib
import io
import lzma
import os
import pickle
import subprocess

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.pickles import read_pickle

PLAIN = {
    "a": [1, 2.5, "text", b"bytes", None, True, (1, 2), {3, 4}],
    "floats": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::2],
    "single": np.float32(1.5),
    "count": np.int64(7),
    "flags": np.array([True, False]),
    "names": np.array(["x", "yy"]),
    "mixed": np.array([None, "LANE_STATE_GO"], object),
    "big endian": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 3)),
    "default": collections.defaultdict(int, {"k": 1}),
    "ordered": collections.OrderedDict([("k", 2)]),
}


def dumped(tmp_path, value, protocol=4):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def refused(code, path, **keywords) -> InputError:
    with pytest.raises(InputError) as caught:
        read_pickle(path, **keywords)
    assert caught.value.code == code
    assert caught.value.where == str(path)
    return caught.value


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_data_is_read_as_it_is(tmp_path, protocol):
    read = read_pickle(dumped(tmp_path, PLAIN, protocol))
    assert read.keys() == PLAIN.keys()
    for name, value in PLAIN.items():
        found = read[name]
        if isinstance(value, np.ndarray):
            assert np.asarray(found).dtype.newbyteorder("=") == value.dtype.newbyteorder("=")
            np.testing.assert_array_equal(np.asarray(found), value)
        else:
            assert found == value


def test_packed_pickles_are_read_as_they_are(tmp_path):
    path = tmp_path / "a.pkl.xz"
    path.write_bytes(lzma.compress(pickle.dumps({"x": np.zeros(3)})))
    assert read_pickle(path)["x"].shape == (3,)


class Evil:
    def __init__(self, call, *arguments):
        self.reduced = (call, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    "evil",
    [
        Evil(os.system, "touch pwned"),
        Evil(eval, "open('pwned', 'w')"),
        Evil(exec, "open('pwned', 'w')"),
        Evil(subprocess.Popen, ["touch", "pwned"]),
        Evil(getattr, "x", "upper"),
        Evil(io.open, "pwned", "w"),
        Evil(np.load, "pwned"),
        Evil(np.zeros, (10**12,)),
        collections.Counter("a"),
        np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
        np.array(["2020-01-01"], dtype="M8[D]"),
        slice(3),
    ],
    ids=lambda evil: type(evil).__name__,  # an address would differ from process to process
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_whatever_is_no_plain_data_is_refused(tmp_path, monkeypatch, evil, protocol):
    monkeypatch.chdir(tmp_path)
    path = dumped(tmp_path, {"x": [evil]}, protocol)
    assert "asks for" in refused("unsafe", path).why
    assert not (tmp_path / "pwned").exists()


def test_types_that_are_only_mentioned_cannot_be_called(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"cbuiltins\nstr\n(Vtext\ntR.")
    refused("syntax", path)
    path.write_bytes(b"cnumpy\nndarray\n((I1000000000000\nttR.")
    refused("syntax", path)


@pytest.mark.parametrize("shape", [(10**12,), (-1,), (4,)])
def test_an_array_is_not_larger_than_its_bytes(tmp_path, shape):
    class Bomb:
        def __reduce__(self):
            rebuild, arguments, state = np.zeros(3).__reduce__()
            return rebuild, arguments, (state[0], shape, *state[2:])

    assert "shape" in refused("unsafe", dumped(tmp_path, Bomb())).why


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "a.pkl.xz"
    path.write_bytes(lzma.compress(pickle.dumps(np.zeros(1_000_000))))
    refused("unsafe", path, limit=1_000_000)


def test_a_pickle_that_is_cut_off_is_told_wherever_it_is(tmp_path):
    whole = pickle.dumps({"x": np.arange(50.0), "y": "text"})
    path = tmp_path / "a.pkl"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            read_pickle(path)
        assert caught.value.code in ("truncated", "syntax")
    refused("truncated", path)


def test_garbage_is_told(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(b"this is no pickle at all")
    refused("syntax", path)


def test_flipped_bytes_end_in_an_error_of_ours_or_in_data(tmp_path):
    whole = bytearray(pickle.dumps({"x": np.arange(5.0), "k": collections.defaultdict(int)}))
    path = tmp_path / "a.pkl"
    generator = np.random.default_rng(0)
    for _ in range(300):
        broken = whole.copy()
        broken[generator.integers(len(whole))] = generator.integers(256)
        path.write_bytes(broken)
        with contextlib.suppress(InputError):
            read_pickle(path)
