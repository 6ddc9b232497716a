"""Describing a store: the descriptor of every moment, scaled by what is usual there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kerbstone.errors import InputError
from kerbstone.mine.moments.descriptor import measure_moments
from kerbstone.mine.moments.embeddings import DESCRIPTOR, embedding_rows, table_of
from kerbstone.mine.moments.features import VERSION
from kerbstone.mine.moments.filling import FillReport, fill_table
from kerbstone.mine.moments.moments import LENGTH, moment_starts
from kerbstone.mine.moments.scaling import FIT, Scales, known_scales
from kerbstone.scene import Scene
from kerbstone.store import Store

_FITTED = 100
"""Scenes that the statistics of a store are taken from, at most."""


def describe(
    store: Store,
    *,
    refit: bool = False,
    workers: int | str = 1,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[str], object] = lambda _: None,
) -> FillReport:
    """Write the descriptor of all scenes that lack it.

    The statistics that vectors are scaled by are taken from the store once, from at most 100 of
    its scenes, and kept with their run: vectors that are written later are still comparable.

    Args:
        store: The store.
        refit: Take the statistics again, and describe all scenes anew if they have changed; worth
            it once a store holds quite another kind of road.
        workers: Processes, or "ray".
        on_start: Called with the number of logs to do.
        on_result: Called with each log as it is done.

    Raises:
        InputError: The store holds no scenes, or some of its logs could not be described.
    """
    scales = None if refit else known_scales(store)
    if scales is None:
        scales = _fit(store)
    report = fill_table(
        store,
        table_of(DESCRIPTOR),
        _Describe(scales),
        {DESCRIPTOR: scales.version},
        workers=workers,
        on_start=on_start,
        on_result=on_result,
    )
    if report.logs:
        store.index_vectors(table_of(DESCRIPTOR))
    return report


def _fit(store: Store) -> Scales:
    """Take the statistics of a store from scenes spread over it, and record them as a run."""
    ids = sorted(store.scenes(["id"]).column("id").to_pylist())
    if not ids:
        raise InputError("empty", "the store holds no scenes", where=store.uri)
    chosen = [ids[i] for i in np.unique(np.linspace(0, len(ids) - 1, _FITTED).astype(int))]
    with store.run(command=FIT, config={"scenes": len(chosen), "layout": VERSION}) as run:
        scales = Scales.fit(np.concatenate([measure_moments(store.scene(i)) for i in chosen]))
        run.metrics |= {"layout": VERSION, "scales": scales.to_dict()}
    return scales


@dataclass(frozen=True, eq=False)
class _Describe:
    """Makes the rows of a scene; it goes to the worker processes."""

    scales: Scales

    def __call__(self, scene: Scene, names: tuple[str, ...]) -> pa.Table:
        del names  # there is one
        start = moment_starts(scene)
        vectors = self.scales.to_vectors(measure_moments(scene))
        ids = np.full(len(start), scene.id, object)
        duration = np.minimum(LENGTH, scene.clock.duration - start)
        return embedding_rows(DESCRIPTOR, ids, start, duration, vectors)
