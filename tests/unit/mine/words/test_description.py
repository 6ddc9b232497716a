import re
import string
import time
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerbstone.errors import InputError
from kerbstone.lang import (
    Facts,
    compile_query,
    evaluate,
    parse_library,
    parse_query,
    print_query,
    tree,
)
from kerbstone.lang.library import built_in_scenarios, check_scenario
from kerbstone.mine.words.description import understand
from kerbstone.mine.words.formulas import conjoin, mean
from kerbstone.mine.words.lexicon import read_lexicon
from kerbstone.mine.words.tokens import spell
from kerbstone.scene import Kind
from queries import moving_scene

PROMPTS = tomllib.loads(Path(__file__).with_name("prompts.toml").read_text(encoding="utf-8"))
LEXICON = tomllib.loads(
    resources.files("kerbstone.mine.words").joinpath("lexicon.toml").read_text(encoding="utf-8")
)
QUERY_CODES = {"words", "query-limit", "query-unit", "query-kind"}

LIBRARY = {
    scenario.name: scenario
    for scenario in parse_library(
        """
        scenario cut_in(vehicle v): "Moves into the lane right before ego." ahead(v, ego)
        scenario hard_braking(vehicle v, least = 4 m/s2): "Brakes hard." deceleration(v) > least
        scenario jaywalking(pedestrian p): "Crosses away from a crosswalk." crossing(p)
        scenario ramming(vehicle v, vehicle w): "Runs into another." touching(v, w)
        scenario u_turn_by(least = 3 m/s, vehicle v): "Turns around quickly." u_turn(v) and speed(v) > least
        """
    )
}


def read(words):
    return understand(words, scenarios={})


def refuse(words, **more):
    with pytest.raises(InputError) as caught:
        understand(words, **({"scenarios": {}} | more))
    return caught.value


# --- The table of descriptions -----------------------------------------------------------------


@pytest.mark.parametrize(("words", "query"), PROMPTS["understood"].items())
def test_a_description_becomes_its_query(words, query):
    assert read(words) == query


def test_the_table_is_large_and_its_queries_are_canonical():
    queries = PROMPTS["understood"].values()
    assert len(queries) >= 120
    assert all(print_query(parse_query(query)) == query for query in queries)


def test_the_documented_descriptions_become_the_queries_that_the_page_shows():
    page = Path(__file__).parents[4] / "docs" / "how-to" / "plain-words.md"
    rows = re.findall(r"^\| ([^|]+) \| `(.+)` \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 5
    # With the built-in scenarios, as `kerbstone find` knows them.
    assert [(words, understand(words)) for words, _ in rows] == rows


@pytest.mark.parametrize(("words", "refused"), PROMPTS["refused"].items())
def test_words_that_are_not_known_are_named(words, refused):
    error = refuse(words)
    assert error.code == "words"
    assert [word for word in refused if repr(word) not in error.what] == []


def test_an_error_says_where_what_is_near_and_what_was_understood():
    error = refuse("a stoped car near a pedestrain")
    assert error.what == "'stoped', 'pedestrain' are not understood"
    assert error.where == "the description, words 2, 6"
    assert error.why == "understood: car c: distance(c, ego) < 10 m"
    assert "pedestrian" in error.remedy
    assert "stopped" in error.remedy


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Stopped CAR.", "a stopped car"),
        ("stopped cars", "a stopped car"),
        ("lorries", "trucks"),
        ("a car isn't moving", "car that is not moving"),
        ("ego-vehicle turning left", "the ego vehicle turns left"),
        ("a car travelling within five metres of a lorry", "car traveling within 5m of a truck"),
        ("children near a bus", "child near a bus"),
        ("cars being followed by buses", "car followed by a bus"),
        ("pedestrian\u2019s dog", "pedestrian's dog"),
        ("vehicle turning right\n  next to\ta bus", "vehicle turning right next to a bus"),
        ("car going 30mph", "car going 30 miles per hour"),
        ("car parked, near a bus", "car parked near a bus"),
    ],
)
def test_spelling_number_and_tense_make_no_difference(one, other):
    assert str(attempt(one)) == str(attempt(other))


