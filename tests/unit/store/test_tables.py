"""A store is found by its address, whatever kind it is."""

import pytest

from kerbstone.errors import InputError
from kerbstone.store import Store
from scenes import assert_same, random_scene


def test_a_store_may_be_named_by_an_address(tmp_path):
    address = (tmp_path / "road").as_uri()
    with pytest.raises(InputError) as error:
        Store.open(address)
    assert (error.value.code, error.value.where) == ("store-missing", address)
    store = Store.create(address)
    store.add([random_scene(1)], log="a", fingerprint="1")
    assert_same(Store.open(address).scene("random/000001"), random_scene(1))
    assert_same(Store.open(str(tmp_path / "road")).scene("random/000001"), random_scene(1))


def test_a_relative_folder_stays_the_same_store_wherever_one_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store.create("road")
    store.add([random_scene(1)], log="a", fingerprint="1")
    monkeypatch.chdir("/")
    assert_same(store.scene("random/000001"), random_scene(1))
    assert store.uri == str(tmp_path / "road")
