"""The semantics of time against RTAMT, a library of its own for signal temporal logic."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.lang import Facts, compile_query, evaluate, parse_query
from queries import moving_scene

with warnings.catch_warnings():
    # Its parser's run time is of 2017, and asks for what Python 3.12 no longer has.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    rtamt = pytest.importorskip("rtamt", reason="RTAMT runs on Python 3.11 only")

STEPS = 24
SHAPES = [  # ours, RTAMT's, and how many steps ahead and back it looks
    ("not ({f})", "not({f})", 0, 0),
    ("({f}) and ({g})", "({f}) and ({g})", 0, 0),
    ("({f}) or ({g})", "({f}) or ({g})", 0, 0),
    ("({f}) implies ({g})", "({f}) implies ({g})", 0, 0),
    ("always[1 s, 3 s]({f})", "always[1:3]({f})", 3, 0),
    ("eventually[0 s, 2 s]({f})", "eventually[0:2]({f})", 2, 0),
    ("historically[0 s, 2 s]({f})", "historically[0:2]({f})", 0, 2),
    ("once[1 s, 2 s]({f})", "once[1:2]({f})", 0, 2),
    ("({f}) until[1 s, 3 s] ({g})", "({f}) until[1:3] ({g})", 3, 0),
    ("then({f}, {g}, within 2 s)", "({f}) and (eventually[0:2]({g}))", 2, 0),
]
ATOMS = [
    ("speed(v) >= 4 m/s", "v >= 2"),
    ("speed(w) < 6 m/s", "w < 3"),
    ("speed(v) - speed(w) > 1 m/s", "v - w > 0.5"),
]


@st.composite
def formulas(draw, depth=3):
    """Return a formula in both languages, and its reach ahead and back in steps."""
    if depth == 0:
        return (*draw(st.sampled_from(ATOMS)), 0, 0)
    ours, theirs, ahead, back = draw(st.sampled_from(SHAPES))
    parts = {name: draw(formulas(draw(st.integers(0, depth - 1)))) for name in "fg"}
    used = [part for name, part in parts.items() if f"{{{name}}}" in ours]
    return (
        ours.format(**{name: part[0] for name, part in parts.items()}),
        theirs.format(**{name: part[1] for name, part in parts.items()}),
        ahead + max(part[2] for part in used),
        back + max(part[3] for part in used),
    )


def robustness_by_rtamt(text, signals):
    spec = rtamt.StlDiscreteTimeSpecification()
    for name in signals:
        spec.declare_var(name, "float")
    spec.spec = text
    spec.parse()
    data = {"time": list(range(STEPS)), **{name: list(v) for name, v in signals.items()}}
    return np.array([value for _, value in spec.evaluate(data)], float)


@given(formulas(), st.integers(0, 10**6))
@settings(max_examples=150)
def test_robustness_is_that_of_rtamt(formula, seed):
    ours, theirs, ahead, back = formula
    speed = np.random.default_rng(seed).uniform(0, 10, size=(2, STEPS))
    velocity = np.stack([speed, np.zeros_like(speed)], axis=-1)
    facts = Facts(moving_scene(np.zeros((2, STEPS, 2)), velocity=velocity, dt=1.0))
    answer = evaluate(compile_query(parse_query(f"car v, car w: {ours}")), facts)
    found = answer.robustness[answer.rows.tolist().index([0, 1])]
    # Speeds count in margins of 2 m/s. Windows that reach beyond the record are no question of logic.
    expected = robustness_by_rtamt(theirs, {"v": speed[0] / 2, "w": speed[1] / 2})
    inside = slice(back, STEPS - ahead)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-9)