def test_the_same_words_always_give_the_same_query():
    words = "car near a bus or a truck while two pedestrians cross in front of a cyclist"
    first = read(words)
    read("pedestrian near a bus")
    assert read(words) == first


# --- What follows a noun -----------------------------------------------------------------------


def test_what_follows_a_noun_is_about_it_and_what_follows_ego_about_the_subject():
    assert "turning_left(t)" in read("car behind a truck turning left")
    assert "turning_left(c)" in read("car behind the ego vehicle turning left")
    assert "turning_left(c)" in read("car behind a truck and turning left")
    assert "turning_left(c)" in read("car behind a truck while turning left")


def test_what_follows_and_is_related_to_the_subject_unless_it_is_a_noun_of_its_own():
    assert "behind(c, t)" in read("car to the left of ego and behind a truck")
    assert "behind(c, t)" in read("car to the left of ego and behind trucks")
    assert "overtaking(c, c2)" in read("car behind ego and overtaking cyclists")
    assert "behind(c, t)" in read("car behind the ego vehicle and a truck")
    assert "overtaking(c, c2)" in read("car behind a truck or overtaking cyclists")
    assert "or approaching(c, c2)" not in read("car near a bus or an approaching cyclist")
    assert read("overtaking a cyclist") == "vehicle v, cyclist c: overtaking(v, c)"


def test_who_has_a_place_of_its_own_is_not_where_the_other_is():
    with_two = read("car with a truck ahead of it and a bus behind it")
    assert "behind(b, c)" in with_two
    assert "ahead(t, b)" not in with_two
    behind = read("car behind a truck and a bus behind it")
    assert "behind(b, c)" in behind
    assert "behind(c, b)" not in behind


def test_who_is_denied_is_so_where_the_other_is_unless_it_says_where():
    assert "not exists(bus b: ahead(b, c) and nearby(b, c))" in read(
        "car with a truck in front of it but no bus"
    )
    assert "not exists(bus b: distance(b, c) < 10 m)" in read(
        "car with a truck in front of it but no bus nearby"
    )


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("ego passing a parked car at over 50 km/h", "ego"),
        ("ego overtaking a truck in the right lane at over 50 km/h", "ego"),
        ("ego overtaking a bus within 2 m on the left at over 50 km/h", "ego"),
        ("ego passing a pedestrian on the sidewalk at over 50 km/h", "ego"),
        ("ego passing between two cars at over 50 km/h", "ego"),
        ("motorcycle near a truck overtaking a bus at over 50 km/h", "t"),
        ("ego overtaking a truck travelling at over 50 km/h", "t"),
        ("ego overtaking a truck with a speed over 50 km/h", "t"),
        ("ego overtaking a truck that is at over 50 km/h", "t"),
        ("ego being overtaken by a truck at over 50 km/h", "t"),
        ("ego behind a truck at over 50 km/h", "t"),
        ("ego overtaking a truck faster than 50 km/h", "t"),
        ("pedestrian crossing in front of a truck at over 50 km/h", "t"),
    ],
)
def test_a_speed_is_of_whoever_moves_with_it(words, who):
    query = read(words)
    assert f"speed({who}) > 50 km/h" in query
    assert query.count("50 km/h") == 1


def test_what_one_is_compared_with_is_seen_from_there():
    assert "ahead(c2, c)" in read("car slower than the car ahead")
    assert "behind(t, c)" in read("car faster than the truck behind")
    assert "ego" not in read("car braking for the car ahead")
    assert "ego" not in understand("car braking for the pedestrian ahead")


def test_a_verb_is_no_part_of_a_name():
    assert "crossing(p)" in read("vehicle stops before a pedestrian crosses")
    assert "crossing(p)" in read("vehicle stopping before pedestrians cross")
    assert "crossing(p)" in read("car near pedestrians crossing")
    assert "distance_to_crosswalk(v)" in read("vehicle stops before a pedestrian crossing")
    assert "distance_to_crosswalk(v)" in read("vehicles stopping before pedestrian crossings")
    assert "biking" in refuse("pedestrian biking").what


