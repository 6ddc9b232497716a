"""The commands that search: find, check, scenarios, signals, index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    writing_file,
)
from kerbstone.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kerbstone.errors import KerbstoneError
    from kerbstone.mine import Finding, Understood

QueryArgument = Annotated[
    str,
    typer.Argument(help="A query of the scenario language, a named scenario, or plain words."),
]
ScenariosOption = Annotated[
    list[Path] | None,
    typer.Option("--scenarios", help="File of scenarios of one's own; repeatable."),
]

ModelOption = Annotated[
    bool,
    typer.Option(
        "--model-first",
        help="Give plain words to the language model of KERBSTONE_LLM_URL before the grammar.",
    ),
]


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
    top: Annotated[int, typer.Option(help="Matches to list at most.", min=0)] = 50,
    near_misses: Annotated[
        int, typer.Option(help="Near misses to list after them at most.", min=0)
    ] = 10,
    scenarios: ScenariosOption = None,
    model_first: ModelOption = False,
    workers: Annotated[
        str | None,
        typer.Option(help="Processes that search, or 'ray'; as many as pay if not given."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page that plays the matches to this file.")
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page.")] = False,
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
    ] = 5,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the query, as `kerbstone check`.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find scenarios in a store, ranked by how strongly they hold."""
    if format == "av2" and not dry_run:
        _export(query, prompts, store, out, where, every, scenarios, as_json=as_json)
        return
    is_known = format in ("json", "av2")
    if query is None or not is_known or (prompts and format == "json"):
        raise UsageError(
            "usage",
            "find takes a query, or with --format av2 --prompts",
            why=f"--format {format}" if not is_known else "" if query else "no query",
            remedy="kerbstone find 'stopped car'",
        )
    processes = None if workers is None else parse_workers(workers)
    understood = _understand(query, scenarios, model_first=model_first)
    print_note(f"query  {understood.query.text}")
    if understood.by == "model":
        print_note("       as a language model proposed it: see that it is what you meant")
    if dry_run:
        _print_check(understood.query, as_json=as_json)
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
    page = _write_files(finding, store, html=html, open_page=open_page, out=out)
    if as_json:
        print_json(finding.to_dict() | ({"page": str(page)} if page else {}))
    else:
        _print_finding(finding)
    if page is not None:
        print_note(f"page   {page}")
        if open_page:
            typer.launch(page.resolve().as_uri())
    _print_failures(finding.failed, "searched", as_json=as_json)


