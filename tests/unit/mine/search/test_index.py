"""Indexing: what fails is told, what was done is kept, and what is old goes."""

import shutil

import pytest

from kerbstone.errors import InputError
from kerbstone.mine import find, index_store
from kerbstone.mine.search import index
from kerbstone.mine.search.columns import columns_version
from kerbstone.store import Store
from search_workers import DEADLY, index_or_die
from streets import damage_scene, put_scenes, street


def indexed(store: Store) -> set[int]:
    return set(store.rows("columns", columns=["scene_part"]).column(0).to_pylist())


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_scene_is_told_and_the_others_are_indexed(streets, workers):
    damage_scene(streets, "plain/1")
    report = index_store(Store.open(streets.uri), workers=workers)
    ((name, error),) = report.failed
    assert (name, error.code, report.scenes) == ("plain/1", "store-damaged", 6)
    store = Store.open(streets.uri)
    assert len(indexed(store)) == 5
    assert store.runs().to_pylist()[-1]["outcome"] == "partial"
    again = index_store(store)
    assert (again.known, len(again.failed)) == (5, 1)


def test_where_a_worker_dies_its_scenes_are_told_and_are_done_the_next_time(streets, monkeypatch):
    monkeypatch.setattr(index, "AT_ONCE", 2)
    monkeypatch.setattr(index, "_index", index_or_die)
    report = index_store(streets, workers=2)
    assert {error.code for _, error in report.failed} == {"worker"}
    assert DEADLY in [name for name, _ in report.failed]
    monkeypatch.undo()
    again = index_store(streets)
    assert (again.failed, again.known) == ((), 6 - len(report.failed))
    assert len(indexed(streets)) == 6


def test_a_scene_whose_columns_cannot_be_derived_fails_alone(streets, monkeypatch):
    derive = index.derive_columns

    def fail(facts):
        if facts.scene.id == "brake/0":
            raise InputError("query-limit", "too many road users")
        derive(facts)

    monkeypatch.setattr(index, "derive_columns", fail)
    report = index_store(streets)
    assert [(name, error.code) for name, error in report.failed] == [("brake/0", "query-limit")]
    assert len(indexed(streets)) == 5


def test_what_is_wrong_with_a_store_ends_it(streets, monkeypatch):
    def fail(work):
        raise InputError("store-missing", "the disk is gone")

    monkeypatch.setattr(index, "_index", fail)
    with pytest.raises(InputError, match="the disk is gone"):
        index_store(streets)
    assert streets.runs().to_pylist()[-1]["outcome"] == "failed"


def test_a_stopped_index_goes_on_where_it_was(streets, monkeypatch):
    monkeypatch.setattr(index, "AT_ONCE", 2)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_store(streets, on_result=stop)
    assert len(indexed(streets)) == 2
    waiting = []
    report = index_store(streets, on_start=waiting.append)
    assert (waiting, report.known) == ([4], 2)
    assert len(indexed(streets)) == 6


def test_what_older_code_derived_is_deleted(streets, monkeypatch):
    monkeypatch.setattr("kerbstone.mine.search.columns.language_version", lambda: "old")
    index_store(streets)
    monkeypatch.undo()
    assert index_store(streets).known == 0
    versions = streets.rows("columns", columns=["version"]).column(0).to_pylist()
    assert set(versions) == {columns_version()}


def test_an_empty_store_and_a_condition_without_scenes_have_nothing_to_do(store, streets):
    for report in (index_store(store), index_store(streets, where="town = 'Nowhere'")):
        assert (report.scenes, report.known, report.failed, report.run) == (0, 0, (), "")
    assert streets.runs().num_rows == 0


def test_a_search_finds_the_same_with_and_without(streets, tmp_path):
    plain = Store.open(str(shutil.copytree(streets.uri, tmp_path / "plain")))
    index_store(streets)
    query = "vehicle v, vehicle w: following(v, w) and time_headway(w, v) < 3 s"
    found, expected = (find(query, road).to_dict(traces=True) for road in (streets, plain))
    assert found.pop("run") != expected.pop("run")
    assert found == expected
    assert found["total"] > 0


def test_new_scenes_are_indexed_beside_those_that_are(streets):
    index_store(streets)
    put_scenes(streets, "more", street("more/0", log="more"))
    report = index_store(streets)
    assert (report.scenes, report.known) == (7, 6)
