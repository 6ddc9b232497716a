from dataclasses import replace

import numpy as np
import pytest

from kerbstone.plan.falsification.adversaries import GENES, KNOTS, SCALES, Scripts
from kerbstone.plan.falsification.crowds import move_crowd
from kerbstone.plan.falsification.families import set_stage
from kerbstone.plan.falsification.trails import Trail, read_genes, sum_knots, trace_back
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.vehicle import Vehicle

STEP, STEPS = 0.1, 8


def _stage(family, *, least=5.0):
    stage = set_stage(
        family, 5, rng=np.random.default_rng(3), assumptions=Assumptions(), vehicle=Vehicle()
    )
    return stage.ego, replace(stage.crowd, speed=np.maximum(stage.crowd.speed, least))


def _roll(ego, crowd, gene):
    trail = Trail([ego], [crowd])
    for step in range(STEPS):
        wish = Scripts(gene).read(trail.crowd[-1], step / STEPS)
        trail.crowd.append(move_crowd(trail.crowd[-1], wish, STEP, 10).after)
    return trail


def _gene(crowd, rng):
    gene = rng.uniform(-0.05, 0.05, (*crowd.valid.shape, KNOTS, GENES))
    gene[..., 2] *= 0.5
    return gene


@pytest.mark.parametrize("family", ["curve", "oncoming", "walkers", "cyclists"])
def test_derivatives_agree_with_finite_differences(family):
    ego, crowd = _stage(family)
    rng = np.random.default_rng(0)
    gene, weight = _gene(crowd, rng), rng.standard_normal((*crowd.valid.shape, STEPS + 1, 2))

    def value(gene):
        return (_roll(ego, crowd, gene).gather("place") * weight).sum(axis=(2, 3))

    slope = np.array(SCALES) * sum_knots(trace_back(_roll(ego, crowd, gene), weight, STEP))
    expected = np.zeros_like(slope)
    for knot, number in np.ndindex(KNOTS, GENES):
        change = np.zeros_like(gene)
        change[..., knot, number] = 1e-6
        expected[..., knot, number] = (value(gene + change) - value(gene - change)) / 2e-6
    slope, expected = slope[crowd.valid], expected[crowd.valid]
    cosine = (slope * expected).sum(axis=(1, 2)) / np.sqrt(
        (slope**2).sum(axis=(1, 2)) * (expected**2).sum(axis=(1, 2))
    )
    assert cosine.min() > 0.999
    assert np.abs(slope - expected).max() < 0.02 * np.abs(expected).max()


def test_what_fades_leaves_the_last_step_and_less_of_the_first():
    ego, crowd = _stage("walkers")
    trail = _roll(ego, crowd, _gene(crowd, np.random.default_rng(1)))
    weight = np.zeros((*crowd.valid.shape, STEPS + 1, 2))
    weight[:, :, -1] = 1.0
    exact, faded = (np.abs(trace_back(trail, weight, STEP, fades=f)) for f in (np.inf, 0.5))
    np.testing.assert_allclose(faded[:, :, -1], exact[:, :, -1])
    assert faded[:, :, 0].sum() < 0.3 * exact[:, :, 0].sum()


def test_one_that_stands_is_told_to_drive_off_but_not_to_brake():
    ego, crowd = _stage("oncoming", least=0.0)
    crowd = replace(crowd, speed=np.zeros_like(crowd.speed))
    trail = _roll(ego, crowd, np.zeros((*crowd.valid.shape, KNOTS, GENES)))
    ahead = np.stack([np.cos(crowd.heading), np.sin(crowd.heading)], axis=-1)[:, :, None]
    there = np.broadcast_to(ahead, trail.gather("place").shape)
    assert (trace_back(trail, -there, STEP)[..., 0] < 0.0).all()  # such that descent accelerates
    assert (trace_back(trail, there, STEP)[..., 0] <= 0.0).all()


@pytest.mark.parametrize("family", ["curve", "cyclists"])
def test_genes_are_read_from_what_was_done(family):
    ego, crowd = _stage(family)
    gene = _gene(crowd, np.random.default_rng(2))
    gene[..., 1] *= ~crowd.on_rail[..., None]
    gene[..., 2] *= crowd.on_rail[..., None]
    done = read_genes(_roll(ego, crowd, gene), STEP)
    np.testing.assert_allclose(done[crowd.valid], gene[crowd.valid], atol=2e-3)
