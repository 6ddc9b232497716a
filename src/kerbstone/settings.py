"""Configuration: frozen dataclasses, filled from TOML, with the command line's flags on top."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from kerbstone.errors import InputError, suggest_name

Config = TypeVar("Config")


def read_config(
    kind: type[Config],
    path: Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Return a configuration: defaults, then the file, then the overrides that are not None.

    Args:
        kind: A dataclass; nested dataclasses are TOML tables.
        path: TOML file.
        overrides: Values by field name, as the command line gives them.

    Raises:
        InputError: The file is missing or no TOML, or a key or value is wrong.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                "config", "the configuration cannot be read", where=str(path), why=str(error)
            ) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(
                "config", "the configuration is not valid TOML", where=str(path), why=str(error)
            ) from error
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    return _build(kind, {**values, **given}, where=str(path or "command line"), prefix="")


def _build(kind: type[Config], values: Mapping[str, Any], *, where: str, prefix: str) -> Config:
    fields = {field.name for field in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        place = f"{where}, key {prefix}{name}"
        if name not in fields:
            raise InputError(
                "config", f"unknown key '{name}'", where=place, remedy=suggest_name(name, fields)
            )
        arguments[name] = _convert(hints[name], value, place, f"{prefix}{name}.")
    return kind(**arguments)


def _convert(hint: Any, value: Any, place: str, prefix: str) -> Any:  # noqa: PLR0911 - one per type
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        where = place.partition(", key ")[0]
        return _build(typing.cast("type", hint), value, where=where, prefix=prefix)
    if origin in {typing.Union, types.UnionType}:
        return _convert_union(hint, value, place, prefix)
    if origin is typing.Literal:
        return _convert_choice(typing.get_args(hint), value, place)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_convert(typing.get_args(hint)[0], item, place, prefix) for item in value)
    if hint is float and type(value) is int:
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    # `bool` is an `int` to Python, but not to someone who writes a configuration.
    is_right = isinstance(hint, type) and isinstance(value, hint)
    if is_right and (hint is bool) == isinstance(value, bool):
        return value
    raise _mismatch(hint, value, place)


def _convert_union(hint: Any, value: Any, place: str, prefix: str) -> Any:
    for option in typing.get_args(hint):
        try:
            return _convert(option, value, place, prefix)
        except InputError:
            continue
    raise _mismatch(hint, value, place)


def _convert_choice(choices: tuple[Any, ...], value: Any, place: str) -> Any:
    if value in choices:
        return value
    remedy = suggest_name(str(value), map(str, choices))
    raise InputError("config", f"{value!r} is not a choice", where=place, remedy=remedy)


def _mismatch(hint: Any, value: Any, place: str) -> InputError:
    expected = hint.__name__ if isinstance(hint, type) else str(hint)
    why = f"found {value!r}, expected {expected}"
    return InputError("config", "a value has the wrong type", where=place, why=why)
