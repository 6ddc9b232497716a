"""From a model to what is found with it, by the commands; and what is told on the way."""

import pytest

from commands import run, run_json
from kerbstone.mine.moments import trained
from kerbstone.store import Store
from learned_models import load_toy, write_toy
from streets import put_scenes, street

SURPRISING = "vehicle v: surprise(v) > 2.5"


@pytest.fixture
def road(tmp_path, monkeypatch):
    """A store of streets, and the folder of a model beside it."""
    monkeypatch.setattr(trained, "load_model", load_toy)
    held_out = [street(f"held/{i}", speed=8.0 + 0.1 * i, oncoming=3) for i in range(12)]
    write_toy(tmp_path / "model", held_out, noise=0.1)
    store = Store.create(str(tmp_path / "road"))
    put_scenes(store, "plain", street("plain/0", log="plain", town="There"))
    put_scenes(store, "brakes", street("brake/0", brake=True, lead=25.0, log="brakes"))
    monkeypatch.chdir(tmp_path)
    return store


@pytest.mark.usefixtures("road")
def test_what_surprises_a_model_is_found_once_it_was_embedded():
    refused = run("find", SURPRISING, code=4)
    assert "try  kerbstone embed --store STORE --model DIR" in refused.stderr
    planned = run("embed", "--model", "model", "--dry-run")
    assert planned.stdout == "2 logs to embed, 0 known already (model 1)\n"
    part = run_json("embed", "--model", "model", "--where", "town = 'There'")
    assert (part["logs"], part["known"], len(part["runs"])) == (1, 0, 2)
    found = run("find", SURPRISING)
    assert "1 scene could not match: the model has not seen them yet" in found.stderr
    assert "kerbstone embed --store road --model DIR" in found.stderr
    assert run("embed", "--model", "model").stdout.startswith("1 log embedded, 1 known already")
    found = run_json("find", SURPRISING)
    assert [match["scene"] for match in found["matches"]] == ["brake/0"]
    assert "could not match" not in run("find", SURPRISING).stderr
    assert run_json("embed", "--model", "model")["runs"] == []


@pytest.mark.usefixtures("road")
def test_examples_are_compared_by_what_the_model_wrote():
    refused = run("like", "brake/0@5-7", "--embedding", "world", code=3)
    assert "kerbstone embed" in refused.stderr
    run("embed", "--model", "model")
    found = run_json("like", "brake/0", "--embedding", "world")
    assert [row["scene"] for row in found["found"]] == ["plain/0"]
    matches = run_json("find", 'similar("brake/0@5-7") > 0.9')["matches"]
    assert matches[0]["scene"] == "brake/0"


@pytest.mark.usefixtures("road")
def test_a_condition_that_fits_nothing_and_a_missing_model_are_told(tmp_path):
    told = run("embed", "--model", "model", "--where", "town = 'Nowhere'")
    assert "no scene fits --where" in told.stderr
    (tmp_path / "model" / "calibration.json").unlink()
    assert "error[missing-file]" in run("embed", "--model", "model", code=3).stderr
    run("embed", code=2)
