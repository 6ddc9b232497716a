"""Says in the scenario language what phrases mean.

A road user that a sentence names becomes a variable of the query, so that a match tells who it
was. Three are the most, since every further one multiplies the work; those beyond, and those that
are counted, denied or one of two possibilities, are quantified: `exists`, `count`, `not exists`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kerbstone.lang import KINDS, tree
from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.cast import EGO, Cast, User, refusal, restrict
from kerbstone.mine.words.company import says_where
from kerbstone.mine.words.formulas import TRUE, conjoin, disjoin, mean, quantity, rename
from kerbstone.mine.words.links import (
    compare,
    one_a_side,
    relate_pair,
    relator,
    say_claim,
    tally,
)
from kerbstone.mine.words.mutual import is_symmetric, pair_up

_ONE = p.Count(">=", 1)
_BETWEEN = (
    "distance(a, b) < 10 m and distance(a, c) < 10 m"
    " and abs(abs(bearing(b, a) - bearing(c, a)) - 180 deg) < 60 deg"
)
_QUEUE = (
    "same_lane(a, b) and {place} and count(vehicle between: same_lane(between, b)"
    " and {between} and distance(between, b) < distance(a, b)) == {number}"
)


@dataclass(frozen=True)
class _Context:
    """What the words around a phrase are about.

    Args:
        parent: Whom the road user is related to: what distances are from.
        view: From whom `ahead` is seen.
        spoken: Who `it` is, if anybody was spoken of.
        is_open: Whether a new road user may become a variable of the query.
    """

    parent: User = EGO
    view: User = EGO
    spoken: User | None = None
    is_open: bool = True

    @property
    def closed(self) -> _Context:
        return replace(self, is_open=False)


def write_query(sentence: p.Sentence, limits: Mapping[str, Any]) -> tree.Query:
    """Return the query that a sentence stands for.

    Args:
        sentence: What was read.
        limits: What stands in where words leave a distance, time or number open.

    Raises:
        InputError: The words fit together, but mean nothing that could be asked for.
    """
    return _Writer(limits).write(sentence)


class _Writer:
    def __init__(self, limits: Mapping[str, Any]) -> None:
        self._limits = limits
        self._cast = Cast()

    def write(self, sentence: p.Sentence) -> tree.Query:
        sentence = pair_up(sentence)
        first, *others = sentence.subjects
        context = _Context()
        if isinstance(first, p.Ego):
            user = EGO
            body = conjoin(self._story(user, [], sentence.modifiers, context))
        elif isinstance(first, p.Things):
            user = self._cast.introduce(first)
            self._cast.declare(user)
            body = self._subject(user, first, sentence.modifiers, context)
        else:
            raise refusal("nobody is named whom the description refers to")
        for other in others:
            also = p.Meanwhile(other, sentence.modifiers)
            body = conjoin([body, self._meanwhile(also, user, context)])
        return tree.Query(tuple(self._cast.declared), body)

    # --- Whom the query refers to ---------------------------------------------------------------

    def _subject(
        self, user: User, things: p.Things, said: Sequence[p.Modifier], context: _Context
    ) -> tree.Node:
        """Return what is said of whom the query refers to, each of them if there are several."""
        kind, adjectives = self._describe(user, things, context)
        body = conjoin([*kind, *self._story(user, adjectives, (*things.modifiers, *said), context)])
        if any(isinstance(part, p.Relation) and part.is_mutual for part in said):
            return body
        count = things.count
        if things.every:
            raise refusal(
                "'all' of whom a description refers to cannot be asked for",
                why="a match is one of them",
                remedy="leave 'all' out to find each one, or ask with `forall` in the scenario language",
            )
        if count is not None and count.number == 0:
            raise refusal(
                "a description of nobody refers to nobody", remedy="say whom to look for first"
            )
        other = self._cast.introduce(things)
        alike = rename(body, {user.name: other.name})
        if things.grouped:
            size = count or p.Count(">=", self._limits["group"])
            near = mean(f"distance(a, b) < {self._limits['together']}", a=other.name, b=user.name)
            others = p.Count(size.operator, size.number - 1)
            return conjoin([body, tally(other, conjoin([alike, near]), others)])
        if count is not None and count != _ONE:
            return conjoin([body, tally(other, alike, count)])
        return body

    def _describe(
        self, user: User, things: p.Things, context: _Context
    ) -> tuple[list[tree.Node], list[tree.Node]]:
        """Return what a noun says, and what its adjectives do."""
        if len(things.choices) == 1:
            ((adjectives, noun),) = things.choices
            told = [self._say(part, user, context) for part in adjectives]
            return restrict(user, [(noun, TRUE)]), told
        closed = context.closed
        choices = [
            (noun, conjoin([self._say(part, user, closed) for part in adjectives]))
            for adjectives, noun in things.choices
        ]
        return restrict(user, choices), []

    def _story(
        self,
        user: User,
        said: list[tree.Node],
        modifiers: Sequence[p.Modifier],
        context: _Context,
    ) -> list[tree.Node]:
        """Return all that modifiers say, where some are about what was said before them."""
        for modifier in modifiers:
            if isinstance(modifier, p.Lasting | p.Sequel) and not said:
                raise refusal("nothing is said yet that could last or come first")
            if isinstance(modifier, p.Lasting):
                said = [tree.Lasting(conjoin(said), tree.Number(modifier.seconds, "s"))]
            elif isinstance(modifier, p.Sequel):
                said = [self._sequel(modifier, conjoin(said), user, context)]
            else:
                said = [*said, self._say(modifier, user, context)]
        return said

    def _sequel(
        self, sequel: p.Sequel, said: tree.Node, user: User, context: _Context
    ) -> tree.Node:
        other = self._meanwhile(sequel.other, user, context)
        soon = quantity(self._limits["soon"])
        within = soon if sequel.within is None else tree.Number(sequel.within, "s")
        window = tree.Window(tree.Number(0.0, "s"), within)
        if sequel.order == "after":
            return conjoin([tree.Temporal("once", window, other), said])
        if sequel.order == "until":
            return tree.Until(window, said, other)
        return tree.Then(said, other, within)

    # --- What is said of somebody ---------------------------------------------------------------

    def _say(self, modifier: p.Modifier, user: User, context: _Context) -> tree.Node:  # noqa: PLR0911 - one case per phrase
        match modifier:
            case p.Claim(meanings):
                return say_claim(meanings, user)
            case p.Measured(term, bounds):
                return compare(term, bounds, a=user)
            case p.Away(bounds):
                return compare("distance(a, b)", bounds, a=user, b=context.parent)
            case p.Bare(link, gap):
                # Ahead is ahead of who looks; what else is bare is about who was spoken of.
                other = context.view if link.reach and not link.own else context.parent
                return disjoin([relate_pair(one, gap, user, other) for one in link.split()])
            case p.Relation():
                return self._relation(modifier, user, context)
            case p.Between() | p.Queue():
                return self._place(modifier, user, context)
            case p.With(others, limit):
                alone = [p.Meanwhile(other, ()) for other in others]
                return conjoin([self._meanwhile(one, user, context, limit) for one in alone])
            case p.Meanwhile():
                return self._meanwhile(modifier, user, context)
        return self._change(modifier, user, context)

    def _change(self, modifier: p.Modifier, user: User, context: _Context) -> tree.Node:
        """Return what is said with a change to when or whether it holds."""
        match modifier:
            case p.Negated(body):
                return tree.Not(self._say(body, user, context.closed))
            case p.Either(one, other):
                return disjoin([self._say(part, user, context.closed) for part in (one, other)])
            case p.Throughout(body):
                found = self._say(body, user, context.closed)
                return conjoin(
                    [tree.Temporal(way, None, found) for way in ("historically", "always")]
                )
            case p.Shortly(body, is_waiting):
                window = tree.Window(tree.Number(0.0, "s"), quantity(self._limits["shortly"]))
                soon = tree.Temporal("eventually", window, self._say(body, user, context))
                stands = mean("speed(a) < 0.5 m/s", a=user.name)
                return conjoin([stands, soon] if is_waiting else [soon])
            case _:
                raise refusal("this can only be said about the whole description, at its end")

    # --- To whom somebody is related ------------------------------------------------------------

    def _relation(self, relation: p.Relation, user: User, context: _Context) -> tree.Node:
        each = [part for link in relation.links for part in link.split()]
        parts = []
        for other in relation.others:
            if isinstance(other, p.EachOther):
                parts.append(self._each_other(relation, other, user, context))
            elif len(each) > len(relation.links):
                # Surrounded: somebody for each side, whatever else is said of their sides.
                whole = one_a_side(other, len(each))
                ones = [replace(relation, links=(link,), others=(whole,)) for link in each]
                parts += [self._relation(one, user, context) for one in ones]
            else:
                relate = relator(relation, user)
                is_own = any(link.own for link in relation.links)
                seen = replace(context, view=user) if is_own else context
                parts.append(self._meet(other, user, seen, relate))
        return conjoin(parts)

    def _each_other(
        self, relation: p.Relation, mutual: p.EachOther, user: User, context: _Context
    ) -> tree.Node:
        things = user.things
        if things is None:
            raise refusal("there is only one recording car", why="'each other' needs several")
        count = things.count
        if count is not None:
            is_pair = count == p.Count(">=", 2)
            count = None if is_pair else p.Count(count.operator, count.number - 1)
        others = replace(things, modifiers=mutual.modifiers, grouped=False, count=count)

        def relate(other: User) -> tree.Node:
            there = relator(relation, user)(other)
            is_both = is_symmetric(relation)
            return there if is_both else conjoin([there, relator(relation, other)(user)])

        return self._meet(others, user, context, relate)

    def _place(self, place: p.Between | p.Queue, user: User, context: _Context) -> tree.Node:
        """Return that somebody is in between two others, or in a queue behind or before one."""
        if isinstance(place, p.Queue):
            ahead = place.link.meanings[0]
            between = ahead.replace("(a,", "(between,")
            text = _QUEUE.format(place=ahead, between=between, number=place.number - 1)
            return self._meet(
                place.other, user, context, lambda b: mean(text, a=user.name, b=b.name)
            )
        one, two = place.others

        def relate(b: User) -> tree.Node:
            return self._meet(
                two, user, context, lambda c: mean(_BETWEEN, a=user.name, b=b.name, c=c.name)
            )

        moves = [mean("moving(a)", a=user.name)] if place.is_moving else []
        return conjoin([*moves, self._meet(one, user, context, relate)])

    def _meanwhile(
        self, also: p.Meanwhile, user: User, context: _Context, limit: str = "meanwhile"
    ) -> tree.Node:
        """Return what is said about the same time, of the same road user or of another."""
        inside = replace(context, parent=user, view=user, spoken=user)
        match also.subject:
            case None | p.It():
                return conjoin([self._say(said, user, context) for said in also.modifiers])
            case p.Ego():
                own = context if user is EGO else inside
                return conjoin([self._say(said, EGO, own) for said in also.modifiers])
            case p.EachOther():
                raise refusal("'each other' does nothing by itself")
            case p.Things() as subject:
                things = replace(subject, modifiers=(*subject.modifiers, *also.modifiers))
        if limit == "near" and user.kinds <= KINDS["pedestrian"]:
            limit = "company"
        said = (*(part for some, _ in things.choices for part in some), *things.modifiers)
        is_placed = any(says_where(part, is_ego=user is EGO) for part in said)
        near = f"distance(a, b) < {self._limits[limit]}"

        def relate(other: User) -> tree.Node:
            return TRUE if is_placed else mean(near, a=other.name, b=user.name)

        return self._meet(things, user, inside, relate)

    def _meet(
        self,
        other: p.Referent,
        user: User,
        context: _Context,
        relate: Callable[[User], tree.Node],
    ) -> tree.Node:
        """Return that there is somebody of whom a relation holds, as many as the words say."""
        if isinstance(other, p.Things):
            sides = other.sides()
            return conjoin([self._find(side, user, context, relate) for side in sides])
        if isinstance(other, p.EachOther):
            raise refusal("'each other' does not fit here")
        known = EGO if isinstance(other, p.Ego) else context.spoken
        if known is None:
            raise refusal("nobody was spoken of whom 'it' could be")
        if known.name == user.name:
            raise refusal(f"nobody is related to itself, not even {user.name}")
        return relate(known)

    def _find(
        self,
        things: p.Things,
        user: User,
        context: _Context,
        relate: Callable[[User], tree.Node],
    ) -> tree.Node:
        count = things.count
        if count is None and things.grouped:
            count = p.Count(">=", self._limits["group"])
        is_one = count is None or count == _ONE
        is_variable = context.is_open and is_one and not things.every and not self._cast.is_full
        found = self._cast.introduce(things)
        if is_variable:
            self._cast.declare(found)
        inner = replace(context, parent=user, spoken=user, is_open=is_variable)
        kind, adjectives = self._describe(found, things, inner)
        told = [relate(found), *self._story(found, [], things.modifiers, inner)]
        body = conjoin([*kind, *adjectives, *told])
        if is_variable:
            return body
        if things.every:
            if kind or adjectives:
                body = tree.Logic("implies", conjoin([*kind, *adjectives]), conjoin(told))
            return tree.Quantifier("forall", (found.variable,), body)
        if is_one or count is None:
            return tree.Quantifier("exists", (found.variable,), body)
        if count.number == 0 and count.operator in {"==", "<="}:
            return tree.Not(tree.Quantifier("exists", (found.variable,), body))
        return tally(found, body, count)
