"""From rows of SUMO's recordings to agents: centres instead of front ends, headings, sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kerbstone.errors import InputError
from kerbstone.scene import NS_PER_S, Agents, Kind, agents_from_rows, derive_velocity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kerbstone.formats.sumo.recordings import Rows
    from kerbstone.formats.sumo.vehicle_types import VehicleType


def build_agents(
    rows: Rows,
    *,
    start_ns: int,
    dt_ns: int,
    steps: int,
    types: Mapping[str, VehicleType],
    where: str,
) -> Agents:
    """Return the agents of a stretch.

    SUMO gives the front end, speed and heading; agents have their centre and a velocity: that of a
    vehicle is its speed in the direction of its heading (SUMO turns a vehicle that moves
    sideways), that of a pedestrian the change of its position. The centre's height is half the box
    above the road.

    Raises:
        InputError: A vehicle type is not known, or an agent appears twice at one time.
    """
    names = rows.type.dictionary_encode()
    # A vehicle that was changed while it ran has a type of its own, called "type@vehicle".
    labels = [
        str(name) if name in types else str(name).partition("@")[0]
        for name in names.dictionary.to_pylist()
    ]
    unknown = sorted(set(labels) - set(types))
    if unknown:
        raise InputError(
            "label",
            f"the size and class of vehicle type {unknown[0]!r} are not known",
            where=where,
            why="it is declared in no route or additional file beside the recording",
            remedy="put the .rou.xml or .add.xml file that declares it into the same folder",
        )
    of_row = names.indices.to_numpy(zero_copy_only=False)
    found = [types[label] for label in labels]
    size = np.array([[t.length, t.width, t.height] for t in found]).reshape(-1, 3)[of_row]
    ahead = np.stack([np.cos(rows.heading), np.sin(rows.heading)], axis=1)
    centre = rows.front.copy()
    centre[:, :2] -= ahead * size[:, :1] / 2
    centre[:, 2] += size[:, 2] / 2
    agents = agents_from_rows(
        track=rows.id.to_numpy(zero_copy_only=False),
        step=np.rint((rows.time_ns - start_ns) / dt_ns).astype(np.int64),
        steps=steps,
        dt=dt_ns / NS_PER_S,
        label=np.array(labels, object)[of_row],
        kinds={label: types[label].kind for label in labels},
        centre=centre,
        heading=rows.heading,
        velocity=ahead * rows.speed[:, None],
        size=size,
        where=where,
    )
    walkers = np.flatnonzero(agents.is_kind(Kind.PEDESTRIAN))
    velocity = agents.velocity.copy()
    # Pedestrians also walk sideways, and SUMO's speed does not count that.
    velocity[walkers] = derive_velocity(
        agents.centre[walkers], agents.valid[walkers], dt_ns / NS_PER_S
    )
    return replace(agents, velocity=velocity)


def smooth_walks(agents: Agents, dt: float, *, spread: float = 0.25) -> Agents:
    """Return agents whose pedestrians walk evenly.

    SUMO walks pedestrians on stripes and moves them from stripe to stripe in one step, up to a
    metre at once. A Gaussian over time makes a sidestep of it.

    Args:
        agents: The agents.
        dt: Time from step to step [s].
        spread: Standard deviation of the Gaussian [s].
    """
    from scipy.ndimage import gaussian_filter1d

    walkers = np.flatnonzero(agents.is_kind(Kind.PEDESTRIAN))
    if not walkers.size:
        return agents
    valid = agents.valid[walkers]

    def blur(values: np.ndarray) -> np.ndarray:
        return gaussian_filter1d(values, spread / dt, axis=1, mode="constant")

    # Cells without a position have no weight, so tracks keep their ends and gaps.
    weight = blur(valid.astype(np.float64))
    centre = agents.centre.copy()
    for axis in (0, 1):
        place = blur(np.where(valid, agents.centre[walkers, :, axis], 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            centre[walkers, :, axis] = np.where(valid, place / weight, np.nan)
    velocity = agents.velocity.copy()
    velocity[walkers] = derive_velocity(centre[walkers], valid, dt)
    return replace(agents, centre=centre, velocity=velocity)
