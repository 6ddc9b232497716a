"""Plans as a table and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import shapely

from kerbstone.app.plan_page import say_shield, say_why, tell_region
from kerbstone.app.terminal import count_of, print_note, print_table, print_text
from kerbstone.plan.timeline import Moment, Timeline
from kerbstone.scene import Scene


def print_plans(timeline: Timeline, page: Path | None) -> None:
    """Print a row for each plan, and where the page is."""
    rows = [
        {
            "time": f"{moment.situation.time:.1f}",
            "cost": float(moment.plan.cost[0]),
            "feasible": bool(moment.plan.feasible[0]),
            "begun": moment.begun,
            "blind": len(moment.blind.regions) if moment.blind is not None else 0,
            "ways": 0 if moment.ways is None else len(moment.ways),
            "ms": f"{1000 * moment.seconds:.1f}",
            "shield": "–" if moment.safety is None else say_shield(moment.safety),
            "why": "" if moment.safety is None else say_why(moment.safety, moment.blind),
        }
        for moment in timeline.moments
    ]
    if rows:
        columns = {
            "time": "s",
            "cost": "cost",
            "feasible": "feasible",
            "begun": "began as",
            "ways": "other ways",
            "blind": "blind regions",
            "ms": "ms",
            "shield": "shield",
            "why": "why not",
        }
        if not any(row["why"] for row in rows):
            del columns["why"]
        if all(moment.blind is None for moment in timeline.moments):
            del columns["blind"]
        print_table(rows, columns, right=("time", "cost", "ways", "blind", "ms"))
        bad = sum(not row["feasible"] for row in rows)
        if bad:
            print_note(
                f"{count_of(bad, 'plan')} not feasible: no way was found that keeps clear of what is "
                "predicted; the nearest to it is shown"
            )
    if page is not None:
        print_text(f"wrote {page} ({page.stat().st_size / 1e6:.1f} MB)")


def describe_plans(scene: Scene, timeline: Timeline, page: Path | None) -> dict[str, Any]:
    """Return plans as JSON values: states, controls, figures, and what the shield says."""
    moments = timeline.moments
    first = moments[0].situation if moments else None
    return {
        "scene": scene.id,
        "agent": None if first is None else first.agent,
        "page": None if page is None else str(page),
        "vehicle": None if first is None else asdict(first.vehicle),
        "horizon": None if first is None else asdict(first.horizon),
        "columns": {
            "states": ["x", "y", "heading", "speed", "acceleration", "steering"],
            "controls": ["jerk", "steering_rate"],
        },
        "compiling_s": timeline.compiling,
        "moments": [_describe_moment(moment) for moment in moments],
        "failed": [{"time": time, **error.to_dict()} for time, error in timeline.failed],
    }


def _describe_moment(moment: Moment) -> dict[str, Any]:
    situation, made, safety = moment.situation, moment.plan, moment.safety

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    described: dict[str, Any] = {
        "time": situation.time,
        "step": situation.step,
        "cost": float(made.cost[0]),
        "feasible": bool(made.feasible[0]),
        "room": float(made.room[0]),
        "tightest": moment.tightest,
        "begun": moment.begun,
        "seconds": moment.seconds,
        "clipped": list(situation.clipped),
        "branch_step": int(situation.problem.branch_step),
        "modes": [
            {
                "name": name,
                "probability": float(situation.problem.probability[mode]),
                "states": moment.states[mode].tolist(),
                "controls": moment.controls[mode].tolist(),
            }
            for mode, name in enumerate(moment.modes)
        ],
        "value": moment.value,
        "others": [],
        "hidden": None if moment.blind is None else _describe_blind(moment),
        "shield": None,
    }
    if moment.ways is not None:
        described["others"] = [
            {
                "name": name,
                "cost": float(moment.ways.cost[way]),
                "states": moment.ways.states[way].tolist(),
            }
            for way, name in enumerate(moment.ways.names)
        ]
    if safety is not None:
        described["shield"] = {
            "ready": safety.is_ready,
            "passes": safety.passes,
            "cause": safety.cause,
            "agent": safety.who or None,
            "region": tell_region(safety, moment.blind),
            "after": finite(safety.time),
            "margin": finite(safety.margin),
            "failsafe": {
                "dt": safety.step,
                "states": safety.failsafe.tolist(),
                "controls": safety.controls.tolist(),
            },
        }
    return described


def _describe_blind(moment: Moment) -> dict[str, Any]:
    """Return what is not seen; regions count from 1."""
    blind, emergence = moment.blind, moment.emergence
    assert blind is not None  # noqa: S101  It is asked for only then.
    return {
        "sensor": blind.sight.eye.tolist(),
        "regions": [
            {
                "number": number,
                "kind": "lane" if region.is_lane else "on foot",
                "area": float(shapely.area(region.area)),
            }
            for number, region in enumerate(blind.regions, 1)
        ],
        "places": int(blind.places.valid.sum()),
        "stretches": int(blind.stretches.valid.sum()),
        "steps_out": None if emergence is None else asdict(emergence),
    }
