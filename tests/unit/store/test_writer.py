"""Writing counts at its commit, whoever else writes and wherever it is cut off."""

from datetime import timedelta

import pyarrow as pa
import pytest

from kerbstone.errors import InputError, KerbstoneError
from kerbstone.store import Store, parallel_map, writer
from scenes import assert_same, random_scene
from store_workers import write_and_die, write_logs


def test_many_processes_that_write_the_same_logs_leave_each_scene_once(store):
    """Each of four processes writes the same four logs, beginning with another one."""
    turns = [[(first + i) % 4 for i in range(4)] for first in (0, 0, 1, 2)]
    work = [(store.uri, f"p{i}", logs, 4) for i, logs in enumerate(turns)]
    added = [result for _, result in parallel_map(write_logs, work, workers=4)]
    assert sum(added) == 8
    ids = [f"random/{10 * log + i:06d}" for log in range(4) for i in range(2)]
    assert sorted(store.scenes(["id"]).column("id").to_pylist()) == ids
    assert store._tables.scenes.scan(["id"]).num_rows == 8
    for scene_id in ids:
        scene = random_scene(int(scene_id[-6:]), steps=70, has_poses=False)
        assert_same(store.scene(scene_id), scene)
    assert store.rows("maps").num_rows == 8
    events = store.rows("events", columns=["scene"]).column("scene").to_pylist()
    assert sorted(events) == ids
    store.vacuum(keep=timedelta(0))
    assert store._tables.states.scan(["part"]).num_rows == 2 * 8
    assert store._tables.sensors.scan(["part"]).num_rows == 3 * 8
    assert store._tables.side("events").scan(["part"]).num_rows == 8
    assert store.runs().column("outcome").to_pylist() == ["done"] * 4
    assert_same(store.scene("random/000031"), random_scene(31, steps=70, has_poses=False))


def test_what_a_killed_process_left_is_not_seen_and_another_one_finishes(store):
    """Three processes are killed one after the other, each at a later table."""
    for doomed in ("maps", "sensors", "scenes"):
        [(_, error)] = parallel_map(write_and_die, [(store.uri, doomed, "1")], workers=2)
        assert isinstance(error, KerbstoneError)
        assert (error.code, error.why) == ("worker", "exit code 9")
    assert store._tables.states.scan(["part"]).num_rows > 0
    assert store.fingerprints() == {}
    for name in ("scenes", "states", "sensors"):
        assert store.rows(name).num_rows == 0
    scenes = [random_scene(i, steps=70) for i in range(2)]
    assert store.add(scenes, log="log", fingerprint="1") == 2
    assert store.add(scenes, log="log", fingerprint="1") == 0
    for scene in scenes:
        assert_same(store.scene(scene.id), scene)
    assert store.rows("states").num_rows == 4
    removed = store.vacuum(keep=timedelta(0))
    assert removed["rows"] > 0
    assert store._tables.states.scan(["part"]).num_rows == 4
    assert_same(store.scene(scenes[1].id), scenes[1])


def test_a_process_killed_while_it_replaces_a_log_leaves_the_old_one(store):
    scenes = [random_scene(i + 5) for i in range(2)]
    store.add(scenes, log="log", fingerprint="0")
    work = [(store.uri, "scenes", "1")]
    [(_, error)] = parallel_map(write_and_die, work, workers=2)
    assert isinstance(error, KerbstoneError)
    assert store.fingerprints() == {"log": "0"}
    assert_same(store.scene(scenes[0].id), scenes[0])


def test_a_finished_log_is_not_even_read_again(store):
    store.add([random_scene(1)], log="a", fingerprint="1")

    def unread():
        raise AssertionError("it was read")
        yield

    assert store.add(unread(), log="a", fingerprint="1") == 0


