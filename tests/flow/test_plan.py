"""The planner by its command and by its function: on a street, from the store to the page."""

import dataclasses
import json

import numpy as np
import pytest

from commands import run, run_json
from kerbstone.errors import InputError
from kerbstone.plan import Horizon, TimelineRules, Vehicle, check_plans, plan_scene, stack_problems
from kerbstone.plan.modes import predict_modes
from kerbstone.plan.moments import FAILSAFE
from kerbstone.store import Store
from roads import EAST, Track, drive, stage, straight_road
from streets import put_scenes, street

HORIZON = ("--horizon", 3)
STEPS = 20


@pytest.fixture(scope="module")
def road(tmp_path_factory):
    """A store of a street with a slow leader, of one where nobody recorded, and of one off the road."""
    folder = tmp_path_factory.mktemp("plan")
    store = Store.create(str(folder / "road"))
    put_scenes(store, "plain", street("plain/0", speed=10.0, lead=30.0, brake=True))
    crowd = stage(
        straight_road(),
        [
            Track("fast", drive(EAST, start=60.0, speed=9.0)),
            Track("slow", drive(EAST, start=100.0, speed=4.0)),
        ],
        ego=None,
    )
    put_scenes(store, "crowd", dataclasses.replace(crowd, id="crowd/0"))
    lost = stage(
        straight_road(), [Track("ego", drive(EAST + np.array([0.0, -30.0]), start=60.0, speed=9.0))]
    )
    put_scenes(store, "lost", dataclasses.replace(lost, id="lost/0"))
    jumps = street("jumps/0")
    centre = jumps.agents.centre.copy()
    centre[jumps.ego, 50:] += [30.0, 0.0, 0.0]
    agents = dataclasses.replace(jumps.agents, centre=centre)
    put_scenes(store, "jumps", dataclasses.replace(jumps, agents=agents))
    return folder / "road"


@pytest.fixture(scope="module")
def planned(road):
    """What the command says of two times, and its page."""
    page = road.parent / "two.html"
    times = ("--from", 4, "--to", 5, "--every", 1)
    said = run_json("plan", "plain/0", "--store", road, *times, *HORIZON, "--out", page)
    return said, page.read_text("utf-8")


def test_the_command_tells_plans_in_numbers(planned):
    said, _ = planned
    assert said["agent"] == "ego"
    assert said["horizon"] == {"steps": STEPS, "dt": 0.15}
    assert said["columns"]["states"][3] == "speed"
    assert said["failed"] == []
    assert [moment["time"] for moment in said["moments"]] == [4.0, 5.0]
    for moment in said["moments"]:
        assert moment["feasible"]
        assert moment["room"] >= 0.0
        assert moment["seconds"] > 0.0
        assert [mode["name"] for mode in moment["modes"]] == ["lanes", "brake"]
        assert [mode["probability"] for mode in moment["modes"]] == [0.8, 0.2]
        for mode in moment["modes"]:
            assert np.shape(mode["states"]) == (STEPS + 1, 6)
            assert np.shape(mode["controls"]) == (STEPS, 2)
            assert mode["states"][0][3] == pytest.approx(10.0, abs=0.2)


def test_modes_share_their_controls_until_they_branch(planned):
    said, _ = planned
    for moment in said["moments"]:
        first, second = (np.array(mode["controls"]) for mode in moment["modes"])
        trunk = moment["branch_step"]
        assert np.array_equal(first[:trunk], second[:trunk])
        assert not np.array_equal(first[trunk:], second[trunk:])


def test_the_shield_judges_the_first_control(planned):
    said, _ = planned
    for moment in said["moments"]:
        shield = moment["shield"]
        assert shield["ready"]
        assert shield["passes"]
        failsafe = shield["failsafe"]
        # What is stored begins with the plan's control, and ends at a standstill.
        assert failsafe["controls"][0] == pytest.approx(moment["modes"][0]["controls"][0])
        assert failsafe["states"][-1][3] == 0.0


@pytest.fixture(scope="module")
def wary(road):
    """The same scene, with as many modes, where somebody may be hidden."""
    page = road.parent / "wary.html"
    options = ("--hidden", "--mode", "lanes", "--risk", 0.2, "--no-others")
    options += ("--sight", 30, "--out", page)
    said = run_json("plan", "plain/0", "--store", road, "--at", 4, *HORIZON, *options)
    return said["moments"][0], page.read_text("utf-8")


def test_with_hidden_the_plan_says_what_is_not_seen_and_one_may_step_out(wary):
    moment, page = wary
    assert [mode["name"] for mode in moment["modes"]] == ["lanes", "steps out"]
    assert [mode["probability"] for mode in moment["modes"]] == pytest.approx([0.95, 0.05])
    hidden = moment["hidden"]
    assert {region["kind"] for region in hidden["regions"]} == {"lane", "on foot"}
    assert [region["number"] for region in hidden["regions"]] == list(
        range(1, len(hidden["regions"]) + 1)
    )
    assert hidden["stretches"] > 0
    assert hidden["places"] > 0
    for text in ("Not seen", "drawBlind", '"isLane":true'):
        assert text in page


