"""Map a function over items by local processes or on Ray, each item's error kept apart."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from kerbstone.errors import InputError, KerbstoneError, missing_extra

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(
    function: Callable[[T], R], items: Iterable[T], *, workers: int | str = 1
) -> Iterator[tuple[T, R | KerbstoneError]]:
    """Give each item with its result, in the order in which they are done.

    A `KerbstoneError` of an item is its result, and so is the death of its worker; the rest goes
    on. Any other exception is a fault of the program, and raised here. When the caller stops, or
    is interrupted, the workers stop at once: what they write must be committed as a whole.

    Args:
        function: What to do; more than one worker needs one that can be pickled.
        items: What to do it with; taken as workers come free.
        workers: Number of processes, 1 for this one, or "ray" for the processes of a Ray cluster.

    Raises:
        InputError: `workers` is neither a positive number nor "ray".
        MissingError: Ray is not installed.

    Example:
        >>> dict(parallel_map(abs, [-1, 2]))
        {-1: 1, 2: 2}
    """
    if workers == "ray":
        return _map_on_ray(function, items)
    if not isinstance(workers, int) or workers < 1:
        raise InputError("usage", "workers is a positive number or 'ray'", why=f"it is {workers!r}")
    return _map_here(function, items) if workers == 1 else _map_local(function, items, workers)


def _map_here(
    function: Callable[[T], R], items: Iterable[T]
) -> Iterator[tuple[T, R | KerbstoneError]]:
    for item in items:
        try:
            result: R | KerbstoneError = function(item)
        except KerbstoneError as error:
            result = error
        yield item, result


def _map_local(
    function: Callable[[T], R], items: Iterable[T], count: int
) -> Iterator[tuple[T, R | KerbstoneError]]:
    pending = iter(items)
    busy: dict[Any, tuple[_Worker, T]] = {}
    idle: list[_Worker] = []
    try:
        while True:
            while len(busy) < count:
                try:
                    item = next(pending)
                except StopIteration:
                    break
                worker = idle.pop() if idle else _Worker(function)
                busy[worker.pipe] = (worker, item)
                worker.start(item)
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker, item = busy.pop(pipe)
                idle.append(worker)
                result = worker.result()
                if not worker.is_alive:
                    idle.remove(worker)
                yield item, result
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.stop()


class _Worker:
    """A process that applies the function to one item after the other.

    It is spawned, not forked: Lance's threads do not survive a fork.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self._process: BaseProcess = context.Process(target=_serve, args=(function, far))
        self._process.daemon = True
        # A worker that is still starting must not take an interrupt for its own.
        with _without_interrupts():
            self._process.start()
        # Only the worker holds the far end now, so the pipe ends when the worker dies.
        far.close()
        self.is_alive = True

    def start(self, item: Any) -> None:
        """Hand over an item."""
        # If it was killed while it waited, `result` tells.
        with suppress(BrokenPipeError):
            self.pipe.send(item)

    def result(self) -> Any:
        """Return the item's result, or the error in its place."""
        try:
            raised, value = self.pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            self.is_alive = False
            return _death(f"exit code {self._process.exitcode}")
        if raised and not isinstance(value, KerbstoneError):
            raise value
        return value

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self.pipe.close()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold back interrupts from the keyboard, here and in the processes that are started."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    # An interrupt from the keyboard reaches all processes; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # Where the parent was killed there is nobody left to tell.
    with suppress(EOFError, ConnectionError):
        while True:
            pipe.send_bytes(_outcome(function, pipe.recv()))


def _outcome(function: Callable[[Any], Any], item: Any) -> Any:
    """Return whether the function raised, and the error or the result, as the pipe takes it."""
    try:
        return ForkingPickler.dumps((False, function(item)))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        error.add_note("In the worker:\n" + "".join(traceback.format_exception(error)))
        return ForkingPickler.dumps((True, error))


def _map_on_ray(
    function: Callable[[T], R], items: Iterable[T]
) -> Iterator[tuple[T, R | KerbstoneError]]:
    try:
        import ray  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise missing_extra("ray", "--workers ray") from None
    if not ray.is_initialized():
        with warnings.catch_warnings():
            # Lance warns of forks; Ray's processes run another program after theirs.
            warnings.filterwarnings("ignore", message="lance is not fork-safe")
            ray.init(log_to_driver=False, configure_logging=False)
    remote = ray.remote(max_retries=0)(function)
    # Two items for each processor keep it busy without holding all items in flight.
    most = 2 * max(int(ray.cluster_resources().get("CPU", os.cpu_count() or 1)), 1)
    pending = iter(items)
    running: dict[Any, T] = {}
    try:
        while True:
            while len(running) < most:
                try:
                    item = next(pending)
                except StopIteration:
                    break
                running[remote.remote(item)] = item
            if not running:
                return
            for reference in ray.wait(list(running))[0]:
                yield running.pop(reference), _ray_result(reference)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _ray_result(reference: Any) -> Any:
    import ray  # pyright: ignore[reportMissingImports] - an extra

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, KerbstoneError):
            return error.cause
        raise
    except ray.exceptions.WorkerCrashedError as error:
        return _death(str(error))


def _death(why: str) -> KerbstoneError:
    return KerbstoneError(
        "worker",
        "a worker process died",
        why=why,
        remedy="the system may have run out of memory: use fewer workers",
    )
