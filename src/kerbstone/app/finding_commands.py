"""The commands that find, and show again what was found: find, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerbstone.app.options import HtmlOption, JsonOption, OpenOption, StoreOption, parse_workers
from kerbstone.app.pages import page_path, tell_page
from kerbstone.app.search_commands import (
    ModelOption,
    ScenariosOption,
    print_check,
    print_failures,
    say_proposed,
    understand,
)
from kerbstone.app.terminal import (
    count_of,
    print_error,
    print_json,
    print_note,
    print_table,
    print_text,
    show_progress,
    writing_file,
)
from kerbstone.errors import KerbstoneError, UsageError, suggest_name

if TYPE_CHECKING:
    from kerbstone.lang import Compiled
    from kerbstone.mine import Finding

_FORMATS = ("json", "av2")
_TOP, _NEAR_MISSES, _EVERY = 50, 10, 5


def find(
    query: Annotated[
        str | None,
        typer.Argument(help="A query of the scenario language, a named scenario, or plain words."),
    ] = None,
    store: StoreOption = "road",
    where: Annotated[
        str | None,
        typer.Option(help="SQL condition on the scenes, such as \"town = 'Miami'\"."),
    ] = None,
    top: Annotated[int, typer.Option(help="Matches to list at most.", min=0)] = _TOP,
    near_misses: Annotated[
        int, typer.Option(help="Near misses to list after them at most.", min=0)
    ] = _NEAR_MISSES,
    scenarios: ScenariosOption = None,
    model_first: ModelOption = False,
    workers: Annotated[
        str | None,
        typer.Option(help="Processes that search, or 'ray'; as many as pay if not given."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page that plays the matches to this file.")
    ] = None,
    open_page: OpenOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write all that was found to this file."),
    ] = None,
    format: Annotated[  # noqa: A002 - named as the flag
        str,
        typer.Option(help="What --out is: json, or av2 (referred tracks for Argoverse 2)."),
    ] = "json",
    prompts: Annotated[
        Path | None, typer.Option(help="With av2: further queries, one to a line of this file.")
    ] = None,
    every: Annotated[
        int, typer.Option(help="With av2: write every n-th frame; the challenge takes 2 Hz.", min=1)
    ] = _EVERY,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the query, as `kerbstone check`.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find scenarios in a store, ranked by how strongly they hold."""
    if format not in _FORMATS:
        raise UsageError(
            "usage", f"--out is not written as {format!r}", remedy=suggest_name(format, _FORMATS)
        )
    # Silence about what means nothing here would look like consent.
    if format == "av2":
        _refuse(
            format,
            {
                "--top": top != _TOP,
                "--near-misses": near_misses != _NEAR_MISSES,
                "--model-first": model_first,
                "--workers": workers is not None,
                "--html": html is not None,
                "--open": open_page,
            },
        )
    else:
        _refuse(format, {"--prompts": prompts is not None, "--every": every != _EVERY})
    if query is None and prompts is None:
        raise UsageError(
            "usage",
            "there is no query to find" + (", and no --prompts" if format == "av2" else ""),
            remedy="kerbstone find 'stopped car'",
        )
    if format == "av2" and (prompts is not None or not dry_run):
        asked = _read_asked(query, prompts)
        if dry_run:
            _show_asked(asked, scenarios, as_json=as_json)
        else:
            _export(asked, store, out, where, every, scenarios, as_json=as_json)
        return
    processes = None if workers is None else parse_workers(workers)
    understood = understand(query or "", scenarios, model_first=model_first)
    if not dry_run:
        print_note(f"query  {understood.query.text}")
    say_proposed(understood)
    if dry_run:
        print_check(understood, as_json=as_json)
        return
    from kerbstone.mine import find as run_find

    with show_progress("searching", unit="scenes") as progress:
        finding = run_find(
            understood.query,
            store,
            where=where,
            top=top,
            near_misses=near_misses,
            workers=processes,
            scenarios=scenarios or (),
            given=understood.given,
            on_start=progress.start,
            on_result=progress.advance,
        )
    _tell(finding, store, html=html, open_page=open_page, out=out, as_json=as_json)
    _tell_unread(understood.query, store, where)
    if not finding.scenes and not finding.failed:
        print_note(
            f"no scene fits --where: `kerbstone scenes --store {store}` lists what there is"
            if where
            else f"the store holds no scenes yet: kerbstone ingest PATH --store {store}"
        )
    if print_failures(finding.failed, "searched", as_json=as_json):
        raise typer.Exit(3)


