from dataclasses import replace

import numpy as np

from kerbstone.plan.falsification.families import set_stage
from kerbstone.plan.shield.assumptions import Assumptions
from kerbstone.plan.vehicle import Vehicle


def test_whoever_is_hidden_on_a_lane_gets_no_further_than_its_edges_and_others_anywhere():
    stage = set_stage(
        "hidden car",
        200,
        rng=np.random.default_rng(0),
        assumptions=Assumptions(),
        vehicle=Vehicle(),
    )
    crowd, width = stage.crowd, np.array([1.0, 2.0, 3.0])
    hidden = stage.blind.hides(crowd)
    edges = stage.blind.find_edges(crowd, width)
    assert hidden.any(axis=0).all()
    for agent, half in enumerate(width[1:]):
        assert (edges[hidden[:, agent], agent] == [-half, half]).all()
    assert np.isinf(edges[~hidden]).all()
    seen = stage.blind.reveal(np.ones_like(hidden))
    assert np.isinf(seen.find_edges(crowd, width)).all()
    # Who has left its stretch is seen, too.
    gone = replace(crowd, along=crowd.along + 1000.0)
    assert np.isinf(stage.blind.find_edges(gone, width)).all()
