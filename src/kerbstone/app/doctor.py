"""What is installed here, and what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from collections import defaultdict
from dataclasses import asdict, dataclass

import kerbstone

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)")
_LISTED = 4
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True)
class Finding:
    """One part of the installation.

    Args:
        name: What was looked at.
        state: `ok`, `missing` (an extra that is not installed) or `broken`.
        detail: Version, or what is wrong.
        remedy: The command that adds or mends it.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return the finding as a plain mapping."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at the interpreter, the machine, the core packages and every extra."""
    findings = [
        Finding("kerbstone", "ok", kerbstone.__version__),
        Finding("python", "ok", f"{platform.python_version()} on {platform.platform()}"),
        Finding("machine", "ok", _describe_machine()),
    ]
    needs = _read_requirements()
    findings += [_check_package(name) for name in needs.pop("", [])]
    for extra, packages in sorted(needs.items()):
        missing = [name for name in packages if not _version(name)]
        if missing:
            more = len(missing) - _LISTED
            listed = ", ".join(missing[:_LISTED]) + (f" and {more} more" if more > 0 else "")
            findings.append(
                Finding(
                    f"[{extra}]",
                    "missing",
                    f"not installed: {listed}",
                    f"pip install 'kerbstone[{extra}]'",
                )
            )
        elif len(packages) > _LISTED:
            findings.append(Finding(f"[{extra}]", "ok", f"all {len(packages)} packages"))
        else:
            versions = ", ".join(f"{name} {_version(name)}" for name in packages)
            findings.append(Finding(f"[{extra}]", "ok", versions or "nothing needed"))
    return findings


def _check_package(name: str) -> Finding:
    version = _version(name)
    if version:
        return Finding(name, "ok", version)
    return Finding(name, "broken", "not installed", f"pip install {name}")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read_requirements() -> dict[str, list[str]]:
    """Return the required packages by extra ("" for the core), nested extras resolved."""
    direct: dict[str, list[str]] = defaultdict(list)
    nested: dict[str, list[str]] = defaultdict(list)
    for line in importlib.metadata.requires("kerbstone") or []:
        named = _REQUIREMENT.match(line)
        if named is None:
            continue
        extra = _EXTRA.search(line)
        key = extra.group(1) if extra else ""
        if named.group(1) == "kerbstone":
            inner = re.search(r"\[([^\]]+)\]", line)
            nested[key] += inner.group(1).split(",") if inner else []
        else:
            direct[key].append(named.group(1))

    def collect(key: str) -> list[str]:
        inner = [name for part in nested[key] for name in collect(part.strip())]
        return list(dict.fromkeys([*inner, *direct[key]]))

    keys = set(direct) | set(nested)
    return {key: collect(key) for key in keys}


def _describe_machine() -> str:
    free = shutil.disk_usage(os.getcwd()).free / 1e9  # noqa: PTH109 - the folder of the call
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        memory = f", {total:.0f} GB memory"
    return f"{os.cpu_count()} cores{memory}, {free:.0f} GB free on disk"
