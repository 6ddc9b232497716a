"""What is played in a chunk of episodes, and playing it: the same from the same seed and number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Int64

from kerbstone.errors import InputError, UsageError, suggest_name
from kerbstone.plan.falsification.adversaries import HOSTILE, WRITERS, Scripts
from kerbstone.plan.falsification.breaking import BREAKS, Break, ForgetfulShield
from kerbstone.plan.falsification.episodes import Instant, Outcome, Parts, begin_outcome, play
from kerbstone.plan.falsification.families import FAMILIES, Stage, set_stage
from kerbstone.plan.falsification.imperfections import draw_imperfections, see
from kerbstone.plan.falsification.motion import body_centre
from kerbstone.plan.falsification.planners import PLANNERS
from kerbstone.plan.falsification.seeking import (
    AT_ONCE,
    SEEKING,
    STARTS,
    pick_adversaries,
    play_rounds,
)
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.ledger import Ledger
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.vehicle import StateIndex, Vehicle

_CHUNK = 2000


@dataclass(frozen=True)
class Campaign:
    """What is played.

    Args:
        seed: Of everything that is drawn.
        size: Starts that are drawn for a chunk.
        duration: Of an episode [s].
        families: Names in `FAMILIES`, one for each chunk in turn.
        adversaries: Names in `WRITERS`; "search" and "gradient" take whole chunks, the others are
            mixed.
        planners: Names in `PLANNERS`, mixed.
        is_crowded: Whether about seven others are on stage instead of one or two.
        breaks: The assumption that is broken on purpose, a key of `BREAKS`; "" breaks none.
        assumptions: What the shield assumes.
        vehicle: Ego.

    Raises:
        InputError: A name is not known, or a number is not above zero.
    """

    seed: int = 0
    size: int = _CHUNK
    duration: float = 7.0
    families: tuple[str, ...] = tuple(FAMILIES)
    adversaries: tuple[str, ...] = HOSTILE
    planners: tuple[str, ...] = tuple(PLANNERS)
    is_crowded: bool = False
    breaks: str = ""
    assumptions: Assumptions = field(default_factory=Assumptions)
    vehicle: Vehicle = field(default_factory=Vehicle)

    def __post_init__(self) -> None:
        for names, known in (
            (self.families, FAMILIES),
            (self.adversaries, WRITERS),
            (self.planners, PLANNERS),
            ((self.breaks,), {"": None, **BREAKS}),
        ):
            for name in names or ("nothing",):
                if name not in known:
                    raise InputError(
                        "name", f"there is no {name!r} to falsify with",
                        remedy=suggest_name(name, known),
                    )  # fmt: skip
        if self.size < 1 or not self.duration > 0.0:
            raise InputError(
                "value",
                "a campaign needs starts and time",
                why=f"size = {self.size}, duration = {self.duration:g}",
            )


@dataclass(frozen=True, eq=False)
class Played:
    """A chunk that was played; one in which others seek has several rounds.

    Args:
        chunk: Its number.
        family: Of all its episodes.
        drawn: How many starts were drawn.
        planner: Name of each episode's planner.
        adversary: Name of each episode's adversary.
        kind: Of whom ego touched; -1 where nobody.
        outcome: How each episode went.
    """

    chunk: int
    family: str
    drawn: int
    planner: np.ndarray
    adversary: np.ndarray
    kind: Int64[np.ndarray, " episode"]
    outcome: Outcome


@dataclass(eq=False)
class Recorder:
    """Keeps what happens in one episode.

    Args:
        row: The episode's place in its chunk.
        instants: Its steps, so far.
    """

    row: int
    instants: list[Instant] = field(default_factory=list)


def play_chunk(campaign: Campaign, chunk: int, *, recorder: Recorder | None = None) -> Played:
    """Play a chunk; if ego caused a collision, play it again with a ledger.

    Args:
        campaign: What is played.
        chunk: Number of the chunk.
        recorder: Keeps one episode, if given.
    """
    played = _play_rounds(campaign, chunk, keeps_ledger=bool(campaign.breaks), recorder=recorder)
    if played.outcome.caused.any() and not campaign.breaks:
        played = _play_rounds(campaign, chunk, keeps_ledger=True, recorder=None)
    return played


def _play_rounds(
    campaign: Campaign, chunk: int, *, keeps_ledger: bool, recorder: Recorder | None
) -> Played:
    rng = np.random.default_rng([campaign.seed, chunk])
    broken = BREAKS[campaign.breaks] if campaign.breaks else Break()
    truth, assumed = broken.truth(campaign.assumptions), broken.assumed(campaign.assumptions)
    families = broken.families or campaign.families
    family = families[chunk % len(families)]
    names = pick_adversaries(campaign.adversaries, chunk + chunk // len(campaign.families))
    seeks, seeking = names[0] in SEEKING, SEEKING.get(names[0], AT_ONCE)
    stage = set_stage(
        family,
        max(1, campaign.size // STARTS) if seeks else campaign.size,
        rng=rng,
        assumptions=truth,
        vehicle=campaign.vehicle,
        is_crowded=campaign.is_crowded,
        keeps_clear=broken.is_forgetful,
    )
    drawn = len(stage)
    imperfections = draw_imperfections(rng, stage.crowd)
    which = rng.integers(len(names), size=drawn)
    gene = np.stack([WRITERS[name](rng, stage.crowd).gene for name in names])
    parts = Parts(
        rng.choice(np.array(campaign.planners), drawn),
        np.array(names)[which] == "aimed",
        Scripts(gene[which, np.arange(drawn)]),
        imperfections,
        broken.is_free,
    )
    shown = see(
        stage.crowd,
        stage.blind,
        body_centre(stage.ego, campaign.vehicle),
        imperfections,
        truth,
        rng,
    )
    shield = ForgetfulShield(
        stage.streets.road, vehicle=campaign.vehicle, assumptions=assumed,
        forgets=broken.is_forgetful,
    )  # fmt: skip
    ready = shield.start(stage.ego, shown)
    rows = np.flatnonzero(~ready if broken.is_unready else ready)
    rows = np.repeat(rows, seeking.tries)
    game = _Game(campaign, truth, stage.take(rows), shown.take(rows), shield, keeps_ledger)
    parts = parts.take(rows)
    if seeks and len(rows):
        parts = replace(parts, scripts=WRITERS[names[0]](rng, game.stage.crowd))
    # The tries differ in their scripts only.
    seed = int(rng.integers(2**63))

    def play_round(scripts: Scripts, number: int, watch: Callable[[Instant], object]) -> Outcome:
        return game.play(replace(parts, scripts=scripts), seed, number, recorder, watch)

    rounds = play_rounds(
        names[0], parts.scripts, game.stage, play_round,
        rng=rng, vehicle=campaign.vehicle, duration=truth.control_step,
    )  # fmt: skip
    outcome = _join(rounds)
    agent = np.maximum(outcome.agent, 0)
    kinds = np.tile(game.stage.crowd.kind, (seeking.rounds, 1))
    kind = np.where(outcome.agent >= 0, np.take_along_axis(kinds, agent[:, None], axis=1)[:, 0], -1)
    return Played(
        chunk,
        family,
        drawn * seeking.tries * seeking.rounds,
        np.tile(parts.planner, seeking.rounds),
        np.tile(np.array(names)[which[rows]], seeking.rounds),
        kind,
        outcome,
    )


@dataclass(frozen=True, eq=False)
class _Game:
    """A batch of starts that can be played again and again."""

    campaign: Campaign
    truth: Assumptions
    stage: Stage
    shown: Surroundings
    shield: ForgetfulShield
    keeps_ledger: bool

    def play(
        self,
        parts: Parts,
        seed: int,
        number: int,
        recorder: Recorder | None,
        watch: Callable[[Instant], object],
    ) -> Outcome:
        count = len(self.stage)
        if not count:
            return begin_outcome(self.stage.ego)
        self.shield.start(self.stage.ego, self.shown)
        ledger = Ledger(self.shield, self.stage.ego, self.shown) if self.keeps_ledger else None

        def note(instant: Instant) -> None:
            watch(instant)
            if recorder is not None and number * count <= recorder.row < (number + 1) * count:
                recorder.instants.append(instant.take(recorder.row - number * count))

        return play(
            self.stage,
            parts,
            self.shield,
            truth=self.truth,
            vehicle=self.campaign.vehicle,
            duration=self.campaign.duration,
            rng=np.random.default_rng(seed),
            ledger=ledger,
            watch=note,
        )


def _join(outcomes: list[Outcome]) -> Outcome:
    """Return rounds as one batch."""
    joined = {
        name: np.concatenate([getattr(one, name) for one in outcomes])
        for name in vars(outcomes[0])
        if name != "slip"
    }
    return Outcome(**joined, slip=max(one.slip for one in outcomes))


def replay(campaign: Campaign, chunk: int, row: int) -> tuple[Played, list[Instant]]:
    """Play one chunk again and return it with every step of one of its episodes.

    Args:
        campaign: What was played.
        chunk: Number of the chunk, as a `Case` tells it.
        row: The episode's place in the chunk.

    Raises:
        UsageError: The chunk has no such episode.
    """
    recorder = Recorder(row)
    played = _play_rounds(campaign, chunk, keeps_ledger=True, recorder=recorder)
    if not 0 <= row < len(played.planner):
        raise UsageError(
            "usage",
            f"chunk {chunk} has no episode {row}",
            why=f"it has {len(played.planner)}",
        )
    return played, recorder.instants


def is_moving(outcome: Outcome) -> Bool[np.ndarray, " episode"]:
    """Tell in which episodes ego was moving when it touched someone."""
    return np.isfinite(outcome.time) & (outcome.ego[:, StateIndex.SPEED] > 1e-3)
