"""Which roads to simulate, from the command line's flags."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kerbstone.app.terminal import Progress
from kerbstone.errors import UsageError
from kerbstone.formats import IngestReport, ingest
from kerbstone.formats.sumo import SimulationConfig, simulate_roads, simulate_scenario, vary_config
from kerbstone.settings import read_config

_SIDES = {"right": ("right",), "left": ("left",), "both": ("right", "left")}


def simulate(
    store: str | Path,
    *,
    towns: Sequence[str] = (),
    sumo: Path | None = None,
    logs: int | None = None,
    side: str | None = None,
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    out: Path | None = None,
    workers: int = 1,
    progress: Progress,
) -> IngestReport:
    """Simulate towns of ours, or a scenario of one's own, and ingest what comes out.

    Args:
        store: The store's folder or URI.
        towns: Towns to go through in turn; the configuration's own if none.
        sumo: A `.sumocfg` to run instead.
        logs: Number of logs; one per town and side if not given.
        side: "right", "left" or "both"; the configuration's own if not given.
        config: TOML file with a `SimulationConfig`.
        overrides: Values that lie on top of it.
        out: Folder of the logs.
        workers: Processes.
        progress: Told how far it is.

    Raises:
        UsageError: The flags contradict one another.
        InputError: The configuration, a town or the scenario cannot be used.
        MissingError: SUMO is not installed.
    """
    if side is not None and side not in _SIDES:
        raise UsageError("usage", "--side is right, left or both", why=f"found {side!r}")
    if sumo is not None:
        ours = {"town": towns, "logs": logs, "side": side, "config": config} | dict(overrides or {})
        ours.pop("duration", None)
        idle = [name for name, value in ours.items() if value not in (None, (), [])]
        if idle:
            raise UsageError(
                "usage",
                f"--{idle[0]} is for towns of ours, and --sumo runs a scenario as it is",
                remedy="leave one of them out",
            )
        place = (out or Path(f"{store}-logs")) / _scenario_name(sumo.resolve())
        progress.start(2)
        duration = (overrides or {}).get("duration")
        log = simulate_scenario(sumo, place, duration=duration)
        progress.advance(1)
        return ingest([log.folder], store, format="sumo", on_result=lambda _: progress.advance(1))
    common = read_config(SimulationConfig, config, overrides=overrides)
    places = list(towns) or [common.town]
    sides = _SIDES[side or common.side]
    configs = vary_config(
        common,
        towns=places,
        sides=sides,
        logs=logs or len(places) * len(sides),
    )
    return simulate_roads(
        configs,
        store,
        folder=out,
        workers=workers,
        on_start=lambda count: progress.start(2 * count),
        on_log=lambda _: progress.advance(1),
        on_result=lambda _: progress.advance(1),
    )


def _scenario_name(scenario: Path) -> str:
    """Return a name that no other scenario has: many are called `run.sumocfg`, in like folders."""
    digest = hashlib.blake2b(os.fsencode(scenario), digest_size=4).hexdigest()
    return f"{scenario.parent.name}-{scenario.stem}-{digest}"
