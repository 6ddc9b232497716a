"""Who takes part in a query: the names, kinds and variables of its road users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kerbstone.errors import InputError
from kerbstone.lang import KINDS, tree
from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.formulas import TRUE, conjoin, disjoin, mean
from kerbstone.scene import Kind

_MOST_DECLARED = 3


@dataclass(frozen=True)
class User:
    """A road user of a query.

    Args:
        name: As the query calls it.
        kinds: What it may be.
        things: The phrase that introduced it; None for the recording car.
    """

    name: str
    kinds: frozenset[Kind]
    things: p.Things | None = None

    @property
    def variable(self) -> tree.Variable:
        """How a query declares it."""
        return tree.Variable(
            next(k for k, kinds in KINDS.items() if kinds == self.kinds), self.name
        )


EGO = User("ego", frozenset({Kind.CAR}))


class Cast:
    """The road users of a query, as its phrases introduce them."""

    def __init__(self) -> None:
        self.declared: list[tree.Variable] = []
        self._names: dict[str, int] = {}

    def introduce(self, things: p.Things) -> User:
        """Return a new road user.

        Raises:
            InputError: No kind of the language covers what it may be.
        """
        noun = things.choices[0][1]
        number = self._names[noun.name] = self._names.get(noun.name, 0) + 1
        name = noun.name if number == 1 else f"{noun.name}{number}"
        kinds = frozenset[Kind]().union(*(KINDS[noun.kind] for _, noun in things.choices))
        whole = min((some for some in KINDS.values() if kinds <= some), key=len, default=None)
        if whole is None:
            said = " or ".join(sorted({noun.kind for _, noun in things.choices}))
            raise refusal(f"no variable stands for {said}", remedy="ask for one of them at a time")
        return User(name, whole, things)

    @property
    def is_full(self) -> bool:
        """Whether further road users had better be quantified over."""
        return len(self.declared) >= _MOST_DECLARED

    def declare(self, user: User) -> None:
        """Make a road user a variable of the query."""
        self.declared.append(user.variable)


def restrict(user: User, choices: Sequence[tuple[p.Noun, tree.Node]]) -> list[tree.Node]:
    """Return what tells a road user from others of its variable's kind.

    Args:
        user: The road user.
        choices: What it may be, each with what must then hold, too.
    """
    options: list[tree.Node] = []
    for noun, claim in choices:
        parts: list[tree.Node] = []
        if KINDS[noun.kind] != user.kinds:
            parts.append(tree.Call("is_a", (tree.Name(user.name), tree.Text(noun.kind))))
        if noun.labels:
            names = [(tree.Name(user.name), tree.Text(label)) for label in noun.labels]
            parts.append(disjoin([tree.Call("labelled", pair) for pair in names]))
        if noun.where:
            parts.append(mean(noun.where, a=user.name))
        options.append(conjoin([*parts, claim]))
    return [] if TRUE in options else [disjoin(options)]


def refusal(what: str, *, why: str = "", remedy: str = "") -> InputError:
    """Return the error for words that fit together, but cannot be asked for."""
    return InputError("words", what, why=why, remedy=remedy)
