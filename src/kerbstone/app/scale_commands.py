"""The command that tells whether more data or more parameters would pay: scale."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlparse

import typer

from kerbstone.app.options import JsonOption, OpenOption, StoreOption, WhereOption, check_name
from kerbstone.app.pages import tell_page
from kerbstone.app.terminal import (
    count_of,
    format_count,
    print_json,
    print_note,
    print_table,
    print_text,
    show_progress,
    writing_file,
)
from kerbstone.errors import UsageError

if TYPE_CHECKING:
    from kerbstone.world.scaling import ScalingFit
    from kerbstone.world.training import PretrainPlan, PretrainReport
    from kerbstone.world.training import Progress as TrainingProgress
    from kerbstone.world.training.ladder import Rung, RungResult

_OBJECTIVES = ("masked", "next", "contrastive")
_STEPS = 1000
_WIDTHS = "16,32,64"

Value = TypeVar("Value", str, int, float)


def scale(
    store: StoreOption = "road",
    sizes: Annotated[
        str | None, typer.Option(help="Models by name, such as tiny,small,base.")
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option(help=f"Models by width, multiples of 16; {_WIDTHS} if no --sizes."),
    ] = None,
    fractions: Annotated[
        str, typer.Option(help="Shares of the towns, or logs, that are learned from.")
    ] = "0.1,0.3,1",
    seeds: Annotated[int, typer.Option(help="Runs of each size and share.", min=1)] = 1,
    objective: Annotated[
        str, typer.Option(help="What they are trained to do: masked, next or contrastive.")
    ] = "masked",
    steps: Annotated[
        int | None, typer.Option(help=f"Steps of each run; {_STEPS} if no --minutes.", min=1)
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Minutes in all, shared evenly by the runs.")
    ] = None,
    where: WhereOption = None,
    held_out: Annotated[
        list[str] | None,
        typer.Option(help="Town, or log, that is held out; repeatable. A tenth if none."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with a PretrainConfig.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the ladder; beside the store if not given."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the runs.")] = False,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a ladder of sizes and shares of the data; tell what more of either would bring."""
    check_name("--objective", objective, _OBJECTIVES)
    widths = _WIDTHS if widths is None and sizes is None else widths
    from kerbstone.settings import read_config
    from kerbstone.world.training import Budget, PretrainConfig
    from kerbstone.world.training.ladder import plan_ladder, plan_rungs

    rungs = plan_rungs(
        sizes=_parse("--sizes", sizes, str),
        widths=_parse("--widths", widths, int),
        shares=_parse("--fractions", fractions, float),
        seeds=seeds,
    )
    steps = _STEPS if steps is None and minutes is None else steps
    budget = Budget(steps=steps, minutes=None if minutes is None else minutes / len(rungs))
    folder = out or _choose_folder(store, objective)
    options: dict[str, Any] = {
        "objective": objective,
        "where": where,
        "held_out": tuple(held_out or ()),
        "config": read_config(PretrainConfig, config),
    }
    if dry_run:
        _print_plans(plan_ladder(store, folder, rungs, budget, **options), rungs, as_json=as_json)
        return
    results = _train(store, folder, rungs, budget, options)
    fit, notes = _fit(results)
    page = folder / "scale.html"
    told = {"runs": [result.to_dict() for result in results], "fit": fit.to_dict(), "notes": notes}
    from kerbstone.app.scale_page import scale_page

    with writing_file(page):
        page.write_text(scale_page(results, fit, store=store, notes=notes), encoding="utf-8")
        text = json.dumps(told, indent=2, ensure_ascii=False)
        (folder / "scale.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        print_json(told | {"page": str(page)})
    else:
        _print_results(results, fit)
    for note in notes:
        print_note(note)
    tell_page(page, open_page=open_page)


ALL = (scale,)


def _parse(flag: str, text: str | None, kind: Callable[[str], Value]) -> list[Value]:
    """Return the values of a list that is separated by commas."""
    found = []
    for part in (text or "").split(","):
        if not part.strip():
            continue
        try:
            found.append(kind(part.strip()))
        except ValueError:
            raise UsageError(
                "usage", f"{flag} takes numbers between commas", why=f"found {part!r}"
            ) from None
    return found


def _choose_folder(store: str, objective: str) -> Path:
    """Return the folder of a ladder: one beside the store, or here."""
    if "://" in store:
        return Path(f"{Path(urlparse(store).path).name}-scale-{objective}")
    place = Path(store).absolute()
    return place.with_name(f"{place.name}-scale-{objective}")


def _train(
    store: str, folder: Path, rungs: Sequence[Rung], budget: Any, options: dict[str, Any]
) -> tuple[RungResult, ...]:
    """Train the runs, with a bar over the steps of all."""
    from kerbstone.world.training.ladder import train_ladder

    finished, before, step = 0, 0, 0
    with show_progress("training", unit="steps") as progress:

        def show(told: TrainingProgress) -> None:
            nonlocal step
            # Runs that are to come are taken to be as long as this one.
            progress.start(before + told.total * (len(rungs) - finished))
            progress.advance(told.step - step)
            step = told.step

        def end(report: PretrainReport) -> None:
            nonlocal finished, before, step
            progress.advance(report.total - step)
            finished, before, step = finished + 1, before + report.total, 0
            for scene, why in report.damaged.items():
                print_note(f"left out {scene}: {why}")

        return train_ladder(
            store, folder, rungs, budget, **options, on_progress=show, on_report=end
        )


def _fit(results: Sequence[RungResult]) -> tuple[ScalingFit, list[str]]:
    """Return the law of the runs, and what should be known beside it."""
    import numpy as np

    from kerbstone.world.scaling import fit_scaling

    known = [result for result in results if result.loss is not None]
    fit = fit_scaling(
        np.array([float(result.parameters) for result in known]),
        np.array([result.hours for result in known]),
        np.array([float(result.loss or 0.0) for result in known]),
    )
    steps = sorted({result.steps for result in results})
    most = f" to {format_count(steps[-1])}" if len(steps) > 1 else ""
    notes = [f"All of this is of runs of {format_count(steps[0])}{most} steps."]
    if len(known) < len(results):
        notes.append(f"{count_of(len(results) - len(known), 'run')} had no finite loss.")
    short = sum(result.is_short for result in results)
    if short:
        notes.append(
            f"{short} of {count_of(len(results), 'run')} still got better at the last step: with "
            "more steps the curves may be others."
        )
    return fit, notes


def _print_plans(plans: dict[str, PretrainPlan], rungs: Sequence[Rung], *, as_json: bool) -> None:
    rows = [
        {
            "name": rung.name,
            "scenes": len(plans[rung.name].split.train),
            "hours": sum(scene.duration for scene in plans[rung.name].split.train) / 3600,
            "held_out_scenes": len(plans[rung.name].split.held_out),
            "ended": (at := plans[rung.name].checkpoint) is not None and bool(at.position.ended),
        }
        for rung in rungs
    ]
    if as_json:
        print_json(rows)
        return
    columns = {
        "name": "run",
        "scenes": "scenes",
        "hours": "hours",
        "held_out_scenes": "held out",
        "ended": "is finished",
    }
    print_table(rows, columns, right=("scenes", "hours", "held_out_scenes"))


def _print_results(results: Sequence[RungResult], fit: ScalingFit) -> None:
    from kerbstone.world.scaling import describe_scaling

    print_table(
        [
            {
                "name": result.name,
                "parameters": format_count(result.parameters),
                "hours": f"{result.hours:.3g}",
                "loss": None if result.loss is None else f"{result.loss:.4f}",
                "best_step": result.best_step,
                "steps": result.steps,
            }
            for result in results
        ],
        {
            "name": "run",
            "parameters": "parameters",
            "hours": "hours",
            "loss": "held-out loss",
            "best_step": "at step",
            "steps": "steps",
        },
        right=("parameters", "hours", "loss", "best_step", "steps"),
    )
    for sentence in describe_scaling(fit):
        print_text(sentence)
