import builtins
import json

import pytest

from kerbstone.errors import InputError
from kerbstone.world.training.progress import ProgressLog


def lines(folder):
    return [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]


def write(folder, steps, *, after):
    log = ProgressLog(folder, step=after)
    for step in steps:
        log.write({"step": step, "loss": 1.0 / (1 + step)})
    log.sync()
    log.close()
    return log


def test_a_log_is_cut_back_to_the_step_that_a_run_goes_on_from(tmp_path):
    write(tmp_path, [0, 5, 10, 15], after=-1)
    write(tmp_path, [10, 15, 20], after=5)
    assert [line["step"] for line in lines(tmp_path)] == [0, 5, 10, 15, 20]


def test_a_run_that_begins_anew_begins_its_log_anew(tmp_path):
    write(tmp_path, [0, 5], after=-1)
    write(tmp_path, [0], after=-1)
    assert [line["step"] for line in lines(tmp_path)] == [0]


def test_half_a_line_and_nonsense_are_removed(tmp_path):
    write(tmp_path, [0, 5], after=-1)
    with (tmp_path / "progress.jsonl").open("ab") as file:
        file.write(b'[]\n{"loss": 1}\n{"step": "5"}\n\xff\n{"step": 10, "lo')
    write(tmp_path, [10], after=5)
    assert [line["step"] for line in lines(tmp_path)] == [0, 5, 10]


def test_what_is_not_finite_becomes_null(tmp_path):
    log = ProgressLog(tmp_path, step=-1)
    log.write({"step": 1, "loss": float("nan"), "rate": float("inf")})
    log.close()
    assert lines(tmp_path) == [{"step": 1, "loss": None, "rate": None}]


def test_tensorboard_gets_files_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboardX")
    assert write(tmp_path, [0, 5], after=-1).has_board
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


def test_without_tensorboard_there_is_a_log_all_the_same(tmp_path, monkeypatch):
    load = builtins.__import__

    def refuse(name, *rest):
        if name == "tensorboardX":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert not write(tmp_path, [0], after=-1).has_board
    assert len(lines(tmp_path)) == 1
    assert not (tmp_path / "tensorboard").exists()


def test_a_log_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "progress.jsonl").mkdir()
    with pytest.raises(InputError, match="log of a run cannot be written"):
        ProgressLog(tmp_path, step=-1)
