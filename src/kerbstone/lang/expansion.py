"""A compiled query as text again, with all scenarios that it calls written out."""

from __future__ import annotations

import dataclasses
from typing import Any

from kerbstone.lang import formula as f
from kerbstone.lang.registry import Signal
from kerbstone.lang.units import Dimension


def expand(query: f.Compiled) -> str:
    """Return a text that two queries share exactly where they ask for the same.

    Scenarios are written out, numbers are in SI, and road users have numbers for names, so that it
    does not matter what a query calls them, in which units it speaks, or whether it calls a
    scenario or says the same itself. It is for comparing, not for reading.

    Args:
        query: The query.

    Example:
        >>> from kerbstone.lang.library import prepare
        >>> one, other = prepare("car a: speed(a) > 36 km/h"), prepare("car c: speed(c) > 10 m/s")
        >>> expand(one) == expand(other)
        True
    """
    writer = _Writer()
    slots = " ".join(writer.write(slot) for slot in query.slots)
    return f"{slots} : {writer.write(query.body)}"


class _Writer:
    """Writes parts as what they are made of; one that stands in several places is written once."""

    def __init__(self) -> None:
        self._slots: dict[int, str] = {}
        self._parts: dict[int, str] = {}
        # Ids are only unique while their objects are there.
        self._kept: list[Any] = []

    def write(self, value: Any) -> str:
        match value:
            case f.Slot():
                return self._slot(value)
            case f.Part():
                return self._part(value)
            case Signal(name=name):
                return name
            case Dimension():
                return "/".join(map(str, value))
            case tuple():
                return f"[{' '.join(map(self.write, value))}]"
            case _:
                return repr(value)

    def _slot(self, slot: f.Slot) -> str:
        if slot.kinds is None:
            return slot.name
        if id(slot) not in self._slots:
            self._kept.append(slot)
            self._slots[id(slot)] = f"${len(self._slots)}"
            kinds = ",".join(str(int(kind)) for kind in sorted(slot.kinds))
            return f"{self._slots[id(slot)]}={{{kinds}}}"
        return self._slots[id(slot)]

    def _part(self, part: f.Part) -> str:
        if id(part) in self._parts:
            return self._parts[id(part)]
        fields = [
            self.write(getattr(part, field.name))
            for field in dataclasses.fields(part)
            if field.name != "text"
        ]
        self._kept.append(part)
        self._parts[id(part)] = f"#{len(self._parts)}"
        return f"{type(part).__name__}({' '.join(fields)})"


def print_part(part: f.Part) -> str:
    """Return a part of a query as one would write it about the query's own road users.

    A part of a scenario has the text that stands in the scenario, about the scenario's own names.

    Args:
        part: A claim, a comparison or a term; of others, the text that they came from.
    """
    match part:
        case f.Claim(_, signal, slots, texts):
            return _call(signal, slots, texts)
        case f.Measure(signal=signal, slots=slots, texts=texts):
            return _call(signal, slots, texts)
        case f.Comparison(_, operator, left, right):
            return f"{print_part(left)} {operator} {print_part(right)}"
        case f.Operation(operator="min" | "max" as name, left=left, right=right):
            return f"{name}({print_part(left)}, {print_part(right)})"
        case f.Operation(operator=operator, left=left, right=right):
            sides = [
                f"({print_part(side)})" if isinstance(side, f.Operation) else print_part(side)
                for side in (left, right)
            ]
            return f" {operator} ".join(sides)
    return part.text


def _call(signal: Signal, slots: tuple[f.Slot, ...], texts: tuple[str, ...]) -> str:
    arguments = [slot.name for slot in slots] + [f'"{text}"' for text in texts]
    return f"{signal.name}({', '.join(arguments)})"
