import pytest

from kerbstone.errors import InputError
from kerbstone.lang.library import prepare, read_scenarios


@pytest.mark.parametrize(
    ("name", "what"),
    [("speed", "signal"), ("tailgating", "scenario"), ("always", "word"), ("abs", "word")],
)
def test_a_scenario_of_a_user_takes_no_name_that_is_taken(tmp_path, name, what):
    path = tmp_path / "own.scenario"
    path.write_text(f'scenario {name}(car c): "Stands." stopped(c)\n', encoding="utf-8")
    with pytest.raises(InputError, match=what) as caught:
        read_scenarios([path])
    assert caught.value.code == "duplicate"
    assert str(path) in caught.value.where


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "own.scenario"
    path.write_text('scenario standing(car c): "Stands." stopped(c)\n', encoding="utf-8-sig")
    assert prepare("standing", scenarios=read_scenarios([path])).slots[0].name == "c"


def test_an_error_of_meaning_in_a_file_names_it(tmp_path):
    path = tmp_path / "own.scenario"
    path.write_text('scenario fast(car c): "Fast." sped(c) > 3 m/s\n', encoding="utf-8")
    with pytest.raises(InputError, match="sped") as caught:
        read_scenarios([path])
    assert caught.value.where.startswith(f"{path}, ")
