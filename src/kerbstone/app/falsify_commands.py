"""The command that tries to break the shield: falsify."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerbstone.app.options import JsonOption
from kerbstone.app.terminal import (
    print_json,
    print_note,
    print_table,
    show_progress,
    writing_file,
)
from kerbstone.errors import InputError

if TYPE_CHECKING:
    from kerbstone.plan.falsification import Campaign, FalsificationReport

_COLUMNS = {
    "episodes": "episodes",
    "contacts": "contacts",
    "moving": "ego moving",
    "caused": "caused by ego",
    "interventions": "interventions",
    "gap": "least gap [m]",
}
_CASES = 10
_SAID_NO = 10
_CHUNK, _SMALL_CHUNK, _MANY = 2000, 150, 20_000


def falsify(
    episodes: Annotated[int, typer.Argument(help="Episodes to play altogether.", min=1)] = 5000,
    crowded: Annotated[
        bool, typer.Option("--crowded", help="About seven others instead of one or two.")
    ] = False,
    family: Annotated[
        list[str] | None, typer.Option(help="What is played; repeatable; everything if none.")
    ] = None,
    adversary: Annotated[
        list[str] | None, typer.Option(help="How the others play; repeatable; hostile if none.")
    ] = None,
    planner: Annotated[
        list[str] | None, typer.Option(help="Who asks for commands; repeatable; all if none.")
    ] = None,
    breaks: Annotated[
        list[str] | None,
        typer.Option("--break", help="Break an assumption, A1 to A6; repeatable; or all."),
    ] = None,
    nominal: Annotated[
        bool, typer.Option("--nominal", help="Measure what the shield costs on usual traffic.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of all chance.", min=0, max=2**62)] = 0,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File of the report; a run goes on from what is in it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try to make the shield cause a collision, and count.

    Exit code 10 where ego caused one inside the assumptions.
    """
    from kerbstone.plan.falsification import Campaign

    given = {"families": family, "adversaries": adversary, "planners": planner}
    picked: dict[str, Any] = {key: tuple(names) for key, names in given.items() if names}
    # Small chunks where few episodes are wanted, so that every family has its turn.
    size = _CHUNK if episodes >= _MANY else _SMALL_CHUNK
    campaign = Campaign(seed=seed, size=size, is_crowded=crowded, **picked)
    if nominal:
        _measure_nominal(episodes, campaign, as_json)
    elif breaks:
        _break(episodes, campaign, tuple(breaks), workers, as_json)
    else:
        _falsify(episodes, campaign, workers, out, as_json)


def _falsify(
    episodes: int, campaign: Campaign, workers: int, out: Path | None, as_json: bool
) -> None:
    from kerbstone.plan.falsification import falsify as run

    settings = {
        "seed": campaign.seed,
        "crowded": campaign.is_crowded,
        "families": list(campaign.families),
        "adversaries": list(campaign.adversaries),
        "planners": list(campaign.planners),
    }
    since = None
    if out is not None:
        since, size = _read(out, settings)
        campaign = replace(campaign, size=size or campaign.size)
    with show_progress("falsifying", unit="episodes") as progress:
        done = 0

        def tell(report: FalsificationReport) -> None:
            nonlocal done
            progress.advance(min(report.episodes, episodes) - done)
            done = min(report.episodes, episodes)
            if out is not None:
                _write(out, settings, campaign.size, report)

        report = run(
            episodes,
            campaign=campaign,
            since=since,
            workers=workers,
            on_start=progress.start,
            on_result=tell,
        )
    if as_json:
        print_json(report.as_mapping())
    else:
        _print_counts(report, "family")
        _print_counts(report, "adversary")
        print_note(
            f"{report.drawn} starts drawn, {report.no_start:.0%} without a verified fail-safe"
        )
        for case in report.cases[:_CASES]:
            print_note(
                f"caused: chunk {case.chunk}, row {case.row}: {case.family}, {case.adversary}, "
                f"{case.planner}; a {case.kind} at {case.time:.1f} s; laid to {case.broken}"
            )
    if report.caused:
        raise typer.Exit(_SAID_NO)


