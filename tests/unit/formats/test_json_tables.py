import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.formats.json_tables import JsonTable, as_integer

TOWNS = [{"token": "p", "name": "Pittsburgh"}, {"token": "m", "name": "Miami"}]
CARS = [
    {"token": "1", "town": "m", "at": [1.0, 2.0], "time": 2**60, "note": {}},
    {"token": "2", "town": "p", "at": [3, 4], "time": 5, "note": {}},
]


def table(folder, name, records, fields, **keywords) -> JsonTable:
    (folder / f"{name}.json").write_text(records if type(records) is str else json.dumps(records))
    return JsonTable(folder, name, fields, **keywords)


def cars(folder, records=CARS) -> JsonTable:
    towns = table(folder, "town", TOWNS, {"name": None})
    plain = [{k: v for k, v in one.items() if k != "note"} for one in records]
    return table(folder, "car", plain, {"town": towns.row_of, "at": 2, "time": as_integer})


def refused(code, call, *arguments) -> InputError:
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert caught.value.code == code
    return caught.value


def test_fields_become_columns_and_tokens_rows(tmp_path):
    found = cars(tmp_path)
    assert len(found) == 2
    assert found["town"].tolist() == [1, 0]
    np.testing.assert_array_equal(found["at"], [[1.0, 2.0], [3.0, 4.0]])
    assert found["time"].tolist() == [2**60, 5]
    assert found["time"].dtype == np.int64
    assert found.row_of("2") == 1


def test_an_empty_table_has_empty_columns(tmp_path):
    found = cars(tmp_path, [])
    assert found["at"].shape == (0, 2)
    assert found["town"].dtype == np.int64


@pytest.mark.parametrize(
    ("code", "change", "place"),
    [
        ("column", {"at": [1.0]}, "row 1"),
        ("column", {"at": ["a", "b"]}, "row 1"),
        ("column", {"time": 1.5}, "row 1"),
        ("column", {"time": 2**70}, "row 1"),
        ("value", {"at": [1.0, float("nan")]}, "row 1"),
        ("reference", {"town": "atlantis"}, "row 1"),
        ("duplicate", {"token": "1"}, "car.json"),
    ],
)
def test_what_is_wrong_is_told_with_its_row(tmp_path, code, change, place):
    error = refused(code, cars, tmp_path, [CARS[0], CARS[1] | change])
    assert "car.json" in error.where
    assert place in error.where


def test_a_missing_field_is_named(tmp_path):
    lacking = [{k: v for k, v in CARS[0].items() if k != "time"}]
    assert "'time'" in refused("column", cars, tmp_path, lacking).what


@pytest.mark.parametrize("text", ['{"token": "1"}', "7", "[1, 2]", '[[{"token": "1"}]]'])
def test_what_is_no_list_of_records_is_told(tmp_path, text):
    refused("syntax", table, tmp_path, "town", text, {})


def test_records_within_records_are_no_table(tmp_path):
    refused("column", table, tmp_path, "car", CARS, {"town": None})


def test_a_missing_table_is_told(tmp_path):
    refused("missing-file", JsonTable, tmp_path, "none", {})
