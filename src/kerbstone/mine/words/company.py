"""Which words place a road user, and what several that stand side by side share of them."""

from __future__ import annotations

from dataclasses import replace

from kerbstone.mine.words import phrases as p


def says_where(part: p.Modifier, *, is_ego: bool) -> bool:
    """Return whether a phrase about somebody says where they are to whom they are named beside."""
    match part:
        case p.Bare() | p.Away() | p.Queue():
            return True
        case p.Relation(others=others) | p.Between(others):
            return any(isinstance(o, p.It) or (is_ego and isinstance(o, p.Ego)) for o in others)
        case p.Negated(body):
            return says_where(body, is_ego=is_ego)
        case p.Either(one, other):
            return says_where(one, is_ego=is_ego) and says_where(other, is_ego=is_ego)
        case _:
            return False


def is_placed(other: p.Referent) -> bool:
    """Return whether what follows a noun says where they are: `a bus behind it`."""
    return isinstance(other, p.Things) and any(
        says_where(part, is_ego=False) for part in other.modifiers
    )


def names_it(other: p.Referent) -> bool:
    """Return whether what follows a noun relates them to who was spoken of."""
    return isinstance(other, p.Things) and any(relates_to_it(part) for part in other.modifiers)


def relates_to_it(part: p.Modifier) -> bool:
    """Return whether a phrase relates somebody to who was spoken of."""
    return isinstance(part, p.Relation | p.Between) and any(
        isinstance(one, p.It) for one in part.others
    )


def share_place(one: p.Referent, other: p.Referent) -> p.Referent:
    """Return whoever is denied, where another is if nothing else says where.

    In `with a truck behind it but no bus`, there is no bus behind it.
    """
    if not isinstance(one, p.Things) or not isinstance(other, p.Things):
        return other
    if other.count != p.Count("==", 0) or is_placed(other):
        return other
    place = (part for part in one.modifiers if says_where(part, is_ego=False))
    return replace(other, modifiers=(*other.modifiers, *place))
