import json

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.affinity import initial_affinity, model, read_affinity
from kerbstone.label.affinity.pairs import PairIndex
from kerbstone.label.candidates import find_candidates
from kerbstone.label.profile import Profile
from sightings import situation


def taught(seed=0):
    draw = np.random.default_rng(seed)
    plain = initial_affinity(hidden=6, seed=seed)
    arrays = {name: draw.normal(size=value.shape) for name, value in plain.arrays().items()}
    return model.Affinity(**arrays)


def test_an_untaught_affinity_costs_what_the_hand_made_cost_does():
    tracks, rows = situation(0)
    pairs = find_candidates(tracks, rows, Profile())
    gain = initial_affinity(alone=7.0).gain(tracks, rows, pairs)
    cost = 0.5 * (pairs.distance + pairs.log_area) + pairs.strangeness + rows.look[pairs.row, 4]
    np.testing.assert_allclose(gain, 14.0 - cost)


def test_pairs_are_evaluated_alike_however_many_at_once(monkeypatch):
    tracks, rows = situation(1)
    pairs = find_candidates(tracks, rows, Profile())
    together = taught().gain(tracks, rows, pairs)
    monkeypatch.setattr(model, "_CHUNK", 3)
    np.testing.assert_allclose(taught().gain(tracks, rows, pairs), together)


def test_hidden_units_add_what_is_above_their_threshold():
    affinity = taught(3)
    told = np.random.default_rng(4).normal(size=(5, len(PairIndex)))
    expected = [
        row @ affinity.linear
        + sum(
            weight * max(0.0, row @ inward + threshold)
            for weight, inward, threshold in zip(
                affinity.outward, affinity.inward.T, affinity.threshold, strict=True
            )
        )
        for row in told
    ]
    np.testing.assert_allclose(affinity.cost(told), expected)


def test_a_file_holds_every_number_in_full(tmp_path):
    taught().write(tmp_path / "affinity.json")
    read = read_affinity(tmp_path / "affinity.json")
    for name, value in taught().arrays().items():
        np.testing.assert_array_equal(read.arrays()[name], value)


def damage(change):
    def damaged(text):
        content = json.loads(text)
        change(content)
        return json.dumps(content)

    return damaged


HOSTILE = {
    "nothing": (lambda _: "", "syntax"),
    "half": (lambda text: text[: len(text) // 2], "syntax"),
    "deep": (lambda _: "[" * 100_000, "syntax"),
    "list": (lambda _: "[1, 2]", "value"),
    "version": (damage(lambda c: c.update(affinity=2)), "value"),
    "columns": (damage(lambda c: c["told"]["pair"].reverse()), "column"),
    "no columns": (damage(lambda c: c.pop("told")), "column"),
    "missing": (damage(lambda c: c["weights"].pop("row")), "column"),
    "more": (damage(lambda c: c["weights"].update(code=[1.0])), "column"),
    "no weights": (damage(lambda c: c.update(weights=[1])), "column"),
    "short": (damage(lambda c: c["weights"]["linear"].pop()), "shape"),
    "ragged": (damage(lambda c: c["weights"]["inward"][3].pop()), "shape"),
    "narrow": (damage(lambda c: c["weights"]["threshold"].pop()), "shape"),
    "text": (damage(lambda c: c["weights"].update(track=["1"] * 6)), "value"),
    "objects": (damage(lambda c: c["weights"].update(track=[{}] * 6)), "value"),
    "flags": (damage(lambda c: c["weights"].update(track=[True] * 6)), "value"),
    "number": (damage(lambda c: c["weights"].update(track=1.0)), "value"),
    "huge number": (damage(lambda c: c["weights"].update(row=[10**400, 1, 2])), "value"),
    "nan": (damage(lambda c: c["weights"].update(row=[float("nan"), 1, 2])), "value"),
    "infinite": (damage(lambda c: c["weights"].update(row=[float("inf"), 1, 2])), "value"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_file_is_refused_with_its_name(tmp_path, name):
    path = tmp_path / "affinity.json"
    taught().write(path)
    change, code = HOSTILE[name]
    path.write_text(change(path.read_text("utf-8")), "utf-8")
    with pytest.raises(InputError) as caught:
        read_affinity(path)
    assert caught.value.code == code
    assert "affinity.json" in caught.value.where


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "affinity.json"
    path.write_bytes(b"\x80\x04\x95\xff")
    with pytest.raises(InputError, match="no text"):
        read_affinity(path)


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "affinity.json"
    with path.open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(InputError) as caught:
        read_affinity(path)
    assert caught.value.code == "unsafe"


def test_a_place_without_a_file_is_told(tmp_path):
    with pytest.raises(InputError) as caught:
        read_affinity(tmp_path / "none.json")
    assert caught.value.code == "missing-file"
    with pytest.raises(InputError) as caught:
        read_affinity(tmp_path)
    assert caught.value.code == "unreadable"
    with pytest.raises(InputError) as caught:
        taught().write(tmp_path / "no" / "folder.json")
    assert caught.value.code == "output"


@pytest.mark.parametrize("hidden", [0, -3, 10**9])
def test_a_network_of_no_size_or_of_any_size_is_refused(hidden):
    with pytest.raises(InputError, match="hidden units"):
        initial_affinity(hidden=hidden)
