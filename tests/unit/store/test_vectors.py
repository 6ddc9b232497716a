"""The nearest vectors of a table: exact while it is small, by an index when it is large."""

import numpy as np
import pyarrow as pa
import pytest

from kerbstone.errors import InputError
from kerbstone.store import table
from kerbstone.store import vectors as module
from scenes import random_scene

SIZE = 16


def rows_of(name, values):
    return pa.table(
        {
            "name": [f"{name}-{row}" for row in range(len(values))],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1]),
        }
    )


def put(store, log, values, *, fingerprint="1", finished=True):
    store.put_rows("marks", rows_of(log, values), log=log)
    if finished:
        scene = random_scene(int(log[1:]), steps=20, has_sensors=False)
        store.add([scene], log=log, fingerprint=fingerprint)


def draw(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, SIZE)).astype(np.float32)


def nearest_by_hand(values, query, top):
    distance = np.linalg.norm(values.astype(float) - query, axis=1)
    order = np.argsort(distance, kind="stable")[:top]
    return order.tolist(), distance[order]


def test_the_nearest_rows_are_those_that_numpy_finds(store):
    values, queries = draw(200), draw(3, seed=1)
    put(store, "a1", values)
    found = store.nearest("marks", queries, top=5, columns=["name"]).to_pylist()
    for number, query in enumerate(queries):
        order, distance = nearest_by_hand(values, query, 5)
        mine = [row for row in found if row["query"] == number]
        assert [row["name"] for row in mine] == [f"a1-{row}" for row in order]
        np.testing.assert_allclose([row["distance"] for row in mine], distance, rtol=1e-5)


def test_a_condition_holds_for_all_rows_returned_and_does_not_make_them_fewer(store):
    values = draw(100)
    put(store, "a1", values)
    allowed = [f"a1-{row}" for row in range(0, 100, 7)]
    condition = "name IN (" + ", ".join(f"'{name}'" for name in allowed) + ")"
    found = store.nearest("marks", values[:1], top=10, columns=["name"], filter=condition)
    assert len(found) == 10
    assert set(found.column("name").to_pylist()) <= set(allowed)


def test_rows_of_a_log_that_is_not_finished_or_was_replaced_are_not_found(store):
    put(store, "a1", draw(10, seed=1))
    put(store, "a2", draw(10, seed=2), finished=False)
    put(store, "a1", draw(4, seed=3))
    found = store.nearest("marks", draw(1), top=100, columns=["name"])
    assert sorted(found.column("name").to_pylist()) == [f"a1-{row}" for row in range(4)]


def test_vectors_of_another_size_are_an_error(store):
    put(store, "a1", draw(10))
    with pytest.raises(InputError, match="do not fit") as caught:
        store.nearest("marks", np.zeros((1, 3), np.float32), top=1, columns=["name"])
    assert caught.value.code == "shape"


@pytest.mark.parametrize(("column", "code"), [("vektor", "column"), ("name", "column")])
def test_a_column_that_holds_no_vectors_is_an_error(store, column, code):
    put(store, "a1", draw(10))
    with pytest.raises(InputError) as caught:
        store.nearest("marks", draw(1), top=1, columns=["name"], column=column)
    assert caught.value.code == code


def test_there_is_no_nearest_in_a_table_that_is_not_there(store):
    with pytest.raises(InputError) as caught:
        store.nearest("marks", draw(1), top=1, columns=["name"])
    assert caught.value.code == "store-missing"


def test_a_large_table_is_indexed_and_small_ones_are_not(store, monkeypatch):
    put(store, "a1", draw(600))
    assert not store.index_vectors("marks")
    monkeypatch.setattr(module, "EXACT_BELOW", 500)
    assert store.index_vectors("marks")
    assert not store.index_vectors("marks")


def test_the_index_finds_nearly_all_and_what_was_added_since(store, monkeypatch):
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(20, SIZE))
    values = (centres[rng.integers(20, size=3000)] + 0.3 * rng.normal(size=(3000, SIZE))).astype(
        np.float32
    )
    put(store, "a1", values)
    monkeypatch.setattr(module, "EXACT_BELOW", 1000)
    monkeypatch.setattr(module, "_ROWS_PER_PARTITION", 100)
    assert store.index_vectors("marks")
    queries = values[:40] + np.float32(0.05)
    found = store.nearest("marks", queries, top=10, columns=["name"]).to_pylist()
    hits = 0
    for number, query in enumerate(queries):
        order, _ = nearest_by_hand(values, query, 10)
        mine = {row["name"] for row in found if row["query"] == number}
        hits += len(mine & {f"a1-{row}" for row in order})
    assert hits / 400 > 0.95

    far = np.full((500, SIZE), 50.0, np.float32)
    put(store, "a2", far)
    after = store.nearest("marks", far[:1], top=3, columns=["name"])
    assert all(name.startswith("a2-") for name in after.column("name").to_pylist())
    assert store.index_vectors("marks")
    again = store.nearest("marks", far[:1], top=3, columns=["name"])
    assert all(name.startswith("a2-") for name in again.column("name").to_pylist())


def test_joining_files_loses_nothing_of_the_index(store, monkeypatch):
    monkeypatch.setattr(module, "EXACT_BELOW", 500)
    put(store, "a1", draw(600, seed=1))
    assert store.index_vectors("marks")
    monkeypatch.setattr(table, "_MANY_FRAGMENTS", {"marks": 2})
    monkeypatch.setattr(table, "_TIDY_EVERY", 1)
    late = [draw(50, seed=seed) for seed in (2, 3, 4)]
    for number, values in enumerate(late, 2):
        put(store, f"a{number}", values)
    for number, values in enumerate(late, 2):
        found = store.nearest("marks", values[:5], top=1, columns=["name"]).to_pylist()
        assert [row["name"] for row in found] == [f"a{number}-{row}" for row in range(5)]
    first = store.nearest("marks", draw(600, seed=1)[:5], top=1, columns=["name"])
    assert first.column("name").to_pylist() == [f"a1-{row}" for row in range(5)]
