"""A finding as JSON: what a match says of itself, at its best step and over time."""

import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.mine import AtomTrace, Finding, FoundMatch, Trace, Witness

NAN, INF = np.nan, np.inf


def match_of(**changes) -> FoundMatch:
    """A match over steps 4 to 6, strongest at 5, with a trace of steps 3 to 7."""
    near = AtomTrace(
        text="distance(v, p) < 5 m",
        robustness=np.array([NAN, 0.5, 1.0, 0.25, -1.0]),
        operator="<",
        unit="m",
        left=np.array([NAN, 4.0, 3.0, 4.5, INF]),
        right=np.full(5, 5.0),
    )
    claim = AtomTrace("approaching(v, p)", np.array([1.0, 1.0, -INF, 1.0, 1.0]))
    given = {
        "rank": 1,
        "is_match": True,
        "scene": "made/a",
        "scene_part": 7,
        "witnesses": (Witness("v", "17", "car"), Witness("p", "β", "pedestrian")),
        "first": 4,
        "last": 6,
        "best": 5,
        "dt": 0.1,
        "robustness": 1.0,
        "missed_by": (),
        "trace": Trace(3, np.array([NAN, 0.5, 1.0, 0.25, -INF]), (near, claim)),
    }
    return FoundMatch(**given | changes)


def finding_of(*matches: FoundMatch, **changes) -> Finding:
    given = {
        "id": "abc",
        "query": "car v: moving(v)",
        "given": "a moving car",
        "where": "",
        "top": 50,
        "near_misses": 10,
        "scenes": 2,
        "seconds": 12.3456,
        "total": 70,
        "matches": matches,
    }
    return Finding(**given | changes)


def test_a_match_begins_with_its_first_step_and_ends_when_its_last_is_over():
    match = match_of()
    assert (match.start, match.end) == (pytest.approx(0.4), pytest.approx(0.7))
    plain = match.to_dict()
    assert (plain["start"], plain["end"], plain["best"]) == (0.4, 0.7, 0.5)


def test_a_match_gives_the_values_of_its_atoms_at_its_best_step():
    near, claim = match_of().to_dict()["atoms"]
    assert near == {
        "text": "distance(v, p) < 5 m",
        "robustness": 1.0,
        "left": 3.0,
        "operator": "<",
        "right": 5.0,
        "unit": "m",
    }
    assert claim == {"text": "approaching(v, p)", "robustness": "-inf"}


def test_with_traces_it_gives_all_of_them_from_when_they_begin():
    trace = match_of().to_dict(traces=True)["trace"]
    assert (trace["start"], trace["dt"]) == (0.3, 0.1)
    assert trace["robustness"] == [None, 0.5, 1.0, 0.25, "-inf"]
    assert trace["atoms"][0]["left"] == [None, 4.0, 3.0, 4.5, "inf"]
    assert trace["atoms"][1]["left"] is None
    assert "trace" not in match_of().to_dict()


def test_near_misses_stand_apart_from_matches_and_all_of_them_are_counted():
    miss = match_of(rank=2, is_match=False, robustness=-0.2, missed_by=("too far",))
    plain = finding_of(match_of(), miss).to_dict()
    assert [one["rank"] for one in plain["matches"]] == [1]
    assert [one["missed_by"] for one in plain["near_misses"]] == [["too far"]]
    assert (plain["total"], plain["seconds"]) == (70, 12.346)


def test_a_failed_scene_is_told_with_its_error():
    error = InputError("store-damaged", "a checksum is wrong", where="here", remedy="ingest again")
    (failed,) = finding_of(failed=(("made/b", error),)).to_dict()["failed"]
    assert failed == {"scene": "made/b", **error.to_dict()}


def test_a_finding_is_strict_json_with_unknown_and_infinite_values():
    text = json.dumps(finding_of(match_of()).to_dict(traces=True), allow_nan=False)
    assert json.loads(text)["matches"][0]["witnesses"]["p"] == {"agent": "β", "kind": "pedestrian"}