def _print_counts(report: FalsificationReport, name: str) -> None:
    """Print what was found by family or adversary, and in all."""
    groups = [vars(row) for row in report.count_by(name).values()]
    gaps = [row["gap"] for row in groups if row["gap"] is not None]
    total = {key: sum(row[key] for row in groups) for key in _COLUMNS if key != "gap"}
    rows = [*groups, {name: "all", **total, "gap": min(gaps, default=None)}]
    print_table(
        [{**row, "gap": "" if row["gap"] is None else f"{row['gap']:.2f}"} for row in rows],
        {name: name, **_COLUMNS},
        right=tuple(_COLUMNS),
    )


def _break(
    episodes: int, campaign: Campaign, names: tuple[str, ...], workers: int, as_json: bool
) -> None:
    from kerbstone.plan.falsification import BREAKS, break_assumptions

    picked = tuple(BREAKS) if "all" in names else names
    with show_progress("breaking", unit="assumptions") as progress:
        progress.start(len(picked))
        rows = break_assumptions(
            episodes,
            campaign=campaign,
            names=picked,
            workers=workers,
            on_result=lambda _: progress.advance(1),
        )
    mappings = [row.as_mapping() for row in rows]
    if as_json:
        print_json(mappings)
        return
    columns = {
        "broken": "broken",
        "episodes": "episodes",
        "contacts": "contacts",
        "caused": "caused by ego",
        "noticed": "laid to it",
    }
    print_table(mappings, columns, right=tuple(columns)[1:])


def _measure_nominal(episodes: int, campaign: Campaign, as_json: bool) -> None:
    from kerbstone.plan.falsification import measure_nominal

    report = measure_nominal(episodes, seed=campaign.seed).as_mapping()
    if as_json:
        print_json(report)
        return
    rows = [{"name": name.replace("_", " "), "value": value} for name, value in report.items()]
    for row in rows:
        if isinstance(row["value"], float):
            row["value"] = f"{row['value']:.4g}"
    print_table(rows, {"name": "on usual traffic", "value": ""}, right=("value",))


def _read(out: Path, settings: dict[str, Any]) -> tuple[FalsificationReport | None, int | None]:
    """Return what an earlier run left in a file, and how large its chunks were."""
    from kerbstone.plan.falsification import recall

    try:
        text = out.read_text("utf-8")
    except FileNotFoundError:
        return None, None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "unreadable",
            "the report of an earlier run cannot be read",
            where=str(out),
            why=str(error),
        ) from error
    try:
        record = json.loads(text)
    except ValueError as error:
        raise InputError(
            "syntax", "the report of an earlier run is no JSON", where=str(out), why=str(error)
        ) from error
    if not isinstance(record, dict) or record.get("campaign") != settings:
        raise InputError(
            "value",
            "the report of an earlier run is of another campaign",
            where=str(out),
            remedy="name another file with --out, or give the same options as then",
        )
    size = record.get("size")
    if not isinstance(size, int) or size < 1:
        raise InputError("syntax", "the report of an earlier run lacks its size", where=str(out))
    return recall(record.get("report"), where=str(out)), size


def _write(out: Path, settings: dict[str, Any], size: int, report: FalsificationReport) -> None:
    """Write the report, whole or not at all, so that a run that is stopped goes on from it."""
    from kerbstone.plan.falsification import keep

    record = {
        "campaign": settings,
        "size": size,
        "summary": report.as_mapping(),
        "report": keep(report),
    }
    with writing_file(out):
        part = out.with_name(f".{out.name}.part")
        part.write_text(json.dumps(record, indent=1, allow_nan=False), "utf-8")
        part.replace(out)


ALL = (falsify,)
