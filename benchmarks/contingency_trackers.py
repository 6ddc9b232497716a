"""What a planner knows in the problems of `contingency_problems`: beliefs, in batches."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from contingency_problems import (
    DT,
    HORIZON,
    Merge,
    MergeState,
    Occlusion,
    OcclusionState,
)
from kerbstone.plan.beliefs import (
    Exits,
    Habits,
    Memory,
    Noise,
    Outlook,
    existence_of,
    foresee,
    is_in_view,
    look,
    predict_phantoms,
    score_modes,
    suspect,
    update_belief,
    when_phantoms_show,
    when_to_branch,
)
from kerbstone.plan.predictions import Predictions, turn_covariance

NEGLIGIBLE = 0.01
"""What is less probable is not planned for."""

# The mode of an episode does not change, so nothing is forgotten.
_MEMORY = Memory(forgetting=0.0, floor=1e-3, reach=6.0)


class Sight(NamedTuple):
    """What is seen of the others in each episode at a moment; NaN is nothing.

    Args:
        first: Way of the other car, or place of the one on foot across the lane [m].
        second: Speed of the other car; whether the one on foot walks.
    """

    first: np.ndarray
    second: np.ndarray


class MergeTracker:
    """A Kalman filter for each mode (yields, joins), and the belief over them."""

    def __init__(self, problem: Merge, episodes: int) -> None:
        self.problem = problem
        way, half = -20.0, 2.0 / np.sqrt(3.0)
        self.mean = np.broadcast_to([way, problem.pace[0]], (episodes, 2, 2)).copy()
        first = np.diag([half**2, problem.pace[1] ** 2])
        self.covariance = np.broadcast_to(first, (episodes, 2, 2, 2)).copy()
        self.belief = np.broadcast_to([problem.likely, 1 - problem.likely], (episodes, 2)).copy()
        self._is_new = True

    def learn(self, sight: Sight, _: Any) -> None:
        """Take in what is seen a step after the last time."""
        if not self._is_new:
            self.mean, self.covariance = self._go_on(self.mean, self.covariance)
        noise = np.diag(np.square(self.problem.blur))
        observed = np.stack(sight, axis=-1)
        spread = self.covariance + noise
        outlook = Outlook(
            self.mean[:, :, None, None],
            spread[:, :, None, None],
            np.ones((*self.belief.shape, 1, 1), bool),
        )
        if not self._is_new:
            score = score_modes(outlook, observed[:, None], memory=_MEMORY)
            self.belief = update_belief(self.belief, score, memory=_MEMORY)
        self._is_new = False
        gain = np.swapaxes(np.linalg.solve(spread, self.covariance), -1, -2)
        apart = observed[:, None] - self.mean
        self.mean = self.mean + (gain @ apart[..., None])[..., 0]
        self.mean[..., 1] = np.maximum(self.mean[..., 1], 0.0)
        self.covariance = (np.eye(2) - gain) @ self.covariance

    def predict(self, _: Any) -> tuple[Predictions, np.ndarray]:
        """Return the modes of the time to come, and the step from which they can be told."""
        episodes, steps = len(self.mean), HORIZON.steps
        mean, covariance = self.mean, self.covariance
        ways = np.empty((episodes, 2, steps))
        spread = np.empty((episodes, 2, steps))
        for step in range(steps):
            mean, covariance = self._go_on(mean, covariance)
            ways[..., step], spread[..., step] = mean[..., 0], covariance[..., 0, 0]
        placed = np.array([self.problem.place(way) for way in ways.ravel()])
        x, y, heading = placed.reshape(*ways.shape, 3)[:, :, None].transpose(4, 0, 1, 2, 3)
        along = np.maximum(spread, 1e-4)[:, :, None]
        predictions = Predictions(
            mean=np.stack([x, y], axis=-1),
            covariance=turn_covariance(along, np.full_like(along, 1e-4), heading),
            heading=heading,
            probability=self.belief,
            size=np.broadcast_to(2.0 * np.array(self.problem.half), (episodes, 1, 2)),
            valid=np.ones(x.shape, bool),
        )
        outlook = foresee(predictions, noise=Noise(*self.problem.blur), dt=DT)
        return predictions, when_to_branch(outlook, self.belief, negligible=NEGLIGIBLE)

    def sample(self, episode: int, state: Any, rng: np.random.Generator) -> MergeState:
        """Return a state drawn from the belief."""
        mode = int(rng.random() > self.belief[episode, 0])
        (a, b), (_, c) = self.covariance[episode, mode]
        first, second = rng.normal(size=2)
        root = np.sqrt(max(a, 1e-12))
        way = self.mean[episode, mode, 0] + root * first
        speed = self.mean[episode, mode, 1] + b / root * first
        speed += np.sqrt(max(c - (b / root) ** 2, 0.0)) * second
        return MergeState(state.ego, float(way), max(float(speed), 0.0), mode == 0)

    def observe(self, states: list[MergeState], noise: np.ndarray) -> Sight:
        """Return what is seen; `noise` is standard normal, `[episode, 2]`."""
        values = np.array([(state.way, state.speed) for state in states])
        return Sight(*(values + noise * self.problem.blur).T)

    def _go_on(self, mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        problem = self.problem
        way, speed = mean[..., 0], mean[..., 1]
        brakes = (np.arange(2) == 0) & (way > problem.decides)
        wish = np.where(brakes, -np.minimum(problem.braking, speed / DT), 0.0)
        new = np.maximum(speed + DT * wish, 0.0)
        moved = np.stack([way + DT * (speed + new) / 2, new], axis=-1)
        # One that has stopped stays; how fast it was then does not matter any more.
        moves = np.where(brakes & (new <= 0.0), 0.0, 1.0)
        change = np.zeros((*moves.shape, 2, 2))
        change[..., 0, 0] = 1.0
        change[..., 0, 1] = DT * (1.0 + moves) / 2
        change[..., 1, 1] = moves
        push = (problem.push * moves)[..., None] * np.array([DT * DT / 2, DT])
        grown = change @ covariance @ np.swapaxes(change, -1, -2)
        return moved, grown + push[..., :, None] * push[..., None, :]


class OcclusionTracker:
    """The belief over somebody behind the van, until they are seen."""

    def __init__(self, problem: Occlusion, episodes: int) -> None:
        self.problem = problem
        self.habits = Habits(
            arrival=0.0,
            departure=0.0,
            emergence=problem.rate,
            detection=1.0,
            speed=problem.pace,
            spread=0.05,
            size=(2 * problem.half[0], 2 * problem.half[1]),
        )
        spots = np.linspace(*problem.spots)
        self.cells = np.stack([np.full(len(spots), problem.crossing), spots], axis=-1)[None]
        # Places along their way that they may be hidden at.
        self.edge = np.arange(problem.spots[0], -0.5, 0.02)
        van = problem.van
        self.van = np.array([[van.x, van.y, van.heading, 2 * van.length, 2 * van.width]])
        self.mass = suspect(
            np.full((episodes, 1), problem.likely), np.ones((episodes, 1, len(spots)), bool)
        )
        self.seen = Sight(np.full(episodes, np.nan), np.full(episodes, np.nan))
        self._is_new = True

    def learn(self, sight: Sight, egos: Any) -> None:
        """Take in what is seen a step after the last time."""
        view = is_in_view(self._eyes(egos), self._repeat(self.cells), self._repeat(self.van))
        self.mass = look(self.mass, view, 0.0 if self._is_new else DT, self.habits)
        found = np.isfinite(sight.first)
        self.mass = np.where(found[:, None, None], 0.0, self.mass)
        self.seen, self._is_new = sight, False

    def predict(self, egos: Any) -> tuple[Predictions, np.ndarray]:
        """Return the modes of the time to come, and the step from which they can be told."""
        episodes = len(egos)
        places = np.stack([np.full(len(self.edge), self.problem.crossing), self.edge], axis=-1)
        hidden = ~is_in_view(self._eyes(egos), self._repeat(places[None]), self._repeat(self.van))
        foremost = np.where(hidden[:, 0], self.edge, -np.inf).max(axis=-1)
        found = np.isfinite(self.seen.first)
        y = np.where(found, self.seen.first, np.maximum(foremost, self.edge[0]))
        existence = np.where(found, 1.0, existence_of(self.mass)[:, 0])
        place = np.stack([np.full(episodes, self.problem.crossing), y], axis=-1)[:, None]
        exits = Exits(place, np.full((episodes, 1), np.pi / 2), np.maximum(-y, 0.0)[:, None])
        made = predict_phantoms(
            existence[:, None], exits, HORIZON, habits=self.habits, negligible=NEGLIGIBLE
        )
        walks = self.seen.second == 1.0
        time = DT * np.arange(1, HORIZON.steps + 1)
        made.mean[walks, :, 0, :, 0] = self.problem.crossing
        on = y[walks, None] + self.problem.pace * time
        made.mean[walks, :, 0, :, 1] = on[:, None]
        made.covariance[walks] = self.habits.spread**2 * np.eye(2)
        made.valid[walks, :, 0] = (on < 4.0)[:, None]
        return made, np.full(episodes, when_phantoms_show(HORIZON, notice=DT))

    def sample(
        self, episode: int, state: OcclusionState, rng: np.random.Generator
    ) -> OcclusionState:
        """Return a state drawn from the belief."""
        y = self.seen.first[episode]
        if np.isfinite(y):
            walks = bool(self.seen.second[episode] == 1.0)
            return OcclusionState(state.ego, exists=True, y=float(y), walks=walks)
        mass = self.mass[episode, 0]
        cell = int(np.searchsorted(np.cumsum(mass), rng.random()))
        exists = cell < len(mass)
        spot = float(self.cells[0, cell, 1]) if exists else 0.0
        return OcclusionState(state.ego, exists, spot, walks=False)

    def observe(self, states: list[OcclusionState], _: np.ndarray) -> Sight:
        """Return what is seen, which is exact."""
        seen = np.array([s.exists and self.problem.sees(s.ego, s.y) for s in states])
        y, walks = (np.array([float(getattr(s, name)) for s in states]) for name in ("y", "walks"))
        return Sight(np.where(seen, y, np.nan), np.where(seen, walks, np.nan))

    def _eyes(self, egos: Any) -> np.ndarray:
        x, y, heading = np.array([ego[:3] for ego in egos]).T
        ahead = self.problem.eye
        return np.stack([x + ahead * np.cos(heading), y + ahead * np.sin(heading)], axis=-1)

    def _repeat(self, values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, (len(self.mass), *values.shape))
