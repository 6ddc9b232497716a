"""What a search found, as people read it: rows, names, numbers, queries and files."""

import json

import pytest

from kerbstone.app.findings import (
    describe_query,
    format_robustness,
    match_rows,
    name_witnesses,
    print_finding,
    shorten_id,
    write_finding,
)
from kerbstone.errors import InputError
from kerbstone.lang.library import prepare
from kerbstone.mine import find
from kerbstone.store import Store
from streets import put_scenes, street

UUID = "c37f2aba-a536-423f-9a12-fa5d5cd1b522"


@pytest.fixture(scope="module")
def road(tmp_path_factory) -> Store:
    store = Store.create(str(tmp_path_factory.mktemp("found") / "road"))
    put_scenes(store, "log", street("made/[b]a", walker=True, brake=True, lead=25.0))
    return store


@pytest.fixture
def long_names(tmp_path) -> Store:
    store = Store.create(str(tmp_path / "road"))
    scene = street("made/a")
    agents = scene.agents
    renamed = agents.__class__(**{**vars(agents), "ids": (UUID, *agents.ids[1:])})
    put_scenes(store, "log", scene.__class__(**{**vars(scene), "agents": renamed}))
    return store


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.234, "+1.23"),
        (-0.5, "-0.50"),
        (0.0, "+0.00"),
        (0.004, "+0.0040"),
        (-0.00037, "-0.0004"),
        (1e-9, "+0.00"),
        (123.4, "+123.40"),
        (float("inf"), "+inf"),
    ],
)
def test_a_robustness_shows_its_sign_and_enough_digits(value, text):
    assert format_robustness(value) == text


def test_what_holds_barely_does_not_look_as_if_it_did_not():
    assert format_robustness(0.0001) != format_robustness(-0.0001)


@pytest.mark.parametrize("name", ["", "7", "ego", "v017", "x" * 14])
def test_a_short_name_is_shown_whole(name):
    assert shorten_id(name) == name


def test_a_long_name_is_cut_in_its_middle_so_that_both_ends_tell_it_from_others():
    assert shorten_id(UUID) == "c37f2a…b522"
    assert shorten_id("pedestrian_000123") != shorten_id("pedestrian_000124")


def test_witnesses_are_named_with_their_roles_and_kinds(road):
    found = find("pedestrian p, car c: distance(p, c) < 30 m", road, top=1, near_misses=0)
    (match,) = found.matches
    assert name_witnesses(match) == f"p: walker (pedestrian), c: {match.witnesses[1].agent} (car)"
    (alone,) = find("speed(ego) > 1 m/s", road, near_misses=0).matches
    assert name_witnesses(alone) == ""


def test_a_row_has_the_place_the_time_and_what_was_missed(road):
    (row,) = match_rows(find("car c: speed(c) > 10.5 m/s", road, near_misses=1).matches)
    assert (row["rank"], row["scene"], row["robustness"]) == (1, "made/[b]a", "-0.25")
    assert row["missed_by"] == "speed(c) 10 m/s, needs > 10.5 m/s"
    assert float(row["to"]) == pytest.approx(float(row["from"]) + 0.1)


def test_a_query_is_described_by_its_road_users_and_atoms():
    described = describe_query(
        prepare("cyclist c: stopped(c) and speed(ego) > 3 km/h or count(car d: stopped(d)) > 2")
    )
    assert described["variables"] == [{"name": "c", "kinds": ["cyclist"]}]
    assert described["names_ego"] is True
    assert [(atom["text"], atom["compares"], atom["unit"]) for atom in described["atoms"]] == [
        ("stopped(c)", False, None),
        ("speed(ego) > 3 km/h", True, "km/h"),
        ("count(car d: stopped(d)) > 2", True, "1"),
    ]


def test_a_scenario_is_described_by_the_atoms_that_it_stands_for():
    texts = [atom["text"] for atom in describe_query(prepare("tailgating"))["atoms"]]
    assert "time_headway(w, v) < 0.7 s" in texts


def test_a_finding_is_printed_with_all_names_where_it_is_no_terminal(long_names, capsys):
    print_finding(find("car c: speed(c) > 1 m/s", long_names))
    assert f"c: {UUID} (car)" in capsys.readouterr().out


def test_a_terminal_gets_long_names_cut(long_names, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    print_finding(find("car c: speed(c) > 1 m/s", long_names))
    text = capsys.readouterr().out
    assert "c37f2a…b522" in text
    assert UUID not in text


def test_the_first_line_counts_and_says_if_only_some_are_listed(road, capsys):
    def first(query: str, **limits: int) -> str:
        print_finding(find(query, road, **limits))
        return capsys.readouterr().out.splitlines()[0]

    assert first("car c: speed(c) > 9 m/s", top=1).endswith("; the strongest 1:")
    assert first("car c: speed(c) > 99 m/s") == "0 matches in 1 scene (10.0 s of road)"
    assert first("car c: speed(c) > 9 m/s", top=0) == "3 matches in 1 scene (10.0 s of road)"
    assert first("pedestrian p: true") == "1 match in 1 scene (10.0 s of road)"


def test_names_that_look_like_markup_are_printed_as_they_are(road, capsys):
    print_finding(find("car c: speed(c) > 9 m/s", road))
    assert "made/[b]a" in capsys.readouterr().out


def test_a_finding_is_written_with_all_values_over_time(road, tmp_path):
    found = find("car c: speed(c) > 9 m/s", road)
    write_finding(found, tmp_path / "found.json")
    text = (tmp_path / "found.json").read_text("utf-8")
    assert json.loads(text) == json.loads(json.dumps(found.to_dict(traces=True)))
    assert text.endswith("}\n")


def test_a_file_that_cannot_be_written_is_told_with_the_flag(road, tmp_path):
    found = find("car c: speed(c) > 9 m/s", road)
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "no" / "x.json", tmp_path / "file" / "x.json"):
        with pytest.raises(InputError) as error:
            write_finding(found, path)
        assert (error.value.code, error.value.where) == ("output", str(path))
        assert "--out" in error.value.remedy
