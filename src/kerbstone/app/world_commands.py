"""The commands of the model of the road: pretrain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlparse

import typer

from kerbstone.app.options import JsonOption, StoreOption, WhereOption, check_name
from kerbstone.app.terminal import (
    count_of,
    format_count,
    format_duration,
    print_json,
    print_note,
    print_table,
    print_text,
    show_progress,
)

if TYPE_CHECKING:
    from kerbstone.world.comparing import ComparedRow
    from kerbstone.world.training import PretrainPlan, PretrainReport, Progress

_SIZES = ("tiny", "small", "base")
_OBJECTIVES = ("masked", "next", "contrastive")
_MINUTES = 30.0


def pretrain(
    store: StoreOption = "road",
    size: Annotated[str, typer.Option(help="How large the model is: tiny, small or base.")] = (
        "small"
    ),
    objective: Annotated[
        str, typer.Option(help="What it is trained to do: masked, next, contrastive, or all.")
    ] = "masked",
    minutes: Annotated[
        float | None, typer.Option(help="Minutes in all; 30 if --steps is not given.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of all chance.", min=0, max=2**62)] = 0,
    where: WhereOption = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(help="Town, or log, that is held out; repeatable. A tenth if none."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with a PretrainConfig.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run; beside the store if not given."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be learned from.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the model of the road on a store, without labels, or go on where it stopped."""
    check_name("--size", size, _SIZES)
    check_name("--objective", objective, (*_OBJECTIVES, "all"))
    from kerbstone.settings import read_config
    from kerbstone.world.training import PretrainConfig, plan_pretrain
    from kerbstone.world.training import pretrain as run_pretrain

    options: dict[str, Any] = {
        "size": size,
        "minutes": _MINUTES if minutes is None and steps is None else minutes,
        "steps": steps,
        "seed": seed,
        "where": where,
        "held_out": tuple(held_out or ()),
        "config": read_config(PretrainConfig, config),
    }
    goals = _OBJECTIVES if objective == "all" else (objective,)
    folders = {goal: _choose_folder(out, store, size, goal, objective) for goal in goals}
    # All are looked at before the first one trains.
    plans = {
        goal: plan_pretrain(store, folder, objective=goal, **options)
        for goal, folder in folders.items()
    }
    if dry_run:
        _print_plans(plans, as_json=as_json)
        return
    reports: list[PretrainReport] = []
    for goal, folder in folders.items():
        with _show_training(goal) as (on_progress, on_calibrate):
            report = run_pretrain(
                store,
                folder,
                objective=goal,
                on_progress=on_progress,
                on_calibrate=on_calibrate,
                **options,
            )
        _tell(report)
        reports.append(report)
    if objective == "all":
        _compare(dict(zip(goals, reports, strict=True)), plans, as_json=as_json)
    elif as_json:
        print_json(reports[0].to_dict())
    else:
        _print_report(reports[0])


ALL = (pretrain,)


def _choose_folder(out: Path | None, store: str, size: str, goal: str, asked: str) -> Path:
    """Return the folder of a run: the one asked for, or one beside the store, or here."""
    if out is not None:
        return out / goal if asked == "all" else out
    if "://" in store:
        return Path(f"{Path(urlparse(store).path).name}-{goal}-{size}")
    place = Path(store).absolute()
    return place.with_name(f"{place.name}-{goal}-{size}")


