"""The commands. Heavy imports stay inside, so that `--help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerbstone.app import (
    choice_commands,
    coverage_commands,
    embed_commands,
    falsify_commands,
    finding_commands,
    generality_commands,
    label_commands,
    plan_commands,
    review_commands,
    scale_commands,
    search_commands,
    world_commands,
)
from kerbstone.app.options import JsonOption, StoreOption, parse_workers
from kerbstone.app.terminal import (
    count_of,
    format_count,
    format_duration,
    print_error,
    print_json,
    print_note,
    print_table,
    print_text,
    show_progress,
)

_LARGEST_SEED = 2**62


def ingest(
    paths: Annotated[
        list[str], typer.Argument(help="Files, log folders, or folders of logs at any depth.")
    ],
    store: StoreOption = "road",
    format: Annotated[  # noqa: A002 - named as the flag
        str | None, typer.Option(help="Read as this format; see `kerbstone formats`.")
    ] = None,
    workers: Annotated[str, typer.Option(help="Processes that read logs, or 'ray'.")] = "1",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on after a log that cannot be read.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the logs that would be read.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read driving logs into a store, or go on where it stopped."""
    from kerbstone.formats import find_logs
    from kerbstone.formats import ingest as run_ingest

    processes = parse_workers(workers)
    if dry_run:
        logs = find_logs(paths, format=format)
        rows = [{"log": log.name, "format": log.format, "path": str(log.path)} for log in logs]
        _print_rows(rows, {"log": "log", "format": "format", "path": "path"}, (), as_json=as_json)
        return
    with show_progress("reading logs", unit="logs") as progress:
        report = run_ingest(
            paths,
            store,
            format=format,
            workers=processes,
            skip_bad=skip_bad,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    if as_json:
        failed = [{"log": r.log.name, **r.error.to_dict()} for r in report.failed if r.error]
        print_json({**report.metrics, "run": report.run, "failed_logs": failed})
    else:
        counts = report.metrics
        print_text(
            f"{count_of(counts['scenes'], 'scene')} with {count_of(counts['agents'], 'agent')} "
            f"from {count_of(counts['logs'] - counts['known'] - counts['failed'], 'log')} "
            f"in {format_duration(report.seconds)} "
            f"({format_count(counts['agent_frames_per_s'])} agent-frames/s)"
        )
        if counts["known"]:
            print_text(f"{count_of(counts['known'], 'log')} in the store already")
        if report.failed:
            print_note(f"{len(report.failed)} of {len(report.results)} logs could not be read:")
    for result in report.failed:
        if result.error is not None:
            print_error(result.error, as_json=as_json)
    if report.failed:
        raise typer.Exit(3)


def scenes(
    store: StoreOption = "road",
    where: Annotated[
        str | None,
        typer.Option(help="SQL condition on the columns, such as \"town = 'Miami'\"."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Scenes to list; 0 lists all.", min=0)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the scenes of a store and the sum of each data set."""
    from kerbstone.app.summary import scene_rows, summarise
    from kerbstone.store import Store

    table = Store.open(store).scenes(filter=where)
    rows = scene_rows(table)
    shown = rows if limit == 0 else rows[:limit]
    sets = summarise(table)
    if as_json:
        print_json({"datasets": sets, "scenes": shown, "count": len(rows)})
        return
    print_table(
        sets,
        {
            "dataset": "data set",
            "scenes": "scenes",
            "agents": "agents",
            "hours": "hours",
            "ego_km": "ego km",
            "agent_km": "agent km",
            "towns": "towns",
        },
        right=("scenes", "agents", "hours", "ego_km", "agent_km", "towns"),
    )
    print_table(
        shown,
        {
            "id": "scene",
            "town": "town",
            "duration": "s",
            "hz": "Hz",
            "agents": "agents",
            "has_ego": "ego",
            "has_map": "map",
        },
        right=("duration", "hz", "agents"),
    )
    if len(shown) < len(rows):
        print_note(f"{len(rows) - len(shown)} more; --limit 0 lists all, --where narrows it down")


def show(
    scene: Annotated[str, typer.Argument(help="Id of a scene, or a part of it that is unique.")],
    store: StoreOption = "road",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; named after the scene.")
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Write a Rerun .rrd.")] = False,
    mcap: Annotated[bool, typer.Option("--mcap", help="Write an MCAP for Foxglove.")] = False,
    start: Annotated[float, typer.Option(help="First second to show.", min=0)] = 0.0,
    duration: Annotated[
        float | None, typer.Option(help="Seconds to show; to the end if not given.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Play a scene from above: a page, a Rerun or an MCAP file."""
    from kerbstone.app.show import show as run_show

    path = run_show(scene, store, out=out, rerun=rerun, mcap=mcap, start=start, duration=duration)
    if open_page:
        typer.launch(path.resolve().as_uri())
    if as_json:
        print_json({"path": str(path), "bytes": path.stat().st_size})
    else:
        print_text(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


def runs(
    store: StoreOption = "road",
    run: Annotated[str | None, typer.Argument(help="Id of one run, to see all of it.")] = None,
    limit: Annotated[int, typer.Option(help="Runs to list; 0 lists all.", min=0)] = 20,
    as_json: JsonOption = False,
) -> None:
    """List what was done to a store, with which outcome."""
    from kerbstone.app.summary import find_run, run_rows
    from kerbstone.store import Store

    table = Store.open(store).runs()
    if run is not None:
        print_json(find_run(table, run))
        return
    rows = run_rows(table)
    shown = rows if limit == 0 else rows[:limit]
    _print_rows(
        shown,
        {
            "id": "run",
            "command": "command",
            "started": "started",
            "seconds": "s",
            "outcome": "outcome",
            "code": "code",
            "wrote": "wrote (table: version before → after)",
        },
        ("seconds",),
        as_json=as_json,
    )


def simulate(
    store: StoreOption = "road",
    town: Annotated[
        list[str] | None,
        typer.Option(help="A town to simulate, or a .net.xml, .osm or .xodr; repeatable."),
    ] = None,
    sumo: Annotated[
        Path | None, typer.Option(help="Run this .sumocfg instead of a town of ours.")
    ] = None,
    logs: Annotated[
        int | None, typer.Option(help="Logs to simulate; one per town and side.", min=1)
    ] = None,
    side: Annotated[str | None, typer.Option(help="Driving side: right, left or both.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds of road per log.")] = None,
    agents: Annotated[int | None, typer.Option(help="Road users at a time.", min=1)] = None,
    population: Annotated[str | None, typer.Option(help="How the drivers are.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Another seed gives other traffic.", min=0, max=_LARGEST_SEED),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file; flags lie on top of it.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the logs; beside the store.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    as_json: JsonOption = False,
) -> None:
    """Simulate roads with SUMO and rare events, and ingest them."""
    from kerbstone.app.simulate import simulate as run_simulate

    given = {
        "duration": duration,
        "agents": agents,
        "population": population,
        "seed": seed,
    }
    with show_progress("simulating", unit="steps") as progress:
        report = run_simulate(
            store,
            towns=town or (),
            sumo=sumo,
            logs=logs,
            side=side,
            config=config,
            overrides=given,
            out=out,
            workers=workers,
            progress=progress,
        )
    counts = report.metrics
    if as_json:
        print_json({**counts, "run": report.run})
    else:
        print_text(
            f"{count_of(counts['scenes'], 'simulated scene')} with "
            f"{count_of(counts['agents'], 'agent')} from {count_of(counts['logs'], 'log')} "
            f"({format_count(counts['known'])} in the store already)"
        )


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the store, the logs and the report.")
    ] = Path("kerbstone-demo"),
    seed: Annotated[
        int, typer.Option(help="Another seed gives other traffic.", min=0, max=_LARGEST_SEED)
    ] = 4,
    workers: Annotated[
        int | None, typer.Option(help="Processes; one per processor if not given.", min=1)
    ] = None,
    minutes: Annotated[
        float, typer.Option(help="For how long a small model of the road learns; 0: none.", min=0.0)
    ] = 2.0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the report.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the whole loop on simulated roads; write a report."""
    from dataclasses import asdict

    from kerbstone.app.demo import run_demo

    report = run_demo(out, seed=seed, workers=workers, minutes=minutes, show_step=show_progress)
    if open_page:
        typer.launch(report.page.resolve().as_uri())
    if as_json:
        print_json(asdict(report))
        return
    print_table(
        report.towns,
        {"town": "town (simulated)", "side": "drives on", "scenes": "scenes", "agents": "agents"},
        right=("scenes", "agents"),
    )
    print_table(
        [{"kind": kind, "count": count} for kind, count in report.events.items()],
        {"kind": "planted event", "count": "count"},
        right=("count",),
    )
    print_table(
        [{"name": name, "count": count} for name, count in report.found.items()],
        {"name": "found scenario", "count": "matches"},
        right=("count",),
    )
    (dataset,) = report.datasets
    print_text(
        f"{format_count(dataset['scenes'])} scenes, {format_count(dataset['agents'])} road users, "
        f"{format_count(report.detections)} detections, {dataset['agent_km']:,.0f} km "
        f"in {format_duration(report.seconds)}"
    )
    print_text(
        f"{format_count(report.tracks)} finished tracks in {report.labels}, with "
        f"{count_of(report.filled, 'label')} where nothing was detected"
    )
    if report.forecast is not None:
        check = report.forecast
        print_text(
            f"a model of the road that learned for {minutes:g} min is {check.likeliest:.1f} m off "
            f"{check.ahead:g} s ahead in a town that it never saw, {check.nearest:.1f} m with the "
            f"nearest of its trajectories; constant velocity {check.constant_velocity:.1f} m"
        )
        print_text(
            f"{count_of(report.surprises, 'surprise')}: a road user did what at most one in 1,000 "
            f"does; of the first 200, {report.planted} are planted events"
        )
    print_text(f"look at it: {report.page}")
    print_text(f"go on:      kerbstone find 'stopped car' --store {report.store}")


def formats(as_json: JsonOption = False) -> None:
    """List the formats that can be read, and what each can read."""
    from kerbstone.formats import all_formats

    rows = [
        {"name": f.name, "title": f.title, "reads": f.reads, "extra": f.extra or "–"}
        for f in all_formats().values()
    ]
    columns = {"name": "format", "title": "what it is", "reads": "reads", "extra": "extra"}
    _print_rows(rows, columns, (), as_json=as_json)


def doctor(as_json: JsonOption = False) -> None:
    """Tell what is installed and how to add what is missing."""
    from kerbstone.app.doctor import examine

    findings = examine()
    _print_rows(
        [finding.to_dict() for finding in findings],
        {"name": "part", "state": "state", "detail": "detail", "remedy": "add it with"},
        (),
        as_json=as_json,
    )
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(4)


ALL = (
    *(demo, ingest, simulate, scenes, show),
    *finding_commands.ALL,
    *search_commands.ALL,
    *choice_commands.ALL,
    *coverage_commands.ALL,
    *label_commands.ALL,
    *review_commands.ALL,
    *world_commands.ALL,
    *embed_commands.ALL,
    *plan_commands.ALL,
    *falsify_commands.ALL,
    *generality_commands.ALL,
    *scale_commands.ALL,
    *(runs, formats, doctor),
)


def _print_rows(
    rows: list[dict], columns: dict[str, str], right: tuple[str, ...], *, as_json: bool
) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns, right=right)
