"""The order of matches: the strongest first, and of equals always the same one."""

import dataclasses

import numpy as np
import pytest

from kerbstone.lang.library import prepare
from kerbstone.mine import search_store
from kerbstone.mine.search.answers import Answers
from kerbstone.mine.search.ranking import rank_matches, trace_matches
from kerbstone.mine.search.search import Search
from kerbstone.scene import Agents
from kerbstone.store import Store
from streets import damage_scene, put_scenes, street


def mask_agents(agents: Agents, valid: np.ndarray) -> Agents:
    """Return agents of whom nothing is known where they are not valid."""
    hidden = np.where(valid, 0.0, np.nan)
    return dataclasses.replace(
        agents,
        valid=valid,
        centre=agents.centre + hidden[..., None],
        heading=agents.heading + hidden,
        velocity=agents.velocity + hidden[..., None],
    )


def search_of(rows: list[dict], *, scenes=("s0", "s1", "s2"), dt=0.1) -> Search:
    """A search with these rows; a row has a robustness and what is not usual in it."""
    usual = {"scene": 0, "first": 0, "last": 0, "agent": "a"}
    rows = [usual | row for row in rows]

    def column(name: str, kind: type = int) -> np.ndarray:
        return np.array([row[name] for row in rows], kind)

    agents = np.empty((len(rows), 1), object)
    agents[:, 0] = [row["agent"] for row in rows]
    count = len(scenes)
    return Search(
        key="",
        scenes=tuple(scenes),
        dt=np.broadcast_to(np.asarray(dt, float), count).copy(),
        seconds=np.full(count, 10.0),
        answers=Answers(
            part=np.arange(count),
            total=np.zeros(count, np.int64),
            held=np.zeros(count, np.int64),
            scene=column("scene"),
            first=column("first"),
            last=column("last"),
            best=column("first"),
            robustness=column("robustness", float),
            agent=agents,
            kind=np.ones((len(rows), 1), np.uint8),
        ),
        failed=(),
        known=0,
    )


def ranked(rows: list[dict], *, top: int = 50, near_misses: int = 10, **given) -> list[int]:
    found = search_of(rows, **given)
    return rank_matches(found, top=top, near_misses=near_misses).tolist()


def strengths(*values: float) -> list[dict]:
    return [{"robustness": value} for value in values]


def test_the_strongest_match_comes_first_and_the_nearest_miss_first_after_all_matches():
    assert ranked(strengths(-0.5, 0.1, 2.0, -0.1, 0.7)) == [2, 4, 1, 3, 0]


def test_infinitely_strong_is_strongest():
    assert ranked(strengths(1.0, np.inf, 5.0)) == [1, 2, 0]


def test_what_neither_holds_nor_fails_is_no_match():
    assert ranked(strengths(0.0, 0.1), top=5, near_misses=0) == [1]
    assert ranked(strengths(0.0, -0.1), top=5, near_misses=5) == [0, 1]


@pytest.mark.parametrize(("top", "near"), [(0, 0), (1, 0), (0, 1), (2, 1), (9, 9)])
def test_there_are_no_more_than_were_asked_for(top, near):
    rows = strengths(0.3, 0.2, 0.1, -0.1, -0.2)
    matches, misses = [0, 1, 2][:top], [3, 4][:near]
    assert ranked(rows, top=top, near_misses=near) == matches + misses


def test_of_equals_the_longer_comes_first_in_seconds_and_not_in_steps():
    rows = [
        {"robustness": 1.0, "scene": 0, "last": 9},  # ten steps of 0.1 s
        {"robustness": 1.0, "scene": 1, "last": 4},  # five steps of 0.5 s
    ]
    assert ranked(rows, dt=[0.1, 0.5, 0.1]) == [1, 0]
    assert ranked(rows) == [0, 1]


def test_of_what_is_alike_in_that_too_the_order_is_scene_time_and_road_user():
    rows = [
        {"robustness": 1.0, "scene": 2},
        {"robustness": 1.0, "scene": 1, "first": 5, "last": 5},
        {"robustness": 1.0, "scene": 1, "agent": "b"},
        {"robustness": 1.0, "scene": 1, "agent": "a"},
    ]
    assert ranked(rows) == [3, 2, 1, 0]
    assert ranked(rows, scenes=("s0", "s2", "s1"))[0] == 0, "by name, not by place"


