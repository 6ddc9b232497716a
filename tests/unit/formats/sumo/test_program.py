import subprocess
import sys

import pytest

from kerbstone.errors import InputError, KerbstoneError, MissingError
from kerbstone.formats.sumo import program
from kerbstone.formats.sumo.program import (
    find_home,
    find_program,
    last_words,
    read_version,
    run_connected,
    run_program,
)
from kerbstone.formats.sumo.towns import build_town


@pytest.fixture
def nowhere(monkeypatch):
    """Make SUMO impossible to find."""
    monkeypatch.setattr(program.importlib.util, "find_spec", lambda _: None)
    monkeypatch.delenv("SUMO_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    find_home.cache_clear()
    yield
    find_home.cache_clear()


def test_a_missing_sumo_names_the_extra(nowhere):
    with pytest.raises(MissingError) as caught:
        find_home()
    assert "kerbstone[sumo]" in caught.value.remedy


def test_sumo_home_counts_where_there_is_no_wheel(nowhere, monkeypatch, tmp_path):
    (tmp_path / "tools" / "traci").mkdir(parents=True)
    monkeypatch.setenv("SUMO_HOME", str(tmp_path))
    assert find_home() == tmp_path
    with pytest.raises(MissingError):
        find_program("netconvert")


def test_importing_the_formats_loads_no_simulator():
    code = (
        "import sys, kerbstone.formats, kerbstone.formats.sumo; "
        "print([m for m in ('traci', 'sumolib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there():
    from kerbstone.formats import sumo as room

    for name in room.__all__:
        assert getattr(room, name) is not None
    with pytest.raises(AttributeError):
        room.no_such_name  # noqa: B018


def test_a_program_gives_what_it_wrote(sumo):
    assert read_version()[0].isdigit()
    assert "netconvert" in run_program("netconvert", ["--version"])


def test_an_error_holds_sumos_own_words(sumo):
    with pytest.raises(InputError) as caught:
        run_program("sumo", ["-n", "/no/such.net.xml"], error=InputError, where="mine.sumocfg")
    assert caught.value.code == "simulation"
    assert "/no/such.net.xml" in caught.value.why
    assert caught.value.where == "mine.sumocfg"


def test_a_program_that_takes_too_long_is_stopped(sumo):
    with pytest.raises(KerbstoneError) as caught:
        run_program("sumo", ["--version"], timeout=1e-6)
    assert "did not finish" in caught.value.what


def test_a_simulation_that_does_not_start_says_why(sumo, tmp_path):
    log = tmp_path / "log"
    with (
        pytest.raises(KerbstoneError) as caught,
        run_connected(["-n", "/no/such.net.xml"], log),
    ):
        pass
    assert "/no/such.net.xml" in caught.value.why


def test_a_simulation_that_crashes_is_told_from_one_that_refuses(sumo, tmp_path, monkeypatch):
    started, popen = [], subprocess.Popen

    def start(*arguments, **keywords):
        started.append(popen(*arguments, **keywords))
        return started[-1]

    def crash(connection):
        started[0].kill()
        connection.simulationStep()

    build_town("roundabouts", tmp_path / "town.net.xml")
    monkeypatch.setattr(program.subprocess, "Popen", start)
    with (
        pytest.raises(KerbstoneError) as caught,
        run_connected(
            ["-n", str(tmp_path / "town.net.xml")], tmp_path / "log", where="roundabouts, seed 0"
        ) as connection,
    ):
        crash(connection)
    assert caught.value.what == "SUMO crashed (signal 9)"
    assert caught.value.where == "roundabouts, seed 0"
    assert caught.value.remedy


def test_the_last_words_are_the_errors_if_there_are_any():
    assert last_words("Loading\nError: bad net\nQuitting (on error).") == "Error: bad net"
    assert last_words("one\ntwo\nthree\nfour") == "two | three | four"
    assert last_words("") == "it gave no reason"
