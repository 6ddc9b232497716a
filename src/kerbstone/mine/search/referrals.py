"""Whom an answer refers to: what a query found, as the roles of a scenario-mining benchmark.

The first road user that a query names is the one referred to, the further ones are related to it,
and all others are other objects; a query that names only `ego` refers to the recording car. Every
binding for which the query holds counts. Who is both at a time is referred to.

References:
    Davidson et al., "RefAV: Towards Planning-Centric Scenario Mining", 2025,
    https://arxiv.org/abs/2505.20981.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Float64, Int64

from kerbstone.errors import InputError
from kerbstone.formats.av2_mining import Referral, Role, find_ego
from kerbstone.lang import Answer, Compiled, evaluate
from kerbstone.mine.search.readings import Reader, find_readings
from kerbstone.scene import Scene
from kerbstone.store import Store

LEAST = 1.5
"""How long a road user is referred to at least, in the benchmark's truth [s]."""

_FAINTEST = float(np.finfo(np.float32).tiny)


def refer_store(
    queries: Mapping[str, Compiled | None],
    store: Store,
    *,
    where: str | None = None,
    on_start: Callable[[int], object] = lambda _: None,
    on_result: Callable[[int], object] = lambda _: None,
) -> Iterator[tuple[str, list[Referral] | InputError]]:
    """Give whom queries refer to in each scene of a store, also where that is nobody.

    Args:
        queries: The query that each prompt stands for; None refers to nobody.
        store: The store.
        where: An SQL condition on the scenes.
        on_start: Called with the number of scenes.
        on_result: Called with the number of scenes that were searched since.

    Returns:
        The id of each scene, with a referral for each prompt, or the error for a scene that is
        damaged, has no recording car or asks for too much.

    Raises:
        InputError: A query is wrong in itself, or the condition is.
        MissingError: A query asks a model, and there is no model.
    """
    rows = store.scenes(["id", "part"], where)
    parts = dict(zip(*(rows.column(name).to_pylist() for name in ("id", "part")), strict=True))
    readings = find_readings(filter(None, queries.values()), store)
    reader = Reader(store, readings, parts)
    on_start(len(parts))
    for name, scene in store.read(parts):
        try:
            yield name, _refer_scene(queries, scene, reader, parts[name])
        except InputError as error:
            if error.code.startswith("query-") and error.code != "query-limit":
                raise
            yield name, error
        on_result(1)


def refer(answer: Answer, scene: Scene, prompt: str, *, least: float = LEAST) -> Referral:
    """Return whom an answer refers to.

    The score of who is referred to, or related, is r / (1 + r) of the robustness r, of the largest
    where several bindings hold. At other times a road user that is ever referred to keeps its best
    score, and all others have 0.

    Args:
        answer: What `evaluate` returned; a floor of 0 is enough.
        scene: The scene that it was evaluated on.
        prompt: The words that the query stands for.
        least: Stretches that are shorter are made about this long, as much at either end, where
            the road user is there [s]. The benchmark's truth is made so; 0 leaves them as found.

    Raises:
        InputError: The query names no road user.
    """
    query, agents = answer.query, scene.agents
    if not query.slots and not query.names_ego:
        raise InputError(
            "query-kind",
            "the query names no road user that it could refer to",
            where=query.text,
            remedy="name one, as in 'vehicle v: …'",
        )
    holds = widen(answer.robustness, round(least / scene.clock.dt))
    score = _score(holds)
    related = np.zeros(agents.valid.shape)
    referred = np.zeros(agents.valid.shape)
    ego = np.full(len(score), -1 if scene.ego is None else scene.ego, np.int64)
    columns = [*answer.rows.T, *([ego] if query.names_ego else [])]
    for target, column in zip([referred, *[related] * len(columns)], columns, strict=False):
        _raise_to(target, column, score)
    referred[~agents.valid] = 0.0
    best = referred.max(axis=1, initial=0.0)[:, None]
    role = np.where(referred > 0, Role.REFERRED, np.where(related > 0, Role.RELATED, Role.OTHER))
    sure = np.where(referred > 0, referred, np.where(best > 0, best, related))
    return Referral(scene, prompt, role.astype(np.uint8), sure)


def widen(
    robustness: Float64[np.ndarray, "binding time"], steps: int
) -> Float64[np.ndarray, "binding time"]:
    """Return a robustness that, where it is positive, is so for about some steps.

    A stretch that is too short grows by half of what is missing at either end, where it has the
    robustness of that end.

    Args:
        robustness: NaN where it is undefined.
        steps: How many it should be.
    """
    holds = robustness > 0
    edges = np.diff(np.pad(holds, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    binding, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[1] - 1
    missing = np.maximum(steps - (last - first + 1), 0) // 2
    wide = np.where(holds, robustness, 0.0)
    for far in range(1, int(missing.max(initial=0)) + 1):
        for end, place in ((first, first - far), (last, last + far)):
            grows = (missing >= far) & (place >= 0) & (place < wide.shape[1])
            row, column = binding[grows], place[grows]
            np.maximum.at(wide, (row, column), robustness[row, end[grows]])
    return np.where(wide > 0, wide, robustness)


def refer_nobody(scene: Scene, prompt: str) -> Referral:
    """Return that a prompt refers to nobody in a scene."""
    shape = scene.agents.valid.shape
    return Referral(scene, prompt, np.full(shape, Role.OTHER, np.uint8), np.zeros(shape))


def _refer_scene(
    queries: Mapping[str, Compiled | None], scene: Scene | InputError, reader: Reader, part: int
) -> list[Referral]:
    if isinstance(scene, InputError):
        raise scene
    find_ego(scene)
    facts = reader.facts(scene, part)
    return [
        refer_nobody(scene, prompt)
        if query is None
        else refer(evaluate(query, facts, floor=0.0), scene, prompt)
        for prompt, query in queries.items()
    ]


def _score(robustness: Float64[np.ndarray, "binding time"]) -> Float64[np.ndarray, "binding time"]:
    positive = np.where(robustness > 0, robustness, 0.0)
    with np.errstate(invalid="ignore"):
        share = np.where(np.isposinf(positive), 1.0, positive / (1.0 + positive))
    return np.where(positive > 0, np.maximum(share, _FAINTEST), 0.0)


def _raise_to(
    target: Float64[np.ndarray, "agent time"],
    rows: Int64[np.ndarray, " binding"],
    values: Float64[np.ndarray, "binding time"],
) -> None:
    known = rows >= 0
    np.maximum.at(target, rows[known], values[known])
