"""Says one thing of one road user, or of two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kerbstone.lang import KINDS, tree
from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.cast import User, refusal
from kerbstone.mine.words.formulas import conjoin, mean


def one_a_side(other: p.Referent, sides: int) -> p.Referent:
    """Return whoever surrounds somebody, as one on each side."""
    if not isinstance(other, p.Things):
        return other
    count = other.count
    if count is not None and (count.operator != ">=" or count.number > sides):
        raise refusal(f"only one on each of {sides} sides can be asked for")
    return replace(other.without_sides(), count=None)


def say_claim(meanings: Sequence[tuple[str, str]], user: User) -> tree.Node:
    """Return the first meaning that fits what the road user may be."""
    for meaning, kind in meanings:
        if not kind or user.kinds <= KINDS[kind]:
            if not meaning:
                said = next(said for said, _ in meanings if said)
                raise refusal(f"{said} is not said of {_name_kind(kind)}")
            return mean(meaning, a=user.name)
    wanted = " or ".join(_name_kind(kind) for _, kind in meanings)
    raise refusal(f"{meanings[0][0]} is about {wanted}", why=f"{user.name} may be something else")


def relator(relation: p.Relation, user: User) -> Callable[[User], tree.Node]:
    """Return how a relation is said of a road user and another."""

    def relate(other: User) -> tree.Node:
        gap = relation.gap
        said = other.things.modifiers if other.things else ()
        if gap is None and any(isinstance(part, p.Away) for part in said):
            # The distance comes after the other: `to the left of a bus within 5 m`.
            gap = p.Bounds((), "m")
        links = relation.links or (p.Link(()),)
        return conjoin([relate_pair(link, gap, user, other) for link in links])

    return relate


def relate_pair(link: p.Link, gap: p.Bounds | None, user: User, other: User) -> tree.Node:
    """Return that two are related so; a distance that is given stands in for the usual reach."""
    if user.name == other.name:
        raise refusal(f"nobody is related to itself, not even {user.name}")
    fits = [
        not kind or some <= KINDS[kind]
        for kind, some in zip(link.kinds, (user.kinds, other.kinds), strict=True)
    ]
    if not all(fits):
        if link.otherwise is not None:
            return relate_pair(link.otherwise, gap, user, other)
        wanted = " and ".join(_name_kind(kind) for kind in link.kinds)
        raise refusal(f"{link.meanings[0]} is about {wanted}")
    parts = [mean(meaning, a=user.name, b=other.name) for meaning in link.meanings]
    if gap is not None:
        parts.append(compare("distance(a, b)", gap, a=user, b=other))
    elif link.reach:
        parts.append(mean(link.reach, a=user.name, b=other.name))
    return conjoin(parts)


def compare(term: str, bounds: p.Bounds, **users: User) -> tree.Node:
    """Return that a number about road users keeps to its bounds."""
    named = mean(term, **{letter: user.name for letter, user in users.items()})
    numbers = [(operator, tree.Number(value, bounds.unit)) for operator, value in bounds.limits]
    return conjoin([tree.Compare(operator, named, number) for operator, number in numbers])


def tally(user: User, body: tree.Node, count: p.Count) -> tree.Node:
    """Return for how many road users something holds."""
    counted = tree.Quantifier("count", (user.variable,), body)
    return tree.Compare(count.operator, counted, tree.Number(float(count.number)))


def _name_kind(kind: str) -> str:
    names = {"any": "a road user", "vulnerable": "a vulnerable road user", "animal": "an animal"}
    return names.get(kind, f"a {kind}")
