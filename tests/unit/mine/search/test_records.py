"""Findings in a store: read back as they were, by an id that says which is meant."""

import dataclasses
import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.mine import (
    AtomTrace,
    Finding,
    FoundMatch,
    Trace,
    Witness,
    find_finding,
    list_findings,
)
from kerbstone.mine.search.records import keep_finding, known_finding
from kerbstone.store import Store

ODD = "a/'b\"; --ü [x]\n日"


def match_of(rank: int = 1, *, steps: int = 3, **changes) -> FoundMatch:
    atoms = (
        AtomTrace("stopped(v)", np.array([1.0, np.nan, -np.inf])[:steps]),
        AtomTrace(
            "speed(v) > 3 km/h", np.arange(3.0)[:steps], ">", "km/h", np.full(steps, np.inf), np.full(steps, 3.0)
        ),
    )  # fmt: skip
    given = {
        "rank": rank,
        "is_match": True,
        "scene": ODD,
        "scene_part": 2**62,
        "witnesses": (Witness("v", ODD, "car"), Witness("b", "7", "bicycle")),
        "first": 1,
        "last": 2,
        "best": 1,
        "dt": 0.1,
        "robustness": 0.25,
        "missed_by": (),
        "trace": Trace(0, np.array([np.nan, 0.25, np.inf])[:steps], atoms),
    }
    return FoundMatch(**given | changes)


def finding_of(name: str = "0f" * 8, *matches: FoundMatch, **changes) -> Finding:
    given = {
        "id": name,
        "query": f"any a: labelled(a, {ODD!r})",
        "given": ODD,
        "where": "town = 'O''Hare'",
        "top": 50,
        "near_misses": 10,
        "scenes": 3,
        "seconds": 30.0,
        "total": 99,
        "matches": matches,
        "run": "run-1",
    }
    return Finding(**given | changes)


def as_text(finding: Finding) -> str:
    return json.dumps(finding.to_dict(traces=True))


def keep(store: Store, *findings: Finding) -> None:
    for finding in findings:
        keep_finding(finding, store)


@pytest.mark.parametrize(
    "finding",
    [
        finding_of("aa", match_of(), match_of(2, is_match=False, missed_by=("a, b; c", ODD))),
        finding_of("aa"),
        finding_of("aa", match_of(witnesses=())),
        finding_of("aa", match_of(trace=Trace(0, np.array([1.0, 2.0]), ()))),
        finding_of("aa", match_of(steps=1, first=0, last=0, best=0)),
    ],
    ids=["all", "no matches", "ego alone", "no atoms", "one step"],
)
def test_what_is_kept_is_read_as_it_was(store, finding):
    keep(store, finding)
    again = find_finding(Store.open(store.uri), "aa")
    assert as_text(again) == as_text(finding)
    for one, other in zip(again.matches, finding.matches, strict=True):
        assert (one.scene_part, one.witnesses) == (other.scene_part, other.witnesses)
        np.testing.assert_array_equal(one.trace.robustness, other.trace.robustness)


def test_an_error_of_a_scene_is_read_with_all_its_lines(store):
    error = InputError("store-damaged", "wrong", where=ODD, why="1 is not 2", remedy="try again")
    keep(store, finding_of("aa", failed=((ODD, error),)))
    ((scene, read),) = find_finding(store, "aa").failed
    assert (scene, read.to_dict()) == (ODD, error.to_dict())


def test_matches_are_read_in_the_order_of_their_ranks(store):
    many = [match_of(rank) for rank in range(1, 25)]
    keep(store, finding_of("aa", *many))
    assert [match.rank for match in find_finding(store, "aa").matches] == list(range(1, 25))


def test_each_finding_has_its_own_matches(store):
    keep(store, finding_of("aa", match_of(robustness=1.0)), finding_of("bb", match_of()))
    (match,) = find_finding(store, "bb").matches
    assert match.robustness == 0.25
    assert len(find_finding(store, "aa").matches) == 1


def test_matches_without_their_finding_do_not_count(store, monkeypatch):
    append = Store.append

    def stop_before_the_finding(self, table, rows):
        if table == "findings":
            raise KeyboardInterrupt
        return append(self, table, rows)

    monkeypatch.setattr(Store, "append", stop_before_the_finding)
    with pytest.raises(KeyboardInterrupt):
        keep(store, finding_of("aa", match_of()))
    monkeypatch.undo()
    assert list_findings(store) == []
    assert known_finding(store, "aa") is None
    keep(store, finding_of("aa", match_of(2)))
    assert [match.rank for match in find_finding(store, "aa").matches] == [2]


def test_the_beginning_of_an_id_is_enough_where_it_is_unique(store):
    keep(store, finding_of("ab12"), finding_of("ac34"))
    assert find_finding(store, "ab").id == "ab12"
    with pytest.raises(InputError, match="more than one finding is called 'a'"):
        find_finding(store, "a")
    # One whose whole id it is, is meant, also where another begins so.
    keep(store, finding_of("ab"))
    assert find_finding(store, "ab").id == "ab"


def test_an_id_is_known_only_whole(store):
    keep(store, finding_of("ab12"))
    assert known_finding(store, "ab") is None
    found = known_finding(store, "ab12")
    assert found is not None
    assert found.id == "ab12"


@pytest.mark.parametrize("name", ["zz", "' OR '1' = '1", "%", "ab*", "\0"])
def test_no_other_finding_is_taken_for_one_that_is_not_there(store, name):
    keep(store, finding_of("ab12"), finding_of("cd34"))
    with pytest.raises(InputError, match="no finding is called") as error:
        find_finding(store, name)
    assert "ab12" in error.value.remedy


def test_a_store_in_which_nothing_was_looked_for_says_how_to(store):
    assert list_findings(store) == []
    with pytest.raises(InputError) as error:
        find_finding(store, "ab")
    assert error.value.remedy.startswith("kerbstone find")


def test_the_list_tells_what_was_asked_and_how_much_was_found(store):
    keep(store, finding_of("aa", match_of()), finding_of("bb", total=0, where=""))
    newest, oldest = list_findings(store)
    assert (newest["finding"], newest["matches"], newest["where"]) == ("bb", 0, "")
    assert (oldest["finding"], oldest["matches"], oldest["scenes"]) == ("aa", 99, 3)
    assert oldest["given"] == ODD
    json.dumps(newest)


def test_the_kinds_of_witnesses_survive_every_kind(store):
    kinds = ("car", "truck", "bus", "cyclist", "pedestrian", "animal", "object")
    witnesses = tuple(Witness(f"x{place}", str(place), kind) for place, kind in enumerate(kinds))
    keep(store, finding_of("aa", dataclasses.replace(match_of(), witnesses=witnesses)))
    assert find_finding(store, "aa").matches[0].witnesses == witnesses