def test_a_bus_stop_is_no_bus_that_stops():
    for words in ("bus stop", "pedestrian at a bus stop", "people waiting near bus stops"):
        error = refuse(words)
        assert error.code == "words"
        assert "cannot be looked for" in error.what
        assert "no map" in error.why
    assert "stopped(b)" in read("a bus stops at a crosswalk")
    assert "stopped(b)" in read("buses stop")


def test_two_that_are_named_are_related_to_each_other():
    assert read("a car and a bus facing each other") == (
        "car c, bus b: facing(c, b) and facing(b, c)"
    )
    assert read("ego and a truck driving in opposite directions") == (
        "truck t: moving(ego) and opposite_direction(ego, t) and moving(t)"
    )
    near = read("a car and a truck near each other and turning left")
    assert near == "car c, truck t: turning_left(c) and distance(c, t) < 10 m and turning_left(t)"
    assert "distance(t, c) < 2 m" in read("a car and a truck facing each other within 2 m")
    assert read("a bus and ego facing each other") == "bus b: facing(b, ego) and facing(ego, b)"


def test_all_are_each_only_where_they_are_looked_for():
    assert read("find all cars that are stopped") == read("stopped car")
    for words in ("all cars stopped", "each car stopped"):
        assert "cannot be asked for" in refuse(words).what


def test_sides_with_a_pronoun_are_those_of_who_was_spoken_of():
    assert "right_of(b, v)" in read("vehicle with a bicycle to its right")
    assert "right_of(b, ego)" in read("bicycle to the right")
    assert "ahead(t, c)" in read("car with a truck ahead")
    assert "ahead(t, ego)" in read("car following the truck ahead")


def test_it_is_who_was_spoken_of():
    assert "ahead(b, v)" in read("vehicle turning left with a bicycle in front of it")
    assert "crosses_in_front(b, v)" in read(
        "vehicle waiting while a bicycle crosses in front of it"
    )
    assert read("car turning left while it brakes") == read("car turning left while braking")
    assert "behind(t, ego)" in read("ego vehicle with a truck behind it")


def test_a_clause_between_two_words_keeps_them_from_being_one_name():
    assert "distance_to_crosswalk(c)" in read("car near a pedestrian crossing")
    assert "crosses_in_front(p, b)" in read(
        "car near a pedestrian who is crossing in front of a bus"
    )


def test_at_most_three_road_users_are_variables_and_further_ones_are_quantified():
    query = read("car near a bus and a truck and a tram and a cyclist")
    assert query.startswith("car c, bus b, truck t: ")
    assert "exists(train t2: distance(c, t2) < 10 m)" in query
    assert "exists(cyclist c2: distance(c, c2) < 10 m)" in query


def test_who_is_denied_or_one_of_two_is_no_variable():
    for words in ("car not near a bus", "car without a trailer", "car near a bus or turning left"):
        assert read(words).startswith("car c: ")


# --- What the queries find ---------------------------------------------------------------------


def find(words, points, kinds, ego=None, **more):
    """Return the rows of the agents that a description refers to, in a scene of 2 s."""
    spread = np.repeat(np.asarray(points, float)[:, None], 20, axis=1)
    if "velocity" in more:
        spread += more["velocity"] * 0.1 * np.arange(20)[None, :, None]
    scene = moving_scene(spread, kinds=kinds, ego=ego, heading=np.zeros(spread.shape[:2]), **more)
    answer = evaluate(compile_query(parse_query(read(words))), Facts(scene))
    return sorted({int(row[0]) for row in answer.rows[answer.holds.any(axis=1)]})


def test_to_its_right_is_on_the_right_and_near():
    kinds = (Kind.CAR, Kind.BICYCLE, Kind.CAR, Kind.CAR, Kind.BICYCLE)
    points = [(0, 0), (0, -4), (0, -8), (200, 0), (200, -60)]
    assert find("vehicle with a bicycle to its right", points, kinds) == [0]
    assert find("vehicle with a bicycle to its left", points, kinds) == [2]


def test_a_stopped_car_stands():
    points = [(0, 0), (50, 0), (0, 50)]
    kinds = (Kind.CAR, Kind.CAR, Kind.BUS)
    velocity = np.zeros((3, 20, 2))
    velocity[1] = (5.0, 0.0)
    assert find("stopped car", points, kinds, velocity=velocity) == [0]


