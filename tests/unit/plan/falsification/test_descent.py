import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from kerbstone.plan.falsification import Campaign, falsify
from kerbstone.plan.falsification.seeking import SEEKING, pick_adversaries
from kerbstone.plan.shield.ledger import Assumption

PLAY = """
import json
import numpy as np
from kerbstone.plan.falsification import Campaign, replay
from kerbstone.plan.falsification.adversaries import write_random
from kerbstone.plan.falsification.descent import begin_descent, descend
from kerbstone.plan.falsification.episodes import Parts, play
from kerbstone.plan.falsification.families import set_stage
from kerbstone.plan.falsification.imperfections import draw_imperfections
from kerbstone.plan.falsification.trails import Trail
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.vehicle import Vehicle

truth, car, starts, tries, rounds = Assumptions(), Vehicle(), 16, 5, 5

def run(family, *, descends):
    rng = np.random.default_rng(0)
    stage = set_stage(family, starts, rng=rng, assumptions=truth, vehicle=car)
    stage = stage.take(np.repeat(np.arange(starts), tries))
    faults = draw_imperfections(rng, stage.crowd)
    nobody = np.zeros(len(stage), bool)
    scripts = write_random(rng, stage.crowd)
    descent, caused, gaps = begin_descent(scripts), 0, []
    for _ in range(rounds):
        trail = Trail([stage.ego], [stage.crowd])
        outcome = play(
            stage, Parts(np.full(len(stage), "sensible"), nobody, scripts, faults), None,
            truth=truth, vehicle=car, duration=4.0, rng=np.random.default_rng(1), watch=trail.add,
        )
        caused += int(outcome.caused.sum())
        gap = np.where(np.isfinite(outcome.time), np.inf, outcome.gap)
        gaps.append(gap.reshape(starts, tries).min(axis=1))
        descent, after = descend(
            rng, descent, scripts, trail, outcome, vehicle=car, duration=truth.control_step
        )
        scripts = after if descends else write_random(rng, stage.crowd)
    gap = np.min(gaps, axis=0)
    return caused, np.where(np.isfinite(gap), gap, np.nan).tolist()

out = {}
for family in ("crossing", "walkers", "cyclists"):
    out[family] = run(family, descends=True), run(family, descends=False)
broken = {}
for family in ("cut-in", "cyclists"):
    campaign = Campaign(size=25, duration=0.5, families=(family,), adversaries=("gradient",))
    broken[family] = replay(campaign, 0, 0)[0].outcome.broken.tolist()
print(json.dumps({"loops": out, "broken": broken}))
"""
SMALL = Campaign(size=25, duration=0.2, families=("walkers",), adversaries=("gradient",))


@pytest.fixture(scope="module")
def played():
    """Gradient and chance on the same starts, in a process that does not check shapes."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_more_collisions_are_found_than_by_chance_at_equal_episodes(played):
    found = [(down[0], chance[0]) for down, chance in played["loops"].values()]
    down, chance = np.sum(found, axis=0)
    assert down > 1.1 * chance > 0.0, found


def test_where_nobody_touches_they_come_nearer_than_by_chance(played):
    for name, (down, chance) in played["loops"].items():
        near, far = np.array(down[1]), np.array(chance[1])
        both = np.isfinite(near) & np.isfinite(far)
        assert both.sum() >= 5
        assert near[both].mean() < 0.95 * far[both].mean(), name


def test_what_they_do_stays_within_the_assumptions_as_the_ledger_sees_them(played):
    for name, broken in played["broken"].items():
        assert len(broken) >= 100
        assert set(broken) == {int(Assumption.NONE)}, name


def test_a_run_that_goes_on_finds_the_same_and_names_the_adversary():
    seen = []
    report = falsify(150, campaign=SMALL, on_result=seen.append)
    assert len(seen) >= 2
    rest = falsify(150, campaign=SMALL, since=seen[0])
    assert replace(rest, seconds=0.0) == replace(report, seconds=0.0)
    row = report.count_by("adversary")["gradient"]
    assert row.episodes == report.episodes
    assert row.gap is not None


def test_those_that_seek_have_chunks_of_their_own_and_leave_the_others_as_they_are():
    others = ("random", "aimed")
    turns = [pick_adversaries((*others, "search", "gradient"), turn) for turn in range(4)]
    assert sorted(turns) == [("gradient",), others, others, ("search",)]
    without = [pick_adversaries((*others, "search"), turn) for turn in range(4)]
    assert [a == b for a, b in zip(turns, without, strict=True)].count(False) == 1
    assert pick_adversaries(("gradient",), 2) == ("gradient",)
    assert all(seeking.tries * seeking.rounds == 100 for seeking in SEEKING.values())
