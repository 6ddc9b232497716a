import pytest

from kerbstone.errors import InputError, MissingError
from kerbstone.lang import Facts, compile_query, evaluate, parse_library, parse_query, signal
from kerbstone.lang.registry import known_signals
from queries import moving_scene

LIBRARY = {
    scenario.name: scenario
    for scenario in parse_library(
        """
        scenario fast(vehicle v, most = 10 m/s): "Fast." speed(v) > most
        scenario both(vehicle v, any w = ego): "Both." fast(v) and speed(w) > 1 m/s
        """
    )
}


def refuse(text, **keywords):
    with pytest.raises(InputError) as caught:
        compile_query(parse_query(text), scenarios=LIBRARY, **keywords)
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "column", "hint"),
    [
        ("vehicle v: spead(v) > 1 m/s", "query-name", 12, "speed"),
        ("vehicl v: true", "query-name", 1, "vehicle"),
        ("vehicle v: speed(w) > 1 m/s", "query-name", 18, "vehicle w"),
        ("vehicle v: speed(v) > x", "query-name", 23, ""),
        ("vehicle v, car v: true", "query-name", 12, ""),
        ("vehicle ego: true", "query-name", 1, ""),
        ("vehicle v: let v = 1 in v < 2", "query-name", 12, ""),
        ("vehicle v: exists(car v: true)", "query-name", 19, ""),
        ("vehicle v: fsat(v)", "query-name", 12, "fast"),
        ("vehicle v: fast(v, least = 1 m/s)", "query-name", 28, "most"),
        ("vehicle v: speed(v) > 10", "query-unit", 12, "10 m/s"),
        ("vehicle v: speed(v) + 2 s > 10 m/s", "query-unit", 12, ""),
        ("vehicle v: speed(v)", "query-unit", 12, "compare it"),
        ("vehicle v: stopped(v) > 1", "query-unit", 12, ""),
        ("vehicle v: always[2 s, 1 s](stopped(v))", "query-unit", 18, ""),
        ("vehicle v: always[2 m](stopped(v))", "query-unit", 19, "2 s"),
        ("vehicle v: fast(v, 3 m)", "query-unit", 20, ""),
        ("vehicle v: speed(v, v) > 1 m/s", "query-arity", 12, "Speed"),
        ("vehicle v: fast(v, 1 m/s, 2 m/s)", "query-arity", 12, "Fast"),
        ("fast()", "query-arity", 1, "Fast"),
        ("vehicle v: fast(v, v = v)", "query-arity", 24, ""),
        ("vehicle v: v", "query-kind", 12, ""),
        ("vehicle v: speed(3 m) > 1 m/s", "query-kind", 18, ""),
        ("vehicle v: is_a(v, v)", "query-kind", 20, "quotes"),
        ("any v: fast(v)", "query-kind", 13, "vehicle v"),
        ("car a, car b, car c, car d, car e: true", "query-limit", 1, ""),
        ("vehicle v: always[1000 s](stopped(v))", "query-limit", 19, ""),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(text, code, column, hint):
    error = refuse(text, source="mine")
    assert error.code == code
    assert error.where == f"mine, line 1, column {column}"
    assert hint in f"{error.what} {error.why} {error.remedy}"


def test_an_error_inside_a_scenario_names_the_scenario():
    broken = parse_library('scenario odd(car c): "Odd." sped(c) > 1 m/s')
    with pytest.raises(InputError) as caught:
        compile_query(parse_query("car c: odd(c)"), scenarios={"odd": broken[0]})
    assert caught.value.where == "scenario odd, line 1, column 29"


def test_a_scenario_that_calls_itself_is_refused():
    one, two = parse_library('scenario p(car c): "P." q(c)  scenario q(car c): "Q." p(c)')
    with pytest.raises(InputError, match="calls itself"):
        compile_query(parse_query("car c: p(c)"), scenarios={"p": one, "q": two})


def test_scenarios_that_grow_without_bound_are_refused():
    text = 'scenario s0(car c): "0." stopped(c)\n' + "\n".join(
        f'scenario s{k}(car c): "{k}." s{k - 1}(c) and s{k - 1}(c)' for k in range(1, 40)
    )
    scenarios = {scenario.name: scenario for scenario in parse_library(text)}
    with pytest.raises(InputError) as caught:
        compile_query(parse_query("car c: s39(c)"), scenarios=scenarios)
    assert caught.value.code == "query-limit"


@pytest.mark.parametrize("count", [21, 60, 1500])
def test_a_long_chain_of_scenarios_is_refused(count):
    text = 'scenario s0(car c): "0." stopped(c)\n' + "\n".join(
        f'scenario s{k}(car c): "{k}." s{k - 1}(c)' for k in range(1, count)
    )
    scenarios = {scenario.name: scenario for scenario in parse_library(text)}
    compile_query(parse_query("car c: s15(c)"), scenarios=scenarios)
    with pytest.raises(InputError) as caught:
        compile_query(parse_query(f"car c: s{count - 1}(c)"), scenarios=scenarios)
    assert caught.value.code == "query-limit"


def test_what_scenarios_nest_together_is_limited():
    deep = "not (" * 25 + "{}" + ")" * 25
    text = 'scenario s0(car c): "0." stopped(c)\n' + "\n".join(
        f'scenario s{k}(car c): "{k}." {deep.format(f"s{k - 1}(c)")}' for k in range(1, 10)
    )
    scenarios = {scenario.name: scenario for scenario in parse_library(text)}
    compile_query(parse_query("car c: s2(c)"), scenarios=scenarios)
    with pytest.raises(InputError, match="nested") as caught:
        compile_query(parse_query("car c: s9(c)"), scenarios=scenarios)
    assert caught.value.code == "query-limit"


@pytest.mark.parametrize("operator", ["and", "or", "implies"])
def test_names_that_double_at_each_use_are_limited(operator):
    def query(levels):
        lets = "".join(f"let a{k} = a{k - 1} {operator} a{k - 1} in " for k in range(1, levels))
        return f"car c: let a0 = stopped(c) in {lets}a{levels - 1}"

    compile_query(parse_query(query(8)))
    with pytest.raises(InputError) as caught:
        compile_query(parse_query(query(14)))
    assert caught.value.code == "query-limit"


def test_the_names_of_a_scenario_do_not_meet_those_of_its_caller():
    text = "vehicle w, car v: both(w, v)"
    compiled = compile_query(parse_query(text), scenarios=LIBRARY)
    assert [slot.name for slot in compiled.slots] == ["w", "v"]
    assert not compiled.names_ego
    assert compile_query(parse_query("vehicle w: both(w)"), scenarios=LIBRARY).names_ego


def test_units_multiply_and_divide():
    compile_query(parse_query("vehicle v: speed(v) * 2 s > length(v) and 1 m / 2 s < speed(v)"))
    assert "m^2" in refuse("vehicle v: length(v) * length(v) > 3 m").why


@pytest.mark.parametrize("text", ["surprise(ego) > 2", 'similar("a") > 0.5', 'image("x") > 0.2'])
def test_a_model_signal_says_that_there_is_no_model(text):
    facts = Facts(moving_scene([[[0, 0], [1, 0]]], ego=0))
    with pytest.raises(MissingError) as caught:
        evaluate(compile_query(parse_query(text)), facts)
    assert caught.value.code == "model-missing"


def test_two_signals_of_one_name_are_refused():
    def speed(facts):
        return facts

    with pytest.raises(InputError, match="two signals 'speed'"):
        signal(unit="m/s")(speed)


def test_every_signal_has_a_sentence_and_a_unit_that_is_known():
    for name, found in known_signals().items():
        assert found.doc.endswith((".", ".)")), name
        assert found.margin > 0
        assert found.dimension is None or found.unit is not None


@pytest.mark.parametrize(("text", "call"), [
    ("speed > 3 m/s", "write speed(v), of road users that you declare"),
    ("car a, car b: distance < 3 m", "write distance(v, w)"),
    ("car a: time > 3 s and speed(a) > 3 m/s", "write time()"),
    ("both", "write both(v, w), of road users that you declare"),
])  # fmt: skip
def test_a_name_that_stands_alone_is_shown_as_a_call(text, call):
    refused = refuse(text)
    assert refused.code == "query-name"
    assert call in refused.remedy


def test_a_name_alone_is_shown_as_a_call_among_many_others():
    names = "".join(f"let n{number} = {number} m/s in " for number in range(30))
    assert refuse(f"car c: {names}(speed > n1)").remedy == "write speed(v)"
