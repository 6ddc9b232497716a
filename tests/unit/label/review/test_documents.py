import json
import zipfile

import pytest

from kerbstone.errors import InputError
from kerbstone.label.review.documents import check_number, read_document, take_field, take_numbers

MEMBER = "annotations/*.json"


def refuses(code, call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert caught.value.code == code, str(caught.value)
    assert caught.value.where
    return caught.value


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_the_one_file_of_an_archive_is_read_whatever_its_subset_is_called(tmp_path):
    path = archive(tmp_path / "a.zip", **{"annotations/train.json": "[1]", "images/x.txt": "x"})
    assert read_document(path, member=MEMBER) == [1]


@pytest.mark.parametrize(
    "name", ["../../evil.json", "/etc/evil.json", "annotations/../../x.json", "a\\..\\..\\b.json"]
)
def test_an_archive_with_a_path_that_leads_out_of_it_is_refused(tmp_path, name):
    path = archive(tmp_path / "a.zip", **{"annotations/default.json": "[]", name: "[]"})
    refuses("unsafe", read_document, path, member=MEMBER)
    assert sorted(tmp_path.iterdir()) == [path]


def test_an_archive_of_none_or_several_such_files_is_refused(tmp_path):
    none = archive(tmp_path / "a.zip", readme="hello")
    refuses("syntax", read_document, none, member=MEMBER)
    both = {"annotations/a.json": "[]", "annotations/b.json": "[]"}
    error = refuses("syntax", read_document, archive(tmp_path / "b.zip", **both), member=MEMBER)
    assert "it holds 2" in error.why


def test_an_archive_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("kerbstone.label.review.documents._MAX_BYTES", 1000)
    bomb = archive(tmp_path / "a.zip", **{"annotations/default.json": " " * 2000 + "[]"})
    refuses("unsafe", read_document, bomb, member=MEMBER)
    plain = tmp_path / "a.json"
    plain.write_text(" " * 2000 + "[]")
    refuses("unsafe", read_document, plain)


def test_an_archive_whose_directory_lies_about_a_size_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip", **{"annotations/default.json": json.dumps([0] * 5000)})
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(InputError):
        read_document(path, member=MEMBER)


def test_an_encrypted_or_foreign_archive_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip", **{"annotations/default.json": "[]"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(content))
    refuses("unreadable", read_document, path, member=MEMBER)
    path.write_bytes(b"this is no archive")
    refuses("truncated", read_document, path, member=MEMBER)
    refuses("missing-file", read_document, tmp_path / "none.zip", member=MEMBER)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "truncated"),
        ("[1, 2", "truncated"),
        ('["abc', "truncated"),
        ("[1,, 2]", "syntax"),
        ("<xml/>", "syntax"),
        ("[" * 100_000, "syntax"),
        ("[" + "9" * 10_000 + "]", "value"),
        (b"[\xff\xfe]", "syntax"),
    ],
)
def test_what_is_no_json_is_told(tmp_path, text, code):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refuses(code, read_document, path)


def test_fields_have_the_type_that_is_asked_for():
    record = {"name": "a", "count": 3, "yes": True, "place": [1, 2.5]}
    assert take_field(record, "name", str, "x") == "a"
    assert take_numbers(record, "place", 2, "x") == [1.0, 2.5]
    assert take_field(record, "yes", bool, "x") is True
    refuses("column", take_field, record, "yes", int, "x")
    refuses("column", take_field, record, "none", str, "x")
    refuses("syntax", take_field, [1], "name", str, "x")
    refuses("value", take_numbers, record, "place", 3, "x")
    for number in (float("nan"), float("-inf"), 1e9, -(10**400), "1", None, True, [1]):
        refuses("value", check_number, number, "n", "x")
