"""The command that counts: coverage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    print_error,
    print_json,
    print_note,
    print_table,
    show_progress,
    writing_file,
)


def coverage(
    store: StoreOption = "road",
    scenario: Annotated[
        list[str] | None, typer.Option(help="Name of a scenario; repeatable; all if not given.")
    ] = None,
    scenarios: Annotated[
        list[Path] | None,
        typer.Option("--scenarios", help="File of scenarios of one's own; repeatable."),
    ] = None,
    by: Annotated[str, typer.Option(help="Group by 'town', 'dataset' or 'none'.")] = "town",
    where: WhereOption = None,
    workers: Annotated[
        str | None, typer.Option(help="Processes that search, or 'ray'; as many as pay.")
    ] = None,
    html: HtmlOption = None,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell how often each named scenario was recorded, with 95 % intervals."""
    from kerbstone.app.choices import coverage_rows
    from kerbstone.app.coverage_page import coverage_page
    from kerbstone.lang.library import read_scenarios
    from kerbstone.mine.coverage import measure_coverage
    from kerbstone.store import Store

    processes = None if workers is None else parse_workers(workers)
    known = read_scenarios(scenarios or [])
    with show_progress("searching", unit="scenarios") as progress:
        found = measure_coverage(
            Store.open(store),
            scenario or (),
            by=by,
            where=where,
            scenarios=known,
            workers=processes,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    page = page_path(html, "coverage.html", open_page=open_page)
    if page is not None:
        docs = {name: known[name].doc for name in {row.scenario for row in found.rows}}
        with writing_file(page, flag="--html"):
            page.write_text(coverage_page(found, docs, store=store), encoding="utf-8")
    if as_json:
        print_json(found.to_dict() | ({"page": str(page)} if page else {}))
    else:
        rows, columns, right = coverage_rows(found)
        print_table(rows, columns, right=right)
    tell_page(page, open_page=open_page)
    for name, scene, error in found.failed:
        print_note(f"{name} could not be searched for in {scene}:")
        print_error(error, as_json=as_json)
    if found.failed:
        raise typer.Exit(3)


ALL = (coverage,)
