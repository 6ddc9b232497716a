"""The commands that tell what can be asked, and make a store quick to ask: check, scenarios, signals, index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerbstone.app.options import JsonOption, StoreOption, WhereOption, parse_workers
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
from kerbstone.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kerbstone.errors import KerbstoneError
    from kerbstone.mine import Understood

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


def check(
    query: Annotated[
        str,
        typer.Argument(help="A query of the scenario language, a named scenario, or plain words."),
    ],
    scenarios: ScenariosOption = None,
    model_first: ModelOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show a query as it is understood: its road users, its atoms and their units."""
    understood = understand(query, scenarios, model_first=model_first)
    say_proposed(understood)
    print_check(understood, as_json=as_json)


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
    where: WhereOption = None,
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
    if print_failures(report.failed, "indexed", as_json=as_json):
        raise typer.Exit(3)


ALL = (check, scenarios, signals, index)


def understand(query: str, scenarios: Sequence[Path] | None, *, model_first: bool) -> Understood:
    """Return what a user's text stands for, with the language model of the environment.

    Raises:
        UsageError: The model comes first, and there is none.
        KerbstoneError: It stands for no query; see `understand_query`.
    """
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


def say_proposed(understood: Understood) -> None:
    """Warn of a query that a language model made."""
    if understood.by == "model":
        print_note("a language model proposed this query: see that it is what you meant")


def print_check(understood: Understood, *, as_json: bool) -> None:
    """Print a query as it is understood."""
    from kerbstone.app.findings import describe_query

    described = describe_query(understood.query)
    if as_json:
        print_json(described)
        return
    print_text(described["query"])
    users = [row | {"kinds": ", ".join(row["kinds"])} for row in described["variables"]]
    if users:
        print_table(users, {"name": "road user", "kinds": "may be"})
    measures = {None: "claim", "1": "number"}
    atoms = [row | {"unit": measures.get(row["unit"], row["unit"])} for row in described["atoms"]]
    print_table(atoms, {"text": "atom", "unit": "in"})


def print_failures(
    failed: Sequence[tuple[str, KerbstoneError]], done: str, *, as_json: bool
) -> bool:
    """Tell which scenes failed and why, and return whether any did."""
    if failed:
        print_note(f"{count_of(len(failed), 'scene')} could not be {done}:")
    for _, error in failed:
        print_error(error, as_json=as_json)
    return bool(failed)
