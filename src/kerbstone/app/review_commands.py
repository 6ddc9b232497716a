"""The command that takes labels to people and back: review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerbstone.app.options import JsonOption, check_name
from kerbstone.app.terminal import count_of, print_json, print_note, print_table, print_text
from kerbstone.errors import UsageError

if TYPE_CHECKING:
    from kerbstone.label.review import ReviewItem
    from kerbstone.store import Store


def review(
    store: Annotated[
        str, typer.Option("--store", "-s", help="Store that `kerbstone label` wrote.")
    ] = "labels",
    scene: Annotated[
        str | None, typer.Option(help="Only this scene, or a unique part of its id.")
    ] = None,
    top: Annotated[int, typer.Option(help="Questions to list; 0 lists all.", min=0)] = 20,
    export: Annotated[
        str | None,
        typer.Option(help="Write the scene for cvat, label-studio, kitti, nuscenes or av2."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the export.")] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", help="Take back what a person has edited.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="What the detector is like; as the labels were made.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List which labels a person should look at first; take them to a tool and back."""
    from kerbstone.store import Store

    if export is not None and import_ is not None:
        raise UsageError("usage", "--export and --import are two steps", remedy="one at a time")
    if (export is not None or import_ is not None) and scene is None:
        raise UsageError("usage", "say which scene, with --scene")
    if out is not None and export is None:
        raise UsageError("usage", "--out is for an export", remedy="say for what with --export")
    road = Store.open(store)
    if export is not None and scene is not None:
        _export(road, scene, export, out, as_json=as_json)
    elif import_ is not None and scene is not None:
        _import(road, scene, import_, profile, as_json=as_json)
    else:
        _list(road, scene, top, as_json=as_json)


ALL = (review,)


def _list(road: Store, scene: str | None, top: int, *, as_json: bool) -> None:
    from kerbstone.label import read_labels
    from kerbstone.label.review import review_queue

    ids = [road.find(scene)] if scene else road.scenes(["id"]).column("id").to_pylist()
    found: list[tuple[str, ReviewItem, float]] = []
    for name in ids:
        labels = read_labels(road, name)
        dt = labels.scene.clock.dt
        found += [(name, item, dt) for item in review_queue(labels, top=top or None)]
    found.sort(key=lambda each: (-each[1].gain, each[0], each[1].first))
    shown = found[:top] if top else found
    rows = [
        {
            "scene": name,
            "agent": item.agent,
            "start": round(item.first * dt, 2),
            "end": round((item.last + 1) * dt, 2),
            "worth": round(item.gain, 2),
            "why": item.reason,
        }
        for name, item, dt in shown
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        rows,
        {
            "scene": "scene",
            "agent": "track",
            "start": "from s",
            "end": "to s",
            "worth": "worth",
            "why": "why",
        },
        right=("start", "end", "worth"),
    )
    if len(shown) < len(found):
        print_note(f"{len(found) - len(shown)} more; --top 0 lists all")


def _export(road: Store, scene: str, form: str, out: Path | None, *, as_json: bool) -> None:
    from kerbstone.label import read_labels
    from kerbstone.label.review import REVIEW_FORMATS, export_review

    check_name("--export", form, REVIEW_FORMATS)
    folder = out or Path(f"review-{form}")
    paths = export_review(read_labels(road, scene), folder, format=form)
    if as_json:
        print_json({"files": [str(path) for path in paths]})
    else:
        for path in paths:
            print_text(f"wrote {path}")


def _import(road: Store, scene: str, path: Path, profile: str | None, *, as_json: bool) -> None:
    from dataclasses import asdict

    from kerbstone.label import read_labels, read_profile, write_reviewed
    from kerbstone.label.review import import_review

    labels = read_labels(road, scene)
    made = labels.scene.source.extra.get("labels", {})
    name = profile or str(made.get("profile", "default"))
    reviewed, report = import_review(labels, path, profile=read_profile(name))
    counts = {name: value for name, value in asdict(report).items() if name != "edits"}
    edits = len(report.edits)
    if reviewed is not labels:
        with road.run(command="review", config={"scene": scene, "file": str(path)}) as run:
            write_reviewed(road, scene, reviewed, run=run.id)
            run.metrics.update({name: value for name, value in counts.items() if name != "format"})
    if as_json:
        print_json(counts | {"edits": edits})
    elif reviewed is labels:
        print_text("nothing was edited")
    else:
        told = [f"{value} {name.replace('_', ' ')}" for name, value in counts.items() if value]
        print_text(f"took back {count_of(edits, 'edit')} ({', '.join(told[1:])})")
