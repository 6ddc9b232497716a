from dataclasses import fields

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.confidence import FEATURES, PRIOR, fit_confidence
from kerbstone.label.profile import KindProfile, Profile
from kerbstone.label.profiles import built_in_profiles, read_profile, write_profile
from kerbstone.scene import Kind


def some_profile():
    draw = np.random.default_rng(0)
    evidence = draw.normal(size=(9000, len(FEATURES)))
    right = draw.random(9000) < 1 / (1 + np.exp(-evidence[:, 0]))
    model = fit_confidence(evidence, right, np.full(9000, Kind.CAR, np.uint8))
    return Profile(
        kinds={Kind.CAR: KindProfile(noise=0.123456, size_scale=(1.1, 0.9, 1.0), even_score=-3.5)},
        confidence=model | {Kind.CYCLIST: PRIOR},
        confusion=0.0,
        slack=1e-3,
    )


def test_a_profile_comes_back_from_its_file(tmp_path):
    profile = some_profile()
    path = tmp_path / "deep" / "own.toml"
    write_profile(profile, path, about="Learned from\ntwo logs")
    assert path.read_text().startswith("# Learned from\n# two logs\n")
    again = read_profile(path)
    assert again.kinds == profile.kinds
    for each in fields(Profile):
        if each.name not in {"kinds", "confidence"}:
            assert getattr(again, each.name) == getattr(profile, each.name)
    evidence = np.random.default_rng(1).normal(size=(50, len(FEATURES)))
    for kind in (Kind.CAR, Kind.CYCLIST):
        kinds = np.full(50, kind, np.uint8)
        said, before = (p.confidence_of(kinds, evidence) for p in (again, profile))
        np.testing.assert_allclose(said, before, atol=1e-3)


def test_writing_what_was_read_changes_nothing(tmp_path):
    write_profile(some_profile(), tmp_path / "one.toml")
    write_profile(read_profile(tmp_path / "one.toml"), tmp_path / "two.toml")
    assert (tmp_path / "one.toml").read_bytes() == (tmp_path / "two.toml").read_bytes()


def test_every_built_in_profile_is_a_profile():
    assert built_in_profiles()
    for name in built_in_profiles():
        profile = read_profile(name)
        assert profile.kinds
        assert set(profile.confidence) <= set(profile.kinds)


def test_the_default_profile_knows_nothing():
    assert read_profile("default") == Profile()


def test_an_unknown_profile_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(InputError) as caught:
        read_profile("kitti-pointrcn")
    assert "kitti-pointrcnn" in caught.value.remedy
    with pytest.raises(InputError):
        read_profile(tmp_path)  # a folder


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("lifetime = ", "own.toml"),
        ("life = 2.0", "own.toml"),
        ("lifetime = 'long'", "lifetime"),
        ("lifetime = true", "lifetime"),
        ("lifetime = nan", "lifetime"),
        ("lifetime = -1", "lifetime"),
        ("gate = 0", "gate"),
        ("confusion = 1.5", "confusion"),
        ("kinds = 3", "own.toml"),
        ("kinds.car = 3", "kinds.car"),
        ("[kinds.lorry]", "kinds"),
        ("[kinds.car]\ncolour = 1", "kinds.car"),
        ("[kinds.car]\nnoise = 0", "kinds.car.noise"),
        ("[kinds.car]\nnoise = -0.1", "kinds.car.noise"),
        ("[kinds.car]\nnoise = inf", "kinds.car.noise"),
        ("[kinds.car]\nkeep = 2", "kinds.car.keep"),
        ("[kinds.car]\nscore_slope = -1", "kinds.car.score_slope"),
        ("[kinds.car]\nsize_scale = [1, 1]", "kinds.car.size_scale"),
        ("[kinds.car]\nsize_scale = [1, 1, 0]", "kinds.car.size_scale"),
        ("[kinds.car]\nsize_scale = 1", "kinds.car.size_scale"),
        ("[confidence.car]\nweights = [1]", "confidence.car"),
        ("[confidence.horse]", "confidence"),
        ("[[confidence]]", "own.toml"),
    ],
)
def test_a_malformed_profile_is_refused_at_its_place(tmp_path, text, place):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_profile(path)
    assert caught.value.code == "config"
    assert place in caught.value.where


def test_zero_is_good_where_there_may_be_none_of_something(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(
        "confusion = 0\ntrial = 0\n[kinds.car]\ndrift = 0\nnoise_growth = 0\nkeep = 0\n"
    )
    assert read_profile(path).of(Kind.CAR).drift == 0.0


def test_what_a_file_leaves_out_is_the_default(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("[kinds.car]\nnoise = 0.5\n")
    profile = read_profile(path)
    assert profile.of(Kind.CAR) == KindProfile(noise=0.5)
    assert profile.lifetime == Profile().lifetime
