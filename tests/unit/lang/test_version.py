"""Which code answers a query: told apart by a digest."""

import sys
import types

import numpy as np
import pytest

from kerbstone.lang import registry, version
from kerbstone.lang.library import prepare
from kerbstone.lang.signals import models
from kerbstone.lang.version import answering_code, language_version

QUERY = "vehicle v: speed(v) > 3 m/s"


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A signal of somebody else's module, as a function of its source."""
    monkeypatch.setattr(registry, "_SIGNALS", dict(registry.known_signals()))

    def register(source: str) -> None:
        path = tmp_path / "foreign.py"
        path.write_text(source)
        module = types.ModuleType("foreign")
        module.__file__ = str(path)
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - the test's own
        monkeypatch.setitem(sys.modules, "foreign", module)
        registry._SIGNALS.pop("luck", None)
        registry.signal(unit="")(module.luck)

    return register


def test_the_same_code_has_one_version():
    assert language_version() == language_version()
    assert answering_code(prepare(QUERY)) == answering_code(prepare("vehicle v: stopped(v)"))


def test_another_source_is_another_version(tmp_path, monkeypatch):
    folder = tmp_path / "room"
    folder.mkdir()
    (folder / "signals.py").write_text("a = 1")
    monkeypatch.setattr(version, "files", lambda _: folder)
    before = version.code_version.__wrapped__("room")
    (folder / "notes.txt").write_text("nothing of importance")
    assert version.code_version.__wrapped__("room") == before
    (folder / "signals.py").write_text("a = 2")
    assert version.code_version.__wrapped__("room") != before


def test_a_signal_from_elsewhere_counts_with_its_source(foreign):
    source = "def luck(facts):\n    '''Luck.'''\n    return facts.agents.speed * {}\n"
    foreign(source.format(1))
    query = "vehicle v: luck(v) > 3"
    before = answering_code(prepare(query))
    assert before != answering_code(prepare(QUERY))
    assert answering_code(prepare(query)) == before
    foreign(source.format(2))
    assert answering_code(prepare(query)) != before


def test_a_model_counts_with_its_version_and_without_one_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(models, "_PROVIDED", {})
    query = prepare('vehicle v: similar("x") > 0.5')
    assert answering_code(query) is None
    models.provide("similar", lambda facts, _: np.zeros(facts.steps))
    assert answering_code(query) is None
    codes = set()
    for number in "12":
        models.provide("similar", lambda facts, _: np.zeros(facts.steps), version=number)
        codes.add(answering_code(query))
    assert len(codes - {None}) == 2
