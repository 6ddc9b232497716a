import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.lang import parse_library, parse_query, print_query, print_scenario, tree
from queries import QUERIES


@given(QUERIES)
def test_a_printed_query_reads_as_itself(query):
    assert parse_query(print_query(query)) == query


@given(st.text('abv(),:<>=[]+-*/ .0123 \n"#smh', max_size=60) | st.text(max_size=30))
@settings(max_examples=300)
def test_any_text_is_a_query_or_a_clear_error(text):
    try:
        query = parse_query(text)
    except InputError as error:
        assert error.code in ("query-syntax", "query-limit")  # noqa: PT017
        assert "line" in error.where  # noqa: PT017
    else:
        assert parse_query(print_query(query)) == query


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("not a and b or c implies d", "(((not a) and b) or c) implies d"),
        ("a implies b implies c", "a implies (b implies c)"),
        ("not x < 1 m", "not (x < 1 m)"),
        ("1 - 2 - 3 < 4 * 5 + -6", "((1 - 2) - 3) < ((4 * 5) + (-6))"),
        ("a until b and c", "(a until b) and c"),
        ("x > 1 m for at least 2 s and b", "((x > 1 m) for at least 2 s) and b"),
        ("let a = 1 in a < 2 and b", "let a = 1 in ((a < 2) and b)"),
        ("always[3 s](a)", "always[0 s, 3 s](a)"),
    ],
)
def test_what_binds_tighter_is_taken_first(text, same):
    assert parse_query(text) == parse_query(same)


@pytest.mark.parametrize("unit", ["m", "km/h", "m/s2", "deg/s", "1/m", "min", "ms"])
def test_a_number_takes_the_unit_after_it(unit):
    compare = parse_query(f"x > 1.5e1 {unit}").body
    assert isinstance(compare, tree.Compare)
    assert compare.right == tree.Number(15.0, unit)


def test_comments_and_lines_do_not_count():
    assert parse_query("car c: # the one\n  a(c)\n  and b(c)") == parse_query(
        "car c: a(c) and b(c)"
    )


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("f(v", "line 1, column 4", "')'"),
        ("a and\n  > 3", "line 2, column 3", "not"),
        ("car c, 5", "line 1, column 8", "a name"),
        ("", "line 1, column 1", "a name"),
        ("speed(v) > 3 furlongs", "line 1, column 14", "and"),
        ("import os", "line 1, column 10", "':'"),
    ],
)
def test_an_error_points_at_the_place_and_says_what_would_fit(text, place, hint):
    with pytest.raises(InputError) as caught:
        parse_query(text, source="mine")
    assert caught.value.code == "query-syntax"
    assert caught.value.where == f"mine, {place}"
    assert hint in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        "true and " * 4000 + "true",
        "(" * 3000 + "true" + ")" * 3000,
        "not " * 3000 + "true",
        "-" * 5000 + "1 < 2",
        "a implies " * 1500 + "a",
        "let a = 1 in " * 1000 + "true",
        "9" * 400 + " m < 1 m",
        "exists(car c: " * 100 + "true" + ")" * 100,
    ],
)
def test_what_is_long_or_deep_is_refused_or_read_at_once(text):
    try:
        parse_query(text)
    except InputError as error:
        assert error.code == "query-limit"  # noqa: PT017


def test_named_scenarios_are_read_with_their_arguments_and_meaning():
    text = 'scenario near(vehicle v, any w = ego, most = 5 m): "Close."\n distance(v, w) < most\n'
    (scenario,) = parse_library(text)
    assert scenario.doc == "Close."
    assert [p.kind for p in scenario.parameters] == ["vehicle", "any", ""]
    assert scenario.parameters[1].default == tree.Name("ego")
    assert scenario.parameters[2].default == tree.Number(5.0, "m")
    assert parse_library(print_scenario(scenario)) == (scenario,)


@pytest.mark.parametrize("word", ["not", "and", "let", "until"])
def test_a_word_of_the_language_is_no_name(word):
    with pytest.raises(InputError) as caught:
        parse_query(f"car c: stopped(c) until {word} (moving(c))")
    assert caught.value.why.startswith(f"found '{word}'")
    parse_query(f"car {word}ing: stopped({word}ing)")