def test_counts_of_the_subject_include_it_and_counts_of_others_do_not():
    kinds = (Kind.BUS, *[Kind.PEDESTRIAN] * 4)
    points = [(0, 0), (0, 5), (0, 6), (0, 7), (90, 0)]
    assert find("three pedestrians near a bus", points, kinds) == [1, 2, 3]
    assert find("four pedestrians near a bus", points, kinds) == []
    assert find("bus near three pedestrians", points, kinds) == [0]
    assert find("bus near four pedestrians", points, kinds) == []
    assert find("bus near exactly three pedestrians", points, kinds) == [0]
    assert find("bus with fewer than three pedestrians nearby", points, kinds) == []


def test_a_group_is_close_together():
    kinds = (Kind.PEDESTRIAN,) * 5
    points = [(0, 0), (1, 0), (2, 0), (30, 0), (60, 0)]
    assert find("group of people", points, kinds) == [0, 1, 2]
    assert find("group of four people", points, kinds) == []


def test_between_is_on_opposite_sides_and_near():
    kinds = (Kind.PEDESTRIAN, Kind.PEDESTRIAN, Kind.CAR, Kind.CAR)
    points = [(0, 0), (0, 20), (0, 5), (0, -5)]
    assert find("pedestrian between two cars", points, kinds) == [0]


def test_on_both_sides_needs_somebody_on_each():
    kinds = (Kind.BUS, Kind.CAR, Kind.CAR, Kind.BUS)
    points = [(0, 0), (0, 4), (0, -4), (0, 8)]
    assert find("bus with cars on both sides", points, kinds) == [0]
    assert find("bus with a car on either side", points, kinds) == [0, 3]


def test_how_many_are_said_is_never_left_out():
    assert ">= 3" in read("bus with three cars on both sides")
    assert read("more than three cyclists within 5 m of each other").endswith("< 5 m) > 2")
    assert "not understood" in refuse("pedestrian between three cars").what


def test_without_is_for_whom_there_is_nobody():
    kinds = (Kind.BUS, Kind.BUS, Kind.PEDESTRIAN)
    points = [(0, 0), (50, 0), (0, 5)]
    assert find("bus with no pedestrian nearby", points, kinds) == [1]
    assert find("bus without a pedestrian nearby", points, kinds) == [1]


# --- Named scenarios ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("cut in", "vehicle v: cut_in(v)"),
        ("cut-in", "vehicle v: cut_in(v)"),
        ("cut_in", "vehicle v: cut_in(v)"),
        ("Cutting in", "vehicle v: cut_in(v)"),
        ("hard braking", "vehicle v: hard_braking(v)"),
        ("ramming", "vehicle v, vehicle w: ramming(v, w)"),
        ("runs into another", "vehicle v, vehicle w: ramming(v, w)"),
        ("jaywalking pedestrian", "pedestrian p: jaywalking(p)"),
        ("hard braking truck", "truck t: hard_braking(t)"),
        ("truck hard braking behind a bus",
         "truck t, bus b: hard_braking(t) and behind(t, b) and nearby(t, b)"),
        ("car ramming a bus", "car c, bus b: ramming(c, b)"),
        ("bus doing a u turn by", "bus b: u_turn_by(v = b)"),
        ("ramming truck", "truck t, vehicle u: ramming(t, u)"),
        ("ego vehicle ramming a car", "car c: ramming(ego, c)"),
        ("car exceeding the speed limit", "car c: speed(c) > speed_limit(c)"),
    ],
)  # fmt: skip
def test_named_scenarios_are_words_too(words, query):
    assert understand(words, scenarios=LIBRARY) == query


def test_a_scenario_about_others_gives_way_to_what_the_words_mean_alone():
    # The scenario is about pedestrians only.
    assert understand("jaywalking cyclist", scenarios=LIBRARY) == read("jaywalking cyclist")
    error = refuse("pedestrian doing a u turn by", scenarios=LIBRARY)
    assert error.code == "words"
    assert "is about a vehicle" in error.what


