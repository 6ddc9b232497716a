"""The documentation is true: its commands parse, its examples run, its reference is current."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

import kerbstone.scene
from drives import write_drive
from kerbstone.app.cli import app
from kerbstone.formats import ingest
from kerbstone.lang import parse_library
from kerbstone.lang.library import built_in_scenarios, check_scenario, prepare
from kerbstone.store import Store
from scenes import random_scene

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [page for page in PAGES if "reference" not in page.parts]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_documented_commands_are_real(page):
    group = typer.main.get_command(app)
    for line in "\n".join(blocks(page, "sh")).splitlines():
        for part in re.split(r"&&|\|", line):
            words = shlex.split(part, comments=True)
            if words[:1] != ["kerbstone"]:
                continue
            name, *arguments = words[1:]
            command = group.commands[name]
            command.make_context(name, arguments)


@pytest.mark.parametrize("page", [page for page in WRITTEN if blocks(page, "python")], ids=name_of)
def test_documented_python_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_drive(tmp_path / "my-drive.csv")
    ingest([tmp_path / "my-drive.csv"], tmp_path / "road")
    road = Store.open(str(tmp_path / "road"))
    names = vars(kerbstone.scene) | {"store": road, "scene": random_scene(0)}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)  # noqa: S102 - our own documentation


@pytest.mark.parametrize(
    "page", [page for page in WRITTEN if blocks(page, "scenario")], ids=name_of
)
def test_documented_queries_and_scenarios_are_in_the_language(page):
    for block in blocks(page, "scenario"):
        if block.startswith("scenario "):
            for scenario in parse_library(block, source=str(page)):
                # The page may show one that is built in.
                known = {k: v for k, v in built_in_scenarios().items() if k != scenario.name}
                check_scenario(scenario, known | {scenario.name: scenario})
        else:
            prepare(block, source=str(page))


def test_every_function_of_refav_has_an_equivalent_that_is_in_the_language():
    text = (ROOT / "docs/how-to/from-refav.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|(.*)\|$", text, re.MULTILINE)
    assert len(rows) == text.count("\n| `") >= 31
    for _, *cells in rows:
        for query in re.findall(r"`([^`]+: [^`]+)`", " ".join(cells)):
            prepare(query)


def test_reference_pages_are_current(tmp_path):
    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    generate.write_pages(tmp_path)
    for page in sorted(tmp_path.iterdir()):
        committed = ROOT / "docs/reference" / page.name
        assert committed.is_file(), f"{page.name} is missing: python docs/generate.py"
        assert committed.read_text("utf-8") == page.read_text("utf-8"), (
            f"{page.name} is out of date: python docs/generate.py"
        )


def test_every_page_is_in_the_navigation():
    import tomllib

    text = (ROOT / "zensical.toml").read_text("utf-8")
    listed = set(re.findall(r'"([\w/.-]+\.md)"', text))
    assert tomllib.loads(text)
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert listed == pages
