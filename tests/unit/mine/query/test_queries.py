"""What a user types: the language, a scenario's name, or plain words."""

import pytest

from kerbstone.errors import InputError
from kerbstone.lang.library import built_in_scenarios
from kerbstone.mine import understand_query
from kerbstone.mine.query import language_model
from kerbstone.mine.query.endpoint import Settings
from kerbstone.mine.query.language_model import Proposal


def test_a_query_of_the_language_is_taken_as_it_is():
    found = understand_query("car c:speed(c)>3 m/s")
    assert (found.query.text, found.given, found.by) == (
        "car c: speed(c) > 3 m/s", "car c:speed(c)>3 m/s", "language",
    )  # fmt: skip


def test_a_scenario_is_taken_by_its_name():
    name = min(built_in_scenarios())
    found = understand_query(f" {name} ")
    assert f"{name}(" in found.query.text
    assert found.by == "scenario"


def test_plain_words_are_turned_into_the_language():
    found = understand_query("stopped car")
    assert (found.given, found.by) == ("stopped car", "words")
    assert found.query.text.startswith("car c: ")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("vehicle v: sped(v) > 3 m/s", "query-name", "sped"),
        ("vehicle v: speed(v) >", "query-syntax", "not the scenario language"),
        ("vehicle v: speed(v) > 3 m", "query-unit", "units"),
        ("hard_brakng_now", "query-name", "no scenario 'hard_brakng_now'"),
        ("zorblax the frobnicator", "words", "zorblax"),
    ],
)
def test_what_is_none_of_them_is_told_as_what_it_looks_like(text, code, says):
    with pytest.raises(InputError) as error:
        understand_query(text)
    assert error.value.code == code
    assert says in str(error.value)


def test_what_the_grammar_does_not_understand_goes_to_the_model_if_there_is_one(monkeypatch):
    asked = []

    def propose(text, *, settings, scenarios):
        asked.append(text)
        return Proposal("car c: stopped(c)", 1, settings.model)

    monkeypatch.setattr(language_model, "propose", propose)
    model = Settings("http://127.0.0.1:1/v1", "tiny")
    found = understand_query("zorblax the frobnicator", model=model)
    assert (found.query.text, found.by) == ("car c: stopped(c)", "model")
    assert understand_query("stopped car", model=model).by == "words"
    assert understand_query("stopped car", model=model, first="model").by == "model"
    assert understand_query("car c: moving(c)", model=model, first="model").by == "language"
    assert asked == ["zorblax the frobnicator", "stopped car"]
