"""From what the grammar's rules match to the nodes of the tree."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from lark import v_args
from lark.visitors import Transformer_NonRecursive

from kerbstone.errors import InputError
from kerbstone.lang import tree
from kerbstone.lang.units import UNITS

_DEEPEST = 60
_LARGEST = 1e12

Made = TypeVar("Made", bound=tree.Node)


@v_args(meta=True)
class Builder(Transformer_NonRecursive):
    """Makes one node for each rule, bottom-up and without recursion, however deep a text nests."""

    def query(self, meta: Any, parts: list[Any]) -> tree.Query:
        variables, body = parts
        return _put(meta, tree.Query(variables or (), body))

    def library(self, meta: Any, parts: list[Any]) -> tuple[tree.Scenario, ...]:
        del meta
        return tuple(parts)

    def scenario(self, meta: Any, parts: list[Any]) -> tree.Scenario:
        name, *parameters, doc, body = parts
        given = tuple(part for part in parameters if part is not None)
        return _put(meta, tree.Scenario(str(name), given, doc[1:-1], body))

    def user_parameter(self, meta: Any, parts: list[Any]) -> tree.Parameter:
        kind, name, default = parts
        user = None if default is None else _put(meta, tree.Name(str(default)))
        return _put(meta, tree.Parameter(str(kind), str(name), user))

    def number_parameter(self, meta: Any, parts: list[Any]) -> tree.Parameter:
        return _put(meta, tree.Parameter("", str(parts[0]), parts[1]))

    def variables(self, meta: Any, parts: list[Any]) -> tuple[tree.Variable, ...]:
        del meta
        return tuple(parts)

    def variable(self, meta: Any, parts: list[Any]) -> tree.Variable:
        return _put(meta, tree.Variable(str(parts[0]), str(parts[1])))

    def let(self, meta: Any, parts: list[Any]) -> tree.Let:
        return _put(meta, tree.Let(str(parts[0]), parts[1], parts[2]))

    def implies(self, meta: Any, parts: list[Any]) -> tree.Logic:
        return _put(meta, tree.Logic("implies", *parts))

    def or_(self, meta: Any, parts: list[Any]) -> tree.Logic:
        return _put(meta, tree.Logic("or", *parts))

    def and_(self, meta: Any, parts: list[Any]) -> tree.Logic:
        return _put(meta, tree.Logic("and", *parts))

    def not_(self, meta: Any, parts: list[Any]) -> tree.Not:
        return _put(meta, tree.Not(parts[0]))

    def until_within(self, meta: Any, parts: list[Any]) -> tree.Until:
        left, window, right = parts
        return _put(meta, tree.Until(window, left, right))

    def until_ever(self, meta: Any, parts: list[Any]) -> tree.Until:
        return _put(meta, tree.Until(None, *parts))

    def lasting(self, meta: Any, parts: list[Any]) -> tree.Lasting:
        return _put(meta, tree.Lasting(*parts))

    def compare(self, meta: Any, parts: list[Any]) -> tree.Compare:
        left, operator, right = parts
        return _put(meta, tree.Compare(str(operator), left, right))

    def arithmetic(self, meta: Any, parts: list[Any]) -> tree.Arithmetic:
        left, operator, right = parts
        return _put(meta, tree.Arithmetic(str(operator), left, right))

    def minus(self, meta: Any, parts: list[Any]) -> tree.Node:
        sign, body = parts
        return _put(meta, tree.Minus(body)) if sign == "-" else body

    def name(self, meta: Any, parts: list[Any]) -> tree.Name:
        return _put(meta, tree.Name(str(parts[0])))

    def true(self, meta: Any, parts: list[Any]) -> tree.Truth:
        del parts
        return _put(meta, tree.Truth(True))

    def false(self, meta: Any, parts: list[Any]) -> tree.Truth:
        del parts
        return _put(meta, tree.Truth(False))

    def call(self, meta: Any, parts: list[Any]) -> tree.Call:
        name, *arguments = parts
        given = [part for part in arguments if part is not None]
        plain = tuple(part for part in given if isinstance(part, tree.Node))
        named = tuple(part for part in given if isinstance(part, tuple))
        return _put(meta, tree.Call(str(name), plain, named))

    def argument(self, meta: Any, parts: list[Any]) -> tree.Node:
        del meta
        return parts[0]

    def text(self, meta: Any, parts: list[Any]) -> tree.Text:
        return _put(meta, tree.Text(str(parts[0])[1:-1]))

    def named_argument(self, meta: Any, parts: list[Any]) -> tuple[str, tree.Node]:
        del meta
        return str(parts[0]), parts[1]

    def temporal_ever(self, meta: Any, parts: list[Any]) -> tree.Temporal:
        return _put(meta, tree.Temporal(str(parts[0]), None, parts[1]))

    def temporal_within(self, meta: Any, parts: list[Any]) -> tree.Temporal:
        return _put(meta, tree.Temporal(str(parts[0]), parts[1], parts[2]))

    def then(self, meta: Any, parts: list[Any]) -> tree.Then:
        return _put(meta, tree.Then(*parts))

    def quantifier(self, meta: Any, parts: list[Any]) -> tree.Quantifier:
        return _put(meta, tree.Quantifier(str(parts[0]), parts[1], parts[2]))

    def window(self, meta: Any, parts: list[Any]) -> tree.Window:
        low = tree.Number(0.0, "s") if len(parts) == 1 else parts[0]
        return _put(meta, tree.Window(low, parts[-1]))

    def quantity(self, meta: Any, parts: list[Any]) -> tree.Number:
        value, unit = parts
        number = float(value)
        if number * UNITS[str(unit or "")].factor > _LARGEST:
            raise _limit(meta, f"{value} is too large a number")
        return _put(meta, tree.Number(number, str(unit or "")))


def _put(meta: Any, node: Made) -> Made:
    """Return the node with its place and depth."""
    place = tree.Place(getattr(meta, "line", 1), getattr(meta, "column", 1))
    depth = 1 + max((part.depth for part in _parts(node)), default=0)
    if depth > _DEEPEST:
        raise _limit(meta, "the query is too deeply nested")
    return dataclasses.replace(node, place=place, depth=depth)


def _parts(node: tree.Node) -> list[tree.Node]:
    values = [getattr(node, field.name) for field in dataclasses.fields(node)]
    lists = [value for value in values if isinstance(value, tuple)]
    values += [part for value in lists for part in value]
    values += [part[1] for value in lists for part in value if isinstance(part, tuple)]
    return [value for value in values if isinstance(value, tree.Node)]


def _limit(meta: Any, what: str) -> InputError:
    place = tree.Place(getattr(meta, "line", 1), getattr(meta, "column", 1))
    return InputError("query-limit", what, where=str(place), why=f"at most {_DEEPEST} levels")