def findings(
    finding: Annotated[
        str | None,
        typer.Argument(help="Id of a finding to show, or how it begins; all are listed without."),
    ] = None,
    store: StoreOption = "road",
    html: HtmlOption = None,
    open_page: OpenOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write all of it, with its values over time, as JSON."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what was found in a store, the newest first, or show a finding again."""
    from kerbstone.mine import find_finding, list_findings
    from kerbstone.store import Store

    road = Store.open(store)
    if finding is not None:
        known = find_finding(road, finding)
        print_note(f"query  {known.query}" + (f"\nwhere  {known.where}" if known.where else ""))
        _tell(known, store, html=html, open_page=open_page, out=out, as_json=as_json)
        print_failures(known.failed, "searched", as_json=as_json)
        return
    if html is not None or open_page or out is not None:
        raise UsageError(
            "usage", "a list of findings has no page and no file", remedy="name one of them"
        )
    rows = list_findings(road)
    if as_json:
        print_json(rows)
    elif rows:
        columns = {
            "finding": "finding", "query": "query", "where": "where", "scenes": "scenes",
            "matches": "matches", "written": "written (UTC)",
        }  # fmt: skip
        print_table(rows, columns, right=("scenes", "matches"))
    else:
        print_text(f"nothing was looked for yet: kerbstone find QUERY --store {store}")


ALL = (find, findings)


def _refuse(format_: str, flags: Mapping[str, bool]) -> None:
    """Refuse the flags that are given, and mean nothing with a format."""
    given = [flag for flag, is_given in flags.items() if is_given]
    if given:
        raise UsageError(
            "usage",
            f"--format {format_} takes no {', no '.join(given)}",
            remedy=f"leave it out, or give --format {_FORMATS[format_ == 'json']}",
        )


def _tell(
    finding: Finding,
    store: str,
    *,
    html: Path | None,
    open_page: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Print a finding and write the files that were asked for."""
    from kerbstone.app.findings import print_finding, write_finding

    page = page_path(html, f"finding-{finding.id}.html", open_page=open_page)
    failure = None
    try:
        if out is not None:
            write_finding(finding, out)
        if page is not None:
            _write_page(finding, store, page)
    except KerbstoneError as error:
        # What was found is shown, whatever becomes of its files.
        page, failure = None, error
    if as_json:
        print_json(finding.to_dict() | ({"page": str(page)} if page else {}))
    else:
        print_finding(finding)
    tell_page(page, open_page=open_page)
    if failure is not None:
        raise failure


def _tell_unread(query: Compiled, store: str, where: str | None) -> None:
    """Tell in how many scenes a query could not match, because no model has seen them."""
    from kerbstone.mine import unread_scenes
    from kerbstone.store import Store

    unread = unread_scenes(query, Store.open(store), where=where)
    if unread:
        print_note(
            f"{count_of(len(unread), 'scene')} could not match: the model has not seen them yet\n"
            f"  try  kerbstone embed --store {store} --model DIR"
        )


def _write_page(finding: Finding, store: str, path: Path) -> None:
    from kerbstone.app.finding_page import finding_page
    from kerbstone.store import Store

    text = finding_page(finding, Store.open(store))
    with writing_file(path, flag="--html"):
        path.write_text(text, encoding="utf-8")


def _read_asked(query: str | None, prompts: Path | None) -> list[str]:
    from kerbstone.app.referrals import read_prompts

    return [*([query] if query else []), *(read_prompts(prompts) if prompts else [])]


def _show_asked(asked: Sequence[str], scenarios: Sequence[Path] | None, *, as_json: bool) -> None:
    """Show the query of each prompt, as a dry run of an export."""
    rows: list[dict[str, Any]] = []
    unclear: list[KerbstoneError] = []
    for prompt in dict.fromkeys(asked):
        try:
            made = understand(prompt, scenarios, model_first=False)
            rows.append({"prompt": prompt, "query": made.query.text, "by": made.by})
        except KerbstoneError as error:
            rows.append({"prompt": prompt, "query": None, "by": None})
            unclear.append(error)
    if as_json:
        print_json({"prompts": rows})
    else:
        print_table(rows, {"prompt": "prompt", "query": "query", "by": "by"})
    _end_unclear(unclear, as_json=as_json)


def _export(
    asked: Sequence[str],
    store: str,
    out: Path | None,
    where: str | None,
    every: int,
    scenarios: Sequence[Path] | None,
    *,
    as_json: bool,
) -> None:
    """Write whom queries refer to, for the evaluator of a benchmark."""
    from kerbstone.app.referrals import export_referrals

    if out is None:
        raise UsageError("usage", "--format av2 needs a file", remedy="--out referred.pkl")
    with show_progress("searching", unit="scenes") as progress:
        report = export_referrals(
            asked,
            store,
            out,
            where=where,
            every=every,
            scenarios=scenarios or (),
            on_start=progress.start,
            on_result=progress.advance,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        columns: Mapping[str, str] = {
            "prompt": "prompt", "query": "query",
            "tracks": "tracks", "timestamps": "timestamps",
        }  # fmt: skip
        print_table(report.rows(), columns, right=("tracks", "timestamps"))
        print_text(f"wrote {report.path}: {count_of(report.sequences, 'log and prompt pair')}")
    _end_unclear([error for _, error in (*report.unclear, *report.failed)], as_json=as_json)


def _end_unclear(errors: Sequence[KerbstoneError], *, as_json: bool) -> None:
    if not errors:
        return
    print_note("a prompt that is not understood refers to nobody, a scene that fails is left out")
    for error in errors:
        print_error(error, as_json=as_json)
    raise typer.Exit(3)
