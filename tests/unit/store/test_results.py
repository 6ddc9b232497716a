"""What belongs to no one log: results, and caches that may be lost without loss."""

import shutil
from datetime import timedelta
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest

from kerbstone.errors import InputError
from kerbstone.store import Store
from scenes import assert_same, random_scene
from streets import damage_scene

COLUMN = {
    "scene_part": 7,
    "name": "lane",
    "version": "v1",
    "shape": [2, 3],
    "floats": np.array([1.0, np.nan, -0.0]),
    "integers": np.array([4, -(2**60)]),
}
FINDING = {
    "id": "abc", "run": "", "query": "car v: true", "given": "cars", "where": "", "failed": "[]",
    "top": 5, "near_misses": 1, "scenes": 2, "matches": 3, "part": 11, "seconds": 1.5,
}  # fmt: skip


def damage(store: Store, table: str, column: str, values: list) -> None:
    """Change a column behind the store's back, as a flipped bit would."""
    kept = store._tables.kept(table)
    rows = kept.scan()
    place = rows.schema.get_field_index(column)
    changed = rows.set_column(
        place, rows.schema.field(place), pa.array(values, rows.schema.types[place])
    )
    lance.write_dataset(changed, kept.uri, mode="overwrite")


def test_rows_of_a_cache_come_back_bit_by_bit(store):
    store.append("columns", [COLUMN, COLUMN | {"name": "other"}])
    (row,) = store.cached("columns", "name = 'lane'")
    assert row["floats"].tobytes() == COLUMN["floats"].tobytes()
    assert row["integers"].tolist() == COLUMN["integers"].tolist()
    assert (row["scene_part"], row["shape"].tolist()) == (7, [2, 3])


def test_a_table_that_was_never_written_is_empty(store):
    assert store.cached("answers", "query = 'x'") == []
    assert store.rows("findings").num_rows == 0
    assert store.rows("findings", columns=["id"]).column_names == ["id"]
    assert store.forget("columns", "true") == 0


@pytest.mark.parametrize("table", ["findings", "matches", "scenes", "anwsers"])
def test_only_what_can_be_computed_again_is_forgotten(store, table):
    with pytest.raises(InputError) as caught:
        store.forget(table, "true")
    assert caught.value.code == "usage"


@pytest.mark.parametrize(
    ("column", "values"),
    [("floats", [[1.0, 2.0, -0.0]]), ("scene_part", [8]), ("name", ["road"]), ("shape", [[3, 2]])],
)
def test_a_row_that_was_changed_is_not_given_out(store, column, values):
    store.append("columns", [COLUMN])
    damage(store, "columns", column, values)
    assert Store.open(store.uri).cached("columns", "true") == []


def test_a_cache_that_cannot_be_read_counts_as_empty(store):
    store.append("columns", [COLUMN])
    for file in Path(store._tables.kept("columns").uri).glob("data/*"):
        file.write_bytes(b"")
    assert Store.open(store.uri).cached("columns", "true") == []


def test_a_wrong_condition_is_told(store):
    store.append("columns", [COLUMN])
    with pytest.raises(InputError, match="condition"):
        store.cached("columns", "nothing = 3")


def test_a_value_that_does_not_fit_is_told_and_nothing_is_written(store):
    with pytest.raises(InputError):
        store.append("columns", [COLUMN | {"scene_part": "seven"}])
    assert store.cached("columns", "true") == []


def test_rows_of_a_cache_can_be_forgotten(store):
    store.append("columns", [COLUMN, COLUMN | {"version": "v0"}])
    assert store.forget("columns", "version != 'v1'") == 1
    assert [row["version"] for row in store.cached("columns", "true")] == ["v1"]


def test_of_two_findings_of_one_id_the_first_counts(store):
    store.append("findings", [FINDING])
    store.append("findings", [FINDING | {"given": "again"}])
    assert store.rows("findings").column("given").to_pylist() == ["cars"]


