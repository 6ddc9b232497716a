"""Embeddings: what moments and whole scenes are like, as vectors in a table of the store.

Each embedding has a table of its own, `embeddings_NAME`, because all vectors of a column have one
size. The rows are moments (`is_scene` false: a window of some seconds) and scenes (true: the mean
of their moments), with `scene`, `start` and `duration` [s], the embedding's `name` and `version`,
and `vector`. The built-in embedding is the descriptor; a model brings its own with `put_vectors`.
Vectors are compared by their Euclidean distance: who wants the cosine stores them with length 1.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32, Float64

from kerbstone.errors import InputError, suggest_name
from kerbstone.mine.moments.rows import keep_rows, quote, quote_all, scenes_where
from kerbstone.store import Store

DESCRIPTOR = "descriptor"
WORLD = "world"
"""The embedding that a trained scene model writes."""
_PREFIX = "embeddings_"


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors of an embedding, ordered by scene and start.

    Args:
        embedding: Name of the embedding.
        version: Its version.
        scene: Id of each one's scene.
        log: Log of each one's scene.
        start: When it begins, since its scene's start [s].
        duration: [s].
        values: The vectors.
    """

    embedding: str
    version: str
    scene: np.ndarray
    log: np.ndarray
    start: Float64[np.ndarray, " row"]
    duration: Float64[np.ndarray, " row"]
    values: Float32[np.ndarray, "row value"]

    def __len__(self) -> int:
        return len(self.scene)

    def select(self, rows: np.ndarray | Bool[np.ndarray, " row"]) -> Vectors:
        """Return some rows, in the order given."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return Vectors(self.embedding, self.version, **columns)


_COLUMNS = ("scene", "log", "start", "duration", "values")


def put_vectors(
    store: Store,
    embedding: str,
    *,
    log: str,
    version: str,
    scenes: Sequence[str],
    start: Float64[np.ndarray, " row"],
    duration: Float64[np.ndarray, " row"],
    vectors: Float32[np.ndarray, "row value"],
    run: str = "",
) -> None:
    """Write a log's vectors of an embedding, in place of those that it had.

    Once all logs are written, `Store.index_vectors(table_of(embedding))` makes the search of a
    large table quick.

    Args:
        store: The store.
        embedding: Its name, of small letters, digits and _.
        log: Name of the log.
        version: What made the vectors; only those of one version are compared.
        scenes: Id of the scene of each row.
        start: When each moment begins, since its scene's start [s]; evenly spaced in a scene.
        duration: How long each is [s].
        vectors: The moments' vectors. The scenes' own are their means.
        run: Id of the run that writes.

    Raises:
        InputError: The name cannot be used, the columns do not fit together, or a vector is not
            finite or has another size than those in the store.
    """
    lengths = {len(scenes), len(start), len(duration), len(vectors)}
    if len(lengths) > 1 or not np.isfinite(vectors).all():
        raise InputError(
            "shape" if len(lengths) > 1 else "value",
            "vectors do not fit together" if len(lengths) > 1 else "a vector is not finite",
            where=f"log {log}, embedding {embedding}",
        )
    rows = embedding_rows(embedding, np.array(scenes, object), start, duration, vectors)
    marks = {"version": version, "fingerprint": store.fingerprints().get(log, "")}
    for name, value in marks.items():
        rows = rows.append_column(name, pa.repeat(pa.scalar(value), len(rows)))
    store.put_rows(table_of(embedding), rows, log=log, run=run)


def read_vectors(
    store: Store,
    embedding: str = DESCRIPTOR,
    *,
    is_scene: bool = False,
    where: str | None = None,
    scenes: Iterable[str] | None = None,
    version: str | None = None,
) -> Vectors:
    """Return the vectors of moments, or of whole scenes.

    Args:
        store: The store.
        embedding: Name of the embedding.
        is_scene: Whether those of whole scenes.
        where: SQL condition on the scenes, such as `town = 'Miami'`.
        scenes: Only of these scenes.
        version: Those of this version; of the one that was written last if not given.

    Raises:
        InputError: There is no such embedding, or the condition is wrong.
    """
    check_embedding(store, embedding)
    condition = f"is_scene = {str(is_scene).lower()}"
    if scenes is not None:
        condition += f" AND scene IN {quote_all(scenes)}"
    columns = ["scene", "log_key", "start", "duration", "version", "written", "vector"]
    rows = store.rows(table_of(embedding), condition, columns)
    if where is not None:
        rows = keep_rows(rows, "scene", scenes_where(store, where))
    version = current_version(store, embedding) if version is None else version
    rows = keep_rows(rows, "version", [version])
    rows = rows.sort_by([("scene", "ascending"), ("start", "ascending")]).combine_chunks()
    size = rows.schema.field("vector").type.list_size
    chunks = rows.column("vector").chunks
    flat = np.concatenate([np.zeros(0, np.float32), *(c.flatten().to_numpy() for c in chunks)])
    return Vectors(
        embedding,
        version,
        scene=rows.column("scene").to_numpy(zero_copy_only=False),
        log=rows.column("log_key").to_numpy(zero_copy_only=False),
        start=rows.column("start").to_numpy(),
        duration=rows.column("duration").to_numpy(),
        values=flat.reshape(-1, size),
    )


def nearest(
    store: Store,
    example: Float32[np.ndarray, "query value"],
    *,
    embedding: str = DESCRIPTOR,
    top: int,
    is_scene: bool = False,
    condition: str = "",
) -> pa.Table:
    """Return the moments, or scenes, whose vectors are nearest to those of an example.

    Args:
        store: The store.
        example: Vectors to look for.
        embedding: Name of the embedding.
        top: How many for each vector.
        is_scene: Whether to look for whole scenes.
        condition: SQL condition on the rows that count, such as `scene != 'a'`.

    Returns:
        Columns `scene`, `start`, `duration`, `query` (row of the example) and `distance`.

    Raises:
        InputError: There is no such embedding, or the example's vectors have another size.
    """
    check_embedding(store, embedding)
    parts = [
        f"is_scene = {str(is_scene).lower()}",
        f"version = {quote(current_version(store, embedding))}",
        *([f"({condition})"] if condition else []),
    ]
    return store.nearest(
        table_of(embedding),
        example,
        top=top,
        columns=["scene", "start", "duration"],
        filter=" AND ".join(parts),
    )


def table_of(embedding: str) -> str:
    """Return the table of an embedding.

    Raises:
        InputError: It cannot be called so.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", embedding):
        raise InputError(
            "name",
            f"an embedding cannot be called {embedding!r}",
            remedy="use small letters, digits and _",
        )
    return _PREFIX + embedding


