"""What two do to each other, as what the first of them and the other do."""

from __future__ import annotations

from dataclasses import replace

from kerbstone.mine.words import phrases as p
from kerbstone.mine.words.cast import refusal

_SYMMETRIC = ("distance(", "touching(", "same_", "opposite_", "adjacent_lane(", "perpendicular(")
"""How relations begin that hold for both if they hold for one."""


def is_symmetric(relation: p.Relation) -> bool:
    """Return whether a relation holds for both if it holds for one."""
    said = (meaning for link in relation.links for meaning in link.meanings)
    return all(meaning.startswith(_SYMMETRIC) for meaning in said)


def pair_up(sentence: p.Sentence) -> p.Sentence:
    """Return a sentence in which two do something to each other as one about the first of them."""
    mutual = [
        part for part in sentence.modifiers if isinstance(part, p.Relation) and part.is_mutual
    ]
    if len(sentence.subjects) < 2 or not mutual:
        return sentence
    first, other = sentence.subjects
    relation, *further = mutual
    each_other = relation.others[0]
    if further or len(relation.others) > 1 or not isinstance(each_other, p.EachOther):
        raise refusal("two can be related to each other once, and to nobody else with that")
    back = () if is_symmetric(relation) else (replace(relation, others=(p.It(),)),)
    back = (*back, *each_other.modifiers)
    shared = tuple(part for part in sentence.modifiers if part is not relation)
    if isinstance(other, p.Things):
        other = replace(other, modifiers=(*other.modifiers, *shared, *back))
        back = ()
    elif isinstance(other, p.Ego):
        back = (p.Meanwhile(other, (*shared, *back)),)
    there = replace(relation, others=(other,))
    return p.Sentence((first,), (*shared, there, *back))
