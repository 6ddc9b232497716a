"""kerbstone falsify: it counts, goes on from where it was, and says no by its exit code."""

from __future__ import annotations

import json

import pytest

from commands import run, run_json
from kerbstone.plan.falsification import Case, FalsificationReport, Row, falsifying, keep, recall

SOME = ("--family", "following", "--planner", "full throttle", "--adversary", "surge")
REPORT = FalsificationReport(
    3,
    (0, 1),
    300,
    (Row("following", "surge", "full throttle", 200, 4, 2, 1, 90, 1234.5),),
    (Case(1, 7, "following", "surge", "full throttle", "car", 2.5, 9.0, "defect"),),
    (("defect", 1),),
    0.001,
    2.0,
)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    out = tmp_path_factory.mktemp("falsify") / "report.json"
    return out, run_json("falsify", 60, *SOME, "--out", out)


def test_it_counts_what_was_played(first) -> None:
    out, said = first
    assert said["episodes"] >= 60
    assert said["caused"] == 0
    assert set(said["by_family"]) == {"following"}
    assert json.loads(out.read_text("utf-8"))["summary"] == said


def test_a_second_run_plays_only_what_is_missing(first, monkeypatch) -> None:
    out, said = first
    monkeypatch.setattr(falsifying, "_play_item", lambda _: pytest.fail("nothing is missing"))
    assert run_json("falsify", 60, *SOME, "--out", out) == said


def test_a_report_of_other_options_is_refused(first) -> None:
    out, _ = first
    result = run("falsify", 60, "--family", "crossing", "--out", out, code=3)
    assert "another campaign" in result.stderr


@pytest.mark.parametrize("text", ["{", "[]", '{"campaign": {}}'])
def test_a_file_that_is_no_report_is_refused_and_kept(tmp_path, text) -> None:
    out = tmp_path / "report.json"
    out.write_text(text, "utf-8")
    run("falsify", 10, *SOME, "--out", out, code=3)
    assert out.read_text("utf-8") == text


def test_a_caused_collision_is_a_no(monkeypatch) -> None:
    monkeypatch.setattr("kerbstone.plan.falsification.falsify", lambda *_, **__: REPORT)
    result = run("falsify", 60, code=10)
    assert "chunk 1, row 7" in result.stderr
    assert run_json("falsify", 60, code=10)["defects"] == 1


def test_an_unknown_family_is_named() -> None:
    result = run("falsify", 10, "--family", "followin", code=3)
    assert "following" in result.stderr


def test_a_report_survives_being_kept() -> None:
    assert recall(json.loads(json.dumps(keep(REPORT)))) == REPORT
