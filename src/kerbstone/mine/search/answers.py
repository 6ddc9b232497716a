"""What a query found in many scenes, as arrays: to be ranked, and kept in a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped, UInt8

from kerbstone.lang import Answer, Facts
from kerbstone.lang.matches import list_matches, stretches
from kerbstone.store import Store

_ROW_NUMBERS = ("first", "last", "best")


@dataclass(frozen=True, eq=False)
class Answers:
    """Matches and near misses of a query in some scenes.

    Args:
        part: Which version of a scene each is, as the store's `scenes` table says.
        total: How many matches there are in each scene, those that are not listed included.
        held: At how many steps of each scene the query holds for anybody.
        scene: The scene of each row, as its place among them; rows come by scene.
        first: The first step of each match.
        last: The last one; the same for a near miss.
        best: At which step it is strongest.
        robustness: How strong it is there: positive for a match, negative for a near miss.
        agent: Ids of the road users, in the order of the query's variables.
        kind: Their kinds.
    """

    part: Int64[np.ndarray, " scene"]
    total: Int64[np.ndarray, " scene"]
    held: Int64[np.ndarray, " scene"]
    scene: Int64[np.ndarray, " row"]
    first: Int64[np.ndarray, " row"]
    last: Int64[np.ndarray, " row"]
    best: Int64[np.ndarray, " row"]
    robustness: Float64[np.ndarray, " row"]
    agent: Shaped[np.ndarray, "row slot"]
    kind: UInt8[np.ndarray, "row slot"]

    @classmethod
    def empty(cls, slots: int, parts: Sequence[int] | np.ndarray = ()) -> Answers:
        """Return the answers for scenes in which nothing was found.

        Args:
            slots: Number of the query's variables.
            parts: The scenes; none if not given.
        """
        none, zeros = np.zeros(0, np.int64), np.zeros(len(parts), np.int64)
        return cls(
            part=np.asarray(parts, np.int64),
            total=zeros,
            held=zeros,
            scene=none,
            first=none,
            last=none,
            best=none,
            robustness=np.zeros(0),
            agent=np.zeros((0, slots), object),
            kind=np.zeros((0, slots), np.uint8),
        )

    @classmethod
    def join(cls, slots: int, parts: Sequence[Answers]) -> Answers:
        """Return the answers for all scenes of several ones, in their order."""
        if not parts:
            return cls.empty(slots)
        shift = np.cumsum([0, *(len(part.part) for part in parts[:-1])])
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
        }
        joined["scene"] = np.concatenate(
            [part.scene + first for part, first in zip(parts, shift, strict=True)]
        )
        return cls(**joined)

    def select(self, scenes: Int64[np.ndarray, " chosen"]) -> Answers:
        """Return the answers for some scenes, each of them once, in the order given."""
        place = np.full(len(self.part), -1)
        place[scenes] = np.arange(len(scenes))
        rows = np.flatnonzero(place[self.scene] >= 0)
        rows = rows[np.argsort(place[self.scene[rows]], kind="stable")]
        chosen = {name: getattr(self, name)[scenes] for name in ("part", "total", "held")}
        listed = ("robustness", "agent", "kind", *_ROW_NUMBERS)
        return Answers(
            **chosen,
            scene=place[self.scene[rows]],
            **{name: getattr(self, name)[rows] for name in listed},
        )


def read_answer(answer: Answer, facts: Facts, *, part: int, most: int, near_misses: int) -> Answers:
    """Return what a query found in one scene.

    Args:
        answer: What `evaluate` returned.
        facts: The scene.
        part: Which version of the scene it is.
        most: How many matches to list at most.
        near_misses: How many near misses to list at most.
    """
    agents = facts.agents
    found = list_matches(answer, facts, near_misses=near_misses, most=most)
    row_of = {agent: row for row, agent in enumerate(agents.ids)} if found else {}
    names = [list(match.witnesses.values()) for match in found]
    shape = (len(found), len(answer.query.slots))
    rows = np.array([row_of[name] for some in names for name in some], np.int64).reshape(shape)
    agent = np.empty(shape, object)
    agent[...] = np.array(names, object).reshape(shape)
    return Answers(
        part=np.array([part]),
        total=np.array([len(stretches(answer)[0])]),
        held=np.array([int(answer.holds.any(axis=0).sum())]),
        scene=np.zeros(len(found), np.int64),
        first=np.array([match.first for match in found], np.int64),
        last=np.array([match.last for match in found], np.int64),
        best=np.array([round(match.best / facts.dt) for match in found], np.int64),
        robustness=np.array([match.robustness for match in found], np.float64),
        agent=agent,
        kind=agents.kind[rows],
    )


def keep_answers(store: Store, answers: Answers, *, query: str, most: int) -> None:
    """Write answers into a store, so that they are known when the same is asked again.

    Args:
        store: The store.
        answers: What was found.
        query: A digest of what was asked for and of the code that answered.
        most: How many matches were listed at most of a scene.
    """
    if not len(answers.part):
        return
    row = {
        "query": query,
        "most": most,
        "scene_part": answers.part,
        "total": answers.total,
        "held": answers.held,
        "kept": np.bincount(answers.scene, minlength=len(answers.part)),
        **{name: getattr(answers, name) for name in (*_ROW_NUMBERS, "robustness")},
        "agent": answers.agent.ravel().tolist(),
        "kind": answers.kind.ravel(),
    }
    store.append("answers", [row])


def known_answers(store: Store, *, query: str, most: int, slots: int) -> Answers:
    """Return what a store knows of a query, each scene once.

    Args:
        store: The store.
        query: The digest under which it was kept.
        most: Answers that list fewer matches of a scene than this are left out.
        slots: Number of the query's variables.
    """
    rows = store.cached("answers", f"query = '{query}' AND most >= {most}")
    found = Answers.join(slots, [_read_row(row, slots) for row in rows])
    _, once = np.unique(found.part, return_index=True)
    return found.select(np.sort(once))


def _read_row(row: Mapping[str, Any], slots: int) -> Answers:
    numbers = {name: row[name].astype(np.int64) for name in ("total", "held", *_ROW_NUMBERS)}
    shape = (len(row["first"]), slots)
    return Answers(
        **numbers,
        part=row["scene_part"],
        scene=np.repeat(np.arange(len(row["kept"])), row["kept"]),
        robustness=row["robustness"],
        agent=np.array(row["agent"], object).reshape(shape),
        kind=row["kind"].reshape(shape),
    )
