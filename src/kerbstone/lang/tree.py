"""The syntax tree: what a query says, before its names are looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """Where something stands in a text.

    Args:
        line: From 1 on.
        column: From 1 on.
    """

    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, kw_only=True)
class Node:
    """A part of a tree. Trees are equal when they say the same, wherever it stands.

    Args:
        place: Where it stands.
        depth: How many nodes there are below it, one in another.
    """

    place: Place = field(default=Place(), compare=False, repr=False)
    depth: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Number(Node):
    """A quantity as written: `30 km/h`."""

    value: float
    unit: str = ""


@dataclass(frozen=True)
class Text(Node):
    """A text in quotes."""

    value: str


@dataclass(frozen=True)
class Name(Node):
    """A road user, or what a `let` or an argument named."""

    name: str


@dataclass(frozen=True)
class Truth(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True)
class Call(Node):
    """A signal or a named scenario with its arguments."""

    name: str
    arguments: tuple[Node, ...] = ()
    named: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True)
class Minus(Node):
    """`-x`."""

    body: Node


@dataclass(frozen=True)
class Arithmetic(Node):
    """`+ - * /` of two numbers."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Compare(Node):
    """`< <= > >= == !=` of two numbers."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Not(Node):
    """`not f`."""

    body: Node


@dataclass(frozen=True)
class Logic(Node):
    """`and`, `or`, `implies`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Window(Node):
    """From when to when, relative to now."""

    low: Number
    high: Number


@dataclass(frozen=True)
class Temporal(Node):
    """`always`, `eventually` (ahead), `historically`, `once` (back); None: without limit."""

    operator: str
    window: Window | None
    body: Node


@dataclass(frozen=True)
class Until(Node):
    """`f until[a, b] g`."""

    window: Window | None
    left: Node
    right: Node


@dataclass(frozen=True)
class Then(Node):
    """`then(f, g, within d)`."""

    first: Node
    second: Node
    within: Number


@dataclass(frozen=True)
class Lasting(Node):
    """`f for at least d`."""

    body: Node
    least: Number


@dataclass(frozen=True)
class Variable(Node):
    """A road user of a kind, under a name."""

    kind: str
    name: str


@dataclass(frozen=True)
class Quantifier(Node):
    """`exists`, `forall`, `count` over further road users."""

    operator: str
    variables: tuple[Variable, ...]
    body: Node


@dataclass(frozen=True)
class Let(Node):
    """`let x = … in …`."""

    name: str
    value: Node
    body: Node


@dataclass(frozen=True)
class Query(Node):
    """What to look for: a formula about road users."""

    variables: tuple[Variable, ...]
    body: Node


@dataclass(frozen=True)
class Parameter(Node):
    """What a named scenario is about: a road user (`kind` is set), or a quantity (it is "")."""

    kind: str
    name: str
    default: Node | None


@dataclass(frozen=True)
class Scenario(Node):
    """A formula with a name, its arguments, and a line that says what it means."""

    name: str
    parameters: tuple[Parameter, ...]
    doc: str
    body: Node
