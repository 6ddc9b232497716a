import gzip
import lzma
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from kerbstone.errors import InputError
from kerbstone.formats.files import (
    bare_name,
    check_finite,
    find_packed,
    open_bytes,
    read_bytes,
    read_csv,
    read_feather,
    read_json,
    read_parquet,
    read_text,
    read_xml,
    split_of,
)

COLUMNS = {"n": int, "x": float, "name": str, "seen": bool}
TABLE = {"n": [1, 2], "x": [0.5, None], "name": ["a", "b"], "seen": [True, False]}


def write_csv(table: pa.Table, path: Path) -> None:
    rows = [table.column_names, *zip(*table.to_pydict().values(), strict=True)]
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    path.write_text("\n".join(lines))


READERS = {
    "feather": (read_feather, feather.write_feather),
    "parquet": (read_parquet, parquet.write_table),
    "csv": (read_csv, write_csv),
}


@pytest.fixture(params=READERS)
def kind(request) -> str:
    return request.param


def table_file(folder: Path, kind: str, **columns) -> Path:
    path = folder / f"a.{kind}"
    READERS[kind][1](pa.table({**TABLE, **columns}), path)
    return path


def refused(code: str, call, *arguments, **keywords) -> InputError:
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    assert caught.value.code == code
    assert caught.value.where
    return caught.value


def test_every_table_gives_typed_columns(tmp_path, kind):
    columns = READERS[kind][0](table_file(tmp_path, kind), COLUMNS, optional={"none": int})
    assert list(columns) == list(COLUMNS)
    assert columns["n"].dtype == np.int64
    np.testing.assert_array_equal(columns["x"], [0.5, np.nan])
    assert columns["name"].tolist() == ["a", "b"]
    assert columns["seen"].tolist() == [True, False]


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_tables_are_read_as_they_are(tmp_path, kind, ending, pack):
    plain = table_file(tmp_path, kind)
    packed = plain.with_name(plain.name + ending)
    packed.write_bytes(pack(plain.read_bytes()))
    plain.unlink()
    assert READERS[kind][0](packed, {"n": int})["n"].tolist() == [1, 2]
    assert bare_name(packed.name) == plain.name
    assert find_packed(tmp_path, plain.name) == packed
    packed.write_bytes(packed.read_bytes()[:-12])
    refused("truncated", READERS[kind][0], packed, {"n": int})


def test_a_missing_column_is_named_with_the_nearest_there_is(tmp_path, kind):
    error = refused("column", READERS[kind][0], table_file(tmp_path, kind), {"nam": str})
    assert "n, x, name, seen" in error.why
    assert "'name'" in error.remedy


def test_a_value_that_lacks_where_it_may_not_is_told_with_its_row(tmp_path, kind):
    path = table_file(tmp_path, kind, n=[1, None])
    assert "row 1" in refused("value", READERS[kind][0], path, {"n": int}).where


@pytest.mark.parametrize("kind", ["feather", "parquet"])
def test_a_column_of_the_wrong_type_is_refused(tmp_path, kind):
    error = refused("column", READERS[kind][0], table_file(tmp_path, kind), {"name": float})
    assert "string, expected float" in error.why


def test_large_integers_are_read_as_floats_where_floats_are_asked_for(tmp_path, kind):
    path = table_file(tmp_path, kind, n=[315_966_253_660_357_001, 1])
    assert READERS[kind][0](path, {"n": float})["n"][0] == 315_966_253_660_357_001.0


@pytest.mark.parametrize("kind", ["feather", "parquet"])
def test_a_binary_table_that_is_cut_off_is_told(tmp_path, kind):
    path = table_file(tmp_path, kind)
    path.write_bytes(path.read_bytes()[:-20])
    refused("truncated", READERS[kind][0], path, COLUMNS)


def test_csv_errors_name_the_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3\n")
    assert "Row #3" in refused("syntax", read_csv, path, {"a": int}).why
    path.write_text("a,b\n1,2\n3,x\n")
    assert "Row #3" in refused("syntax", read_csv, path, {"b": float}).why
    path.write_text("")
    refused("empty", read_csv, path, {"b": float})


def test_what_is_not_there_is_told(tmp_path):
    refused("missing-file", read_bytes, tmp_path / "none.json")
    refused("missing-file", read_bytes, tmp_path)
    assert find_packed(tmp_path, "none.json") is None


def test_errors_of_the_work_done_while_a_file_is_open_are_not_swallowed(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x")
    with pytest.raises(OSError, match="mine"), open_bytes(path):
        raise OSError("mine")


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "bomb.xz"
    path.write_bytes(lzma.compress(bytes(10_000_000)))
    assert path.stat().st_size < 10_000
    refused("unsafe", read_bytes, path, limit=1_000_000)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ('{"a": [1, 2', "truncated", ""),
        ('{"a": "b', "truncated", ""),
        ("", "truncated", ""),
        ('{\n"a": [1, 2}\n}', "syntax", "line 2, column 11"),
        ("[" * 100_000, "syntax", ""),
    ],
)
def test_broken_json_is_told_with_its_place(tmp_path, text, code, place):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert place in refused(code, read_json, path).where


def test_text_that_is_not_text_is_told_with_its_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\n\xff\xfe")
    assert "line 2" in refused("syntax", read_text, path).where


ENTITY = '<!DOCTYPE a [\n<!ENTITY lol "lollol">]>\n<a>&lol;</a>'
FILE_ENTITY = '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<a><b/>", "truncated"),
        ("<a><b", "truncated"),
        ("", "truncated"),
        ("<a>\n<b></a>", "syntax"),
        (ENTITY, "unsafe"),
        (FILE_ENTITY, "unsafe"),
    ],
)
def test_broken_or_hostile_xml_is_refused(tmp_path, text, code):
    path = tmp_path / "a.xml"
    path.write_text(text)
    refused(code, read_xml, path)


def test_xml_with_a_bare_document_type_is_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<!DOCTYPE boost_serialization>\n<a><b n='1'/></a>")
    assert read_xml(path)[0].attrib == {"n": "1"}


def test_a_number_that_is_none_is_told_with_its_column_and_row():
    columns = {"name": np.array(["a", "b"], object), "x": np.array([1.0, np.nan])}
    error = refused("value", check_finite, columns, Path("a.csv"))
    assert error.where == "a.csv, row 1"
    assert "'x' holds nan" in error.what


def test_a_split_is_told_by_the_folders_above():
    assert split_of(Path("av2/sensor/train/log-1")) == "train"
    assert split_of(Path("argo/test_obs/data/7.csv")) == "test"
    assert split_of(Path("train/a/b/c/d")) == ""


def test_a_feather_file_with_damaged_bytes_is_read_or_refused(tmp_path):
    path = tmp_path / "damaged.feather"
    whole = pa.table({"a": np.arange(60.0), "s": [f"name {i}" for i in range(60)]})
    feather.write_feather(whole, path, compression="uncompressed")
    raw, draw, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(80):
        damaged = bytearray(raw)
        for place in draw.integers(0, len(raw), 3):
            damaged[place] ^= int(draw.integers(1, 256))
        path.write_bytes(bytes(damaged))
        try:
            read_feather(path, {"a": float, "s": str})
        except InputError:
            refused += 1
    assert refused > 10
