"""The commands that label logs and learn what a detector is like: label, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerbstone.app.options import HtmlOption, JsonOption, OpenOption, check_name, parse_workers
from kerbstone.app.pages import page_path, tell_page
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
    writing_file,
)
from kerbstone.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kerbstone.formats.detections import DetectionSource
    from kerbstone.label import Infilling, LabelReport

_FORMATS = ("kitti", "nuscenes", "av2", "table")
PathsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Files or folders of detections: KITTI, nuScenes, Argoverse 2, Parquet."),
]
LogsOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the logs, with poses and maps, where they lie elsewhere."),
]
RoadOption = Annotated[
    str | None, typer.Option("--store", "-s", help="Take the detections of this store.")
]
TableOption = Annotated[str, typer.Option("--detections", help="The store's table of detections.")]
ReadOption = Annotated[
    str | None, typer.Option("--read-as", help="Format of the detections, if it is not plain.")
]
ProfileOption = Annotated[
    str, typer.Option(help="What the detector is like: a name, a TOML file, default, or auto.")
]


def label(
    paths: PathsArgument = None,
    logs: LogsOption = None,
    store: RoadOption = None,
    detections: TableOption = "detections",
    scene: Annotated[
        list[str] | None, typer.Option(help="Only this scene of the store; repeatable.")
    ] = None,
    read_as: ReadOption = None,
    out: Annotated[
        str, typer.Option("--out", "-o", help="Store that gets the finished tracks.")
    ] = "labels",
    profile: ProfileOption = "auto",
    model: Annotated[
        Path | None,
        typer.Option(help="Fill gaps by this scene model of `pretrain`, where it does so better."),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(help="Leave out labels of a lower confidence.", min=0.0, max=1.0),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file with a LabelConfig; --keep lies on top.")
    ] = None,
    format: Annotated[  # noqa: A002 - named as the flag
        str | None, typer.Option(help="Write result files too: kitti, nuscenes, av2 or table.")
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Folder of the result files; named after the store.")
    ] = None,
    behaviour: Annotated[
        list[str] | None,
        typer.Option(help="Mark where this scenario holds, or 'all'; repeatable."),
    ] = None,
    workers: Annotated[str, typer.Option(help="Processes that label logs, or 'ray'.")] = "1",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on after a log that cannot be labelled.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the logs that would be labelled.")
    ] = False,
    html: HtmlOption = None,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make finished tracks of detections, using past and future, or go on where it stopped."""
    from kerbstone.label import LabelConfig, Output
    from kerbstone.label import label as run_label
    from kerbstone.settings import read_config

    processes = parse_workers(workers)
    settings = read_config(LabelConfig, config, overrides={"keep": keep})
    output = Output(
        format=_check_format(format, files),
        folder=files or Path(f"{out}-{format}"),
        behaviours=tuple(behaviour or ()),
    )
    sources = _find_sources(paths, logs, store, detections, scene, read_as)
    if dry_run:
        _print_sources(sources, as_json=as_json)
        return
    with show_progress("labelling", unit="logs") as progress:
        report = run_label(
            sources,
            out,
            profile=profile,
            config=settings,
            output=output,
            model=model,
            workers=processes,
            skip_bad=skip_bad,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    page = page_path(html, f"{Path(out).name}.html", open_page=open_page)
    if page is not None:
        from kerbstone.app.label_page import label_page

        with writing_file(page, flag="--html"):
            page.write_text(label_page(report, sources, out), encoding="utf-8")
    _print_report(report, out, output.folder if format else None, as_json=as_json)
    tell_page(page, open_page=open_page)
    if report.failed:
        raise typer.Exit(3)


def calibrate(
    out: Annotated[Path, typer.Option("--out", "-o", help="The profile, a TOML file.")],
    paths: PathsArgument = None,
    logs: LogsOption = None,
    truth: Annotated[
        str | None, typer.Option(help="Store with the true road users of the same logs.")
    ] = None,
    store: RoadOption = None,
    detections: TableOption = "detections",
    scene: Annotated[list[str] | None, typer.Option(help="Only this scene; repeatable.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="The truth is known only where this camera looks.")
    ] = None,
    read_as: ReadOption = None,
    profile: ProfileOption = "default",
    as_json: JsonOption = False,
) -> None:
    """Learn from logs with truth what a detector is like, for `label --profile`."""
    from kerbstone.app.calibration import calibrate as run_calibrate
    from kerbstone.label.fitting import STEPS

    sources = _find_sources(paths, logs, store, detections, scene, read_as)
    with show_progress("calibrating", unit="steps") as progress:
        progress.start(STEPS)
        learned = run_calibrate(
            sources, out, truth=truth, camera=camera, profile=profile, on_step=progress.advance
        )
    if as_json:
        print_json({"profile": str(out), "logs": len(sources), "kinds": learned})
        return
    print_table(
        learned,
        {
            "kind": "kind",
            "noise": "noise m",
            "heading_noise": "heading rad",
            "even_score": "even score",
            "keep": "keep from",
        },
        right=("noise", "heading_noise", "even_score", "keep"),
    )
    print_text(f"wrote {out}, from {count_of(len(sources), 'log')}")


ALL = (label, calibrate)


def _check_format(format: str | None, files: Path | None) -> str:  # noqa: A002 - the flag

    if format is None:
        if files is not None:
            raise UsageError(
                "usage", "--files is for result files", remedy="say which with --format"
            )
        return ""
    check_name("--format", format, _FORMATS)
    return format


def _find_sources(
    paths: Sequence[str] | None,
    logs: Path | None,
    store: str | None,
    table: str,
    scenes: Sequence[str] | None,
    read_as: str | None,
) -> list[DetectionSource]:
    from kerbstone.formats.detections import find_detections, stored_detections
    from kerbstone.store import Store

    if bool(paths) == (store is not None):
        raise UsageError(
            "usage",
            "detections come from files or from a store",
            why="both are given" if paths else "neither is given",
            remedy="kerbstone label FOLDER, or kerbstone label --store road",
        )
    if store is not None:
        idle = {"--logs": logs, "--read-as": read_as}
        for flag, value in idle.items():
            if value is not None:
                raise UsageError(
                    "usage", f"{flag} is for detections in files", remedy="leave it out"
                )
        return stored_detections(Store.open(store), table, scenes or None)
    if scenes:
        raise UsageError("usage", "--scene is for detections of a store", remedy="leave it out")
    return find_detections([Path(path) for path in paths or ()], logs=logs, format=read_as)


def _print_sources(sources: Sequence[DetectionSource], *, as_json: bool) -> None:
    rows = [{"log": each.name, "format": each.format, "detections": each.where} for each in sources]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, {"log": "log", "format": "format", "detections": "detections"})


def _print_report(report: LabelReport, out: str, files: Path | None, *, as_json: bool) -> None:
    infilling = report.infilling()
    if as_json:
        failed = [{"log": log.name, **log.error.to_dict()} for log in report.failed if log.error]
        print_json(
            {
                **report.metrics,
                "profile": report.profile,
                "confidence": report.histogram(),
                "infilling": infilling and [row.to_dict() for row in infilling.counts],
                "run": report.run,
                "failed_logs": failed,
            }
        )
    else:
        _print_counts(report, out, files)
        if infilling is not None:
            _print_infilling(infilling)
    for log in report.failed:
        if log.error is not None:
            print_error(log.error, as_json=as_json)


def _print_counts(report: LabelReport, out: str, files: Path | None) -> None:
    counts: dict[str, Any] = report.metrics
    fresh = counts["logs"] - counts["known"] - counts["failed"]
    if fresh:
        print_table(
            [
                {"what": "tracks", "count": counts["tracks"], "of": "finished"},
                {"what": "", "count": counts["online"], "of": "by the online pass alone"},
                {"what": "", "count": counts["joined"], "of": "joined to others"},
                {"what": "", "count": counts["split"], "of": "split off"},
                {"what": "", "count": counts["extended"], "of": "extended"},
                {"what": "labels", "count": counts["cells_detected"], "of": "detected"},
                {"what": "", "count": counts["cells_interpolated"], "of": "between detections"},
                {"what": "", "count": counts["cells_infilled"], "of": "between, by the model"},
                {"what": "", "count": counts["cells_extrapolated"], "of": "beyond detections"},
                {"what": "rows", "count": counts["rejected"], "of": "left out, no boxes"},
            ],
            {"what": "", "count": "count", "of": ""},
            right=("count",),
        )
        histogram = report.histogram()
        most = max(*histogram, 1)
        print_table(
            [
                {
                    "from": f"{place / len(histogram):.1f}",
                    "labels": count,
                    "bar": "█" * round(40 * count / most),
                }
                for place, count in enumerate(histogram)
                if count
            ],
            {"from": "confidence", "labels": "labels", "bar": ""},
            right=("labels",),
        )
    print_text(
        f"{count_of(fresh, 'log')} labelled in {format_duration(report.seconds)} "
        f"({format_count(counts['frames_per_s'])} frames/s, profile {report.profile}), "
        f"{format_count(counts['known'])} in {out} already"
    )
    if report.files:
        print_note(f"files  {files}")


def _print_infilling(infilling: Infilling) -> None:
    if not infilling.counts:
        print_text("no gaps for the scene model to fill")
        return
    print_table(
        [
            {
                "gaps": f"{row.group}, up to {row.longest:g} s",
                "count": row.gaps,
                "infilled": row.infilled,
                "held_out": row.held_out,
                "smoother": f"{row.smoother:.2f}" if row.held_out else "",
                "model": f"{row.model:.2f}" if row.held_out else "",
            }
            for row in infilling.counts
        ],
        {
            "gaps": "gaps",
            "count": "count",
            "infilled": "by the model",
            "held_out": "held out",
            "smoother": "smoother nats",
            "model": "model nats",
        },
        right=("count", "infilled", "held_out", "smoother", "model"),
    )
