"""Profiles of detectors as TOML files: those that come with the package, and one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerbstone.errors import InputError, suggest_name
from kerbstone.label.confidence import Confidence
from kerbstone.label.profile import KindProfile, Profile
from kerbstone.scene import Kind

if TYPE_CHECKING:
    from kerbstone.formats.detections import DetectionSource

_FOLDER = resources.files("kerbstone.label") / "profiles_built_in"
_TABLES = {"kinds", "confidence"}
_KINDS = {kind.name.lower(): kind for kind in Kind}
_MAY_BE_ANY = {"apart", "even_score"}
_MAY_BE_ZERO = {"noise_growth", "anchoring", "drift", "lifetime", "trial"}
_SHARES = {"confusion", "keep"}


def built_in_profiles() -> list[str]:
    """Return the names of the profiles that come with the package."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in _FOLDER.iterdir()
        if entry.name.endswith(".toml")
    )


def read_profile(name: str | Path) -> Profile:
    """Return a profile by its name or its file.

    Args:
        name: One of `built_in_profiles`, "default", or a TOML file as `write_profile` writes it.

    Raises:
        InputError: There is neither such a profile nor such a file, or it is malformed.
    """
    if str(name) == "default":
        return Profile()
    known = built_in_profiles()
    path = Path(name)
    try:
        if str(name) in known:
            text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
        else:
            text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        choices = ["default", *known]
        raise InputError(
            "config",
            f"there is no profile {str(name)!r}",
            why=f"known: {', '.join(choices)}; and the file cannot be read ({error})",
            remedy=suggest_name(str(name), choices),
        ) from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            "config", "the profile is not valid TOML", where=str(name), why=str(error)
        ) from error
    return _to_profile(values, str(name))


def profile_bytes(name: str | Path) -> bytes:
    """Return what changes when a profile does.

    Raises:
        InputError: There is no such profile, or it is malformed.
    """
    profile = read_profile(name)
    return repr(_lines(profile)).encode()


def profile_for(source: DetectionSource) -> str:
    """Return the name of the profile that fits where detections come from."""
    if source.format == "kitti":
        return "kitti-pointrcnn"
    if source.store is not None and source.store.scene(source.log).source.simulated:
        return "simulated"
    return "default"


def write_profile(profile: Profile, path: Path, *, about: str = "") -> None:
    """Write a profile as TOML.

    Args:
        profile: The profile.
        path: The file.
        about: What it was learned from, as a comment.
    """
    from kerbstone.formats.stage import writing_whole

    lines = [f"# {line}" for line in about.splitlines()] + _lines(profile)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_whole(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(profile: Profile) -> list[str]:
    lines = [f"{name} = {_text(getattr(profile, name))}" for name in _own_fields()]
    for kind, row in sorted(profile.kinds.items()):
        lines += ["", f"[kinds.{kind.name.lower()}]"]
        lines += [f"{each.name} = {_text(getattr(row, each.name))}" for each in fields(row)]
    for kind, model in sorted(profile.confidence.items()):
        lines += ["", f"[confidence.{kind.name.lower()}]"]
        lines += [f"{name} = {_text(values)}" for name, values in model.to_dict().items()]
    return lines


def _own_fields() -> list[str]:
    return [each.name for each in fields(Profile) if each.name not in _TABLES]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(each) for each in value) + "]"
    return repr(float(f"{value:.6g}"))


def _to_profile(values: Mapping[str, Any], where: str) -> Profile:
    numbers = _own_fields()
    _refuse_unknown(values, [*numbers, *_TABLES], where)
    own = {
        name: _value(name, value, f"{where}, key {name}")
        for name, value in values.items()
        if name in numbers
    }
    rows, models = {}, {}
    known = [each.name for each in fields(KindProfile)]
    for name, table in _tables(values, "kinds", where):
        place = f"{where}, kinds.{name}"
        _refuse_unknown(table, known, place)
        row: dict[str, Any] = {
            key: _triple(value, f"{place}.{key}")
            if key == "size_scale"
            else _value(key, value, f"{place}.{key}")
            for key, value in table.items()
        }
        rows[_KINDS[name]] = KindProfile(**row)
    for name, table in _tables(values, "confidence", where):
        models[_KINDS[name]] = Confidence.from_dict(table, where=f"{where}, confidence.{name}")
    return Profile(kinds=rows, confidence=models, **own)


def _tables(values: Mapping[str, Any], key: str, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    tables = values.get(key, {})
    if not isinstance(tables, Mapping):
        raise InputError("config", f"`{key}` holds a table for each kind", where=where)
    _refuse_unknown(tables, list(_KINDS), f"{where}, {key}")
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise InputError("config", "a table is expected", where=f"{where}, {key}.{name}")
    return list(tables.items())


def _refuse_unknown(values: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in values:
        if name not in known:
            raise InputError(
                "config", f"unknown key {name!r}", where=where, remedy=suggest_name(name, known)
            )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e9:
        raise InputError("config", "a number is expected", where=where, why=f"found {value!r}")
    return float(value)


def _value(key: str, value: Any, where: str) -> float:
    """Return a number that its key allows."""
    number = _number(value, where)
    if key in _MAY_BE_ANY:
        return number
    if key in _SHARES:
        good, expected = 0 <= number <= 1, "from 0 to 1"
    elif key in _MAY_BE_ZERO:
        good, expected = number >= 0, "0 or more"
    else:
        good, expected = number > 0, "above 0"
    if not good:
        raise InputError("config", f"a number {expected} is expected", where=where, why=f"{value}")
    return number


def _triple(value: Any, where: str) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise InputError("config", "three numbers are expected", where=where, why=f"{value!r}")
    length, width, height = (_value("size_scale", each, where) for each in value)
    return length, width, height