def test_the_mean_of_the_worst_costs_is_no_less_than_that_of_all(wary, planned):
    moment, _ = wary
    assert moment["value"] >= moment["cost"] - 1e-9
    assert planned[0]["moments"][0]["value"] is None


def test_without_hidden_nobody_is(planned):
    said, page = planned
    for moment in said["moments"]:
        assert moment["hidden"] is None
        assert moment["shield"]["region"] is None
    assert "drawBlind(" in page
    assert "function drawBlind" not in page
    assert "Not seen" not in page


def test_the_page_holds_what_was_planned(planned):
    said, page = planned
    assert page.count('"name":"lanes"') == len(said["moments"])
    for text in ("Plan: plain/0", "Shield", "Fail-safe", "class Plans", "2 plans"):
        assert text in page


def test_the_command_prints_a_table_and_says_where_the_page_is(road, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = run("plan", "plain", "--store", road, "--at", 4, *HORIZON, "--no-others")
    heading, _, row = told.stdout.splitlines()[1:4]
    assert heading.split()[:3] == ["s", "cost", "feasible"]
    assert row.split()[0] == "4.0"
    assert "passes" in row
    assert "wrote plan.html" in told.stdout
    assert (tmp_path / "plan.html").exists()


def test_without_a_time_one_is_chosen_at_which_the_car_drives(road, tmp_path):
    out = ("--out", tmp_path / "page.html")
    options = (*HORIZON, "--no-others", "--no-shield", *out)
    said = run_json("plan", "plain/0", "--store", road, *options)
    (moment,) = said["moments"]
    assert 2.0 < moment["time"] < 8.0
    assert moment["shield"] is None
    assert moment["others"] == []


def test_a_scene_without_a_recording_car_is_planned_for_whom_one_names(road, tmp_path):
    refused = run("plan", "crowd/0", "--store", road, code=3)
    assert "error[value]" in refused.stderr
    assert "--agent; the farthest drive fast, slow" in refused.stderr
    out = ("--out", tmp_path / "page.html", "--no-others")
    said = run_json("plan", "crowd/0", "--store", road, "--agent", "fast", *HORIZON, *out)
    assert said["agent"] == "fast"
    assert "for road user fast, drawn as ego" in (tmp_path / "page.html").read_text("utf-8")
    wrong = run("plan", "crowd/0", "--store", road, "--agent", "fats", code=3)
    assert "fast" in wrong.stderr


def test_times_that_cannot_be_planned_are_listed_after_the_rest_is_done(road, tmp_path):
    page = tmp_path / "page.html"
    times = ("--from", 9, "--to", 11, "--every", 2, "--no-others")
    told = run("plan", "plain/0", "--store", road, *times, *HORIZON, "--out", page, code=3)
    assert "9.0" in told.stdout
    assert "at 11 s:\nerror[index]" in told.stderr
    assert "1 time could not be planned." in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 3, "error[scene-missing]"),
        (["plain/0", "--at", 99], 3, "the time lies outside the scene"),
        (["plain/0", "--at", -1], 3, "the time lies outside the scene"),
        (["plain/0", "--at", "nan"], 3, "the time lies outside the scene"),
        (["lost/0", "--at", 4], 3, "the car is on no lane that leads its way"),
        (["jumps/0", "--at", 5], 3, "the start state is impossible"),
        (["plain/0", "--at", 4, "--every", 1], 2, "--at is one time"),
        (["plain/0", "--from", 4, "--to", 3], 2, "--to lies before --from"),
        (["plain/0", "--every", 0.01], 2, "more than 200 times"),
        (["plain/0", "--room", "lanes"], 2, "did you mean 'lane'"),
        (["plain/0", "--mode", "break"], 2, "did you mean 'brake'"),
        (["plain/0", "--mode", "lanes=much"], 2, "a number above zero"),
        (["plain/0", "--mode", "lanes=-1"], 2, "a number above zero"),
        (["plain/0", "--horizon", 60], 2, "--horizon"),
        (["plain/0", "--risk", "most"], 2, "--risk takes mean, worst"),
        (["plain/0", "--risk", "0"], 2, "--risk takes mean, worst"),
        (["plain/0", "--risk", "nan"], 2, "--risk takes mean, worst"),
        (["plain/0", "--hidden", "--steps-out", 1], 2, "--steps-out takes a number"),
        (["plain/0", "--hidden", "--steps-out", "nan"], 2, "--steps-out takes a number"),
        (["plain/0", "--hidden", "--sight", 1], 2, "--sight takes metres"),
        (["plain/0", "--sight", 40], 2, "--sight says nothing without --hidden"),
        (["plain/0", "--steps-out", 0.1], 2, "--steps-out says nothing without --hidden"),
        (["plain/0", "--store", "/nowhere/at/all"], 3, "error["),
    ],
)
def test_mistakes_are_told_in_four_lines_and_end_with_their_code(road, arguments, code, message):
    store = () if "--store" in arguments else ("--store", road)
    told = run("plan", *arguments, *store, code=code)
    assert message in told.stderr
    assert "Traceback" not in told.stderr
    if code == 3:
        assert 2 <= len(told.stderr.strip().splitlines()) <= 4


