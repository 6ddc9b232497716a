"""The command of the planner: plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerbstone.app.options import JsonOption, OpenOption, StoreOption, check_name
from kerbstone.app.terminal import print_error, print_json, print_note, writing_file
from kerbstone.errors import InputError, UsageError, suggest_name

if TYPE_CHECKING:
    from kerbstone.plan.sight import SightRules
    from kerbstone.plan.timeline import Moment, TimelineRules
    from kerbstone.plan.vehicle import Vehicle
    from kerbstone.scene import Scene

_ROOMS = ("lane", "direction", "road")
_EVERY = 0.5
_MOST = 200
_STEP = 0.15
_HORIZON = 6.0
_RISKS = {"mean": 1.0, "worst": 1e-6}
_LEAST_SIGHT, _MOST_SIGHT = 5.0, 200.0


def plan(
    scene: Annotated[str, typer.Argument(help="Id of a scene, or a part of it that is unique.")],
    store: StoreOption = "road",
    at: Annotated[
        float | None, typer.Option(help="Second to plan at; one at which the car drives if none.")
    ] = None,
    from_: Annotated[
        float | None, typer.Option("--from", help="First of several seconds to plan at.")
    ] = None,
    to: Annotated[
        float | None, typer.Option(help="Last of them; as long as the car is there if none.")
    ] = None,
    every: Annotated[
        float | None, typer.Option(help="Seconds between them; 0.5 if not given.", min=0.01)
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Id of the road user to plan for; the recording car if none.")
    ] = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            help="What the others may do: straight, lanes, brake or record, as in lanes=0.8; "
            "repeatable. lanes=0.8 and brake=0.2 if none."
        ),
    ] = None,
    room: Annotated[
        str, typer.Option(help="How far the car may leave its lane: lane, direction or road.")
    ] = "direction",
    horizon: Annotated[
        float, typer.Option(help="Seconds to plan ahead.", min=1.5, max=9.0)
    ] = _HORIZON,
    length: Annotated[
        float | None, typer.Option(help="Length of the car in metres; 4.9 if none.", min=1.0)
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Width of the car in metres; 1.9 if none.", min=0.5)
    ] = None,
    hidden: Annotated[
        bool,
        typer.Option(
            "--hidden",
            help="Expect people and vehicles where the car cannot see: the shield keeps clear of "
            "them, and in one more mode somebody steps out.",
        ),
    ] = False,
    steps_out: Annotated[
        float | None,
        typer.Option(
            help="With --hidden: probability of that mode, 0 for none; 0.05 if not given."
        ),
    ] = None,
    sight: Annotated[
        float | None,
        typer.Option(help="With --hidden: how far the sensor sees in metres; 60 if not given."),
    ] = None,
    risk: Annotated[
        str,
        typer.Option(
            help="What of the costs in the modes is made least: their mean, the worst, or the mean "
            "of the worst part of such a probability, as in 0.2. Constraints hold in every mode "
            "anyway."
        ),
    ] = "mean",
    others: Annotated[
        bool, typer.Option("--others/--no-others", help="Look for other ways around, too.")
    ] = True,
    shield: Annotated[
        bool, typer.Option("--shield/--no-shield", help="Ask the shield, too.")
    ] = True,
    leave_lanes: Annotated[
        bool,
        typer.Option("--leave-lanes", help="Follow the record where the car is on no lane."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Page to write; plan.html if none.")
    ] = None,
    open_page: OpenOption = False,
    as_json: JsonOption = False,
) -> None:
    """Plan for a car of a scene, and show the plan, its branches, and what guards it."""
    _check_times(at, from_, to, every)
    check_name("--room", room, _ROOMS)
    modes = _read_modes(mode or ())
    tail = _read_risk(risk)
    _check_sight(hidden, steps_out, sight)
    from kerbstone.app.plan_report import describe_plans, print_plans
    from kerbstone.plan.problem import Horizon
    from kerbstone.plan.timeline import plan_scene
    from kerbstone.store import Store
    from kerbstone.world.training.compiling import keep_compiled

    road = Store.open(store)
    chosen = road.scene(road.find(scene))
    name = _choose_agent(chosen, agent)
    times = _choose_times(chosen, name, at, from_, to, every)
    rules = _make_rules(
        modes,
        room,
        _make_sight(steps_out, sight) if hidden else None,
        tail,
        is_guarded=shield,
        has_ways=others,
        leave_lanes=leave_lanes,
    )
    keep_compiled()
    with _show_stages() as (on_stage, on_moment):
        timeline = plan_scene(
            chosen,
            times,
            agent=name,
            vehicle=_make_vehicle(length, width),
            horizon=Horizon(round(horizon / _STEP), _STEP),
            rules=rules,
            on_stage=on_stage,
            on_moment=on_moment,
        )
    page = None
    if timeline.moments:
        from kerbstone.app.plan_page import plan_page

        page = out or Path("plan.html")
        text = plan_page(chosen, timeline)
        with writing_file(page):
            page.write_text(text, encoding="utf-8")
    if as_json:
        print_json(describe_plans(chosen, timeline, page))
    else:
        print_plans(timeline, page)
    for time, error in timeline.failed:
        if not as_json:
            print_note(f"at {time:g} s:")
        print_error(error, as_json=as_json)
    if page is not None and open_page:
        typer.launch(page.resolve().as_uri())
    if timeline.failed:
        raise typer.Exit(3)


ALL = (plan,)


def _check_times(
    at: float | None, from_: float | None, to: float | None, every: float | None
) -> None:
    if at is not None and not from_ is to is every is None:
        raise UsageError(
            "usage",
            "--at is one time, --from, --to and --every are several",
            remedy="give either",
        )
    if from_ is not None and to is not None and to < from_:
        raise UsageError("usage", "--to lies before --from", why=f"{to:g} s and {from_:g} s")


def _read_modes(given: Sequence[str]) -> dict[str, float]:
    """Return modes with their probabilities, the usual ones if none are given."""
    from kerbstone.plan.modes import MODES

    modes: dict[str, float] = {}
    for text in given:
        name, _, share = text.partition("=")
        check_name("--mode", name, tuple(MODES))
        try:
            modes[name] = float(share or 1.0)
        except ValueError:
            modes[name] = -1.0
        if not 0.0 < modes[name] < float("inf"):
            raise UsageError(
                "usage",
                "--mode takes a name, and a number above zero after '='",
                why=f"found {text!r}",
                remedy="--mode lanes=0.8 --mode brake=0.2",
            )
    return modes


def _read_risk(text: str) -> float:
    """Return the part of the costs that counts: 1 is their mean, next to 0 only the worst does."""
    if text in _RISKS:
        return _RISKS[text]
    try:
        tail = float(text)
    except ValueError:
        tail = -1.0
    if not 0.0 < tail <= 1.0:
        raise UsageError(
            "usage",
            "--risk takes mean, worst, or a number above 0 and at most 1",
            why=f"found {text!r}",
            remedy="--risk 0.2",
        )
    return tail


def _check_sight(hidden: bool, steps_out: float | None, sight: float | None) -> None:
    if not hidden and not steps_out is sight is None:
        name = "--steps-out" if steps_out is not None else "--sight"
        raise UsageError("usage", f"{name} says nothing without --hidden", remedy="add --hidden")
    if steps_out is not None and not 0.0 <= steps_out < 1.0:
        raise UsageError(
            "usage", "--steps-out takes a number from 0 to below 1", why=f"found {steps_out:g}"
        )
    if sight is not None and not _LEAST_SIGHT <= sight <= _MOST_SIGHT:
        raise UsageError(
            "usage",
            f"--sight takes metres from {_LEAST_SIGHT:g} to {_MOST_SIGHT:g}",
            why=f"found {sight:g}",
        )


def _choose_agent(scene: Scene, agent: str | None) -> str:
    """Return whom to plan for.

    Raises:
        InputError: The scene has no recording car and nobody is named, or the one named is not
            there.
    """
    from kerbstone.scene import VEHICLES

    agents = scene.agents
    if agent is not None:
        if agent not in agents.ids:
            raise InputError(
                "name",
                f"there is no road user {agent!r}",
                where=f"scene {scene.id}",
                remedy=suggest_name(agent, agents.ids),
            )
        return agent
    if scene.ego is not None:
        return agents.ids[scene.ego]
    import numpy as np

    steps = np.where(agents.is_kind(*VEHICLES)[:, None], np.nan_to_num(agents.speed), 0.0)
    way = steps.sum(axis=1) * scene.clock.dt
    farthest = [agents.ids[row] for row in np.argsort(-way, kind="stable")[:3] if way[row] > 0]
    raise InputError(
        "value",
        "the scene has no recording car to plan for",
        where=f"scene {scene.id}",
        why="its data set does not say which road user recorded it",
        remedy=f"name one with --agent; the farthest drive {', '.join(farthest)}"
        if farthest
        else "choose another scene",
    )


def _choose_times(
    scene: Scene,
    agent: str,
    at: float | None,
    from_: float | None,
    to: float | None,
    every: float | None,
) -> list[float]:
    """Return the times to plan at: what is given, or the middle of the time the car drives for."""
    import numpy as np

    dt = scene.clock.dt
    row = scene.agents.index(agent)
    there = np.flatnonzero(scene.agents.valid[row])
    if at is not None:
        return [at]
    if from_ is None and to is None and every is None:
        speed = np.nan_to_num(scene.agents.speed[row, there])
        drives = there[speed > 1.0]
        among = drives if len(drives) else there
        return [float(among[len(among) // 2] * dt)] if len(among) else [0.0]
    first, last = (there[0] * dt, there[-1] * dt) if len(there) else (0.0, 0.0)
    begin = from_ if from_ is not None else float(first)
    end = to if to is not None else float(last)
    pace = every or _EVERY
    count = int((end - begin) / pace + 1e-6) + 1
    if count > _MOST:
        raise UsageError(
            "usage",
            f"more than {_MOST} times do not fit on a page",
            why=f"{count} times from {begin:g} s to {end:g} s, every {pace:g} s",
            remedy=f"--every {(end - begin) / (_MOST - 1):.2g}, or a shorter stretch",
        )
    return [float(begin + pace * number) for number in range(max(count, 1))]


def _make_vehicle(length: float | None, width: float | None) -> Vehicle:
    """Return the usual car, or one of another size, with its axles where they are in proportion."""
    from kerbstone.plan.vehicle import Vehicle

    usual = Vehicle()
    if length is None and width is None:
        return usual
    size = length or usual.length
    scale = size / usual.length
    return Vehicle(
        length=size,
        width=width or usual.width,
        wheelbase=usual.wheelbase * scale,
        rear_overhang=usual.rear_overhang * scale,
    )


def _make_sight(steps_out: float | None, sight: float | None) -> SightRules:
    from kerbstone.plan.sight import SightRules

    usual = SightRules()
    return SightRules(
        reach=usual.reach if sight is None else sight,
        chance=usual.chance if steps_out is None else steps_out,
    )


def _make_rules(
    modes: dict[str, float],
    room: str,
    sight: SightRules | None,
    tail: float,
    *,
    is_guarded: bool,
    has_ways: bool,
    leave_lanes: bool,
) -> TimelineRules:
    from kerbstone.plan.beliefs import Risk
    from kerbstone.plan.roads import CorridorRules, Room
    from kerbstone.plan.situations import SituationRules
    from kerbstone.plan.survey import SurveyRules
    from kerbstone.plan.timeline import TimelineRules

    situation = SituationRules(corridor=CorridorRules(room=Room(room)), leave_lanes=leave_lanes)
    given: dict[str, Any] = {"modes": modes} if modes else {}
    return TimelineRules(
        situation=situation,
        survey=SurveyRules() if is_guarded else None,
        sight=sight,
        risk=Risk(tail=tail),
        has_ways=has_ways,
        **given,
    )


@contextmanager
def _show_stages() -> Iterator[tuple[Callable[[str, int], None], Callable[[Moment], None]]]:
    """Show a bar for each stage on stderr, if it is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        row = bar.add_task("planning", total=None)

        def on_stage(name: str, total: int) -> None:
            said = name if "compiling" not in name else f"{name}, once for this machine"
            bar.reset(row, total=total, description=said)

        yield on_stage, lambda _moment: bar.update(row, advance=1)
