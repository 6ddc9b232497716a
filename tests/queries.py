"""Scenes with given motion, and random queries, for the tests of the scenario language."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from kerbstone.lang import tree
from kerbstone.scene import NS_PER_S, Agents, Clock, Kind, Scene, Source


def _build(node: type[tree.Node], *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def make(given: tuple[Any, ...]) -> tree.Node:
        # The run-time type checker draws from `random`, which Hypothesis wants left alone.
        state = random.getstate()
        made = node(*given)
        random.setstate(state)
        return made

    return st.tuples(*parts).map(make)


NAMES = st.sampled_from(["a", "b1", "speed", "gap_at_most", "X"])
KINDS = st.sampled_from(["vehicle", "pedestrian", "any"])
TIMES = _build(tree.Number, st.sampled_from([0.0, 0.5, 2.0, 3.25]), st.just("s"))
NUMBERS = _build(
    tree.Number,
    st.floats(0, 1e6, allow_subnormal=False),
    st.sampled_from(["", "m", "km/h", "m/s2", "deg", "1/m", "min"]),
)
VARIABLES = st.lists(_build(tree.Variable, KINDS, NAMES), min_size=1, max_size=2).map(tuple)
WINDOWS = st.none() | _build(tree.Window, TIMES, TIMES)
TEXTS = _build(tree.Text, st.text("abc %(){}:#'", max_size=8))


def _grow(part: st.SearchStrategy[tree.Node]) -> st.SearchStrategy[tree.Node]:
    arguments = st.lists(part | TEXTS, max_size=3).map(tuple)
    named = st.lists(st.tuples(NAMES, part), max_size=1).map(tuple)
    return st.one_of(
        _build(tree.Call, NAMES, arguments, named),
        _build(tree.Minus, part),
        _build(tree.Arithmetic, st.sampled_from("+-*/"), part, part),
        _build(tree.Compare, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), part, part),
        _build(tree.Not, part),
        _build(tree.Logic, st.sampled_from(["and", "or", "implies"]), part, part),
        _build(
            tree.Temporal,
            st.sampled_from(["always", "eventually", "once", "historically"]),
            WINDOWS,
            part,
        ),
        _build(tree.Until, WINDOWS, part, part),
        _build(tree.Then, part, part, TIMES),
        _build(tree.Lasting, part, TIMES),
        _build(tree.Quantifier, st.sampled_from(["exists", "forall", "count"]), VARIABLES, part),
        _build(tree.Let, NAMES, part, part),
    )


PARTS = st.recursive(
    NUMBERS | _build(tree.Name, NAMES) | _build(tree.Truth, st.booleans()),
    _grow,
    max_leaves=12,
)
QUERIES = _build(tree.Query, VARIABLES | st.just(()), PARTS)
"""Any tree that the grammar can say, whether it makes sense or not."""


def moving_scene(
    points: np.ndarray,
    *,
    velocity: np.ndarray | None = None,
    heading: np.ndarray | None = None,
    kinds: tuple[Kind, ...] | None = None,
    ego: int | None = None,
    dt: float = 0.1,
) -> Scene:
    """Return a scene without a map: [agent, time, 2] points, NaN where an agent is not there."""
    points = np.asarray(points, float)
    agents, steps, _ = points.shape
    valid = ~np.isnan(points[..., 0])
    if velocity is None:
        velocity = np.gradient(points, dt, axis=1) if steps > 1 else np.zeros_like(points)
    if heading is None:
        heading = np.arctan2(velocity[..., 1], velocity[..., 0])
    kind = kinds or (Kind.CAR,) * agents
    absent = np.where(valid, 0.0, np.nan)
    return Scene(
        id="test/made",
        clock=Clock(0, round(dt * NS_PER_S), steps),
        agents=Agents(
            ids=tuple(f"a{i}" for i in range(agents)),
            kind=np.array(kind, np.uint8),
            label=tuple(k.name.lower() for k in kind),
            size=np.tile([4.0, 2.0, 1.5], (agents, 1)),
            centre=np.concatenate([points, absent[..., None]], axis=-1),
            heading=np.asarray(heading, float) + absent,
            velocity=np.asarray(velocity, float) + absent[..., None],
            valid=valid,
        ),
        ego=ego,
        source=Source(dataset="made", log="made"),
    )