def test_results_belong_to_a_run_and_caches_do_not(store):
    with store.run(command="find") as run:
        store.append("findings", [FINDING])
        store.append("columns", [COLUMN])
    (row,) = store.runs().to_pylist()
    after = dict(row["versions_after"])
    assert "findings" in after
    assert "columns" not in after
    past = store.at(run.id)
    store.append("findings", [FINDING | {"id": "later"}])
    assert past.rows("findings").column("id").to_pylist() == ["abc"]
    assert store.rows("findings").num_rows == 2


def test_a_store_as_it_was_before_there_were_findings_has_none(store):
    with store.run(command="before") as run:
        pass
    store.append("findings", [FINDING])
    assert store.at(run.id).rows("findings").num_rows == 0


def test_nothing_is_written_into_a_store_as_it_was(store):
    with store.run(command="x") as run:
        pass
    for write in (
        lambda past: past.append("columns", [COLUMN]),
        lambda past: past.forget("columns", "true"),
    ):
        with pytest.raises(InputError, match="as it was"):
            write(store.at(run.id))


def test_a_store_that_was_made_before_there_were_results_takes_them(filled, tmp_path):
    folder = tmp_path / "older"
    shutil.copytree(filled.uri, folder)
    older = Store.open(str(folder))
    assert "findings" not in older.versions()
    older.append("findings", [FINDING])
    assert Store.open(str(folder)).rows("findings").num_rows == 1


def test_a_vacuum_removes_what_is_not_needed_any_more(store):
    store.add([random_scene(1)], log="a", fingerprint="1")
    (part,) = store.scenes(["part"]).column("part").to_pylist()
    store.append("columns", [COLUMN, COLUMN | {"scene_part": part}])
    store.append("findings", [FINDING])
    match = dict.fromkeys(store.rows("matches").column_names)
    store.append("matches", [match | {"part": 11, "rank": 1}, match | {"part": 12, "rank": 1}])
    store.vacuum(keep=timedelta(0))
    store = Store.open(store.uri)
    assert [row["scene_part"] for row in store.cached("columns", "true")] == [part]
    assert store.rows("matches").column("part").to_pylist() == [11]
    assert store.rows("findings").num_rows == 1


def test_a_vacuum_leaves_what_is_young(store):
    store.append("columns", [COLUMN])
    store.vacuum(keep=timedelta(days=1))
    assert len(Store.open(store.uri).cached("columns", "true")) == 1


def test_a_side_table_cannot_take_the_name_of_a_result(store):
    with pytest.raises(InputError, match="cannot be called"):
        store.put_rows("findings", pa.table({"x": [1]}), log="a")


def test_many_scenes_are_read_as_one_by_one(filled):
    ids = filled.scenes(["id"]).column("id").to_pylist()
    found = dict(filled.read(reversed(ids)))
    assert list(found) == ids[::-1]
    for name, scene in found.items():
        assert_same(scene, filled.scene(name))


def test_of_many_scenes_those_that_fail_are_told_and_the_rest_is_read(filled, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(filled.uri, folder)
    damage_scene(Store.open(str(folder)), "random/000003")
    store = Store.open(str(folder))
    ids = [*store.scenes(["id"]).column("id").to_pylist(), "nothing"]
    found = dict(store.read(ids))
    assert list(found) == ids
    failed = {name: scene.code for name, scene in found.items() if isinstance(scene, InputError)}
    assert failed == {"random/000003": "store-damaged", "nothing": "scene-missing"}


def test_parts_tell_which_version_of_a_scene_is_read(store):
    store.add([random_scene(1)], log="a", fingerprint="1")
    (before,) = store.parts(["random/000001"])
    store.add([random_scene(1)], log="a", fingerprint="2")
    (after,) = store.parts(["random/000001"])
    assert before != after
    assert [after] == store.scenes(["part"]).column("part").to_pylist()
    with pytest.raises(InputError, match="no scene"):
        store.parts(["nothing"])