@pytest.mark.parametrize("top", range(8))
def test_a_short_list_is_the_beginning_of_the_long_one(top):
    state = np.random.default_rng(0)
    rows = [
        {
            "robustness": float(state.choice([0.5, 1.0, 2.0])),
            "scene": int(state.integers(3)),
            "last": int(state.integers(3)),
            "agent": str(state.integers(99)),
        }
        for _ in range(60)
    ]
    assert ranked(rows, top=top) == ranked(rows, top=60)[:top]
    shuffled = state.permutation(len(rows))
    turned = ranked([rows[row] for row in shuffled], top=top)
    assert [rows[shuffled[row]] for row in turned] == [rows[row] for row in ranked(rows, top=top)]


def test_nothing_found_is_nothing_ranked():
    assert ranked([]) == []


def traced(store: Store, text: str, **limits):
    query = prepare(text)
    found = search_store(query, store)
    rows = rank_matches(found, top=limits.get("top", 50), near_misses=limits.get("near", 10))
    return trace_matches(query, store, found, rows)


def test_ranks_are_counted_on_over_near_misses(streets):
    matches, failed = traced(streets, "vehicle v: speed(v) > 10.5 m/s", near=3)
    assert [match.rank for match in matches] == [1, 2, 3, 4, 5, 6]
    assert [match.is_match for match in matches] == [True] * 3 + [False] * 3
    assert failed == []


def test_a_scene_that_went_bad_since_is_told_and_the_others_are_ranked_without_a_gap(streets):
    query = prepare("vehicle v: speed(v) > 1 m/s")
    found = search_store(query, streets)
    rows = rank_matches(found, top=50, near_misses=0)
    whole, _ = trace_matches(query, streets, found, rows)
    damage_scene(streets, whole[0].scene)
    matches, failed = trace_matches(query, Store.open(streets.uri), found, rows)
    ((name, error),) = failed
    assert (name, error.code) == (whole[0].scene, "store-damaged")
    assert [match.rank for match in matches] == list(range(1, len(matches) + 1))
    rest = [(m.scene, m.robustness) for m in whole if m.scene != name]
    assert [(m.scene, m.robustness) for m in matches] == rest


def test_a_trace_stays_within_the_scene(store):
    scene = street("slow/0", speed=1.0)
    put_scenes(store, "slow", scene)
    ((match, *_), _) = traced(store, "car v: speed(v) < 99 m/s")
    assert (match.first, match.last) == (0, scene.clock.steps - 1)
    assert (match.trace.first, len(match.trace.robustness)) == (0, scene.clock.steps)


def test_while_a_witness_is_away_the_trace_is_unknown(store):
    scene = street("walk/0", walker=True)
    valid = scene.agents.valid.copy()
    valid[scene.agents.index("walker"), :30] = False
    away = dataclasses.replace(scene, agents=mask_agents(scene.agents, valid))
    put_scenes(store, "walk", away)
    ((match, *_), _) = traced(store, "pedestrian p: eventually(speed(p) > 0.1 m/s)")
    there = ~np.isnan(match.trace.robustness)
    assert match.first == 30
    assert not there[: 30 - match.trace.first].any()
    assert there[30 - match.trace.first : match.last + 1 - match.trace.first].all()


def test_witnesses_stand_in_the_order_of_the_query(store):
    scene = street("walk/0", walker=True)
    put_scenes(store, "walk", dataclasses.replace(scene))
    for text, names in (
        ("pedestrian p, car c: distance(p, c) < 50 m", ["p", "c"]),
        ("car c, pedestrian p: distance(p, c) < 50 m", ["c", "p"]),
    ):
        ((match, *_), _) = traced(store, text)
        assert [who.variable for who in match.witnesses] == names
        kinds = {who.variable: who.kind for who in match.witnesses}
        assert kinds == {"p": "pedestrian", "c": "car"}