def test_a_mistake_is_json_where_that_is_asked_for(road):
    told = run("plan", "plain/0", "--at", 99, "--store", road, "--json", code=3)
    assert json.loads(told.stderr)["error"]["code"] == "index"


def test_a_page_that_cannot_be_written_is_told(road, tmp_path):
    out = tmp_path / "none" / "page.html"
    options = ("--at", 4, *HORIZON, "--no-others", "--out", out)
    told = run("plan", "plain/0", "--store", road, *options, code=3)
    assert "error[output]" in told.stderr


def test_a_car_off_the_lanes_follows_its_record_where_that_is_allowed(road, tmp_path):
    options = ("--at", 4, *HORIZON, "--no-others", "--no-shield", "--out", tmp_path / "page.html")
    said = run_json("plan", "lost/0", "--store", road, "--leave-lanes", *options)
    assert len(said["moments"]) == 1


def scene_of(road, name="plain/0"):
    return Store.open(str(road)).scene(name)


def rules(**how):
    return TimelineRules(has_ways=False, **how)


def test_a_timeline_is_a_batch_of_plans_that_an_independent_check_confirms(road):
    horizon = Horizon(STEPS, 0.15)
    timeline = plan_scene(scene_of(road), [3.0, 4.0, 5.0], horizon=horizon, rules=rules())
    plans = timeline.plans
    assert plans.states.shape == (3, 2, STEPS + 1, 6)
    assert plans.controls.shape == (3, 2, STEPS, 2)
    problems = stack_problems([moment.situation.problem for moment in timeline.moments])
    check = check_plans(problems, plans.controls, vehicle=Vehicle(), horizon=horizon)
    assert check.feasible.tolist() == plans.feasible.tolist() == [True] * 3
    assert check.cost == pytest.approx(plans.cost, abs=1e-3)


def test_no_plan_costs_more_than_the_failsafe(road):
    horizon = Horizon(STEPS, 0.15)
    timeline = plan_scene(scene_of(road), [4.0, 7.0], horizon=horizon, rules=rules())
    compared = []
    for moment in timeline.moments:
        assert moment.begun in {FAILSAFE, "brake", "yield", "go", "left", "left fast", "right",
                                "right fast"}  # fmt: skip
        problem = stack_problems([moment.situation.problem])
        given = np.zeros((1, 2, STEPS, 2))
        given[:] = moment.given
        check = check_plans(problem, given, vehicle=Vehicle(), horizon=horizon)
        if check.feasible[0]:
            assert moment.plan.feasible[0]
            assert moment.plan.cost[0] <= check.cost[0] + 1e-6
            compared.append(moment)
    assert compared


def test_a_forecast_of_ones_own_is_planned_against_and_nan_in_it_is_refused(road):
    scene, horizon = scene_of(road), Horizon(STEPS, 0.15)

    def foresee(scene, step, horizon):
        return predict_modes(scene, step, horizon, {"record": 0.5, "straight": 0.5})

    def forget(scene, step, horizon):
        made = foresee(scene, step, horizon)
        mean = np.array(made.mean)
        mean[0, 1, 3] = np.nan
        return dataclasses.replace(made, mean=mean)

    timeline = plan_scene(scene, [4.0], horizon=horizon, rules=rules(), forecast=foresee)
    assert timeline.moments[0].modes == ("mode 1", "mode 2")
    with pytest.raises(InputError, match="NaN") as caught:
        plan_scene(scene, [4.0], horizon=horizon, rules=rules(), forecast=forget)
    assert "lead" in caught.value.where
    partly = plan_scene(scene, [4.0, 99.0], horizon=horizon, rules=rules(), forecast=foresee)
    assert len(partly.moments) == len(partly.failed) == 1


def test_where_nothing_could_be_planned_there_are_no_plans(road):
    timeline = plan_scene(scene_of(road), [98.0, 99.0], rules=rules())
    assert [time for time, _ in timeline.failed] == [98.0, 99.0]
    with pytest.raises(InputError, match="nothing could be planned"):
        _ = timeline.plans
