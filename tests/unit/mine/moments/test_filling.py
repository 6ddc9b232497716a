"""Tables filled log by log: what is done, what is left alone, and what is done again."""

import pyarrow as pa
import pytest

from filling_workers import count_agents, fail_on_one
from kerbstone.errors import InputError
from kerbstone.mine.moments.filling import fill_table
from scenes import random_scene


def put(store, log, *seeds, fingerprint="1"):
    scenes = [random_scene(seed, steps=20, has_sensors=False) for seed in seeds]
    store.add(scenes, log=log, fingerprint=fingerprint)


def read(store, *columns):
    rows = store.rows("counts", columns=["scene", "name", *columns]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def test_only_logs_that_lack_something_are_worked_on(store):
    put(store, "a", 0, 1)
    first = fill_table(store, "counts", count_agents, {"agents": "1"})
    put(store, "b", 2)
    seen = []
    second = fill_table(store, "counts", count_agents, {"agents": "1"}, on_result=seen.append)
    third = fill_table(store, "counts", count_agents, {"agents": "1"})
    assert [(r.logs, r.known) for r in (first, second, third)] == [(1, 0), (1, 1), (0, 2)]
    assert seen == ["b"]
    assert len(read(store)) == 3
    assert third.run == ""
    assert len(store.runs()) == 2


def test_another_version_replaces_the_rows_and_other_names_stay(store):
    put(store, "a", 0)
    fill_table(store, "counts", count_agents, {"agents": "1", "steps": "1"})
    fill_table(store, "counts", count_agents, {"agents": "2"})
    assert read(store, "version") == [
        ("random/000000", "agents", "2"),
        ("random/000000", "steps", "1"),
    ]


def test_a_log_that_was_replaced_is_worked_on_again_and_nothing_old_stays(store):
    put(store, "a", 0, 1)
    fill_table(store, "counts", count_agents, {"agents": "1", "steps": "1"})
    put(store, "a", 1, fingerprint="2")
    done = fill_table(store, "counts", count_agents, {"agents": "1"})
    assert done.logs == 1
    assert read(store, "fingerprint") == [("random/000001", "agents", "2")]


def test_a_log_that_fails_is_told_and_the_others_are_done(store):
    for seed in range(3):
        put(store, f"log-{seed}", seed)
    with pytest.raises(InputError) as caught:
        fill_table(store, "counts", fail_on_one, {"agents": "1"})
    assert caught.value.code == "partial"
    assert "log-1" in caught.value.where
    assert "no good" in caught.value.why
    assert [row[0] for row in read(store)] == ["random/000000", "random/000002"]
    assert store.runs().column("outcome").to_pylist() == ["partial"]


def test_only_the_logs_asked_for_are_worked_on(store):
    for seed in range(3):
        put(store, f"log-{seed}", seed)
    fill_table(store, "counts", count_agents, {"agents": "1"}, logs=["log-2"])
    assert [row[0] for row in read(store)] == ["random/000002"]


def test_two_workers_write_the_same_as_one(store, tmp_path):
    for seed in range(3):
        put(store, f"log-{seed}", seed)
    fill_table(store, "counts", count_agents, {"agents": "1"}, workers=2)
    expected = sorted(
        (f"random/{seed:06d}", "agents", len(random_scene(seed, steps=20).agents))
        for seed in range(3)
    )
    assert read(store, "count") == expected


def test_rows_are_of_one_schema_however_many_scenes_a_log_has(store):
    put(store, "a", *range(5))
    fill_table(store, "counts", count_agents, {"agents": "1", "steps": "1"})
    rows = store.rows("counts", columns=["count"])
    assert rows.schema.field("count").type == pa.int64()
    assert len(rows) == 10
