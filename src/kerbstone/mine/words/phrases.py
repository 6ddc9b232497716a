"""What a sentence says, before it is said in the scenario language.

A reader makes these from words, `meaning` makes a query of them. A meaning is a piece of the
language about `a`, and about `b` and `c` where it relates `a` to others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Noun:
    """What a road user is called.

    Args:
        kind: Its kind in the language.
        labels: What logs call it, where the kind says too little.
        where: What else is true of it.
        name: What its variable is called.
    """

    kind: str
    labels: tuple[str, ...] = ()
    where: str = ""
    name: str = "a"


@dataclass(frozen=True)
class Bounds:
    """How large a quantity is said to be: `over 30 mph`.

    Args:
        limits: Comparison operators with numbers.
        unit: Their unit.
    """

    limits: tuple[tuple[str, float], ...]
    unit: str


@dataclass(frozen=True)
class Count:
    """How many there are said to be: an operator and a number."""

    operator: str
    number: int


@dataclass(frozen=True)
class Claim:
    """Says something about a road user alone.

    Args:
        meanings: What it means, each with the kind that the road user must be of ("" for any).
            The first that fits is meant.
    """

    meanings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Link:
    """Relates a road user to others: `left of`, `following`.

    Args:
        meanings: What it means; with more than one, there is somebody for each: `on both sides`.
        reach: Added, unless the words give a distance: how far away the other is at most.
        alone: Whether the other need not be named.
        own: Whether the other is who was just spoken of, not who looks: `to its right`.
        side: The number whose sign is the side on which it happens.
        kinds: Of which kinds both must be ("" for any), for a named scenario.
        otherwise: What the same words mean for others.
    """

    meanings: tuple[str, ...]
    reach: str = ""
    alone: bool = False
    own: bool = False
    side: str = ""
    kinds: tuple[str, str] = ("", "")
    otherwise: Link | None = None

    @property
    def anybody(self) -> Things:
        """Whoever may be the other."""
        return Things((((), Noun(self.kinds[1] or "any", name="u")),))

    def also(self, meaning: str) -> Link:
        """Return the same of whom something else holds, too: of `b` if that is who does it."""
        if self.meanings[0].endswith("(b, a)"):
            meaning = meaning.replace("(a, b)", "(b, a)")
        return replace(self, meanings=(f"{self.meanings[0]} and {meaning}",))

    def split(self) -> list[Link]:
        """Return one link for each of its meanings."""
        return [replace(self, meanings=(meaning,)) for meaning in self.meanings]


@dataclass(frozen=True)
class Measured:
    """Compares what a number says about a road user: `speed(a)`.

    Args:
        term: The number.
        bounds: What it is compared with.
        is_loose: Whether it stands so that it may be about who does something, not about the
            noun before it: `overtaking a car at 40 km/h`.
    """

    term: str
    bounds: Bounds
    is_loose: bool = False


@dataclass(frozen=True)
class Away:
    """How far it is from the other."""

    bounds: Bounds


@dataclass(frozen=True)
class Bare:
    """A relation whose other is understood: `ahead`."""

    link: Link
    gap: Bounds | None = None


@dataclass(frozen=True)
class Relation:
    """A relation to somebody named: `5 m behind a bus`."""

    links: tuple[Link, ...]
    others: tuple[Referent, ...]
    gap: Bounds | None = None

    @property
    def is_mutual(self) -> bool:
        """Whether it goes both ways: `facing each other`."""
        return any(isinstance(other, EachOther) for other in self.others)


@dataclass(frozen=True)
class Between:
    """In between two others, or two of the same.

    Args:
        others: The two.
        is_moving: Whether it goes through between them.
    """

    others: tuple[Referent, ...]
    is_moving: bool = False


@dataclass(frozen=True)
class Queue:
    """`two cars ahead of …`: as many vehicles of the same lane are in between, less one."""

    number: int
    link: Link
    other: Referent


@dataclass(frozen=True)
class With:
    """`with a bicycle to its right`.

    Args:
        others: Whom with.
        limit: The limit on their distance where nothing says where they are: a key of the
            lexicon's `limits`.
    """

    others: tuple[Referent, ...]
    limit: str = "near"


@dataclass(frozen=True)
class Meanwhile:
    """A further sentence about the same time: `while a pedestrian crosses`.

    Args:
        subject: Whom it is about; None: the same.
        modifiers: What it says.
    """

    subject: Referent | None
    modifiers: tuple[Modifier, ...]


@dataclass(frozen=True)
class Negated:
    """`not …`."""

    body: Modifier


@dataclass(frozen=True)
class Throughout:
    """`always …`, or with a negation `never …`: all the time that it is there."""

    body: Modifier


@dataclass(frozen=True)
class Shortly:
    """`about to …`.

    Args:
        body: What will be.
        is_waiting: Whether it stands until then.
    """

    body: Modifier
    is_waiting: bool = False


@dataclass(frozen=True)
class Either:
    """`… or …`."""

    one: Modifier
    other: Modifier


@dataclass(frozen=True)
class Lasting:
    """All that was said so far holds for at least this long [s]."""

    seconds: float


@dataclass(frozen=True)
class Sequel:
    """What was said so far stands in an order in time with something else.

    Args:
        order: `then`, `before`, `after` or `until`.
        other: What else happens.
        within: At most this much later [s]; None: the lexicon's `soon`.
    """

    order: str
    other: Meanwhile
    within: float | None = None


@dataclass(frozen=True)
class Things:
    """Road users: `at least three moving pedestrians near a bus`.

    Args:
        choices: What they may be, each with adjectives of its own.
        count: How many; None: one.
        grouped: Whether they are close to each other.
        every: Whether all of them are meant.
        modifiers: What follows the noun.
    """

    choices: tuple[tuple[tuple[Modifier, ...], Noun], ...]
    count: Count | None = None
    grouped: bool = False
    every: bool = False
    modifiers: tuple[Modifier, ...] = ()

    @property
    def has_company(self) -> bool:
        """Whether it says with whom they are, or what happens meanwhile."""
        return any(isinstance(part, With | Meanwhile) for part in self.modifiers)

    def sides(self) -> list[Things]:
        """Return one phrase for each side, where they are said to be on several."""
        for place, part in enumerate(self.modifiers):
            if isinstance(part, Bare) and len(part.link.meanings) > 1:
                before, after = self.modifiers[:place], self.modifiers[place + 1 :]
                # Several on both sides are one on each, at least.
                count = None if self.count == Count(">=", 2) else self.count
                split = [replace(part, link=link) for link in part.link.split()]
                return [replace(self, count=count, modifiers=(*before, p, *after)) for p in split]
        return [self]

    def without_sides(self) -> Things:
        """Return the phrase without saying that they are on several sides."""
        said = tuple(
            part
            for part in self.modifiers
            if not (isinstance(part, Bare) and len(part.link.meanings) > 1)
        )
        return replace(self, modifiers=said)


@dataclass(frozen=True)
class Ego:
    """The recording car."""


@dataclass(frozen=True)
class It:
    """Who was spoken of."""


@dataclass(frozen=True)
class EachOther:
    """Others of the same, from either side.

    Args:
        modifiers: What else is said of the two: `at close range`.
    """

    modifiers: tuple[Modifier, ...] = ()


Referent = Things | Ego | It | EachOther
Modifier = (
    Claim
    | Measured
    | Away
    | Bare
    | Relation
    | Between
    | Queue
    | With
    | Meanwhile
    | Negated
    | Throughout
    | Shortly
    | Either
    | Lasting
    | Sequel
)


@dataclass(frozen=True)
class Sentence:
    """A whole description.

    Args:
        subjects: Whom it refers to; more than one where `and` joins them.
        modifiers: What it says about them.
    """

    subjects: tuple[Referent, ...]
    modifiers: tuple[Modifier, ...]
