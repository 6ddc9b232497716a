"""Each item gets its result or its own error, whatever happens to the workers."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kerbstone.errors import InputError, KerbstoneError, MissingError
from kerbstone.store import parallel_map
from store_workers import double, fail_on_odd, sleep


def running():
    return [process for process in multiprocessing.active_children() if process.is_alive()]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_item_comes_back_with_its_result(workers):
    found = list(parallel_map(double, range(7), workers=workers))
    assert sorted(found) == [(i, 2 * i) for i in range(7)]
    assert not running()


def test_more_workers_than_items_are_not_started():
    assert list(parallel_map(double, [3], workers=64)) == [(3, 6)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_for_the_user_belongs_to_its_item(workers):
    found = dict(parallel_map(fail_on_odd, [0, 1, 2], workers=workers))
    assert (found[0], found[2]) == (0, 1)
    assert isinstance(found[1], InputError)
    assert (found[1].what, found[1].where) == ("one is odd", "the numbers")


def test_the_death_of_a_worker_belongs_to_its_item_and_the_rest_goes_on():
    found = dict(parallel_map(fail_on_odd, [3, 3.0, 0, 2, 4, 6], workers=2))
    assert isinstance(found[3], KerbstoneError)
    assert (found[3].code, found[3].why) == ("worker", "exit code 7")
    assert [found[i] for i in (0, 2, 4, 6)] == [0, 1, 2, 3]


def test_a_fault_of_the_program_is_raised_with_the_worker_s_traceback():
    with pytest.raises(ZeroDivisionError) as error:
        list(parallel_map(fail_on_odd, [0, 5, 2], workers=2))
    assert "in fail_on_odd" in error.value.__notes__[0]
    assert not running()
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(fail_on_odd, [5]))


def test_items_are_taken_as_workers_come_free():
    taken = []

    def items():
        for i in range(10):
            taken.append(i)
            yield i

    results = parallel_map(double, items(), workers=2)
    next(results)
    assert len(taken) == 2
    results.close()
    assert not running()


def test_an_interrupt_stops_the_workers_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def interrupt():
        while len(list(tmp_path.glob("*.asleep"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(parallel_map(sleep, [60, 61], workers=2))
    thread.join()
    assert time.monotonic() - started < 30
    assert not running()


@pytest.mark.parametrize("workers", [0, -1, "rey", 1.5])
def test_a_senseless_number_of_workers_is_refused(workers, unchecked):
    with pytest.raises(InputError, match="positive number or 'ray'"):
        parallel_map(double, [1], workers=workers)


def test_ray_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingError) as error:
        list(parallel_map(double, [1], workers="ray"))
    assert error.value.remedy == "pip install 'kerbstone[ray]'"


def test_ray_gives_the_same_results_and_errors(monkeypatch):
    ray = pytest.importorskip("ray")
    # Ray's processes import the function anew.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    try:
        found = dict(parallel_map(fail_on_odd, [0, 1, 2, 3, 4], workers="ray"))
        assert [found[i] for i in (0, 2, 4)] == [0, 1, 2]
        assert isinstance(found[1], InputError)
        assert found[1].where == "the numbers"
        assert found[3].code == "worker"
        with pytest.raises(ZeroDivisionError):
            list(parallel_map(fail_on_odd, [5], workers="ray"))
    finally:
        ray.shutdown()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_workers_of_a_parent_that_is_killed_end_in_silence(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from kerbstone.store import parallel_map\n"
        "from store_workers import sleep\n"
        "if __name__ == '__main__':\n"
        "    for done in parallel_map(sleep, [0.0, 0.5, 0.5, 0.5], workers=2):\n"
        "        print('done', flush=True)\n"
    )
    folder = Path(__file__).parents[2]
    path = os.pathsep.join([*map(str, {folder, *map(Path, sys.path)}), ""])
    with subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "done\n"
        parent.kill()
        # The pipe ends when the last worker has ended.
        assert parent.communicate(timeout=30)[1] == ""