def check_embedding(store: Store, embedding: str) -> None:
    """Check that a store has an embedding.

    Raises:
        InputError: It has not.
    """
    known = known_embeddings(store)
    if embedding not in known:
        remedy = suggest_name(embedding, {*known, DESCRIPTOR, WORLD})
        if embedding == WORLD:
            remedy = f"kerbstone embed --store {store.uri} --model DIR"
        raise InputError(
            "name",
            f"the store has no embedding {embedding!r}",
            where=store.uri,
            remedy=remedy,
        )


def known_embeddings(store: Store) -> list[str]:
    """Return the names of the embeddings of a store."""
    return [n.removeprefix(_PREFIX) for n in store.versions() if n.startswith(_PREFIX)]


def current_version(store: Store, embedding: str) -> str:
    """Return the version of an embedding that was written last: the one that is compared."""
    # The rows of scenes are few, and every log has one.
    rows = store.rows(table_of(embedding), "is_scene = true", ["version", "written"])
    if not len(rows):
        return ""
    last = rows.group_by("version").aggregate([("written", "max")]).to_pylist()
    return max(last, key=lambda row: row["written_max"])["version"]


def embedding_rows(
    embedding: str,
    scenes: np.ndarray,
    start: np.ndarray,
    duration: np.ndarray,
    vectors: np.ndarray,
) -> pa.Table:
    """Return the rows of moments, and those of their scenes after them, without their marks."""
    of_scene: dict[str, list[int]] = defaultdict(list)
    for row, scene in enumerate(scenes):
        of_scene[scene].append(row)
    ends = start + duration
    means = [vectors[rows].mean(axis=0, dtype=np.float64) for rows in of_scene.values()]
    whole = np.array(means, np.float32).reshape(-1, vectors.shape[1])
    values = np.concatenate([np.asarray(vectors, np.float32), whole])
    first = [start[rows].min() for rows in of_scene.values()]
    length = [ends[rows].max() - start[rows].min() for rows in of_scene.values()]
    count = len(values)
    return pa.table(
        {
            "scene": pa.array([*scenes, *of_scene], pa.string()),
            "name": pa.repeat(pa.scalar(embedding), count),
            "start": pa.array(np.concatenate([start, first]), pa.float64()),
            "duration": pa.array(np.concatenate([duration, length]), pa.float64()),
            "is_scene": pa.array(np.arange(count) >= len(scenes)),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), vectors.shape[1]),
        }
    )
