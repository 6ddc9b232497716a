from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from kerbstone.errors import InputError
from kerbstone.settings import read_config


@dataclass(frozen=True)
class Inner:
    gain: float = 1.0


@dataclass(frozen=True)
class Outer:
    seed: int = 0
    rate: float = 10.0
    town: Literal["grid", "ring"] = "grid"
    names: tuple[str, ...] = ()
    folder: Path = Path()
    limit: float | None = None
    quiet: bool = False
    inner: Inner = field(default_factory=Inner)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_defaults_hold_where_nothing_is_given():
    assert read_config(Outer) == Outer()


def test_flags_lie_on_top_of_the_file(tmp_path):
    path = write(tmp_path, 'seed = 1\nrate = 5\nnames = ["a"]\nfolder = "x"\n[inner]\ngain = 2\n')
    config = read_config(Outer, path, overrides={"seed": 7, "rate": None})
    assert config == Outer(seed=7, rate=5.0, names=("a",), folder=Path("x"), inner=Inner(gain=2.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", "did you mean 'seed'"),
        ("[inner]\ngian = 1", "did you mean 'gain'"),
        ("seed = 1.5", "expected int"),
        ("seed = true", "expected int"),
        ("quiet = 1", "expected bool"),
        ('town = "gird"', "did you mean 'grid'"),
        ("names = [1]", "expected str"),
        ('limit = "x"', "float | None"),
        ("inner = 3", "expected Inner"),
        ("seed =", "not valid TOML"),
    ],
)
def test_a_wrong_key_or_value_is_an_error_that_names_it(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_config(Outer, path)
    assert message in str(caught.value)
    assert str(path) in caught.value.where


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_config(Outer, tmp_path / "none.toml")
