"""Which words say how somebody moves, and so whose speed is said after them.

`at 40 km/h` is about who does something: in `overtaking a parked car at 40 km/h` it is who overtakes,
in `near a car travelling at 40 km/h` it is the car.
"""

from __future__ import annotations

import re

from kerbstone.mine.words import phrases as p

_CLAIMS = re.compile(
    r"\b(moving|speed|acceleration|deceleration|lateral_acceleration|turn|turning_left|turning_right"
    r"|u_turn|changing_lane|changing_lane_left|changing_lane_right|reversing|wrong_way|crossing"
    r"|running_red)\("
)
_LINKS = re.compile(
    r"\b(passing|overtaking|following|approaching|heading_toward|closing_speed|touching"
    r"|time_to_collision|deceleration)\(a(, b)?\)|then\(not same_lane\(a, b\)"
)
"""Not those of crossing: in `pedestrian crossing in front of a car at 50 km/h` the car is as fast."""
_CROSSINGS = frozenset({"crosses_in_front(a, b)", "crosses_behind(a, b)", "crosses_in_front(b, a)"})


def says_motion(said: p.Modifier) -> bool:
    """Return whether something said of somebody is what they do, so that it may have a speed."""
    match said:
        case p.Claim(meanings):
            return any(_CLAIMS.search(meaning) for meaning, _ in meanings)
        case p.Relation(links):
            return any(is_motion(link) for link in links)
        case p.Between(is_moving=is_moving):
            return is_moving
        case p.Negated(body) | p.Throughout(body) | p.Shortly(body):
            return says_motion(body)
        case p.Either(one, other):
            return says_motion(one) or says_motion(other)
        case _:
            return False


def is_motion(link: p.Link) -> bool:
    """Return whether a relation is something that the first of both does to the other."""
    # A named scenario about two is what the first of them does.
    is_done = bool(link.kinds[0]) and not any("(b" in meaning for meaning in link.meanings)
    return is_done or any(_LINKS.search(meaning) for meaning in link.meanings)


def crosses(link: p.Link) -> bool:
    """Return whether a relation is to cross the way of the other, so that it has an origin."""
    return link.meanings[0] in _CROSSINGS


def has_loose_speed(other: p.Referent) -> bool:
    """Return whether a speed follows a noun of whom nothing says that they move."""
    if not isinstance(other, p.Things):
        return False
    for part in other.modifiers:
        if says_motion(part):
            return False
        if isinstance(part, p.Measured) and part.is_loose:
            return True
    return False
