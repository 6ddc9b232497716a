"""A table is found, joined, forgotten and, where it is broken, told with its path."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from kerbstone.errors import InputError
from kerbstone.store import Store, parallel_map, table
from kerbstone.store.index import NoIndex
from kerbstone.store.table import plain, reading, sql
from scenes import assert_same, random_scene
from store_workers import make_tables


@pytest.fixture
def broken(filled, tmp_path):
    """Return the path of a copy of the filled store, to be broken."""
    shutil.copytree(filled.uri, tmp_path / "broken")
    return tmp_path / "broken"


def read_all(path):
    store = Store.open(str(path))
    scene = store.scene("random/000001")
    return [scene.agents, scene.source, scene.map, scene.ego_poses, scene.cameras, scene.lidars]


@pytest.mark.parametrize("name", ["states", "scenes", "maps", "pieces", "sensors"])
@pytest.mark.parametrize("harm", ["no versions", "no data", "short data", "a file", "garbage"])
def test_a_broken_table_is_told_with_its_path(broken, name, harm):
    folder = broken / f"{name}.lance"
    if harm == "no versions":
        shutil.rmtree(folder / "_versions")
    elif harm == "no data":
        shutil.rmtree(folder / "data")
    elif harm == "short data":
        for file in (folder / "data").iterdir():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif harm == "a file":
        shutil.rmtree(folder)
        folder.write_text("not a table")
    else:
        for file in (folder / "_versions").iterdir():
            file.write_bytes(b"garbage")
    with pytest.raises(InputError) as error:
        read_all(broken)
    assert error.value.code == "store-damaged"
    assert str(folder) in error.value.where
    assert error.value.why
    assert ".rs:" not in error.value.why
    assert error.value.remedy


def test_a_table_that_many_processes_make_at_once_keeps_the_rows_of_each(tmp_path):
    names = [f"table{i}" for i in range(20)]
    work = [(str(tmp_path), number, names, 4) for number in range(4)]
    made = [number for _, number in parallel_map(make_tables, work, workers=4)]
    assert sorted(made) == [0, 1, 2, 3]
    for name in names:
        rows = table.Table(str(tmp_path), name, NoIndex).scan(["number"])
        assert sorted(rows.column("number").to_pylist()) == [0, 1, 2, 3]
    assert not list(tmp_path.glob(f"{table.MAKING}*"))


def test_what_a_process_left_that_was_killed_while_it_made_a_table_goes(store):
    left = Path(store.uri, f"{table.MAKING}abc")
    (left / "events.lance" / "_versions").mkdir(parents=True)
    store.vacuum(keep=timedelta(hours=1))
    assert left.exists()
    store.vacuum(keep=timedelta(0))
    assert not left.exists()


def test_lance_s_panics_are_told_like_other_damage():
    class PanicException(BaseException):
        pass

    with pytest.raises(InputError) as error, reading("road/states.lance"):
        raise PanicException("index out of bounds, /home/x/lance/rust/src/a.rs:30:2")
    assert error.value.code == "store-damaged"
    assert (error.value.where, error.value.why) == ("road/states.lance", "index out of bounds")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), KeyError("a")])
def test_what_is_no_damage_is_let_through(error):
    with pytest.raises(type(error)), reading("road/states.lance"):
        raise error


def test_sql_literals_are_quoted():
    assert sql("it's") == "'it''s'"
    assert sql([1, 2]) == "(1, 2)"
    assert sql(["a'", "b"]) == "('a''', 'b')"


def test_plain_leaves_out_the_places_in_rust():
    said = "Not found: a/b, /home/r/lance/rust/lance-io/src/local.rs:273:40, /h/x.rs:1"
    assert plain(OSError(said)) == "Not found: a/b"


def test_many_small_files_are_joined_and_rows_are_rarely_rewritten(store, monkeypatch):
    """Each row may be rewritten a logarithmic number of times: files grow twofold at least."""
    monkeypatch.setattr(table, "_MANY_FRAGMENTS", {"states": 4, "scenes": 4})
    monkeypatch.setattr(table, "_TIDY_EVERY", 1)
    monkeypatch.setattr(table, "_KEPT_VERSIONS", 10)
    rewritten = 0
    original = table.Table.compact

    def compact(self, *, keep=()):
        nonlocal rewritten
        if self.name == "scenes":
            fragments = self.dataset.get_fragments()
            rewritten += sum(f.count_rows() for f in fragments if f.fragment_id not in keep)
        original(self, keep=keep)

    monkeypatch.setattr(table.Table, "compact", compact)
    count = 40
    for i in range(count):
        store.add([random_scene(i, agents=1, steps=2, has_map=False)], log=str(i), fingerprint="")
    for name in ("states", "scenes"):
        lance_table = store._tables.core()[name]
        assert len(lance_table.dataset.get_fragments()) < 8
        assert len(lance_table.dataset.version_refs()) < 20
    assert count < rewritten < 4 * count
    assert len(list(Path(store.uri, "scenes.lance", "data").iterdir())) < count
    for i in (0, 17, 39):
        scene = random_scene(i, agents=1, steps=2, has_map=False)
        assert_same(store.scene(scene.id), scene)
    ids = [f"random/{i:06d}" for i in range(count)]
    assert store.scenes(["id"]).column("id").to_pylist() == ids


def test_a_reader_whose_files_were_joined_away_reads_the_new_ones(store):
    for i in range(3):
        store.add([random_scene(i)], log=str(i), fingerprint="1")
    reader = Store.open(store.uri)
    scene = reader.scene("random/000000")
    store.vacuum(keep=timedelta(0))
    assert_same(scene, random_scene(0))
    assert_same(reader.scene("random/000002"), random_scene(2))
