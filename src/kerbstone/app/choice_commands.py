"""The commands that choose: like, rare, select, describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerbstone.app.options import (
    HtmlOption,
    JsonOption,
    OpenOption,
    StoreOption,
    WhereOption,
    parse_workers,
)
from kerbstone.app.pages import page_path, tell_page
from kerbstone.app.terminal import (
    count_of,
    print_json,
    print_note,
    print_table,
    print_text,
    show_progress,
    writing_file,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kerbstone.app.stretches_page import Line
    from kerbstone.store import Store

WorkersOption = Annotated[str, typer.Option(help="Processes that work on scenes, or 'ray'.")]
TopOption = Annotated[int, typer.Option(help="How many to list at most.", min=1)]
EmbeddingOption = Annotated[str, typer.Option(help="Which vectors to compare.")]

_STRETCH = {"rank": "#", "scene": "scene", "start": "from s", "end": "to s"}
_TIMES = ("start", "end")
_RIGHT = ("rank", "start", "end", "distance", "score", "criticality", "gain")


def like(
    scene: Annotated[
        str,
        typer.Argument(metavar="SCENE[@T0-T1]", help="The example: a scene, or seconds of it."),
    ],
    store: StoreOption = "road",
    top: TopOption = 20,
    embedding: EmbeddingOption = "descriptor",
    where: WhereOption = None,
    workers: WorkersOption = "1",
    html: HtmlOption = None,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the stretches of scenes that are most like an example."""
    from kerbstone.app.stretches_page import Line
    from kerbstone.mine.examples import like as run_like
    from kerbstone.mine.examples import parse_example
    from kerbstone.store import Store

    processes, road = parse_workers(workers), Store.open(store)
    with show_progress("describing scenes", unit="logs") as progress:
        found = run_like(
            scene,
            road,
            top=top,
            embedding=embedding,
            where=where,
            workers=processes,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    rows = [{"rank": rank, **one.to_dict()} for rank, one in enumerate(found, 1)]
    example = parse_example(scene, road)
    lines = [
        Line(one.scene, one.start, one.end, strength=f"{one.distance:.3f}", rank=rank)
        for rank, one in enumerate(found, 1)
    ]
    if example.start is not None and example.end is not None:
        own = Line(example.scene, example.start, example.end, "the example")
        lines.insert(0, own)
    page = _write_page(
        lines, road, html, f"like {scene}", listed_as="Most alike", open_page=open_page
    )
    _print_rows(rows, {**_STRETCH, "distance": "distance"}, page, as_json=as_json)


def rare(
    store: StoreOption = "road",
    by: Annotated[str, typer.Option(help="Rank by 'rarity' or 'criticality'.")] = "rarity",
    top: TopOption = 20,
    embedding: EmbeddingOption = "descriptor",
    where: WhereOption = None,
    workers: WorkersOption = "1",
    html: HtmlOption = None,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the moments that are unlike all others, or closest to a collision."""
    from kerbstone.app.stretches_page import Line
    from kerbstone.mine.rarity import rare as run_rare
    from kerbstone.store import Store

    processes, road = parse_workers(workers), Store.open(store)
    with show_progress("looking at scenes", unit="logs") as progress:
        found = run_rare(
            road,
            by=by,
            top=top,
            where=where,
            embedding=embedding,
            workers=processes,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    rows = [{"rank": rank, **one.to_dict()} for rank, one in enumerate(found, 1)]
    lines = [
        Line(
            one.scene,
            one.start,
            one.end,
            detail="; ".join(one.reasons),
            strength=f"{one.score:.2f}",
            agents=one.agents,
            rank=rank,
        )
        for rank, one in enumerate(found, 1)
    ]
    page = _write_page(
        lines, road, html, f"most {_ADJECTIVES[by]}", listed_as="Moments", open_page=open_page
    )
    columns = {**_STRETCH, "score": by, "reasons": "why"}
    if any(one.agents for one in found):
        columns["agents"] = "who"
    _print_rows(rows, columns, page, as_json=as_json)


_ADJECTIVES = {"rarity": "unusual", "criticality": "critical"}


def select(
    budget: Annotated[int, typer.Argument(metavar="K", help="How many to choose.", min=1)],
    store: StoreOption = "road",
    method: Annotated[
        str, typer.Option(help="'facility' (represents all) or 'centre' (leaves nothing far).")
    ] = "facility",
    unit: Annotated[str, typer.Option(help="Choose each a 'scene' or a 'moment'.")] = "scene",
    criticality: Annotated[
        float, typer.Option(help="What criticality counts against diversity, from 0 to 1.")
    ] = 0.5,
    embedding: EmbeddingOption = "descriptor",
    where: WhereOption = None,
    name: Annotated[
        str, typer.Option(help="Name of the selection; those of other names count as known.")
    ] = "selection",
    known: Annotated[
        list[str] | None,
        typer.Option(help="SCENE[@T0-T1] that is labelled already; repeatable."),
    ] = None,
    workers: WorkersOption = "1",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the choice to this .csv or .json.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Choose scenes to label that are both critical and diverse."""
    from kerbstone.app.choices import check_choice_path, write_choice
    from kerbstone.mine.selection import SelectionConfig
    from kerbstone.mine.selection import select as run_select
    from kerbstone.store import Store

    config = SelectionConfig(
        method=method,
        unit=unit,
        criticality=criticality,
        embedding=embedding,
        name=name,
        where=where,
        known=tuple(known or ()),
    )
    if out is not None:
        check_choice_path(out)
    processes = parse_workers(workers)
    with show_progress("looking at scenes", unit="logs") as progress:
        chosen = run_select(
            Store.open(store),
            budget,
            config,
            workers=processes,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    if out is not None:
        write_choice(chosen, out)
    if as_json:
        print_json(chosen.to_dict() | ({"path": str(out)} if out else {}))
        return
    columns = {**_STRETCH, "criticality": "criticality", "gain": "gain"}
    print_table([_say_row(one.to_dict()) for one in chosen.items], columns, right=_RIGHT)
    print_text(
        f"{count_of(len(chosen.items), unit)} of {chosen.candidates:,}; "
        f"{chosen.known:,} known already; value {chosen.value:.3f}"
    )
    if len(chosen.items) < budget:
        print_note(f"there are no more {unit}s to choose from")


def describe(
    store: StoreOption = "road",
    refit: Annotated[
        bool, typer.Option("--refit", help="Take the store's statistics anew, and describe all.")
    ] = False,
    workers: WorkersOption = "1",
    as_json: JsonOption = False,
) -> None:
    """Write the descriptor of scenes that lack it; like, rare and select do so themselves."""
    from kerbstone.mine.moments.describing import describe as run_describe
    from kerbstone.store import Store

    processes = parse_workers(workers)
    with show_progress("describing scenes", unit="logs") as progress:
        report = run_describe(
            Store.open(store),
            refit=refit,
            workers=processes,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    if as_json:
        print_json({"logs": report.logs, "known": report.known, "run": report.run})
    else:
        print_text(f"{count_of(report.logs, 'log')} described, {report.known:,} known already")


ALL = (like, rare, select, describe)


def _write_page(
    lines: Sequence[Line],
    store: Store,
    html: Path | None,
    title: str,
    *,
    listed_as: str,
    open_page: bool,
) -> Path | None:
    from kerbstone.app.stretches_page import stretches_page

    path = page_path(html, "stretches.html", open_page=open_page)
    if path is not None:
        text = stretches_page(lines, store, title=title, listed_as=listed_as)
        with writing_file(path, flag="--html"):
            path.write_text(text, encoding="utf-8")
        tell_page(path, open_page=open_page)
    return path


def _print_rows(
    rows: list[dict[str, Any]], columns: dict[str, str], page: Path | None, *, as_json: bool
) -> None:
    if as_json:
        print_json({"found": rows, **({"page": str(page)} if page else {})})
    elif rows:
        print_table(map(_say_row, rows), columns, right=_RIGHT)
    else:
        print_text("nothing was found")


def _say_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as people read it: lists in one line, times with one digit."""
    return {
        key: ", ".join(value)
        if isinstance(value, tuple)
        else f"{value:.1f}"
        if key in _TIMES
        else value
        for key, value in row.items()
    }
