import dataclasses
from pathlib import Path

import jax
import pytest

from kerbstone.errors import InputError, UsageError
from kerbstone.settings import read_config
from kerbstone.world.training import compiling
from kerbstone.world.training.config import Budget, PretrainConfig, describe_config


def test_a_configuration_is_read_from_toml(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("batch = 8\nrate = 0.01\n")
    assert read_config(PretrainConfig, path) == PretrainConfig(batch=8, rate=0.01)


@pytest.mark.parametrize("field", dataclasses.fields(PretrainConfig), ids=lambda field: field.name)
def test_every_value_has_a_range(field):
    with pytest.raises(InputError, match=f"{field.name} is out of range"):
        dataclasses.replace(PretrainConfig(), **{field.name: -1})


@pytest.mark.parametrize("name", ["rate", "clip", "average", "save_seconds", "decay"])
def test_nan_is_out_of_range(name):
    with pytest.raises(InputError, match="out of range"):
        dataclasses.replace(PretrainConfig(), **{name: float("nan")})


def test_only_what_changes_the_weights_or_the_log_makes_a_run_another():
    names = set(describe_config(PretrainConfig()))
    assert names == {field.name for field in dataclasses.fields(PretrainConfig)} - {
        "loaders",
        "ahead",
        "save_seconds",
        "calibration_scenes",
    }


@pytest.mark.parametrize(
    "values",
    [{}, {"steps": 3, "minutes": 1.0}, {"steps": 0}, {"minutes": -1.0}, {"minutes": float("nan")}],
)
def test_a_budget_is_steps_or_minutes(values):
    with pytest.raises(UsageError):
        Budget(**values)


def test_what_was_compiled_is_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    assert compiling.keep_compiled() == tmp_path / "kerbstone" / "jax"
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "kerbstone" / "jax")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert compiling.cache_folder() == Path.home() / ".cache" / "kerbstone"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert compiling.keep_compiled() == tmp_path / "kerbstone" / "jax"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling.sys, "platform", "linux")
    (tmp_path / "file").write_text("")
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiling.keep_compiled() is None
