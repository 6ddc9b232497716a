"""Writes the reference pages from the code; `python docs/generate.py`. A test keeps them current."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from pathlib import Path

import typer

from kerbstone.app.cli import app
from kerbstone.errors import CODES
from kerbstone.formats import all_formats
from kerbstone.formats.sumo import SimulationConfig
from kerbstone.label import LabelConfig
from kerbstone.lang import KINDS, known_signals, print_scenario
from kerbstone.lang.library import built_in_files

REFERENCE = Path(__file__).parent / "reference"
ROOMS = (
    "scene",
    "lang",
    "store",
    "formats",
    "formats.detections",
    "formats.sumo",
    "mine",
    "label",
    "label.affinity",
    "label.metrics",
    "label.review",
    "plan",
    "plan.beliefs",
    "plan.shield",
    "plan.falsification",
    "settings",
    "errors",
)


def write_pages(folder: Path = REFERENCE) -> None:
    """Write every generated page into `folder`."""
    pages = {
        "commands": describe_commands(),
        "formats": describe_formats(),
        "configuration": describe_configuration(),
        "python": describe_python(),
        "signals": describe_signals(),
        "scenarios": describe_scenarios(),
        "errors": describe_errors(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text.rstrip() + "\n", encoding="utf-8")


def describe_commands() -> str:
    """Return the page of all commands and options."""
    parts = [
        "# Commands",
        "Every command takes `--help`. See the [conventions](../conventions.md).",
    ]
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # pyright: ignore[reportAttributeAccessIssue]
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        usage = " ".join(_usage(argument) for argument in arguments)
        parts.append(f"## kerbstone {name}\n\n{inspect.cleandoc(command.help or '')}")
        parts.append(f"```sh\nkerbstone {name} {usage} [OPTIONS]\n```".replace("  ", " "))
        rows = [(f"`{p.name.upper()}`", p.help or "", "") for p in arguments]
        rows += [(f"`{', '.join(p.opts)}`", p.help or "", _default(p)) for p in options]
        parts.append(_table(("", "", "default"), rows))
    return "\n\n".join(parts)


def describe_formats() -> str:
    """Return the page of all formats."""
    parts = ["# Formats", "What each reader takes, and the conventions that it follows."]
    for format_ in all_formats().values():
        parts.append(f"## {format_.title}")
        rows = [("`--format`", f"`{format_.name}`"), ("reads", format_.reads)]
        if format_.extra:
            rows.append(("extra", f"`pip install 'kerbstone[{format_.extra}]'`"))
        parts.append(_table(("", ""), rows))
        module = importlib.import_module(type(format_).__module__)
        parts.extend(
            _markdown(inspect.cleandoc(text))
            for text in (module.__doc__, type(format_).__doc__)
            if text
        )
    return "\n\n".join(parts)


def describe_configuration() -> str:
    """Return the page of all configuration keys."""
    parts = [
        "# Configuration",
        "TOML files, with the flags of the command on top. An unknown key is an error.",
    ]
    pending = [
        ("kerbstone simulate --config FILE.toml", "", SimulationConfig),
        ("kerbstone label --config FILE.toml", "", LabelConfig),
    ]
    while pending:
        title, prefix, kind = pending.pop(0)
        parts.append(f"## {title}\n\n{_markdown(inspect.getdoc(kind) or '')}")
        rows = []
        for field in dataclasses.fields(kind):
            default = (
                field.default_factory()
                if field.default_factory is not dataclasses.MISSING
                else field.default
            )
            if dataclasses.is_dataclass(default):
                pending.append((f"[{prefix}{field.name}]", f"{prefix}{field.name}.", type(default)))
                continue
            rows.append((f"`{prefix}{field.name}`", f"`{field.type}`", f"`{default!r}`"))
        parts.append(_table(("key", "type", "default"), rows))
    return "\n\n".join(parts)


def describe_python() -> str:
    """Return the page of all public names, room by room."""
    parts = ["# Python", "The public names of each room. Shapes are jaxtyping types."]
    for room in ROOMS:
        module = importlib.import_module(f"kerbstone.{room}")
        first = inspect.cleandoc(module.__doc__ or "")
        parts.append(f"## kerbstone.{room}\n\n{_markdown(first)}")
        names = getattr(module, "__all__", None) or [
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        ]
        for name in sorted(names, key=str.lower):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                parts.append(_describe(name, value))
    return "\n\n".join(parts)


def describe_signals() -> str:
    """Return the page of all signals of the scenario language."""
    parts = [
        "# Signals",
        (
            "What a query of [the scenario language](../concepts/language.md) can measure. `f(a, b)` "
            "says something about `a`, as seen from `b`. A *margin* is the difference that counts as a "
            "robustness of 1; a claim is its own margin."
        ),
    ]
    families: dict[str, list[tuple[str, ...]]] = {}
    for name, found in sorted(known_signals().items()):
        users = ["a", "b"][: found.agents] + ['"…"'] * found.texts
        unit = "claim" if found.unit is None else found.unit or "number"
        margin = "" if found.unit is None else f"{found.margin:g}"
        row = (f"`{name}({', '.join(users)})`", unit, margin, found.doc)
        families.setdefault(found.measure.__module__, []).append(row)
    for module, rows in sorted(families.items()):
        text = (importlib.import_module(module).__doc__ or "").split("\n\n")[0]
        parts.append(f"## {module.rpartition('.')[2].capitalize()}\n\n{text}")
        parts.append(_table(("signal", "unit", "margin", "what it measures"), rows))
    rows = [
        (f"`{name}`", ", ".join(kind.name.lower() for kind in sorted(kinds)))
        for name, kinds in KINDS.items()
    ]
    parts.append("## Kinds of road users\n\nWhat the kinds of a query stand for.")
    parts.append(_table(("kind", "road users"), rows))
    return "\n\n".join(parts)


def describe_scenarios() -> str:
    """Return the page of all named scenarios."""
    parts = [
        "# Named scenarios",
        (
            "The scenarios that come with Kerbstone, as they are written in "
            "[the scenario language](../concepts/language.md)."
        ),
    ]
    for path, scenarios in built_in_files():
        parts.append(f"## {path.stem.replace('_', ' ').capitalize()}")
        for scenario in scenarios:
            parts.append(f"### {scenario.name}\n\n{scenario.doc}")
            parts.append(f"```\n{print_scenario(scenario).rstrip()}\n```")
    return "\n\n".join(parts)


def describe_errors() -> str:
    """Return the page of all error codes."""
    rows = [(f"`{code}`", meaning) for code, meaning in sorted(CODES.items())]
    text = (
        "An error says what is wrong, where, why, and what to try; the code in brackets is stable."
    )
    return f"# Errors\n\n{text}\n\n{_table(('code', 'meaning'), rows)}"


def _describe(name: str, value: type | object) -> str:
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value):
        heading = f"### {name}\n\n{_markdown(text)}"
        methods = [
            _describe_method(f"{name}.{key}", method)
            for key, method in vars(value).items()
            if not key.startswith("_") and _callable(method) and inspect.getdoc(method)
        ]
        return "\n\n".join([heading, *methods])
    return f"### {name}\n\n```python\n{name}{_signature(value)}\n```\n\n{_markdown(text)}"


def _describe_method(name: str, method: object) -> str:
    target = getattr(method, "__func__", getattr(method, "fget", method))
    target = getattr(target, "func", target)
    first = (inspect.getdoc(target) or "").split("\n\n")[0].replace("\n", " ")
    call = "" if isinstance(method, property) or hasattr(method, "attrname") else _signature(target)
    return f"**`{name}{call}`** {first}"


def _callable(value: object) -> bool:
    return (
        callable(value)
        or isinstance(value, property | classmethod | staticmethod)
        or hasattr(value, "attrname")
    )


def _signature(value: object) -> str:
    try:
        text = str(inspect.signature(value))  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return "(…)"
    # A default that is a function prints its address, which is different each time.
    return re.sub(r"<function [^ ]+ at 0x[0-9a-f]+>", "…", text).replace("'", "")


def _markdown(text: str) -> str:
    """Turn Google-style sections into lists."""
    lines: list[str] = []
    section = ""
    is_code = False
    for line in text.splitlines():
        heading = re.fullmatch(r"(Args|Returns|Raises|References|Example|Yields):", line)
        if is_code and (heading or (line.strip() and not line.startswith(" "))):
            lines.append("```")
            is_code = False
        if heading:
            section = heading.group(1)
            lines += ["", f"*{section}*", ""]
            if section == "Example":
                lines.append("```python")
                is_code = True
            continue
        item = re.match(r"    (\*{0,2}\w[\w ,|.]*): (.*)", line)
        if section in {"Args", "Raises"} and item and not line.startswith("     "):
            lines.append(f"- `{item.group(1)}`: {item.group(2)}")
        elif section and line.startswith("    "):
            lines.append(line[4:] if is_code or section in {"Returns", "References"} else line[2:])
        else:
            lines.append(line)
    if is_code:
        lines.append("```")
    return "\n".join(lines).strip()


def _usage(argument: object) -> str:
    name = argument.name.upper()  # pyright: ignore[reportAttributeAccessIssue]
    many = "…" if argument.nargs == -1 else ""  # pyright: ignore[reportAttributeAccessIssue]
    required = argument.required  # pyright: ignore[reportAttributeAccessIssue]
    return f"{name}{many}" if required else f"[{name}{many}]"


def _default(option: object) -> str:
    default = option.default  # pyright: ignore[reportAttributeAccessIssue]
    return "" if default in {None, False, ""} else f"`{default}`"


def _table(heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    write_pages()
