"""How near to the truth a smoother could come that knows the simulated detector's noise exactly.

    python benchmarks/bench_label_bound.py [--folder FOLDER] [--duration S] [--seed S] [--tracks N]

Of errors that last, no smoother averages much away. So the goal for labels is put beside a bound: a
Kalman smoother that is told who is who, the law of the noise (half of its variance new at each
step, half lasting, along and across the line of sight, by distance and occlusion), the true heading,
and who never moves. Acceleration along and across the heading forgets itself within some seconds
(Singer). Its three free numbers are those with which these very tracks come out best, so it is
more than any real one may know. Logs and towns are those of bench_label_simulated.py.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from held_out_towns import add_arguments, held_out, true_agents
from kerbstone.formats.detections import read_detections, stored_detections
from timing import print_rows, write_results

_LASTING = 0.85
"""How much of the lasting half of an error is left after a step (`formats.sumo.sensor`)."""
_LEAST = 10
"""Tracks of fewer detections are left out."""
_START = (1.0, 1.0, 1.0)
"""Where the search for the free numbers begins: acceleration along, across [m/s²], memory [s]."""
_STATE = 8
"""Place, velocity, acceleration and lasting error, two numbers each."""


class Track(NamedTuple):
    """Tracks of as many steps each; what was not detected is NaN in `place`."""

    place: np.ndarray
    true: np.ndarray
    heading: np.ndarray
    bearing: np.ndarray
    noise: np.ndarray
    stands: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_arguments(parser)
    parser.add_argument("--tracks", type=int, default=400, help="drawn from all, to be quick")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", val=True)
    with tempfile.TemporaryDirectory() as scratch:
        tracks = gather(arguments.folder or Path(scratch), arguments)
    with tqdm(desc="free numbers tried", leave=False) as progress:

        def error(free: np.ndarray) -> float:
            progress.update()
            return rmse(tracks, np.exp(free), moving=True)[1]

        corners = np.log(_START) + np.vstack([np.zeros(3), np.eye(3)])
        options = {"maxfev": 60, "xatol": 0.05, "fatol": 1e-5, "initial_simplex": corners}
        found = minimize(error, corners[0], method="Nelder-Mead", options=options)
    best = np.exp(found.x)
    rows = []
    for name, moving in (("all", False), ("those that move", True)):
        before, after = rmse(tracks, best, moving=moving)
        row = {"tracks": name, "detections": before, "smoother": after, "ratio": after / before}
        rows.append(row)
    print_rows("place error of a smoother that knows the noise, simulated: RMSE [m]", rows)
    print("acceleration along and across [m/s²], memory [s]:", np.round(best, 2))
    write_results("label_bound", rows)


def gather(folder: Path, arguments: argparse.Namespace) -> list[Track]:
    """Return some tracks of the held-out towns, by length, with the noise of each detection."""
    other = held_out(folder, arguments)
    tracks: list[Track] = []
    for source in stored_detections(other):
        log, truth = read_detections(source), other.scene(source.log)
        agents, seen = truth.agents, log.detections
        real = true_agents(other, log, truth)
        rows = other.rows("visibility", filter=f"scene_id = '{log.name}'")
        rank = {agent: row for row, agent in enumerate(agents.ids)}
        who = np.array([rank[each] for each in rows["agent"].to_pylist()], np.int64)
        when = (rows["time_ns"].to_numpy() - truth.clock.start_ns) // truth.clock.dt_ns
        visible = np.full(agents.valid.shape, np.nan)
        visible[who, when] = rows["visible"].to_numpy()
        ego = agents.centre[truth.ego]
        for agent in np.unique(real[real >= 0]):
            mine = np.flatnonzero(real == agent)
            if len(mine) < _LEAST:
                continue
            first, last = seen.step[mine].min(), seen.step[mine].max() + 1
            place = np.full((last - first, 2), np.nan)
            place[seen.step[mine] - first] = seen.box[mine, :2]
            # Where it is not there at all, nothing is measured either.
            line = np.nan_to_num(agents.centre[agent, first:last, :2] - ego[first:last, :2])
            reach = np.hypot(*line.T)
            blur = 1.0 + 1.5 * (1.0 - np.nan_to_num(visible[agent, first:last]))
            std = np.column_stack([0.06 + 0.002 * reach, 0.04 + 0.0015 * reach])
            speed = np.hypot(*np.nan_to_num(agents.velocity[agent, first:last]).T)
            tracks.append(
                Track(
                    place,
                    agents.centre[agent, first:last, :2],
                    np.nan_to_num(agents.heading[agent, first:last]),
                    np.arctan2(line[:, 1], line[:, 0]),
                    blur[:, None] * std,
                    np.full(last - first, bool(speed.max() < 0.1)),
                )
            )
    draw = np.random.default_rng(0).permutation(len(tracks))[: arguments.tracks]
    return [tracks[number] for number in sorted(draw, key=lambda n: len(tracks[n].place))]


def rmse(tracks: list[Track], free: np.ndarray, *, moving: bool) -> tuple[float, float]:
    """Return the error of detections, and that of the smoother at the same steps [m]."""
    before, after = [], []
    for start in range(0, len(tracks), 50):
        part = tracks[start : start + 50]
        if moving:
            part = [track for track in part if not track.stands[0]]
        if not part:
            continue
        steps = -(-max(len(track.place) for track in part) // 100) * 100
        batch = Track(*(pad(each, steps) for each in zip(*part, strict=True)))
        there = np.isfinite(batch.place[..., 0])
        found = np.asarray(smooth(batch, jnp.asarray(free)))
        before.append(((batch.place - batch.true)[there] ** 2).sum(-1))
        after.append(((found - batch.true)[there] ** 2).sum(-1))
    return tuple(float(np.sqrt(np.concatenate(each).mean())) for each in (before, after))


def pad(parts: tuple[np.ndarray, ...], steps: int) -> np.ndarray:
    """Return arrays of tracks as one; beyond its end a track is not detected."""
    held = [
        np.pad(each, [(0, steps - len(each))] + [(0, 0)] * (each.ndim - 1), "edge")
        for each in parts
    ]
    if parts[0].dtype == float and np.isnan(np.concatenate(parts)).any():
        for array, each in zip(held, parts, strict=True):
            array[len(each) :] = np.nan
    return np.stack(held)


@jax.jit
def smooth(batch: Track, free: jnp.ndarray, dt: float = 0.1) -> jnp.ndarray:
    """Return the likeliest place of each step, by a Kalman filter and a sweep back over it."""
    return jax.vmap(lambda *track: _smooth_one(Track(*track), free, dt))(*batch)


def _smooth_one(track: Track, free: jnp.ndarray, dt: float) -> jnp.ndarray:
    along, across, memory = free
    stands = track.stands[0]
    transition, force = _singer(memory, dt)
    still = jnp.eye(_STATE).at[6:, 6:].set(_LASTING * jnp.eye(2))
    transition = jnp.where(stands, still, transition)
    seen = jnp.isfinite(track.place[:, 0])
    place = jnp.where(seen[:, None], track.place, 0.0)
    start = track.place[0]

    def driven(heading: jnp.ndarray) -> jnp.ndarray:
        turn = _turn(heading)
        size = turn @ jnp.diag(jnp.stack([along, across]) ** 2) @ turn.T
        noise = jnp.kron(force, size)
        noise = jnp.where(stands, 1e-10 * jnp.eye(6), noise)
        lasting = (1 - _LASTING**2) * jnp.eye(2)
        return jax.scipy.linalg.block_diag(noise, lasting)

    def forward(carry: tuple, now: tuple) -> tuple:
        mean, cov = carry
        value, known, heading, bearing, std = now
        look = _turn(bearing) @ jnp.diag(std) / jnp.sqrt(2.0)
        measure = jnp.concatenate([jnp.eye(2), jnp.zeros((2, 4)), look], axis=1)
        spread = measure @ cov @ measure.T + look @ look.T
        gain = jnp.where(known, jnp.linalg.solve(spread, measure @ cov).T, 0.0)
        mean = mean + gain @ (value - measure @ mean)
        cov = cov - gain @ measure @ cov
        cov = (cov + cov.T) / 2
        ahead = transition @ cov @ transition.T + driven(heading)
        return (transition @ mean, ahead), (mean, cov, transition @ mean, ahead)

    spread = jnp.array([10.0, 10.0, 20.0, 20.0, 3.0, 3.0]) ** 2
    spread = jnp.where(stands & (jnp.arange(6) >= 2), 1e-10, spread)
    begin = jnp.concatenate([start, jnp.zeros(6)])
    cov = jnp.diag(jnp.concatenate([spread, jnp.ones(2)]))
    rows = (place, seen, track.heading, track.bearing, track.noise)
    _, (mean, cov, expected, ahead) = jax.lax.scan(forward, (begin, cov), rows)

    def backward(later: jnp.ndarray, now: tuple) -> tuple:
        mean, cov, expected, ahead = now
        gain = jnp.linalg.solve(ahead, transition @ cov).T
        found = mean + gain @ (later - expected)
        return found, found[:2]

    rows = tuple(each[:-1] for each in (mean, cov, expected, ahead))
    _, found = jax.lax.scan(backward, mean[-1], rows, reverse=True)
    return jnp.concatenate([found, mean[-1:, :2]])


def _turn(angle: jnp.ndarray) -> jnp.ndarray:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])


def _singer(memory: jnp.ndarray, dt: float) -> tuple[jnp.ndarray, jnp.ndarray]:
    """Return the transition of the state, and what force of unit variance adds in a step."""
    flow = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).at[2, 2].set(-1 / memory)
    # Van Loan: one exponential gives both.
    source = jnp.zeros((3, 3)).at[2, 2].set(2 / memory)
    whole = jnp.block([[-flow, source], [jnp.zeros((3, 3)), flow.T]]) * dt
    power = jax.scipy.linalg.expm(whole)
    step = power[3:, 3:].T
    added = step @ power[:3, 3:]
    transition = jax.scipy.linalg.block_diag(jnp.kron(step, jnp.eye(2)), _LASTING * jnp.eye(2))
    return transition, added


if __name__ == "__main__":
    main()
