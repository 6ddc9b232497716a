"""Text to syntax tree. Nothing is ever run: the text can only become a tree or an error."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerbstone.errors import InputError
from kerbstone.lang import tree

if TYPE_CHECKING:
    import lark

_MOST_CHARACTERS = 20_000
_NAMES = {
    "COLON": "':'", "COMMA": "','", "LPAR": "'('", "RPAR": "')'", "LSQB": "'['", "RSQB": "']'",
    "EQUAL": "'='", "COMPARISON": "a comparison", "SIGN": "'+' or '-'", "FACTOR": "'*' or '/'",
    "NAME": "a name", "NUMBER": "a number", "STRING": "a text in quotes", "UNIT": "a unit",
    "TEMPORAL": "always, eventually, once or historically", "$END": "the end",
    "QUANTIFIER": "exists, forall or count",
}  # fmt: skip


def parse_query(text: str, *, source: str = "") -> tree.Query:
    """Return the syntax tree of a query.

    Args:
        text: The query.
        source: Its name, for errors.

    Raises:
        InputError: It is no query of the language, too long or too deeply nested.

    Example:
        >>> parse_query("vehicle v: speed(v) > 30 km/h").variables[0].kind
        'vehicle'
    """
    return _parse(text, "query", source)


def parse_library(text: str, *, source: str = "") -> tuple[tree.Scenario, ...]:
    """Return the named scenarios of a text, in their order.

    Raises:
        InputError: It holds something else.
    """
    return _parse(text, "library", source)


def _parse(text: str, start: str, source: str) -> Any:
    import lark

    from kerbstone.lang.builder import Builder

    if start == "query" and len(text) > _MOST_CHARACTERS:
        raise InputError(
            "query-limit",
            "the query is too long",
            where=source,
            why=f"{len(text)} characters, at most {_MOST_CHARACTERS}",
        )
    try:
        return Builder().transform(_parser(start).parse(text))
    except lark.exceptions.UnexpectedInput as error:
        raise _refuse(error, text, source) from None
    except lark.exceptions.VisitError as visit:
        error = visit.orig_exc
        if not isinstance(error, InputError):
            raise
        raise InputError(
            error.code,
            error.what,
            where=f"{source}, {error.where}" if source else error.where,
            why=error.why,
            remedy=error.remedy,
        ) from None


def _refuse(error: lark.exceptions.UnexpectedInput, text: str, source: str) -> InputError:
    import lark

    line, column = max(error.line, 1), max(error.column, 1)
    lines = text.splitlines() or [""]
    if isinstance(error, lark.exceptions.UnexpectedToken) and error.token.type != "$END":
        found = f"found {str(error.token)[:40]!r}"
    elif isinstance(error, lark.exceptions.UnexpectedCharacters):
        word = re.match(r"\w+|.", text[error.pos_in_stream :])
        found = f"found {(word[0] if word else error.char)[:40]!r}"
    else:
        found, line, column = "the text ends here", len(lines), len(lines[-1]) + 1
    tokens = getattr(error, "accepts", None) or getattr(error, "expected", None)
    tokens = tokens or getattr(error, "allowed", None) or ()
    expected = sorted({_NAMES.get(str(token), str(token).lower()) for token in tokens})
    shown = lines[line - 1] if line <= len(lines) else ""
    first = max(column - 41, 0)
    place = tree.Place(line, column)
    return InputError(
        "query-syntax",
        "this is not the scenario language",
        where=f"{source}, {place}" if source else str(place),
        why=f"{found}: {shown[first : first + 80].strip()}",
        remedy=("expected " + ", ".join(expected)) if len(expected) <= 24 and expected else "",
    )


@cache
def _parser(start: str) -> lark.Lark:
    import lark

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return lark.Lark(grammar, start=start, parser="lalr", propagate_positions=True)