def test_every_built_in_scenario_is_found_by_its_name_and_by_its_explanation():
    known = built_in_scenarios()
    for name, scenario in known.items():
        query = check_scenario(scenario, known).text
        assert understand(name.replace("_", " ").upper()) == query
        assert understand(scenario.doc) == query


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("car cutting in front of a bus", "car c, bus b: cut_in(c, b)"),
        ("car being cut off by a bus", "car c, bus b: cut_in(b, c)"),
        ("truck being tailgated by a car", "truck t, car c: tailgating(c, t)"),
        ("tailgating truck", "truck t, vehicle u: tailgating(t, u)"),
        ("truck braking hard", "truck t: hard_braking(t)"),
        ("bus yielding to a pedestrian", "bus b, pedestrian p: yielding_to_a_pedestrian(b, p)"),
        ("car not yielding to a pedestrian",
         "car c, pedestrian p: failing_to_yield_to_a_pedestrian(c, p)"),
        ("car that does not give way to a pedestrian",
         "car c, pedestrian p: failing_to_yield_to_a_pedestrian(c, p)"),
        ("truck cutting in in front of ego", "truck t: cut_in(t, ego)"),
        ("cyclist running a red light", "cyclist c: red_light_running(c)"),
    ],
)  # fmt: skip
def test_words_for_a_scenario_call_it_where_it_is_about_them(words, query):
    assert understand(words) == query


@pytest.mark.parametrize(
    "words", ["cyclist cutting in front of a bus", "cyclist braking hard", "bus yielding to a car"]
)
def test_words_for_a_scenario_about_others_mean_what_they_mean_without_it(words):
    assert understand(words) == read(words)


def test_no_scenario_is_called_of_whom_its_words_are_never_true():
    error = refuse("pedestrian running a red light", scenarios=built_in_scenarios())
    assert "red_light_running(a) is not said of a pedestrian" in error.what


# --- The lexicon -------------------------------------------------------------------------------


def say(meanings, variables, **users):
    declared = tuple(tree.Variable(kind, name) for kind, name in variables)
    return print_query(tree.Query(declared, conjoin([mean(m, **users) for m in meanings])))


def forms(entry):
    for meaning, said in entry.items():
        if isinstance(said, list) and meaning not in {"words", "suffix", "kinds"}:
            for form in said:
                for words in spell(form):
                    yield meaning, " ".join(words)


@pytest.mark.parametrize(("meaning", "words"), sorted(set(forms(LEXICON["claims"]))))
def test_every_claim_of_the_lexicon_means_what_it_says_there(meaning, words):
    assert read(f"vehicle {words}") == say([meaning], [("vehicle", "v")], a="v")


@pytest.mark.parametrize("entry", LEXICON["by_kind"])
def test_every_claim_by_kind_means_what_it_says_there_or_is_refused(entry):
    for kind, meaning in entry.items():
        if kind == "words":
            continue
        noun, name = {"any": ("road user", "u"), "animal": ("animal", "a1")}.get(
            kind, (kind, kind[0])
        )
        for form in entry["words"]:
            for words in spell(form):
                said = f"{noun} {' '.join(words)}"
                if meaning:
                    assert read(said) == say([meaning], [(kind, name)], a=name), said
                else:
                    assert "is not said of" in refuse(said).what, said


@pytest.mark.parametrize(
    ("entry", "kind"),
    [(e, kind) for kind in ("relations", "bare") for e in LEXICON[kind] if not e.get("each")],
)
def test_every_relation_of_the_lexicon_means_what_it_says_there(entry, kind):
    other, letter = ("pedestrian", "p") if "kinds" in entry else ("truck", "t")
    variables = [("vehicle", "v"), (other, letter)]
    for meaning, words in forms(entry):
        meanings = [meaning, entry["reach"]] if "reach" in entry else [meaning]
        if kind == "relations":
            query = read(f"vehicle {words} {other}")
            assert query == say(meanings, variables, a="v", b=letter), words
        else:
            query = read(f"vehicle with truck {words}")
            assert query == say(meanings, variables, a="t", b="v"), words


@pytest.mark.parametrize("noun", LEXICON["nouns"])
def test_every_noun_of_the_lexicon_is_understood(noun):
    entry = LEXICON["nouns"][noun]
    for form in entry["words"]:
        for words in spell(form):
            assert read(" ".join(words)).startswith(f"{entry['kind']} {entry['name']}: ")