def check(
    query: QueryArgument,
    scenarios: ScenariosOption = None,
    model_first: ModelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a query as it is understood: its road users, its atoms and their units."""
    understood = _understand(query, scenarios, model_first=model_first)
    _print_check(understood.query, as_json=as_json)


def scenarios(files: ScenariosOption = None, as_json: JsonOption = False) -> None:
    """List the named scenarios that a query may use."""
    from kerbstone.lang.library import built_in_scenarios, read_scenarios
    from kerbstone.lang.printer import print_parameter

    known = read_scenarios(files or [])
    rows = [
        {
            "name": name,
            "arguments": [print_parameter(parameter) for parameter in scenario.parameters],
            "doc": scenario.doc,
            "built_in": name in built_in_scenarios(),
        }
        for name, scenario in sorted(known.items())
    ]
    if as_json:
        print_json(rows)
        return
    shown = [row | {"arguments": ", ".join(row["arguments"])} for row in rows]
    print_table(shown, {"name": "scenario", "arguments": "arguments", "doc": "what it is"})


def signals(as_json: JsonOption = False) -> None:
    """List the signals that a query may measure, with their units."""
    from kerbstone.lang import known_signals

    rows = [
        {
            "name": name,
            "arguments": ["a", "b"][: signal.agents] + ['"…"'] * signal.texts,
            "unit": signal.unit,
            "margin": signal.margin,
            "doc": signal.doc,
        }
        for name, signal in sorted(known_signals().items())
    ]
    if as_json:
        print_json(rows)
        return
    shown = [
        {
            "signal": f"{row['name']}({', '.join(row['arguments'])})",
            "unit": "claim" if row["unit"] is None else row["unit"] or "number",
            "doc": row["doc"],
        }
        for row in rows
    ]
    print_table(shown, {"signal": "signal", "unit": "unit", "doc": "what it says"})


def index(
    store: StoreOption = "road",
    where: Annotated[str | None, typer.Option(help="SQL condition on the scenes.")] = None,
    workers: Annotated[str, typer.Option(help="Processes, or 'ray'.")] = "1",
    as_json: JsonOption = False,
) -> None:
    """Derive what is slow to derive from a store's scenes, so that queries answer sooner."""
    from kerbstone.mine import index_store

    with show_progress("indexing", unit="scenes") as progress:
        report = index_store(
            store,
            where=where,
            workers=parse_workers(workers),
            on_start=progress.start,
            on_result=progress.advance,
        )
    done = report.scenes - report.known - len(report.failed)
    if as_json:
        print_json(
            {
                "scenes": report.scenes,
                "known": report.known,
                "failed": [{"scene": name, **error.to_dict()} for name, error in report.failed],
                "seconds": round(report.seconds, 3),
                "run": report.run,
            }
        )
    else:
        print_text(
            f"{count_of(done, 'scene')} indexed in {format_duration(report.seconds)}; "
            f"{format_count(report.known)} were already"
        )
    _print_failures(report.failed, "indexed", as_json=as_json)


ALL = (find, check, scenarios, signals, index)


def _understand(query: str, scenarios: list[Path] | None, *, model_first: bool) -> Understood:
    from kerbstone.lang.library import read_scenarios
    from kerbstone.mine.query.endpoint import read_settings
    from kerbstone.mine.query.queries import understand_query

    model = read_settings()
    if model_first and model is None:
        raise UsageError(
            "usage",
            "--model-first needs a language model",
            remedy="set KERBSTONE_LLM_URL and KERBSTONE_LLM_MODEL to an OpenAI-compatible service",
        )
    return understand_query(
        query,
        scenarios=read_scenarios(scenarios or []),
        model=model,
        first="model" if model_first else "words",
    )


def _write_files(
    finding: Finding, store: str, *, html: Path | None, open_page: bool, out: Path | None
) -> Path | None:
    """Write what was asked for, and return the page's path if there is one."""
    from kerbstone.app.findings import write_finding

    if out is not None:
        write_finding(finding, out)
    if html is None and not open_page:
        return None
    from kerbstone.app.finding_page import finding_page
    from kerbstone.store import Store

    path = html or Path(f"finding-{finding.id}.html")
    page = finding_page(finding, Store.open(store))
    with writing_file(path, flag="--html"):
        path.write_text(page, encoding="utf-8")
    return path


def _export(
    query: str | None,
    prompts: Path | None,
    store: str,
    out: Path | None,
    where: str | None,
    every: int,
    scenarios: list[Path] | None,
    *,
    as_json: bool,
) -> None:
    """Write whom queries refer to, for the evaluator of a benchmark."""
    from kerbstone.app.referrals import export_referrals, read_prompts

    if out is None:
        raise UsageError("usage", "--format av2 needs a file", remedy="--out referred.pkl")
    asked = [*([query] if query else []), *(read_prompts(prompts) if prompts else [])]
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
        columns = {
            "prompt": "prompt", "query": "query",
            "tracks": "tracks", "timestamps": "timestamps",
        }  # fmt: skip
        print_table(report.rows(), columns, right=("tracks", "timestamps"))
        print_text(f"wrote {report.path}: {count_of(report.sequences, 'log and prompt pair')}")
    failed = [*report.unclear, *report.failed]
    if failed:
        print_note(
            "a prompt that is not understood refers to nobody, a scene that fails is left out"
        )
        for _, error in failed:
            print_error(error, as_json=as_json)
        raise typer.Exit(3)


def _print_failures(
    failed: Sequence[tuple[str, KerbstoneError]], done: str, *, as_json: bool
) -> None:
    """Tell which scenes failed and why, and end with the exit code for it."""
    if not failed:
        return
    print_note(f"{count_of(len(failed), 'scene')} could not be {done}:")
    for _, error in failed:
        print_error(error, as_json=as_json)
    raise typer.Exit(3)


def _print_finding(finding: Finding) -> None:
    from kerbstone.app.findings import match_rows

    listed = [match for match in finding.matches if match.is_match]
    missed = [match for match in finding.matches if not match.is_match]
    found = f"{format_count(finding.total)} match{'' if finding.total == 1 else 'es'}"
    shown = f"; the strongest {len(listed)}:" if len(listed) < finding.total else ""
    print_text(
        f"{found} in {count_of(finding.scenes, 'scene')} "
        f"({format_duration(finding.seconds)} of road){shown}"
    )
    columns = {
        "rank": "#", "scene": "scene", "from": "from s", "to": "to s", "who": "who",
        "robustness": "robustness",
    }  # fmt: skip
    right = ("rank", "from", "to", "robustness")
    if listed:
        print_table(match_rows(listed), columns, right=right)
    if missed:
        print_table(
            match_rows(missed),
            {**columns, "missed_by": "missed by"},
            title="Near misses",
            right=right,
        )
    print_text(f"finding {finding.id}")


def _print_check(query: Any, *, as_json: bool) -> None:
    from kerbstone.app.findings import describe_query

    described = describe_query(query)
    if as_json:
        print_json(described)
        return
    print_text(described["query"])
    users = [row | {"kinds": ", ".join(row["kinds"])} for row in described["variables"]]
    if users:
        print_table(users, {"name": "road user", "kinds": "may be"})
    print_table(described["atoms"], {"text": "atom", "compares": "compares", "unit": "in"})
