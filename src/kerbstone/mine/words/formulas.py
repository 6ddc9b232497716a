"""Builds formulas of the scenario language from pieces of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache, reduce
from typing import Any

from kerbstone.lang import parse_query, tree

TRUE = tree.Truth(True)


@cache
def parse_meaning(meaning: str) -> tree.Node:
    """Return a piece of the language as a tree."""
    return parse_query(meaning, source="the lexicon").body


def mean(meaning: str, **users: str) -> tree.Node:
    """Return a piece of the language about these road users.

    Args:
        meaning: Such as `ahead(a, b)`.
        users: The names of the road users by the letters that stand for them.
    """
    return rename(parse_meaning(meaning), users)


def rename(node: tree.Node, names: Mapping[str, str]) -> tree.Node:
    """Return a tree with other names for its road users."""
    return _rename(node, names)


def quantity(text: str) -> tree.Number:
    """Return a number with its unit: `10 m`."""
    number = parse_meaning(text)
    if not isinstance(number, tree.Number):
        raise TypeError(text)
    return number


def conjoin(parts: Sequence[tree.Node]) -> tree.Node:
    """Return that all of this holds, each said once."""
    once: list[tree.Node] = []
    waiting = list(reversed(parts))
    while waiting:
        part = waiting.pop()
        if isinstance(part, tree.Logic) and part.operator == "and":
            waiting += [part.right, part.left]
        elif part != TRUE and part not in once:
            once.append(part)
    return reduce(lambda one, two: tree.Logic("and", one, two), once) if once else TRUE


def disjoin(parts: Sequence[tree.Node]) -> tree.Node:
    """Return that some of this holds."""
    return reduce(lambda one, two: tree.Logic("or", one, two), parts)


def _rename(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, tree.Name):
        return dataclasses.replace(node, name=names.get(node.name, node.name))
    if isinstance(node, tuple) and not isinstance(node, tree.Place):
        return tuple(_rename(part, names) for part in node)
    if not isinstance(node, tree.Node):
        return node
    parts = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return dataclasses.replace(node, **{key: _rename(part, names) for key, part in parts.items()})
