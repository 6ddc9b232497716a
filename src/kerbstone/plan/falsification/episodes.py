"""Playing a batch of episodes: planner, shield, car and others, step by step, until they touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from kerbstone.plan.falsification.adversaries import Scripts, aim, follow_politely
from kerbstone.plan.falsification.blind import Blind
from kerbstone.plan.falsification.contacts import find_contacts
from kerbstone.plan.falsification.crowds import Crowd, Wake, Wish, move_crowd
from kerbstone.plan.falsification.discipline import Discipline, begin_discipline
from kerbstone.plan.falsification.families import Stage
from kerbstone.plan.falsification.imperfections import (
    Imperfections,
    displace,
    draw_drift,
    see,
    see_exactly,
)
from kerbstone.plan.falsification.motion import body_centre, drive_car
from kerbstone.plan.falsification.past import Past
from kerbstone.plan.falsification.permits import cut_wish, look_up_permits
from kerbstone.plan.falsification.planners import PLANNERS, View
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.shield.blame import is_caused_by_ego
from kerbstone.plan.shield.ledger import Assumption, Ledger
from kerbstone.plan.shield.road import Road
from kerbstone.plan.shield.shield import Decision, Shield
from kerbstone.plan.shield.surroundings import Surroundings
from kerbstone.plan.vehicle import StateIndex, Vehicle

SAMPLE = 0.01
"""Everything that moves is sampled at least so finely [s]."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Who plays in each episode.

    Args:
        planner: Name of the nominal planner.
        is_aimed: Whether the others aim at ego; else they follow their scripts.
        scripts: What they do.
        imperfections: How wrong seeing and driving are.
        is_free: Whether they owe ego nothing: breaks A2.
        is_polite: Whether they keep a comfortable distance behind ego and each other.
    """

    planner: np.ndarray
    is_aimed: Bool[np.ndarray, " episode"]
    scripts: Scripts
    imperfections: Imperfections
    is_free: bool = False
    is_polite: bool = False

    def take(self, rows: Bool[np.ndarray, " episode"] | Int64[np.ndarray, " row"]) -> Parts:
        """Return some of the episodes."""
        return Parts(
            self.planner[rows],
            self.is_aimed[rows],
            Scripts(self.scripts.gene[rows]),
            self.imperfections.take(rows),
            self.is_free,
            self.is_polite,
        )


@dataclass(frozen=True, eq=False)
class Instant:
    """What happened in one step, for those who watch.

    Args:
        step: Its number.
        ego: States at its samples.
        wake: Where the others were.
        shown: What ego was shown at its start.
        nominal: What the planner asked for.
        control: What the shield applied.
        intervened: Where that is not what was asked for.
        expected: Where ego meant to be at the end.
    """

    step: int
    ego: Float64[np.ndarray, "episode sample 6"]
    wake: Wake
    shown: Surroundings
    nominal: Float64[np.ndarray, "episode 2"]
    control: Float64[np.ndarray, "episode 2"]
    intervened: Bool[np.ndarray, " episode"]
    expected: Float64[np.ndarray, "episode 6"]

    def take(self, row: int) -> Instant:
        """Return one episode, as a batch of one."""
        rows = np.array([row])
        wake = self.wake
        return Instant(
            self.step,
            self.ego[rows],
            Wake(wake.place[rows], wake.heading[rows], wake.speed[rows], wake.after.take(rows)),
            self.shown.take(rows),
            self.nominal[rows],
            self.control[rows],
            self.intervened[rows],
            self.expected[rows],
        )


@dataclass(eq=False)
class Outcome:
    """How episodes went.

    Args:
        time: When ego first touched someone [s]; inf where it did not.
        agent: Whom; -1 where nobody.
        caused: Whether ego caused that, as the shield publishes it.
        broken: The `Assumption` that was seen to be broken first, until then; `NONE` where none was
            or no ledger was kept.
        gap: Least gap to anyone [m].
        ego: State at the touch, else at the end.
        interventions: Steps in which the shield intervened, before the touch.
        bouts: How often it began to.
        way: How far ego drove before the touch [m].
        slip: Greatest distance between where the shield and this simulation say that a control
            leads to [m].
    """

    time: Float64[np.ndarray, " episode"]
    agent: Int64[np.ndarray, " episode"]
    caused: Bool[np.ndarray, " episode"]
    broken: Int64[np.ndarray, " episode"]
    gap: Float64[np.ndarray, " episode"]
    ego: Float64[np.ndarray, "episode 6"]
    interventions: Int64[np.ndarray, " episode"]
    bouts: Int64[np.ndarray, " episode"]
    way: Float64[np.ndarray, " episode"]
    slip: float = 0.0


def play(
    stage: Stage,
    parts: Parts,
    shield: Shield | None,
    *,
    truth: Assumptions,
    vehicle: Vehicle,
    duration: float,
    rng: np.random.Generator,
    ledger: Ledger | None = None,
    watch: Callable[[Instant], object] = lambda _: None,
) -> Outcome:
    """Play episodes to their end and return how they went.

    Args:
        stage: Where they begin; `shield` has been started there.
        parts: Who plays.
        shield: What stands beneath the planner. None: nothing.
        truth: What the others may really do and how wrong seeing and driving really are; what the
            shield assumes is its own.
        vehicle: Ego.
        duration: Of an episode [s].
        rng: For everything that is drawn on the way.
        ledger: Watches the shield, if given.
        watch: Called with each step.
    """
    step = truth.control_step
    samples = max(1, round(step / SAMPLE))
    crowd, blind, ego = stage.crowd, stage.blind, stage.ego.copy()
    permits = look_up_permits(crowd, truth)
    discipline = begin_discipline(crowd, truth, vehicle)
    memory: dict[str, dict[str, np.ndarray]] = {name: {} for name in PLANNERS}
    outcome, past = begin_outcome(ego), Past(step / samples)
    was_intervening = np.zeros(len(stage), bool)
    meant = ego.copy()
    drift = np.zeros((len(stage), 3))
    for number in range(round(duration / step)):
        centre = body_centre(ego, vehicle)
        shown = see(crowd, blind, centre, parts.imperfections, truth, rng)
        blind = blind.reveal(shown.valid)
        if ledger is not None and number:
            ledger.observe(ego, shown, truth=see_exactly(crowd))
        nominal = _ask_planners(stage, parts, ego, crowd, number, vehicle, step, memory, rng)
        course = _decide(shield, ego, meant, drift, nominal, shown, vehicle, step)
        if ledger is not None and course.decision is not None:
            ledger.record(ego, shown, course.decision)
        intervened, path, expected = course.intervened, course.path, course.path[:, -1]
        if shield is not None:
            # `Decision.expected` starts from where ego is, what is continued from where it meant to be.
            expected = shield.planned
            slip = np.abs(path[:, -1, :2] - expected[:, :2]).max(initial=0.0)
            outcome.slip = max(outcome.slip, float(slip))
        edges = blind.find_edges(crowd, stage.streets.half_width)
        wish = _ask_adversaries(
            parts, ego, crowd, discipline, number * step / duration, step, ~intervened, edges
        )
        error = draw_drift(parts.imperfections, truth, rng)
        share = np.linspace(0.0, 1.0, samples + 1)[:, None]
        driven = displace(path, course.drift[:, None] * (1.0 - share) + error[:, None] * share)
        wish = cut_wish(_slow_hidden(crowd, blind, truth), wish, permits, step)
        wake = move_crowd(crowd, wish, step, samples)
        past.add(driven, wake)
        _note_contacts(outcome, past, crowd, stage.streets.road, truth, vehicle)
        if ledger is not None:
            ledger.note_contacts(_touches(outcome, number * step, crowd))
        open_rows = ~(outcome.time < number * step)
        outcome.interventions += intervened & open_rows
        outcome.bouts += intervened & ~was_intervening & open_rows
        moved = np.hypot(*(driven[:, -1, :2] - driven[:, 0, :2]).T)
        outcome.way += np.where(open_rows, moved, 0.0)
        watch(Instant(number, driven, wake, shown, nominal, course.control, intervened, expected))
        was_intervening = intervened
        meant, drift, crowd = expected, error, wake.after
        ego = displace(expected, error)
    if ledger is not None:
        centre = body_centre(ego, vehicle)
        shown = see(crowd, blind, centre, parts.imperfections, truth, rng)
        ledger.observe(ego, shown, truth=see_exactly(crowd))
        _attribute(outcome, ledger, step)
    return outcome


@dataclass(frozen=True, eq=False)
class _Course:
    """What ego does in a step: the path that it means to take, and how far it is off at its start."""

    control: Float64[np.ndarray, "episode 2"]
    intervened: Bool[np.ndarray, " episode"]
    drift: Float64[np.ndarray, "episode 3"]
    path: Float64[np.ndarray, "episode sample 6"]
    decision: Decision | None


def _decide(
    shield: Shield | None,
    ego: Float64[np.ndarray, "episode 6"],
    meant: Float64[np.ndarray, "episode 6"],
    drift: Float64[np.ndarray, "episode 3"],
    nominal: Float64[np.ndarray, "episode 2"],
    shown: Surroundings,
    vehicle: Vehicle,
    step: float,
) -> _Course:
    """Ask the shield, and drive what it says from where that begins.

    What is continued goes on from where ego meant to be; what is new begins where ego is.
    """
    decision = None if shield is None else shield.step(ego, nominal, shown)
    control = nominal if decision is None else decision.control
    intervened = np.zeros(len(ego), bool) if decision is None else decision.intervened
    start = np.where(intervened[:, None], meant, ego)
    return _Course(
        control,
        intervened,
        np.where(intervened[:, None], drift, 0.0),
        drive_car(start, control, vehicle, step, max(1, round(step / SAMPLE))),
        decision,
    )


def _touches(outcome: Outcome, since: float, crowd: Crowd) -> Bool[np.ndarray, "episode agent"]:
    """Tell whom ego has touched for the first time since then."""
    fresh = np.isfinite(outcome.time) & (outcome.time >= since)
    return fresh[:, None] & (np.arange(crowd.valid.shape[1]) == outcome.agent[:, None])


def _slow_hidden(crowd: Crowd, blind: Blind, truth: Assumptions) -> Crowd:
    """Return the crowd with the cap on the speed of those who are hidden beside the road."""
    if blind.places is None:
        return crowd
    hidden = blind.hides(crowd) & ~crowd.on_rail
    return replace(crowd, cap=np.where(hidden, truth.phantom_speed, crowd.cap))


def _attribute(outcome: Outcome, ledger: Ledger, step: float) -> None:
    """Enter which assumption was broken first, until the first look after each touch.

    Others are judged by how they are seen, so of what is noted at one look they come last.
    """
    until = np.where(np.isfinite(outcome.time), outcome.time + step, np.inf)
    since = np.where(ledger.since <= until[:, None] + 1e-9, ledger.since, np.inf)
    since[:, Assumption.OTHERS] += 1e-6
    outcome.broken = np.where(
        np.isfinite(since).any(axis=1), since.argmin(axis=1), int(Assumption.NONE)
    )


def begin_outcome(ego: Float64[np.ndarray, "episode 6"]) -> Outcome:
    """Return the outcome of episodes before anything has happened."""
    count = len(ego)
    return Outcome(
        time=np.full(count, np.inf),
        agent=np.full(count, -1),
        caused=np.zeros(count, bool),
        broken=np.full(count, int(Assumption.NONE)),
        gap=np.full(count, np.inf),
        ego=ego.copy(),
        interventions=np.zeros(count, np.int64),
        bouts=np.zeros(count, np.int64),
        way=np.zeros(count),
    )


def _ask_planners(
    stage: Stage,
    parts: Parts,
    ego: Float64[np.ndarray, "episode 6"],
    crowd: Crowd,
    number: int,
    vehicle: Vehicle,
    step: float,
    memory: dict[str, dict[str, np.ndarray]],
    rng: np.random.Generator,
) -> Float64[np.ndarray, "episode 2"]:
    nominal = np.zeros((len(ego), 2))
    for name, plan in PLANNERS.items():
        rows = np.flatnonzero(parts.planner == name)
        if len(rows):
            view = View(
                number,
                ego[rows],
                stage.path.part(rows),
                stage.wanted[rows],
                crowd.take(rows),
                vehicle,
                step,
                rng,
                memory[name],
            )
            nominal[rows] = plan(view)
    return nominal


def _ask_adversaries(
    parts: Parts,
    ego: Float64[np.ndarray, "episode 6"],
    crowd: Crowd,
    discipline: Discipline,
    share: float,
    step: float,
    renewed: Bool[np.ndarray, " episode"],
    edges: Float64[np.ndarray, "episode agent 2"],
) -> Wish:
    wish = parts.scripts.read(crowd, share)
    aimed = parts.is_aimed
    if aimed.any():
        at = aim(ego, crowd, discipline.vehicle)
        wish = Wish(
            np.where(aimed[:, None], at.push, wish.push),
            np.where(aimed[:, None], at.veer, wish.veer),
            np.where(aimed[:, None, None], at.pull, wish.pull),
        )
    if parts.is_polite:
        wish = follow_politely(ego, crowd, discipline.vehicle)
    if parts.is_free:
        return wish
    return discipline.restrain(ego, crowd, wish, step, renewed=renewed, edges=edges)


def _note_contacts(
    outcome: Outcome, past: Past, crowd: Crowd, road: Road, truth: Assumptions, vehicle: Vehicle
) -> None:
    """Enter the first touch of those episodes that had none, and who caused it."""
    driven, wake = past[-1]
    step = truth.control_step
    found = find_contacts(
        body_centre(driven, vehicle),
        driven[..., StateIndex.HEADING],
        np.array([vehicle.length / 2.0, vehicle.width / 2.0]),
        np.where(crowd.valid[..., None, None], wake.place, np.nan),
        wake.heading,
        crowd.half,
        duration=step,
    )
    open_rows = np.isinf(outcome.time)
    least = np.minimum(outcome.gap, found.gap.min(axis=1, initial=np.inf))
    outcome.gap = np.where(open_rows, least, outcome.gap)
    outcome.ego[open_rows] = driven[open_rows, -1]
    rows = np.flatnonzero(open_rows & np.isfinite(found.time).any(axis=1))
    if not len(rows):
        return
    agent = found.time[rows].argmin(axis=1)
    time = found.time[rows, agent]
    sample = np.ceil(time / step * (driven.shape[1] - 1) - 1e-9).astype(np.int64)
    outcome.time[rows] = past.step * step + time
    outcome.agent[rows] = agent
    outcome.ego[rows] = driven[rows, sample]
    for one in np.unique(sample):
        some = sample == one
        contact = past.until(rows[some], agent[some], int(one))
        outcome.caused[rows[some]] = is_caused_by_ego(
            contact, road, vehicle=vehicle, assumptions=truth
        )
