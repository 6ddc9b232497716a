import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.plan.falsification import (
    BREAKS,
    Campaign,
    FalsificationReport,
    falsify,
    play_chunk,
    replay,
)
from kerbstone.plan.falsification.adversaries import Scripts, refine_scripts
from kerbstone.plan.shield.ledger import Assumption

OTHERS = ("random", "surge", "aimed", "search")
SMALL = Campaign(size=25, duration=0.4, families=("cut-in", "walkers"), adversaries=OTHERS)
PLAY = """
import json
import numpy as np
from kerbstone.plan import falsification as f

OTHERS = ("random", "surge", "aimed", "search")
CAMPAIGN = f.Campaign(size=400, duration=2.5, adversaries=OTHERS)
out = {"report": f.falsify(1000, campaign=CAMPAIGN).as_mapping()}
out["breaks"] = {}
for name in f.BREAKS:
    family, size = ("walkers", 600) if name == "A5" else ("cut-in", 150)
    campaign = f.Campaign(size=size, duration=3.0, families=(family,))
    (row,) = f.break_assumptions(1, campaign=campaign, names=(name,))
    out["breaks"][name] = row.as_mapping()
out["broken"] = {}
for family in ("cut-in", "oncoming", "cyclists", "curve", "hidden walker"):
    campaign = f.Campaign(size=60, duration=2.0, families=(family,))
    outcome = f.replay(campaign, 0, 0)[0].outcome
    out["broken"][family] = outcome.broken[np.isinf(outcome.time)].tolist()
nominal = f.measure_nominal(80, duration=3.0, families=("following", "curve"))
out["nominal"] = nominal.as_mapping()
print(json.dumps(out, allow_nan=False))
"""


def _without_time(report):
    return replace(report, seconds=0.0)


@pytest.fixture(scope="module")
def played():
    """What thousands of episodes come to, in a process that does not check shapes at every call."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def report():
    return falsify(80, campaign=SMALL)


def test_shield_causes_no_collision_inside_the_assumptions(played):
    report = played["report"]
    assert report["episodes"] >= 1000
    assert len(report["by_family"]) >= 3
    assert report["caused"] == 0, report["cases"]


def test_simulation_and_shield_agree_on_where_controls_lead(played):
    assert 0.0 < played["report"]["slip"] < 1e-4


@pytest.mark.parametrize("name", list(BREAKS))
def test_each_assumption_broken_by_itself_leads_to_collisions(played, name):
    row = played["breaks"][name]
    assert row["episodes"] > 0
    assert row["caused"] > 0
    assert row["noticed"] > 0


def test_adversaries_keep_the_assumptions_as_the_ledger_sees_them(played):
    for family, broken in played["broken"].items():
        assert len(broken) > 20
        assert set(broken) == {int(Assumption.NONE)}, family


def test_shield_lets_sensible_planners_through(played):
    nominal = played["nominal"]
    assert nominal["episodes"] > 20
    assert nominal["progress"] > 0.9
    assert nominal["hostile_caused"] < nominal["hostile_bare"]


def test_counts_add_up_whichever_way_they_are_grouped(report):
    for name in ("family", "adversary", "planner"):
        groups = report.count_by(name)
        assert sum(row.episodes for row in groups.values()) == report.episodes
        assert len(groups) >= 2
    assert report.caused <= report.moving <= report.contacts
    assert 0.0 < report.no_start < 0.5


def test_report_is_json(report):
    mapping = json.loads(json.dumps(report.as_mapping(), allow_nan=False))
    assert mapping["episodes"] == report.episodes
    assert json.dumps(FalsificationReport(0).as_mapping(), allow_nan=False)


def test_run_that_was_interrupted_goes_on_from_its_last_report(report):
    seen = []

    def stop(so_far):
        seen.append(so_far)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        falsify(80, campaign=SMALL, on_result=stop)
    assert seen[-1].chunks == (0, 1)
    rest = falsify(80, campaign=SMALL, since=seen[-1])
    assert _without_time(rest) == _without_time(report)


def test_run_of_another_seed_is_not_gone_on_from(report):
    with pytest.raises(UsageError):
        falsify(10, campaign=SMALL, since=replace(report, seed=1))


def test_replay_shows_the_episode_as_it_was_played():
    played = play_chunk(SMALL, 1)
    again, instants = replay(SMALL, 1, 3)
    np.testing.assert_array_equal(again.outcome.gap, played.outcome.gap)
    assert len(instants) == 4
    way = sum(np.hypot(*(i.ego[0, -1, :2] - i.ego[0, 0, :2])) for i in instants)
    np.testing.assert_allclose(way, played.outcome.way[3])


def test_replay_of_no_episode_is_refused():
    with pytest.raises(UsageError):
        replay(replace(SMALL, duration=0.5), 0, 40)


@pytest.mark.parametrize(
    "wrong", [{"families": ("folowing",)}, {"planners": ()}, {"size": 0}, {"breaks": "A7"}]
)
def test_campaigns_of_nothing_are_refused(wrong):
    with pytest.raises(InputError):
        Campaign(**wrong)


def test_search_moves_towards_what_was_dangerous():
    rng = np.random.default_rng(0)
    gene = rng.uniform(-1, 1, (200, 1, 8, 3))
    for _ in range(6):
        danger = np.abs(gene[:, 0, 3, 0] - 0.7)
        gene = refine_scripts(rng, Scripts(gene), danger, tries=100).gene
    assert np.abs(gene[:, 0, 3, 0] - 0.7).mean() < 0.15
