"""The command that asks whether a model is a foundation: generality."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerbstone.app.options import JsonOption, OpenOption, StoreOption
from kerbstone.app.pages import tell_page
from kerbstone.app.terminal import (
    Progress,
    print_json,
    print_note,
    print_table,
    print_text,
    show_progress,
    writing_file,
)
from kerbstone.errors import UsageError

if TYPE_CHECKING:
    from kerbstone.judge.generality import Matrix, Row
    from kerbstone.world.training import Progress as TrainingProgress


def generality(
    model: Annotated[Path, typer.Option(help="Folder of the model that `pretrain` made.")],
    store: StoreOption = "road",
    real: Annotated[
        str | None,
        typer.Option(
            help="Another store, of logs that it was not trained on; a domain that both have is "
            "measured there."
        ),
    ] = None,
    specialists: Annotated[
        Path | None,
        typer.Option(help="Folder of specialists; those that are not there yet are trained."),
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--tasks", help="Name of a task; repeatable; all if none.")
    ] = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(help="One more domain: NAME=SQL condition on the scenes; repeatable."),
    ] = None,
    windows: Annotated[int, typer.Option(help="Windows of a cell, at most.", min=1)] = 200,
    seed: Annotated[int, typer.Option(help="Of all chance.", min=0, max=2**62)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the cells and the page; in the model's if not given."
        ),
    ] = None,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure what a frozen model can do, task by task and domain by domain."""
    from kerbstone.app.generality_page import generality_page
    from kerbstone.judge.generality import measure_generality

    folder = out or (model if model.is_dir() else model.parent) / "generality"
    if specialists is not None:
        _train_missing(model, store, specialists, tasks or ())
    with show_progress("measuring", unit="cells") as progress:
        matrix = measure_generality(
            model,
            store,
            real=real,
            specialists=specialists,
            tasks=tasks or (),
            domains=_parse_domains(domain or ()),
            windows=windows,
            seed=seed,
            out=folder,
            on_start=progress.start,
            on_row=lambda _: progress.advance(1),
        )
    page = folder / "generality.html"
    with writing_file(page):
        page.write_text(generality_page(matrix), encoding="utf-8")
        text = json.dumps(matrix.to_dict(), indent=2, ensure_ascii=False)
        (folder / "generality.json").write_text(text + "\n", encoding="utf-8")
    if as_json:
        print_json(matrix.to_dict() | {"page": str(page)})
    else:
        _print_matrix(matrix)
    for note in matrix.notes:
        print_note(note)
    tell_page(page, open_page=open_page)


ALL = (generality,)


def _parse_domains(told: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in told:
        name, sign, where = text.partition("=")
        if not (name.strip() and sign and where.strip()):
            raise UsageError(
                "usage",
                "--domain takes a name and an SQL condition",
                why=f"found {text!r}",
                remedy="--domain \"nights=log LIKE '%night%'\"",
            )
        found[name.strip()] = where.strip()
    return found


def _train_missing(model: Path, store: str, folder: Path, names: Sequence[str]) -> None:
    """Train the specialists that the tasks need and that are not there, or not finished."""
    from kerbstone.judge.generality.specialists import train_specialist
    from kerbstone.judge.generality.tasks import choose_tasks
    from kerbstone.world.training import read_model

    families = dict.fromkeys(task.family for task in choose_tasks(names) if task.family)
    _, header = read_model(model)
    for family in families:
        place = folder / family
        # A model that somebody put there without its run is taken as it is.
        if (place / "model.kst").is_file() and not any(place.rglob("state-*.kst")):
            continue
        with show_progress(f"training for {family}", unit="steps") as progress:
            train_specialist(family, store, place, header, on_progress=_show_steps(progress))


def _show_steps(progress: Progress) -> Callable[[TrainingProgress], None]:
    done = 0

    def show(told: TrainingProgress) -> None:
        nonlocal done
        progress.start(told.total)
        progress.advance(told.step - done)
        done = told.step

    return show


def _print_matrix(matrix: Matrix) -> None:
    print_table(
        [_tell(row) for row in matrix.rows],
        {
            "task": "task",
            "domain": "domain",
            "kind": "",
            "score": "model",
            "trivial": "best trivial rule",
            "specialist": "specialist",
            "skill": "skill",
            "interval": "95 %",
            "specialist_skill": "specialist's",
            "items": "items",
            "logs": "logs",
            "result": "result",
        },
        right=("score", "trivial", "specialist", "skill", "interval", "specialist_skill", "items"),
    )
    for reason in matrix.verdict.reasons:
        print_text(f"not a foundation: {reason}")
    print_text(matrix.verdict.text)


def _tell(row: Row) -> dict[str, Any]:
    from kerbstone.app.generality_page import say_interval, say_value

    told: dict[str, Any] = {
        "task": row.task,
        "domain": row.domain,
        "kind": "own" if row.is_own else "new",
        "items": row.items,
        "logs": row.logs,
        "result": row.result,
    }
    if not row.is_defined:
        return told | {"result": f"not defined: {row.reason}"}
    return told | {
        "score": f"{say_value(row.score.value)} {row.unit}".strip(),
        "trivial": f"{say_value(row.trivial_score)} {row.trivial}",
        "specialist": say_value(row.specialist_score),
        "skill": say_value(row.skill.value),
        "interval": say_interval(row.skill),
        "specialist_skill": say_value(row.specialist_skill),
    }
