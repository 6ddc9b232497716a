"""Looks up the names of a query and checks kinds, units and numbers of arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kerbstone.errors import InputError, suggest_name
from kerbstone.lang import formula as f
from kerbstone.lang import tree
from kerbstone.lang.kinds import KINDS
from kerbstone.lang.printer import print_node, print_query
from kerbstone.lang.registry import Signal, known_signals
from kerbstone.lang.units import NUMBER, UNITS, Dimension

_MOST_PARTS = 5_000
_DEEPEST = 80
_MOST_CALLS = 20
"""How many scenarios call one another."""
_MOST_SLOTS = 4
_LONGEST = 600.0
_SECOND = Dimension(0, 1)
_FUNCTIONS = {"abs": 1, "min": 2, "max": 2}
"""Functions of numbers, and how many each takes."""
_OPERATORS = {
    "always": ("always", False),
    "eventually": ("eventually", False),
    "historically": ("always", True),
    "once": ("eventually", True),
}

RESERVED = frozenset([*_FUNCTIONS, *_OPERATORS, "exists", "forall", "count"])
"""Words of the language that a call begins with, so that nothing else may be called so."""

Scope = Mapping[str, f.Slot | f.Part]


def compile_query(
    query: tree.Query,
    *,
    scenarios: Mapping[str, tree.Scenario] | None = None,
    source: str = "",
) -> f.Compiled:
    """Return a query with every name looked up.

    Args:
        query: Its syntax tree.
        scenarios: The named scenarios that it may call.
        source: The query's name, for errors.

    Raises:
        InputError: A name is not known, a kind or a unit does not fit, arguments are too many or
            too few, or the query is too large.
    """
    compiler = _Compiler(scenarios or {}, source)
    slots = compiler.declare(query.variables, {})
    body = compiler.formula(query.body, {"ego": f.EGO} | {slot.name: slot for slot in slots})
    names_ego = any(
        f.EGO in part.slots for part in f.walk(body) if isinstance(part, f.Measure | f.Claim)
    )
    return f.Compiled(print_query(query), slots, body, names_ego)


class _Size(NamedTuple):
    part: f.Part
    parts: int
    depth: int


class _Compiler:
    def __init__(self, scenarios: Mapping[str, tree.Scenario], source: str) -> None:
        self._scenarios = scenarios
        self._source = source
        self._calls: list[str] = []
        self._count = 0
        self._depth = 0
        self._sizes: dict[int, _Size] = {}

    def declare(self, variables: Sequence[tree.Variable], scope: Scope) -> tuple[f.Slot, ...]:
        slots: dict[str, f.Slot] = {}
        for variable in variables:
            if variable.kind not in KINDS:
                raise self._refuse(
                    "query-name",
                    variable,
                    f"there is no kind {variable.kind!r} of road users",
                    remedy=suggest_name(variable.kind, KINDS),
                )
            if variable.name == "ego" or variable.name in slots or variable.name in scope:
                raise self._refuse("query-name", variable, f"the name {variable.name!r} is taken")
            slots[variable.name] = f.Slot(variable.name, KINDS[variable.kind])
        if len(slots) > _MOST_SLOTS:
            raise self._refuse(
                "query-limit", variables[0], f"a query has at most {_MOST_SLOTS} road users"
            )
        return tuple(slots.values())

    def formula(self, node: tree.Node, scope: Scope) -> f.Formula:
        part = self._part(node, scope)
        if isinstance(part, f.Formula):
            return part
        raise self._refuse(
            "query-unit",
            node,
            f"{part.text} is a number, where a claim is needed",
            remedy=f"compare it: {part.text} > …",
        )

    def term(self, node: tree.Node, scope: Scope) -> f.Term:
        part = self._part(node, scope)
        if isinstance(part, f.Term):
            return part
        raise self._refuse("query-unit", node, f"{part.text} is a claim, where a number is needed")

    def _part(self, node: tree.Node, scope: Scope) -> f.Part:
        self._count += 1
        self._depth += 1
        self._limit(node, self._count, self._depth)
        part = self._build(node, scope)
        size = self._size(part)
        self._limit(node, size.parts, size.depth)
        self._depth -= 1
        return part

    def _limit(self, node: tree.Node, count: int, depth: int) -> None:
        if count > _MOST_PARTS:
            raise self._refuse("query-limit", node, "the query is too large with all that it calls")
        if depth > _DEEPEST:
            raise self._refuse(
                "query-limit", node, "the query is too deeply nested with all that it calls"
            )

    def _size(self, part: f.Part) -> _Size:
        """Return how large a part is where each use of a `let` counts, as what goes through it does."""
        if id(part) not in self._sizes:
            below = [self._size(inner) for inner in part.parts()]
            count = 1 + sum(size.parts for size in below)
            depth = 1 + max((size.depth for size in below), default=0)
            self._sizes[id(part)] = _Size(part, count, depth)
        return self._sizes[id(part)]

    def _build(self, node: tree.Node, scope: Scope) -> f.Part:  # noqa: C901, PLR0911, PLR0912 - one case per node
        text = print_node(node)
        match node:
            case tree.Number(value, unit):
                return f.Constant(text, UNITS[unit].dimension, 0.0, value * UNITS[unit].factor)
            case tree.Truth(value):
                return f.Fixed(text, value)
            case tree.Name():
                return self._name(node, scope)
            case tree.Call():
                return self._call(node, scope, text)
            case tree.Minus(body):
                inner = self.term(body, scope)
                zero = f.Constant("0", inner.dimension, 0.0, 0.0)
                return f.Operation(text, inner.dimension, inner.margin, "-", zero, inner)
            case tree.Arithmetic():
                return self._arithmetic(node, scope, text)
            case tree.Compare(operator, left, right):
                terms = self.term(left, scope), self.term(right, scope)
                self._match(node, *terms)
                margin = max(terms[0].margin, terms[1].margin) or 1.0
                return f.Comparison(text, operator, *terms, margin)
            case tree.Not(body):
                return f.Negation(text, self.formula(body, scope))
            case tree.Logic(operator, left, right):
                sides = self.formula(left, scope), self.formula(right, scope)
                if operator == "implies":
                    return f.Junction(
                        text, "or", f.Negation(f"not ({sides[0].text})", sides[0]), sides[1]
                    )
                return f.Junction(text, operator, *sides)
            case tree.Temporal(operator, window, body):
                low, high = self._window(window)
                name, is_past = _OPERATORS[operator]
                return f.Window(text, name, low, high, is_past, self.formula(body, scope))
            case tree.Until(window, left, right):
                sides = self.formula(left, scope), self.formula(right, scope)
                return f.Until(text, *self._window(window), *sides)
            case tree.Then(first, second, within):
                later = f.Window(
                    text, "eventually", 0.0, self._time(within), False, self.formula(second, scope)
                )
                return f.Junction(text, "and", self.formula(first, scope), later)
            case tree.Lasting(body, least):
                return f.Lasting(text, self._time(least), self.formula(body, scope))
            case tree.Quantifier(operator, variables, body):
                slots = self.declare(variables, scope)
                inner = self.formula(body, {**scope, **{slot.name: slot for slot in slots}})
                if operator == "count":
                    return f.Tally(text, NUMBER, 1.0, slots, inner)
                return f.Quantified(text, operator, slots, inner)
            case tree.Let(name, value, body):
                if name == "ego" or name in scope:
                    raise self._refuse("query-name", node, f"the name {name!r} is taken")
                return self._part(body, {**scope, name: self._part(value, scope)})
        raise self._refuse("query-kind", node, f"{text} cannot stand here")

    def _name(self, node: tree.Name, scope: Scope) -> f.Part:
        found = scope.get(node.name)
        if isinstance(found, f.Part):
            return found
        if found is None:
            raise self._unknown(node, node.name, scope, remedy=self._call_of(node.name, scope))
        raise self._refuse(
            "query-kind", node, f"{node.name} is a road user, where a claim or a number is needed"
        )

    def _call(self, node: tree.Call, scope: Scope, text: str) -> f.Part:
        if node.name in _FUNCTIONS:
            return self._function(node, scope, text)
        if node.name in self._scenarios:
            return self._scenario(node, scope)
        signals = known_signals()
        if node.name not in signals:
            raise self._unknown(node, node.name, [*signals, *self._scenarios, *_FUNCTIONS])
        found = signals[node.name]
        if node.named or len(node.arguments) != found.agents + found.texts:
            raise self._refuse(
                "query-arity",
                node,
                f"{found.name} takes {_takes(found)}",
                why=f"found {len(node.arguments) + len(node.named)}",
                remedy=found.doc,
            )
        slots = tuple(self._slot(part, scope) for part in node.arguments[: found.agents])
        if len(set(slots)) < len(slots):
            raise self._refuse(
                "query-kind", node, f"{found.name} is about two different road users"
            )
        texts = []
        for argument in node.arguments[found.agents :]:
            if not isinstance(argument, tree.Text):
                raise self._refuse(
                    "query-kind", argument, f"{found.name} needs a text in quotes here"
                )
            texts.append(argument.value)
        if found.dimension is None:
            return f.Claim(text, found, slots, tuple(texts))
        return f.Measure(text, found.dimension, found.margin, found, slots, tuple(texts))

    def _function(self, node: tree.Call, scope: Scope, text: str) -> f.Term:
        count = _FUNCTIONS[node.name]
        if node.named or len(node.arguments) != count:
            numbers = "one number" if count == 1 else "two numbers"
            raise self._refuse("query-arity", node, f"{node.name} takes {numbers}")
        terms = [self.term(argument, scope) for argument in node.arguments]
        if count == 1:
            # The larger of a number and its negative.
            (one,) = terms
            zero = f.Constant("0", one.dimension, 0.0, 0.0)
            terms.append(f.Operation(f"-{one.text}", one.dimension, one.margin, "-", zero, one))
        self._match(node, *terms)
        margin = max(term.margin for term in terms)
        operator = "min" if node.name == "min" else "max"
        return f.Operation(text, terms[0].dimension, margin, operator, *terms)

    def _scenario(self, node: tree.Call, scope: Scope) -> f.Part:
        scenario = self._scenarios[node.name]
        if node.name in self._calls:
            why = " calls ".join([*self._calls, node.name])
            raise self._refuse("query-name", node, "a scenario calls itself", why=why)
        if len(self._calls) >= _MOST_CALLS:
            why = f"at most {_MOST_CALLS} do"
            raise self._refuse("query-limit", node, "too many scenarios call one another", why=why)
        names = [parameter.name for parameter in scenario.parameters]
        given = dict(zip(names, node.arguments, strict=False))
        for key, value in node.named:
            if key not in names:
                remedy = suggest_name(key, names)
                raise self._refuse(
                    "query-name", value, f"{node.name} has no {key!r}", remedy=remedy
                )
            if key in given:
                raise self._refuse("query-arity", value, f"{key!r} is given twice")
            given[key] = value
        missing = [p.name for p in scenario.parameters if p.name not in given and not p.default]
        if len(node.arguments) > len(names) or missing:
            raise self._refuse(
                "query-arity",
                node,
                f"{node.name} takes {', '.join(names)}",
                why=f"{missing[0]} is missing" if missing else f"found {len(node.arguments)}",
                remedy=scenario.doc,
            )
        inner: dict[str, f.Slot | f.Part] = {"ego": f.EGO}
        for parameter in scenario.parameters:
            value = given.get(parameter.name, parameter.default)
            outer = scope if parameter.name in given else {"ego": f.EGO}
            if value is not None:  # else it was missing above
                inner[parameter.name] = self._argument(parameter, value, outer)
        self._calls.append(node.name)
        body = self.formula(scenario.body, inner)
        self._calls.pop()
        return body

    def _argument(
        self, parameter: tree.Parameter, value: tree.Node, scope: Scope
    ) -> f.Slot | f.Part:
        if not parameter.kind:
            term = self.term(value, scope)
            if parameter.default is not None:
                self._match(value, term, self.term(parameter.default, {}))
            return term
        slot = self._slot(value, scope)
        kinds = KINDS[parameter.kind]
        if slot.kinds is not None and not slot.kinds <= kinds:
            raise self._refuse(
                "query-kind",
                value,
                f"{slot.name} may be something else than a {parameter.kind}",
                why=f"the scenario is about: {parameter.kind} {parameter.name}",
                remedy=f"declare it as {parameter.kind} {slot.name}",
            )
        return slot

    def _slot(self, node: tree.Node, scope: Scope) -> f.Slot:
        if not isinstance(node, tree.Name):
            text = print_node(node)
            raise self._refuse(
                "query-kind", node, f"{text} is no road user", remedy="name one here"
            )
        found = scope.get(node.name)
        if isinstance(found, f.Slot):
            return found
        if found is not None:
            raise self._refuse("query-kind", node, f"{node.name} is no road user")
        users = [name for name, slot in scope.items() if isinstance(slot, f.Slot)]
        raise self._refuse(
            "query-name",
            node,
            f"there is no road user {node.name!r}",
            remedy=f"declare it, as in `vehicle {node.name}: …`; or {suggest_name(node.name, users)}",
        )

    def _arithmetic(self, node: tree.Arithmetic, scope: Scope, text: str) -> f.Operation:
        left, right = self.term(node.left, scope), self.term(node.right, scope)
        if node.operator in "+-":
            self._match(node, left, right)
            margin = max(left.margin, right.margin)
            return f.Operation(text, left.dimension, margin, node.operator, left, right)
        if node.operator == "*":
            dimension = left.dimension.times(right.dimension)
        else:
            dimension = left.dimension / right.dimension
        margin = 0.0
        # A multiple of a signal keeps its margin, times as much; of two signals there is none.
        for one, other in ((left, right), (right, left)):
            if isinstance(other, f.Constant) and one.margin and other.value:
                factor = abs(other.value)
                if node.operator == "*":
                    margin = one.margin * factor
                elif other is right:
                    margin = one.margin / factor
        return f.Operation(text, dimension, margin, node.operator, left, right)

    def _match(self, node: tree.Node, left: f.Term, right: f.Term) -> None:
        if left.dimension == right.dimension:
            return
        remedy = ""
        for one, other in ((left, right), (right, left)):
            if isinstance(one, f.Constant) and one.dimension == NUMBER:
                remedy = f"write {one.text} {other.dimension}"
        raise self._refuse(
            "query-unit",
            node,
            "the units do not fit",
            why=f"{left.text} is in {left.dimension}, {right.text} in {right.dimension}",
            remedy=remedy,
        )

    def _window(self, window: tree.Window | None) -> tuple[float, float | None]:
        if window is None:
            return 0.0, None
        low, high = self._time(window.low), self._time(window.high)
        if low > high:
            raise self._refuse("query-unit", window, "the window ends before it begins")
        return low, high

    def _time(self, node: tree.Number) -> float:
        unit = UNITS[node.unit]
        value = node.value * unit.factor
        if unit.dimension != _SECOND:
            raise self._refuse(
                "query-unit", node, f"{print_node(node)} is no time", remedy="give seconds: 2 s"
            )
        if value > _LONGEST:
            raise self._refuse("query-limit", node, f"a time is at most {_LONGEST:g} s")
        return value

    def _call_of(self, name: str, scope: Scope) -> str:
        """Return how a signal or scenario is written whose name stands alone, if it is one."""
        signal, scenario = known_signals().get(name), self._scenarios.get(name)
        if scenario is not None:
            given = users = [one.name for one in scenario.parameters if one.kind]
        elif signal is not None:
            users = ["v", "w"][: signal.agents]
            given = users + ['"…"'] * signal.texts
        else:
            return ""
        declared = any(isinstance(value, f.Slot) and value is not f.EGO for value in scope.values())
        after = (
            ""
            if declared or not users
            else ", of road users that you declare, as in `vehicle v: …`"
        )
        return f"write {name}({', '.join(given)}){after}"

    def _unknown(
        self, node: tree.Node, name: str, known: Sequence[str] | Scope, *, remedy: str = ""
    ) -> InputError:
        lists = "`kerbstone signals` and `kerbstone scenarios` list all names"
        remedy = remedy or suggest_name(name, known, listed_by=lists)
        return self._refuse("query-name", node, f"there is nothing called {name!r}", remedy=remedy)

    def _refuse(
        self, code: str, node: tree.Node, what: str, *, why: str = "", remedy: str = ""
    ) -> InputError:
        source = f"scenario {self._calls[-1]}" if self._calls else self._source
        place = str(node.place) if node.place.line else ""
        where = ", ".join(part for part in (source, place) if part)
        return InputError(code, what, where=where, why=why, remedy=remedy)


def _takes(found: Signal) -> str:
    users = ("no road user", "one road user", "two road users")[found.agents]
    return users if not found.texts else f"{users} and {found.texts} text"
