"""Neighbours: what each token attends to besides its own track, the nearest of each sort."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.spatial import KDTree

_APART = 1e7
"""Moments are laid this far apart in a search tree, so that none is near another [m]."""


def nearest_agents(
    position: Float64[np.ndarray, "agent patch 2"],
    is_there: Bool[np.ndarray, "agent patch"],
    count: int,
    reach: float,
) -> Int64[np.ndarray, "agent patch count"]:
    """Return the agents that are nearest to each at each time, -1 for none.

    Args:
        position: Where each is [m].
        is_there: Where that counts.
        count: How many neighbours.
        reach: None lies further than this [m].
    """
    agents, patches = is_there.shape
    found = np.full((agents, patches, count), -1)
    agent, patch = np.nonzero(is_there)
    if len(agent) < 2 or not count:
        return found
    point = np.column_stack([position[agent, patch], patch * _APART])
    found_at = KDTree(point).query(point, k=count + 1, distance_upper_bound=reach)
    away, row = np.asarray(found_at[0]), np.asarray(found_at[1])
    # Each finds itself, mostly first; where others stand in the same place, somewhere among them.
    own = row == np.arange(len(agent))[:, None]
    lost = ~own.any(axis=1)
    own[lost, -1] = True
    away, row = away[~own].reshape(-1, count), row[~own].reshape(-1, count)
    found[agent, patch] = np.where(np.isfinite(away), agent[np.minimum(row, len(agent) - 1)], -1)
    return found


def nearest_points(
    position: Float64[np.ndarray, "agent patch 2"],
    is_there: Bool[np.ndarray, "agent patch"],
    tree: KDTree,
    count: int,
    reach: float,
) -> Int64[np.ndarray, "agent patch count"]:
    """Return the points of a tree that are nearest to each agent at each time, -1 for none.

    Args:
        position: Where each agent is [m].
        is_there: Where that counts.
        tree: The points.
        count: How many neighbours.
        reach: None lies further than this [m].
    """
    found = np.full((*is_there.shape, count), -1)
    if not tree.n or not count or not is_there.any():
        return found
    wanted = position[is_there]
    # One neighbour alone would come without an axis of its own.
    away, row = tree.query(wanted, k=max(count, 2), distance_upper_bound=reach)
    away, row = np.asarray(away)[:, :count], np.asarray(row)[:, :count]
    found[is_there] = np.where(np.isfinite(away), row, -1)
    return found
