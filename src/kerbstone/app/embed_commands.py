"""The command that writes what a trained scene model says: embed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerbstone.app.options import JsonOption, StoreOption, WhereOption, parse_workers
from kerbstone.app.terminal import (
    count_of,
    print_json,
    print_note,
    print_text,
    show_progress,
)


def embed(
    model: Annotated[Path, typer.Option(help="Folder of the model that `pretrain` made.")],
    store: StoreOption = "road",
    where: WhereOption = None,
    workers: Annotated[str, typer.Option(help="Processes that ask the model, or 'ray'.")] = "1",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell how many logs there are to do.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write vectors and surprises of a trained model, for logs that lack them."""
    from kerbstone.mine.moments.learned import embed as run_embed
    from kerbstone.store import Store

    processes = parse_workers(workers)
    with show_progress("asking the model", unit="log passes") as progress:
        report = run_embed(
            Store.open(store),
            model,
            where=where,
            workers=processes,
            dry_run=dry_run,
            on_start=progress.start,
            on_result=lambda _: progress.advance(1),
        )
    if as_json:
        print_json(report.to_dict())
    else:
        done = "to embed" if dry_run else "embedded"
        print_text(
            f"{count_of(report.logs, 'log')} {done}, {report.known:,} known already "
            f"(model {report.version})"
        )
    if not report.logs + report.known:
        print_note(f"no scene fits --where: `kerbstone scenes --store {store}` lists what there is")


ALL = (embed,)
