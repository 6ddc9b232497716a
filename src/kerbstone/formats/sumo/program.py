"""SUMO's programs as subprocesses, and the TraCI connection to a running one."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerbstone.errors import KerbstoneError, missing_extra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Connection = Any
"""A `traci.connection.Connection`; TraCI comes with SUMO and is not typed."""


@cache
def find_home() -> Path:
    """Return the folder that SUMO is installed in: the wheel's, `SUMO_HOME`, or off the PATH.

    Raises:
        MissingError: SUMO is not installed.
    """
    candidates: list[Path] = []
    spec = importlib.util.find_spec("sumo")
    if spec is not None:
        candidates += [Path(place) for place in spec.submodule_search_locations or ()]
    if os.environ.get("SUMO_HOME"):
        candidates.append(Path(os.environ["SUMO_HOME"]))
    on_path = shutil.which("sumo")
    if on_path:
        binary = Path(on_path).resolve()
        candidates += [binary.parents[1], binary.parents[1] / "share" / "sumo"]
    for home in candidates:
        if shutil.which("sumo", path=str(home / "bin")) or (home / "tools" / "traci").is_dir():
            return home
    raise missing_extra("sumo", "simulating traffic")


def find_program(name: str) -> Path:
    """Return the path of one of SUMO's programs, such as `netconvert`.

    Raises:
        MissingError: SUMO is not installed, or without this program.
    """
    found = shutil.which(name, path=str(find_home() / "bin")) or shutil.which(name)
    if found is None:
        raise missing_extra("sumo", f"running {name}")
    return Path(found)


@cache
def read_version() -> str:
    """Return SUMO's version, such as `1.28.0`.

    Raises:
        MissingError: SUMO is not installed.
        KerbstoneError: It does not tell its version.
    """
    text = run_program("sumo", ["--version"])
    match = re.search(r"sumo (\d\S*)", text)
    if match is None:
        raise KerbstoneError("simulation", "SUMO does not tell its version", why=text[:200])
    return match.group(1)


def run_program(
    name: str,
    arguments: Sequence[str],
    *,
    timeout: float = 600.0,
    error: type[KerbstoneError] = KerbstoneError,
    where: str = "",
) -> str:
    """Run one of SUMO's programs to its end and return what it wrote to stdout.

    Args:
        name: Name of the program.
        arguments: Its arguments; no shell sees them.
        timeout: Longest run [s].
        error: What to raise when it fails: `InputError` where the files are the user's own.
        where: The file that it works on, for errors.

    Raises:
        KerbstoneError: It ended with an error or ran too long; the reason holds its last lines.
        MissingError: SUMO is not installed.
    """
    command = [str(find_program(name)), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise error(
            "simulation",
            f"{name} did not finish within {timeout:g} s",
            where=where,
            remedy="simulate a shorter time or a smaller town, or allow a longer timeout",
        ) from None
    if done.returncode != 0:
        raise error(
            "simulation",
            f"{name} stopped with an error",
            where=where,
            why=last_words(done.stderr or done.stdout),
        )
    return done.stdout


@contextmanager
def run_connected(
    arguments: Sequence[str], log: Path, *, where: str = "", start_timeout: float = 60.0
) -> Iterator[Connection]:
    """Run `sumo` under control: give a TraCI connection on loopback, and end it cleanly.

    Args:
        arguments: The arguments of `sumo`; the port is added.
        log: File that receives what SUMO writes to stdout and stderr.
        where: What is simulated, for errors.
        start_timeout: How long SUMO may take to load its files [s].

    Raises:
        KerbstoneError: SUMO did not start, or broke off while it was connected.
        MissingError: SUMO is not installed.
    """
    traci = import_traci()
    port = _free_port()
    command = [str(find_program("sumo")), *arguments, "--remote-port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=_environment())
    try:
        connection = _connect(traci, process, port, start_timeout, log, where)
        yield connection
        # SUMO writes its files to the end after it has heard the close.
        connection.close(wait=False)
        if process.wait(timeout=120) != 0:
            raise _broken_off(process, log, where)
    except traci.exceptions.FatalTraCIError as error:
        process.wait(timeout=10)
        raise _broken_off(process, log, where) from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@cache
def import_traci() -> Any:
    """Return the `traci` module that came with SUMO itself, whatever else is installed.

    Raises:
        MissingError: This SUMO comes without its tools.
    """
    tools = find_home() / "tools"
    # Loaded one by one: putting the folder on the path would also offer its `xml` and `net`.
    for name in ("sumolib", "traci"):
        if name not in sys.modules:
            spec = PathFinder.find_spec(name, [str(tools)])
            if spec is None or spec.loader is None:
                raise missing_extra("sumo", "controlling a simulation")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
    return sys.modules["traci"]


def last_words(output: str, lines: int = 3) -> str:
    """Return what SUMO itself said went wrong: its last error lines, else its last lines."""
    said = [line.strip() for line in output.splitlines() if line.strip()]
    said = [line for line in said if not line.startswith(("Quitting", "pj_obj_create"))]
    errors = [line for line in said if line.startswith("Error")]
    return " | ".join((errors or said)[-lines:]) or "it gave no reason"


def _environment() -> dict[str, str]:
    return {**os.environ, "SUMO_HOME": str(find_home()), "LC_ALL": "C"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _connect(
    traci: Any, process: subprocess.Popen[bytes], port: int, timeout: float, log: Path, where: str
) -> Connection:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return traci.connection.Connection("127.0.0.1", port, process, None, False)
        except OSError:
            if process.poll() is not None:
                raise _broken_off(process, log, where) from None
            if time.monotonic() > deadline:
                raise KerbstoneError(
                    "simulation", f"SUMO did not start within {timeout:g} s", where=where
                ) from None
            time.sleep(0.02)


def _broken_off(process: subprocess.Popen[bytes], log: Path, where: str) -> KerbstoneError:
    said = last_words(log.read_text(errors="replace"))
    if process.returncode < 0:
        return KerbstoneError(
            "simulation",
            f"SUMO crashed (signal {-process.returncode})",
            where=where,
            why=f"the fault is in SUMO itself; the last it said: {said}",
            remedy="take another seed",
        )
    return KerbstoneError("simulation", "SUMO stopped with an error", where=where, why=said)
