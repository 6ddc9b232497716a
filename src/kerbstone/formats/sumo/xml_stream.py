"""SUMO's XML files read piece by piece: networks, routes and recordings may be large."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING
from xml.parsers.expat import errors

from kerbstone.errors import InputError
from kerbstone.formats.files import cut_off, open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ENDS_TOO_EARLY = {
    errors.codes[errors.XML_ERROR_NO_ELEMENTS],
    errors.codes[errors.XML_ERROR_UNCLOSED_TOKEN],
}
_ENDINGS = re.compile(
    r"(\.(net|fcd|rou|add|sumocfg|xml|xodr|csv|parquet|json|gz|xz))+$", re.IGNORECASE
)


def iterate_children(
    path: Path, *, root: str = "", header: dict[str, str] | None = None
) -> Iterator[ET.Element]:
    """Give the children of an XML file's root, one at a time, and forget them.

    Args:
        path: The file, plain or packed.
        root: What the root must be called, or "" for anything.
        header: Receives the root's attributes.

    Raises:
        InputError: It is missing, not XML, ends too early, or has another root.
    """
    depth = 0
    top: ET.Element | None = None
    with open_bytes(path) as file:
        try:
            # Expat itself refuses entities that blow up (since 2.4.1) and loads none from outside.
            for event, element in ET.iterparse(file, events=("start", "end")):  # noqa: S314
                if event == "start":
                    depth += 1
                    if top is None:
                        top = element
                        _check_root(element, root, path)
                        if header is not None:
                            header.update(element.attrib)
                else:
                    depth -= 1
                    if depth == 1 and top is not None:
                        yield element
                        top.clear()
        except ET.ParseError as error:
            if error.code in _ENDS_TOO_EARLY:
                raise cut_off(path, str(error)) from None
            raise InputError(
                "syntax",
                "a file is not valid XML",
                where=f"{path}, line {error.position[0]}",
                why=str(error),
            ) from None


def stem_of(path: Path) -> str:
    """Return a file's name without SUMO's endings.

    Example:
        >>> from pathlib import Path
        >>> stem_of(Path("a/old.town.net.xml.gz"))
        'old.town'
    """
    return _ENDINGS.sub("", path.name)


def _check_root(element: ET.Element, root: str, path: Path) -> None:
    if root and element.tag != root:
        raise InputError(
            "syntax",
            f"a file is not what its name says: <{element.tag}>, expected <{root}>",
            where=str(path),
        )