@pytest.mark.parametrize("place", LEXICON["places"])
def test_every_place_fits_some_preposition(place):
    for form in LEXICON["places"][place]["words"]:
        for words in spell(form):
            assert read(f"car at the {' '.join(words)}").startswith("car c: ")


# --- Whatever is typed -------------------------------------------------------------------------

WORDS = sorted(read_lexicon().vocabulary)


def check(text):
    """Assert that a text gives a query that fits the language, or an error of the user's."""
    outcome = attempt(text)
    if isinstance(outcome, InputError):
        assert outcome.code in QUERY_CODES
        assert str(outcome)
    else:
        assert print_query(parse_query(outcome)) == outcome
        compile_query(parse_query(outcome))


def attempt(text):
    try:
        return read(text)
    except InputError as error:
        return error


@given(st.text(max_size=200))
def test_any_text_gives_a_query_or_an_error(text):
    check(text)


@settings(max_examples=100)
@given(st.lists(st.sampled_from([*WORDS, "3", "10", "2.5", "99999999"]), max_size=25).map(" ".join))
def test_any_known_words_give_a_query_or_an_error(text):
    check(text)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(sorted(PROMPTS["understood"])), min_size=2, max_size=4), st.data())
def test_pieces_of_descriptions_give_a_query_or_an_error(prompts, data):
    pieces = []
    for prompt in prompts:
        words = prompt.split()
        start = data.draw(st.integers(0, len(words) - 1))
        pieces += words[start : start + data.draw(st.integers(1, 8))]
    check(" ".join(pieces))


@given(
    st.sampled_from(sorted(PROMPTS["understood"])),
    st.text(string.ascii_lowercase, min_size=5, max_size=12),
    st.integers(0, 30),
)
def test_an_unknown_word_is_never_left_out(prompt, word, place):
    lexicon = read_lexicon()
    if not lexicon.read(word)[1]:
        return
    words = prompt.split()
    words.insert(min(place, len(words)), word)
    error = refuse(" ".join(words))
    assert error.code == "words"
    assert repr(word) in error.what


@pytest.mark.parametrize(
    "text",
    [
        "near a car " * 30,
        "car " + "near a car " * 14,
        "car with a car " * 10,
        "car or " * 29 + "bus",
        "not " * 59 + "car",
        "car, " * 30,
        "between a car and " * 15,
        "then " * 60,
        "turning left and " * 20,
        "1 2 3 4 5 6 7 8 9 " * 6,
    ],
)
def test_what_repeats_itself_is_read_in_bounded_time(text):
    start = time.process_time()
    check(text)
    assert time.process_time() - start < 3.0


def test_long_texts_are_refused_at_once():
    for text in ("x" * 1001, "car " * 200, "car " * 61):
        assert "too long" in refuse(text).what


@pytest.mark.parametrize("text", ["", " ", "\n", "the a", "...", "that is"])
def test_nothing_said_is_nothing_to_look_for(text):
    assert refuse(text).what == "there is nothing to look for"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("each other", "nobody is named"),
        ("it", "nobody is named"),
        ("car near it", "nobody was spoken of"),
        ("no cars near a bus", "refers to nobody"),
        ("ego vehicle near the ego vehicle", "related to itself"),
        ("ego vehicle ahead", "related to itself"),
        ("ego vehicle facing each other", "only one recording car"),
        ("pedestrian or traffic cone", "no variable stands for"),
        ("for at least 3 seconds", "nothing is said yet"),
        ("car surrounded by ten pedestrians", "one on each of 4 sides"),
        ("car for at least 3 seconds", "nothing is said yet"),
        ("car then bus turning left", "nothing is said yet"),
        ("pedestrian crossing on red", "not said of a pedestrian"),
        ("pedestrian waiting at a red light", "not said of a pedestrian"),
        ("car alone on the road", "about an animal"),
        ("motorcycle without a rider", "about a bicycle"),
        ("car not yielding to a car", "about a vehicle and a vulnerable road user"),
    ],
)
def test_what_fits_together_and_means_nothing_is_an_error_of_its_own(words, what):
    error = refuse(words)
    assert error.code == "words"
    assert what in error.what
