"""A stream of batches from a store, prepared in the background while the model learns."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import jax
import numpy as np

from kerbstone.errors import InputError
from kerbstone.scene import Scene
from kerbstone.store import Store
from kerbstone.world.training.examples import Order
from kerbstone.world.windows import Window, cut_window

Example = Any
"""A tree of NumPy arrays, such as `Tokens`; all examples of a run have the same shapes."""
MakeExample = Callable[[Window, np.random.Generator], Example | None]
"""Makes an example of a window, or returns None where there is nothing to learn in it."""

_ATTEMPTS = 64


class Examples:
    """Examples by their number, with the scenes that they need held for a while.

    An example whose scene cannot be read, or has no meaning, is replaced by one of another window;
    `damaged` says of which scenes that was, and why. Several threads may ask at once.

    Args:
        store: The store, at one version.
        order: Which example is which.
        make: Makes an example of a window.
        kept: Number of groups whose scenes are held: one more than threads that ask.
    """

    def __init__(self, store: Store, order: Order, make: MakeExample, *, kept: int = 2) -> None:
        self.damaged: dict[str, str] = {}
        self._store = store
        self._order = order
        self._make = make
        self._kept = kept
        self._groups: OrderedDict[tuple[int, ...], dict[int, Scene]] = OrderedDict()
        self._lock = threading.Lock()
        self._last_error: InputError | None = None

    def example(self, number: int) -> Example:
        """Return an example.

        Raises:
            InputError: All that was tried in its place is damaged, or has nothing in it.
        """
        for attempt in range(_ATTEMPTS):
            draw = self._order.draw(number, attempt)
            scene = self._load(draw.group).get(draw.scene)
            if scene is None:
                continue
            try:
                window = cut_window(scene, draw.start)
                example = self._make(window, self._order.rng(number, attempt))
            except InputError as error:
                # A map is read as late as this, and a scene may hold what has no meaning. Other
                # windows of it are still tried, or which are would depend on which came first.
                self._note_damage(self._order.scenes[draw.scene].id, error)
                continue
            if example is not None:
                return example
        if self._last_error is not None:
            raise self._last_error
        raise InputError(
            "empty",
            "there is nothing to learn from in the scenes",
            where=self._store.uri,
            why=f"{_ATTEMPTS} windows have no road user that could be hidden",
            remedy="take other scenes with --where",
        )

    def batch(self, number: int, size: int) -> Example:
        """Return the examples of a batch, stacked."""
        return stack([self.example(i) for i in range(number * size, (number + 1) * size)])

    def _load(self, group: tuple[int, ...]) -> dict[int, Scene]:
        with self._lock:
            if group in self._groups:
                self._groups.move_to_end(group)
                return self._groups[group]
            scenes = {}
            ids = [self._order.scenes[number].id for number in group]
            for number, (name, scene) in zip(group, self._store.read(ids), strict=True):
                if isinstance(scene, InputError):
                    self._note_damage(name, scene)
                else:
                    scenes[number] = scene
            self._groups[group] = scenes
            while len(self._groups) > self._kept:
                self._groups.popitem(last=False)
            return scenes

    def _note_damage(self, name: str, error: InputError) -> None:
        self._last_error = error
        self.damaged.setdefault(name, f"{error.code}: {error.what}")


class Stream:
    """Batches one after the other, some of them prepared ahead by other threads.

    Which batch comes when does not depend on the threads. An error of a batch is raised where the
    batch would have been given. Used as a context, it ends its threads.

    Args:
        make: Returns a batch by its number.
        start: Number of the first batch.
        loaders: Number of threads.
        ahead: Batches that are prepared, or waited for, at a time.
    """

    def __init__(
        self, make: Callable[[int], Example], *, start: int = 0, loaders: int = 1, ahead: int = 4
    ) -> None:
        self.waited = 0.0
        self._make = make
        self._next = start
        self._pool = ThreadPoolExecutor(loaders, thread_name_prefix="examples")
        self._pending: deque[Future[Example]] = deque()
        for _ in range(ahead):
            self._ask()

    def __next__(self) -> Example:
        """Return the next batch; the time for which this waits is added to `waited` [s]."""
        since = time.perf_counter()
        batch = self._pending[0].result()
        self.waited += time.perf_counter() - since
        self._pending.popleft()
        self._ask()
        return batch

    def __iter__(self) -> Stream:
        return self

    def __enter__(self) -> Stream:  # noqa: PYI034 - the checks of the tests know no Self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; what they have in hand is finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self) -> None:
        self._pending.append(self._pool.submit(self._make, self._next))
        self._next += 1


def stack(examples: Sequence[Example]) -> Example:
    """Return examples as one tree of arrays whose leading axis is the example."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *examples)