@contextmanager
def _show_training(
    task: str,
) -> Iterator[tuple[Callable[[Progress], None], Callable[[int, int], None]]]:
    """Show a bar with the losses, the rate and the time left on stderr, if it is a terminal.

    Yields:
        What is called with the progress of the training, and with that of the calibration.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        row = bar.add_task(task, total=None, told="compiling")

        def show(progress: Progress) -> None:
            losses = f"loss {_show(progress.loss)}, held out {_show(progress.held_out_loss)}"
            told = f"steps  {losses}  {progress.examples_per_s:.0f} examples/s"
            bar.update(row, completed=progress.step, total=progress.total, told=told)

        def calibrate(done: int, total: int) -> None:
            if not done:
                bar.reset(row, description="what is usual", told="held-out scenes")
                if not console.is_terminal:
                    print_note("looking at held-out scenes for what is usual")
            bar.update(row, completed=done, total=total)

        yield show, calibrate


def _print_plans(plans: dict[str, PretrainPlan], *, as_json: bool) -> None:
    rows = [
        {
            "objective": goal,
            "out": str(plan.folder.path),
            "scenes": len(plan.split.train),
            "hours": sum(scene.duration for scene in plan.split.train) / 3600,
            "held_out_scenes": len(plan.split.held_out),
            "held_out": list(plan.split.places),
            "from_step": None if plan.checkpoint is None else plan.checkpoint.position.step,
            "ended": "" if plan.checkpoint is None else plan.checkpoint.position.ended,
        }
        for goal, plan in plans.items()
    ]
    if as_json:
        print_json(rows)
        return
    columns = {
        "objective": "objective",
        "out": "out",
        "scenes": "scenes",
        "hours": "hours",
        "held_out_scenes": "held out",
        "from_step": "from step",
    }
    print_table(rows, columns, right=("scenes", "hours", "held_out_scenes", "from_step"))
    print_text(f"held out: {', '.join(rows[0]['held_out'])}")


def _tell(report: PretrainReport) -> None:
    """Say on stderr what a user should know beside the result."""
    for note in report.notes:
        print_note(note)
    for scene, why in report.damaged.items():
        print_note(f"left out {scene}: {why}")
    if report.was_finished:
        print_note(f"{report.path} was finished before; --out names another run")
    elif not report.has_board:
        print_note("no files for TensorBoard: pip install 'kerbstone[tensorboard]'")


def _print_report(report: PretrainReport) -> None:
    print_table(
        [_row(report)],
        {
            "steps": "steps",
            "examples": "examples",
            "first_loss": "untrained",
            "best_loss": "held-out loss",
            "best_step": "at step",
            "examples_per_s": "examples/s",
            "waiting": "waiting",
        },
        right=("steps", "examples", "first_loss", "best_loss", "best_step", "examples_per_s"),
    )
    why = "; stopped early, for nothing got better" if report.ended == "patience" else ""
    held_out = count_of(len(report.held_out), "place")
    print_text(
        f"wrote {report.path}, trained in {format_duration(report.seconds)}, "
        f"{held_out} held out{why}"
    )
    if report.objective == "masked" and not report.is_calibrated:
        print_note("nobody in the held-out scenes tells what is usual: it cannot be surprised yet")


def _compare(
    reports: dict[str, PretrainReport], plans: dict[str, PretrainPlan], *, as_json: bool
) -> None:
    """Print what each objective came to with the same budget.

    Losses of different objectives do not compare: what does is how the models do at tasks.
    """
    rows = [row.to_dict() for row in _test(reports, plans)]
    if as_json:
        print_json({"runs": [report.to_dict() for report in reports.values()], "tests": rows})
        return
    print_table(
        [_row(report) | {"objective": goal} for goal, report in reports.items()],
        {
            "objective": "objective",
            "steps": "steps",
            "examples": "examples",
            "first_loss": "untrained",
            "best_loss": "held-out loss",
            "examples_per_s": "examples/s",
            "waiting": "waiting",
            "path": "model",
        },
        right=("steps", "examples", "first_loss", "best_loss", "examples_per_s"),
    )
    names = {
        "min_ade_1": "minADE1 at 3 s [m]",
        "min_ade_6": "minADE6 at 3 s [m]",
        "displacement": "probe: place after 3 s [m]",
        "kind": "probe: kind [%]",
    }
    scale = dict.fromkeys(names, 1.0) | {"kind": 100.0}
    print_table(
        [
            {"name": row["name"]} | {test: _say(row[test], scale[test]) for test in names}
            for row in rows
        ],
        {"name": "objective", **names},
        title="On held-out places, frozen; 95 % over logs",
        right=tuple(names),
    )


def _test(
    reports: dict[str, PretrainReport], plans: dict[str, PretrainPlan]
) -> Sequence[ComparedRow]:
    """Return how the models do at the same tests, on what all were trained on or held out."""
    from kerbstone.world.comparing import compare_objectives
    from kerbstone.world.training import Split, read_model

    splits = [plan.split for plan in plans.values()]
    trained, held_out = (
        [set(split.train) for split in splits],
        [set(split.held_out) for split in splits],
    )
    split = Split(
        tuple(scene for scene in splits[0].train if all(scene in each for each in trained)),
        tuple(scene for scene in splits[0].held_out if all(scene in each for each in held_out)),
        splits[0].places,
    )
    models = {goal: read_model(report.path)[0] for goal, report in reports.items()}
    store = next(iter(plans.values())).store
    with show_progress("comparing", unit="models") as progress:
        progress.start(len(models))
        return compare_objectives(models, store, split, on_result=progress.advance)


def _say(interval: dict[str, Any], scale: float) -> str:
    """Return a figure with its interval, as a table shows it."""
    value, *ends = (interval[name] for name in ("value", "low", "high"))
    if value is None:
        return "–"
    told = f"{scale * value:.3g}"
    if None in ends:
        return told
    return f"{told} ({scale * ends[0]:.3g} to {scale * ends[1]:.3g})"


def _row(report: PretrainReport) -> dict[str, Any]:
    return {
        **report.to_dict(),
        "examples": format_count(report.examples),
        "waiting": f"{100 * report.waiting:.1f} %",
        "first_loss": _show(report.first_loss),
        "best_loss": _show(report.best_loss),
    }


def _show(loss: float | None) -> str:
    return "–" if loss is None else f"{loss:.3f}"
