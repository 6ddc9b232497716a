"""Evaluation against a slow reference that goes by the words: loops, and three-valued logic."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.lang import (
    REACH,
    Facts,
    compile_query,
    evaluate,
    evaluation,
    frames,
    parse_query,
    tree,
)
from kerbstone.lang.kinds import KINDS
from kerbstone.lang.units import UNITS
from kerbstone.scene import SE2, Kind
from queries import moving_scene

DT = 0.5
CLAIMS = [
    "speed({0}) > 3 m/s",
    "stopped({0})",
    "forward_speed({0}) <= speed({0})",
    "speed({0}) < speed({1})",
    "speed({0}) - 2 m/s >= speed({1}) * 0.5",
    "speed(ego) > 2 m/s",
    "time() > 2 s",
    "true",
]
SHAPES = [
    "not ({f})",
    "({f}) and ({g})",
    "({f}) or ({g})",
    "({f}) implies ({g})",
    "always[0.5 s, 1.5 s]({f})",
    "eventually[1 s]({f})",
    "once[1 s]({f})",
    "historically[0.5 s, 1 s]({f})",
    "always({f})",
    "eventually({f})",
    "once({f})",
    "historically({f})",
    "({f}) until[0.5 s, 1.5 s] ({g})",
    "({f}) until ({g})",
    "then({f}, {g}, within 1 s)",
    "({f}) for at least 1.5 s",
    "exists(pedestrian p{d}: speed(p{d}) > 1 m/s and ({f}))",
    "forall(any q{d}: speed(q{d}) < 6 m/s or ({f}))",
    "count(car k{d}: speed(k{d}) > 2 m/s) > 1",
    "let s{d} = 2 m/s in speed(ego) > s{d} and ({f})",
]


def random_scene(seed, *, agents=5, steps=9):
    rng = np.random.default_rng(seed)
    velocity = np.round(rng.normal(scale=3, size=(agents, steps, 2)), 2)
    points = np.cumsum(velocity, axis=1) * DT + rng.normal(scale=10, size=(agents, 1, 2))
    points[rng.random((agents, steps)) < 0.15] = np.nan
    kinds = tuple(rng.choice([Kind.CAR, Kind.CAR, Kind.PEDESTRIAN, Kind.TRUCK], agents))
    return moving_scene(
        points,
        velocity=velocity,
        heading=rng.uniform(-3, 3, size=(agents, steps)),
        kinds=tuple(Kind(int(kind)) for kind in kinds),
        ego=int(rng.integers(agents)) if rng.random() < 0.8 else None,
        dt=DT,
    )


@st.composite
def formulas(draw, users=("v", "w"), depth=3):
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(CLAIMS)).format(*users)
    shape = draw(st.sampled_from(SHAPES))
    parts = {k: draw(formulas(users, depth - 1)) for k in "fg" if f"{{{k}}}" in shape}
    return shape.format(**parts, d=depth)


def all_of(values):
    values = list(values)
    return False if False in values else None if None in values else True


def any_of(values):
    values = list(values)
    return True if True in values else None if None in values else False


class Reference:
    """Says at one time whether a formula holds (True, False, or None: undefined)."""

    def __init__(self, scene):
        self.scene, self.agents, self.steps = scene, scene.agents, scene.clock.steps

    def there(self, row, t):
        return row is not None and bool(self.agents.valid[row, t])

    def near(self, a, b):
        gap = self.agents.centre[a, :, :2] - self.agents.centre[b, :, :2]
        return bool((np.hypot(*gap.T) <= REACH).any())

    def number(self, node, names, t):
        match node:
            case tree.Number(value, unit):
                return value * UNITS[unit].factor
            case tree.Name(name):
                return self.number(names[name], names, t)
            case tree.Call("time"):
                return t * DT
            case tree.Call("speed", (tree.Name(name),)):
                row = names[name]
                return float(self.agents.speed[row, t]) if self.there(row, t) else None
            case tree.Call("forward_speed", (tree.Name(name),)):
                row = names[name]
                if not self.there(row, t):
                    return None
                heading = self.agents.heading[row, t]
                return float(self.agents.velocity[row, t] @ [np.cos(heading), np.sin(heading)])
            case tree.Arithmetic(operator, left, right):
                a, b = self.number(left, names, t), self.number(right, names, t)
                if a is None or b is None:
                    return None
                return a * b if operator == "*" else a - b
            case tree.Quantifier("count", (variable,), body):
                held = [
                    self.holds(body, {**names, variable.name: row}, t)
                    for row in self.users(variable, body, names)
                    if self.there(row, t)
                ]
                return None if None in held else float(sum(held))
        raise TypeError(node)

    def users(self, variable, body, names, *, is_for_all=False):
        rows = set(np.flatnonzero(self.agents.is_kind(*sorted(KINDS[variable.kind]))).tolist())
        others = {names[name] for name in free_names(body) if name in names}
        others = {row for row in others if isinstance(row, int)}
        rows = sorted(rows - others)
        return [r for r in rows if is_for_all or all(self.near(r, o) for o in others)]

    def holds(self, node, names, t):
        if not 0 <= t < self.steps:
            return None
        match node:
            case tree.Truth(value):
                return value
            case tree.Call("stopped", (tree.Name(name),)):
                row = names[name]
                return bool(self.agents.speed[row, t] < 0.3) if self.there(row, t) else None
            case tree.Compare(operator, left, right):
                a, b = self.number(left, names, t), self.number(right, names, t)
                if a is None or b is None:
                    return None
                return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]
            case tree.Not(body):
                held = self.holds(body, names, t)
                return None if held is None else not held
            case tree.Logic(operator, left, right):
                a, b = self.holds(left, names, t), self.holds(right, names, t)
                if operator == "implies":
                    return any_of([None if a is None else not a, b])
                return all_of([a, b]) if operator == "and" else any_of([a, b])
            case tree.Temporal(operator, window, body):
                times = self.times(operator, window, body, names, t)
                if not times:
                    return None
                held = [self.holds(body, names, k) for k in times]
                return all_of(held) if operator in ("always", "historically") else any_of(held)
            case tree.Until(window, left, right):
                if window is None:
                    times = self.times("always", None, node, names, t)
                    if not times:
                        return None
                    before = {k: [j for j in times if j < k] for k in times}
                else:
                    low, high = round(window.low.value / DT), round(window.high.value / DT)
                    times = range(t + low, t + high + 1)
                    before = {k: range(t, k) for k in times}
                return any_of(
                    all_of(
                        [self.holds(right, names, k)]
                        + [self.holds(left, names, j) for j in before[k]]
                    )
                    for k in times
                )
            case tree.Then(first, second, within):
                later = tree.Temporal(
                    "eventually", tree.Window(tree.Number(0.0, "s"), within), second
                )
                return all_of([self.holds(first, names, t), self.holds(later, names, t)])
            case tree.Lasting(body, least):
                n = max(round(least.value / DT), 1)
                return any_of(
                    all_of(self.holds(body, names, k) for k in range(s, s + n))
                    if 0 <= s
                    else all_of([None, *(self.holds(body, names, k) for k in range(s, s + n))])
                    for s in range(t - n + 1, t + 1)
                )
            case tree.Quantifier(operator, (variable,), body):
                held = [
                    self.holds(body, {**names, variable.name: row}, t)
                    for row in self.users(variable, body, names, is_for_all=operator == "forall")
                    if self.there(row, t)
                ]
                return any_of(held) if operator == "exists" else all_of(held)
            case tree.Let(name, value, body):
                return self.holds(body, {**names, name: value}, t)
        raise TypeError(node)

    def times(self, operator, window, body, names, t):
        if window is not None:
            low, high = round(window.low.value / DT), round(window.high.value / DT)
            if operator in ("once", "historically"):
                return range(t - high, t - low + 1)
            return range(t + low, t + high + 1)
        reach = range(t + 1) if operator in ("once", "historically") else range(t, self.steps)
        rows = [names[name] for name in free_names(body) if not isinstance(names[name], tree.Node)]
        return [k for k in reach if all(self.there(row, k) for row in rows)]


def free_names(node):
    """The road users that a formula is about."""
    match node:
        case tree.Call(_, arguments):
            return {part.name for part in arguments if isinstance(part, tree.Name)}
        case tree.Quantifier(_, (variable,), body):
            return free_names(body) - {variable.name}
        case tree.Let(name, value, body):
            return free_names(value) | (free_names(body) - {name})
    parts = [getattr(node, name) for name in vars(node)]
    return set().union(*(free_names(part) for part in parts if isinstance(part, tree.Node)))


@given(formulas(), st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_robustness_is_positive_exactly_where_the_formula_holds(text, seed):
    scene = random_scene(seed)
    query = parse_query(f"any v, vehicle w: {text}")
    compiled = compile_query(query)
    answer = evaluate(compiled, Facts(scene))
    reference = Reference(scene)
    kinds = [KINDS[v.kind] for v in query.variables]
    ego = {scene.ego} if compiled.names_ego and scene.ego is not None else set()
    expected = [
        pair
        for pair in itertools.permutations(range(len(scene.agents)), 2)
        if all(Kind(int(scene.agents.kind[r])) in k for r, k in zip(pair, kinds, strict=True))
        and all(scene.agents.valid[r].any() for r in pair)
        and not ego & set(pair)
        and all(reference.near(a, b) for a, b in itertools.combinations([*pair, *ego], 2))
    ]
    assert sorted(map(tuple, answer.rows.tolist())) == expected
    for (v, w), found in zip(answer.rows.tolist(), answer.robustness, strict=True):
        for t in range(scene.clock.steps):
            held = None
            if reference.there(v, t) and reference.there(w, t):
                held = reference.holds(query.body, {"v": v, "w": w, "ego": scene.ego}, t)
            value = None if np.isnan(found[t]) else bool(found[t] > 0)
            assert value == held, (text, v, w, t)


@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(-1e3, 1e3), st.permutations(range(5)))
@settings(max_examples=30, deadline=None)
def test_nothing_changes_when_the_scene_is_moved_or_its_agents_are_renumbered(
    seed, turn, shift, order
):
    text = (
        "vehicle v, any w: speed(v) > speed(w) and eventually[1 s](forward_speed(v) > 1 m/s) or "
        "lateral_acceleration(w) > 1 m/s2 and count(any u: moving(u)) > 2"
    )
    scene = random_scene(seed)
    pose = SE2(np.array([shift, -shift]), np.array(turn))
    agents = scene.agents.select(list(order))
    points = pose @ agents.centre[..., :2]
    moved = moving_scene(
        points,
        velocity=pose.rotate(agents.velocity),
        heading=agents.heading + turn,
        kinds=tuple(Kind(int(kind)) for kind in agents.kind),
        ego=None if scene.ego is None else list(order).index(scene.ego),
        dt=DT,
    )
    query = compile_query(parse_query(text))
    one, other = evaluate(query, Facts(scene)), evaluate(query, Facts(moved))
    found = {tuple(order[r] for r in rows): k for k, rows in enumerate(other.rows.tolist())}
    assert sorted(found) == sorted(map(tuple, one.rows.tolist()))
    same = [found[tuple(rows)] for rows in one.rows.tolist()]
    np.testing.assert_allclose(other.robustness[same], one.robustness, atol=1e-9, rtol=1e-9)


@given(st.integers(0, 10**6), st.floats(0, 9), st.floats(0, 3))
@settings(max_examples=30, deadline=None)
def test_a_stricter_threshold_never_holds_more_strongly(seed, threshold, more):
    facts = Facts(random_scene(seed))

    def robustness(least):
        text = f"vehicle v: eventually[1 s](speed(v) > {least!r} m/s) and speed(v) > 0.1 m/s"
        return evaluate(compile_query(parse_query(text)), facts).robustness

    loose, strict = robustness(threshold), robustness(threshold + more)
    assert not ((strict > 0) & (loose < 0)).any()
    both = ~np.isnan(loose) & ~np.isnan(strict)
    assert (strict[both] <= loose[both]).all()


PAIRED = [
    "distance({0}, {1}) < 12 m",
    "centre_distance({0}, {1}) <= 9 m and speed({0}) > 2 m/s",
    "touching({0}, {1})",
    "passing({0}, {1}) or speed({1}) > 4 m/s",
    "then(speed({0}) > 3 m/s, distance({0}, {1}) < 15 m, within 1 s)",
]


@given(formulas(), st.sampled_from(PAIRED), st.integers(0, 10**6), st.sampled_from([0.0, -1.0]))
@settings(max_examples=150, deadline=None)
def test_above_its_floor_an_answer_is_the_whole_one(text, paired, seed, floor):
    facts = Facts(random_scene(seed, agents=6))
    query = compile_query(parse_query(f"any v, vehicle w: ({text}) and {paired.format('v', 'w')}"))
    whole, part = evaluate(query, facts), evaluate(query, facts, floor=floor)
    row = {tuple(rows): k for k, rows in enumerate(whole.rows.tolist())}
    kept = [row[tuple(rows)] for rows in part.rows.tolist()]
    np.testing.assert_array_equal(part.robustness, whole.robustness[kept])
    left_out = np.setdiff1d(np.arange(len(whole.rows)), kept)
    assert not whole.holds[left_out].any()


def test_a_near_miss_is_above_the_floor_of_one_margin():
    velocity = np.full((3, 4, 2), [[[4.5, 0.0]], [[3.5, 0.0]], [[1.5, 0.0]]])
    facts = Facts(moving_scene(np.zeros((3, 4, 2)), velocity=velocity))
    query = compile_query(parse_query("car v: speed(v) > 4 m/s"))  # by 2 m/s
    assert evaluate(query, facts, floor=0.0).rows.tolist() == [[0]]
    assert evaluate(query, facts, floor=-1.0).rows.tolist() == [[0], [1]]


def test_numbers_have_an_absolute_value_a_least_and_a_largest():
    facts = Facts(moving_scene(np.zeros((1, 3, 2)), velocity=np.full((1, 3, 2), [-3.0, 0.0])))
    for text in (
        "abs(2 m/s - speed(v)) == 1 m/s",
        "min(speed(v), 2 m/s) == 2 m/s",
        "max(speed(v), 2 m/s) == 3 m/s",
    ):
        assert evaluate(compile_query(parse_query(f"car v: {text}")), facts).holds.all()


def test_on_its_border_a_comparison_holds_if_it_says_so():
    facts = Facts(moving_scene(np.zeros((1, 3, 2)), velocity=np.full((1, 3, 2), [2.0, 0.0])))
    for text, holds in {"<=": True, ">=": True, "<": False, ">": False, "==": True}.items():
        for negated in (False, True):
            no = "not " if negated else ""
            query = compile_query(parse_query(f"car v: {no}speed(v) {text} 2 m/s"))
            assert evaluate(query, facts).holds.all() == (holds != negated)


def test_margins_say_how_far_a_formula_is_from_turning():
    facts = Facts(moving_scene(np.zeros((1, 3, 2)), velocity=np.full((1, 3, 2), [6.0, 0.0])))
    answer = evaluate(compile_query(parse_query("car v: speed(v) > 2 m/s")), facts)
    assert answer.robustness == pytest.approx(np.full((1, 3), 2.0))  # 4 m/s, by 2 m/s


def test_road_users_that_never_come_near_each_other_are_not_put_together():
    points = np.zeros((3, 4, 2))
    points[1, :, 0], points[2, :, 0] = 90.0, 180.0
    answer = evaluate(compile_query(parse_query("car a, car b: true")), Facts(moving_scene(points)))
    assert answer.rows.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]


@pytest.mark.parametrize("quantifier", ["exists", "not exists", "count"])
def test_further_road_users_out_of_reach_change_nothing_that_holds(quantifier, monkeypatch):
    inner = "(car w: distance(w, v) < 6 m and speed(w) > 2 m/s)"
    text = f"{quantifier}{inner}" + (" >= 1" if quantifier == "count" else "")
    query = compile_query(parse_query(f"any v: {text}"))
    for seed in range(10):
        facts = Facts(random_scene(seed, agents=7))
        near = evaluate(query, facts).holds
        monkeypatch.setattr(frames, "_FAR", -1e9)
        np.testing.assert_array_equal(near, evaluate(query, facts).holds)
        monkeypatch.undo()


@given(st.integers(0, 10**6), st.sampled_from([0.0, -1.0]))
@settings(max_examples=40, deadline=None)
def test_three_road_users_are_put_together_as_if_all_were_tried(seed, floor):
    text = "distance(u, v) < 20 m and speed(v) > speed(u) and distance(v, w) < 20 m and moving(w)"
    facts = Facts(random_scene(seed, agents=6))
    query = compile_query(parse_query(f"any u, any v, any w: {text}"))
    whole, part = evaluate(query, facts), evaluate(query, facts, floor=floor)
    row = {tuple(rows): k for k, rows in enumerate(whole.rows.tolist())}
    kept = [row[tuple(rows)] for rows in part.rows.tolist()]
    np.testing.assert_array_equal(part.robustness, whole.robustness[kept])
    assert not whole.holds[np.setdiff1d(np.arange(len(whole.rows)), kept)].any()


def test_many_bindings_are_evaluated_in_blocks_with_the_same_result(monkeypatch):
    facts = Facts(random_scene(3, agents=8))
    text = "any v, any w: exists(any u: speed(u) > speed(v) and speed(u) > speed(w))"
    query = compile_query(parse_query(text))
    whole = evaluate(query, facts)
    monkeypatch.setattr(frames, "BLOCK", 40)
    parts = evaluate(query, facts)
    np.testing.assert_array_equal(parts.rows, whole.rows)
    np.testing.assert_array_equal(parts.robustness, whole.robustness)


@pytest.mark.parametrize(
    ("module", "name"), [(evaluation, "_MOST_VALUES"), (frames, "_MOST_CELLS")]
)
def test_a_query_that_asks_for_too_much_is_refused(monkeypatch, module, name):
    monkeypatch.setattr(module, name, 100)
    query = compile_query(parse_query("any v, any w: speed(v) > speed(w) and not stopped(v)"))
    with pytest.raises(InputError) as caught:
        evaluate(query, Facts(random_scene(1)))
    assert caught.value.code == "query-limit"


def test_nobody_on_the_road_matches_nothing():
    scene = moving_scene(np.zeros((0, 4, 2)))
    for text in ("car v: stopped(v)", "speed(ego) > 1 m/s", "car v, car w: true"):
        assert not evaluate(compile_query(parse_query(text)), Facts(scene)).holds.any()
    query = compile_query(parse_query("count(any v: true) == 0"))
    assert evaluate(query, Facts(scene)).holds.all()
