import dataclasses

import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.world.training.checkpoint import Arrays, Position, RunFolder
from kerbstone.world.training.leaves import write_tree

ARRAYS = Arrays({"w": np.arange(4.0)}, (), {"m": np.zeros(3)}, {"w": np.ones(4)})


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(
        tmp_path / "run", {"seed": 1, "config": {"rate": 0.1, "batch": 4}}, {"store": "road"}
    )
    folder.prepare()
    return folder


def at(step: int, **values) -> Position:
    return Position(step=step, total=100, **values)


def scaled(by: float) -> Arrays:
    return ARRAYS._replace(weights={"w": by * ARRAYS.weights["w"]})


def test_a_checkpoint_comes_back_with_all_that_is_in_it(folder):
    position = at(7, best_loss=0.1 + 0.2, damaged=(("s", "why"),), seconds=1.5, ended="")
    folder.save(position, ARRAYS)
    found = folder.latest()
    assert found.position == position
    assert found.facts == {"store": "road"}
    np.testing.assert_array_equal(folder.load(found, ARRAYS).weights["w"], ARRAYS.weights["w"])


def test_the_last_two_are_kept(folder):
    for step in (0, 5, 10, 15):
        folder.save(at(step), ARRAYS)
    names = sorted(path.name for path in folder.path.iterdir())
    assert names == ["state-000000010.kst", "state-000000015.kst"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_of_a_damaged_one_the_one_before_is_used(folder, damage):
    folder.save(at(5), scaled(5))
    path = folder.save(at(10), scaled(10))
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    path.write_bytes({"cut": data[:-40], "flip": data, "empty": b""}[damage])
    found = folder.latest()
    assert found.position.step == 5
    assert [error.where for error in found.refused] == [str(path)]
    np.testing.assert_array_equal(folder.load(found, ARRAYS).weights["w"], 5 * np.arange(4.0))


def test_where_all_are_damaged_that_is_an_error_and_not_a_new_beginning(folder):
    for step in (5, 10):
        folder.save(at(step), ARRAYS).write_bytes(b"nothing")
    with pytest.raises(InputError, match="no checkpoint of a run can be read"):
        folder.latest()


def test_a_folder_with_no_checkpoint_begins_anew(folder):
    (folder.path / "progress.jsonl").write_text("")
    assert folder.latest() is None
    assert RunFolder(folder.path / "none", {}).latest() is None


def test_another_run_is_refused_and_the_difference_told(folder):
    folder.save(at(5), ARRAYS)
    other = dataclasses.replace(
        folder, identity={"seed": 2, "config": {"rate": 0.1, "batch": 8}, "where": "x"}
    )
    with pytest.raises(UsageError) as error:
        other.latest()
    assert error.value.why == (
        "seed is 1 there, 2 here; config.batch is 4 there, 8 here; where is not set there, 'x' here"
    )


def test_what_an_interrupted_write_left_is_removed(folder):
    (folder.path / ".state-000000010.kst.123.part").write_bytes(b"half")
    folder.prepare()
    assert not list(folder.path.iterdir())


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        RunFolder(tmp_path / "file" / "run", {}).prepare()


@pytest.mark.parametrize(
    "values",
    [
        {"step": 5, "total": 4},
        {"step": -1, "total": 4},
        {"step": 1.5, "total": 4},
        {"step": 1, "total": 4, "stale": -1},
        {"step": 1, "total": 4, "damaged": [["a"]]},
        {"step": 1, "total": 4, "what": 1},
        ["step"],
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_hostile_position_is_refused(folder, values):
    path = folder.path / "state-000000005.kst"
    write_tree(path, "training state", {"identity": folder.identity, "position": values}, ARRAYS)
    with pytest.raises(InputError, match="no checkpoint of a run"):
        folder.latest()