def test_a_changed_log_is_replaced_with_the_scenes_that_it_has_no_more(store):
    store.add([random_scene(i) for i in (1, 2, 3)], log="a", fingerprint="1")
    store.add([random_scene(9)], log="b", fingerprint="1")
    reader = Store.open(store.uri)
    old = reader.scene("random/000002")
    changed = [random_scene(i, steps=20) for i in (2, 4)]
    assert store.add(changed, log="a", fingerprint="2") == 2
    ids = store.scenes(["id"]).column("id").to_pylist()
    assert sorted(ids) == ["random/000002", "random/000004", "random/000009"]
    assert store.fingerprints() == {"a": "2", "b": "1"}
    assert_same(store.scene("random/000002"), changed[0])
    # A reader that opened the store before sees it as it was, until the old rows are removed.
    assert_same(reader.scene("random/000001"), random_scene(1))
    assert_same(old, random_scene(2))
    store.vacuum(keep=timedelta(0))
    assert_same(reader.scene("random/000002"), changed[0])
    with pytest.raises(InputError, match="no scene"):
        reader.scene("random/000003")


def test_a_scene_replaced_after_it_was_opened_is_not_mixed_with_the_new_one(store):
    store.add([random_scene(1)], log="a", fingerprint="1")
    scene = store.scene("random/000001")
    store.add([random_scene(1, steps=20)], log="a", fingerprint="2")
    with pytest.raises(InputError, match="was replaced") as error:
        scene.ego_poses  # noqa: B018 - it reads
    assert error.value.remedy == "open it again"


def test_a_log_of_no_scenes_leaves_the_store_as_it_is(store):
    before = store.versions()
    assert store.add([], log="a", fingerprint="1") == 0
    assert store.versions() == before


def test_a_long_log_is_written_in_batches_that_appear_together(store, monkeypatch):
    monkeypatch.setattr(writer, "_BATCH_BYTES", 1000)
    scenes = [random_scene(i, steps=200) for i in range(3)]
    store.add(scenes, log="a", fingerprint="1")
    assert len(store._tables.states.dataset.get_fragments()) > 3
    for scene in scenes:
        assert_same(store.scene(scene.id), scene)
        assert_same(store.window(scene.id, 6.0, 8.0), scene.window(6.0, 8.0))


def test_side_rows_are_seen_once_their_log_is_in_the_store(store):
    events = pa.table({"scene": ["random/000001"] * 2, "kind": ["cut_in", "brake"]})
    store.put_rows("events", events, log="a", run="r")
    assert store.rows("events").num_rows == 0
    store.add([random_scene(1)], log="a", fingerprint="1")
    rows = store.rows("events")
    assert rows.select(["scene", "kind"]).equals(events)
    assert set(rows.column("log_key").to_pylist()) == {"a"}
    assert store.rows("events", "kind = 'brake'", ["scene"]).num_rows == 1
    assert "events" in store.versions()


def test_side_rows_written_again_replace_those_of_the_log(store):
    for log in "ab":
        store.add([random_scene(ord(log))], log=log, fingerprint="1")
        for count in (3, 2):
            rows = pa.table({"score": [0.1] * count})
            store.put_rows("events", rows, log=log)
    assert store.rows("events", columns=["score"]).num_rows == 4
    assert store._tables.side("events").scan(["part"]).num_rows == 4


def test_side_rows_that_a_killed_process_did_not_remove_do_not_count(store, monkeypatch):
    store.add([random_scene(1)], log="a", fingerprint="1")
    monkeypatch.setattr("kerbstone.store.table.Table.delete", lambda *_: 0)
    for count in (3, 2):
        store.put_rows("events", pa.table({"score": [0.1] * count}), log="a")
    assert store._tables.side("events").scan(["part"]).num_rows == 5
    assert store.rows("events").num_rows == 2
    monkeypatch.undo()
    store.vacuum(keep=timedelta(0))
    assert store._tables.side("events").scan(["part"]).num_rows == 2


def test_side_rows_that_do_not_fit_are_refused(store):
    store.put_rows("events", pa.table({"score": [0.5]}), log="a")
    wrong = pa.table({"score": ["high"]})
    for rows, code in ((wrong, "column"), (pa.table({"kind": [1]}), "column")):
        with pytest.raises(InputError, match="do not fit") as error:
            store.put_rows("events", rows, log="a")
        assert error.value.code == code
        assert "score" in error.value.remedy
    with pytest.raises(InputError, match="store's own"):
        store.put_rows("events", pa.table({"part": [1]}), log="a")
    for name in ("scenes", "Events", "no/way"):
        with pytest.raises(InputError, match="cannot be called"):
            store.put_rows(name, pa.table({"score": [0.5]}), log="a")
