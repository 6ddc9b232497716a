"""Syntax tree to text, so that parsing the text gives the tree again."""

from __future__ import annotations

from kerbstone.lang import tree

# How tightly each rule binds; a part that binds looser than its place asks for gets brackets.
_LET, _IMPLIES, _OR, _AND, _NOT, _UNTIL, _LASTING, _COMPARE, _SUM, _PRODUCT, _MINUS, _CALL = range(
    12
)
_LOGIC = {"implies": _IMPLIES, "or": _OR, "and": _AND}


def print_query(query: tree.Query) -> str:
    """Return the canonical text of a query.

    Example:
        >>> from kerbstone.lang import parse_query
        >>> print_query(parse_query("car c:(speed(c))>30km/h"))
        'car c: speed(c) > 30 km/h'
    """
    text = print_node(query.body)
    return f"{_variables(query.variables)}: {text}" if query.variables else text


def print_scenario(scenario: tree.Scenario) -> str:
    """Return the canonical text of a named scenario."""
    parameters = ", ".join(print_parameter(parameter) for parameter in scenario.parameters)
    head = f'scenario {scenario.name}({parameters}): "{scenario.doc}"'
    return f"{head}\n  {print_node(scenario.body)}\n"


def print_node(node: tree.Node) -> str:
    """Return the canonical text of a part of a query."""
    return _print(node, _LET)


def _print(node: tree.Node, least: int) -> str:
    text, tightness = _write(node)
    return f"({text})" if tightness < least else text


def _write(node: tree.Node) -> tuple[str, int]:  # noqa: C901, PLR0911, PLR0912 - one case per node
    match node:
        case tree.Number(value, unit):
            digits = repr(value).removesuffix(".0")
            return f"{digits} {unit}".rstrip(), _CALL
        case tree.Text(value):
            return f'"{value}"', _CALL
        case tree.Name(name):
            return name, _CALL
        case tree.Truth(value):
            return str(value).lower(), _CALL
        case tree.Call(name, arguments, named):
            given = [_print(argument, _LET) for argument in arguments]
            given += [f"{key} = {_print(argument, _LET)}" for key, argument in named]
            return f"{name}({', '.join(given)})", _CALL
        case tree.Minus(body):
            return f"-{_print(body, _MINUS)}", _MINUS
        case tree.Arithmetic(operator, left, right):
            level = _SUM if operator in "+-" else _PRODUCT
            return f"{_print(left, level)} {operator} {_print(right, level + 1)}", level
        case tree.Compare(operator, left, right):
            return f"{_print(left, _SUM)} {operator} {_print(right, _SUM)}", _COMPARE
        case tree.Not(body):
            return f"not {_print(body, _NOT)}", _NOT
        case tree.Logic(operator, left, right):
            level = _LOGIC[operator]
            is_right = operator == "implies"
            sides = _print(left, level + is_right), _print(right, level + (not is_right))
            return f"{sides[0]} {operator} {sides[1]}", level
        case tree.Temporal(operator, window, body):
            return f"{operator}{_window(window)}({_print(body, _LET)})", _CALL
        case tree.Until(window, left, right):
            sides = _print(left, _LASTING), _print(right, _LASTING)
            return f"{sides[0]} until{_window(window)} {sides[1]}", _UNTIL
        case tree.Then(first, second, within):
            parts = _print(first, _LET), _print(second, _LET), _print(within, _LET)
            return f"then({parts[0]}, {parts[1]}, within {parts[2]})", _CALL
        case tree.Lasting(body, least):
            return f"{_print(body, _COMPARE)} for at least {_print(least, _LET)}", _LASTING
        case tree.Quantifier(operator, variables, body):
            return f"{operator}({_variables(variables)}: {_print(body, _LET)})", _CALL
        case tree.Let(name, value, body):
            return f"let {name} = {_print(value, _LET)} in {_print(body, _LET)}", _LET
    raise TypeError(type(node))


def _variables(variables: tuple[tree.Variable, ...]) -> str:
    return ", ".join(f"{variable.kind} {variable.name}" for variable in variables)


def print_parameter(parameter: tree.Parameter) -> str:
    """Return the canonical text of a scenario's argument, with its default."""
    named = f"{parameter.kind} {parameter.name}".lstrip()
    return named if parameter.default is None else f"{named} = {print_node(parameter.default)}"


def _window(window: tree.Window | None) -> str:
    if window is None:
        return ""
    return f"[{_print(window.low, _LET)}, {_print(window.high, _LET)}]"
