from kerbstone.world.training.splits import Listed
from kerbstone.world.training.usual import choose_evenly, halve_logs


def listed(dataset, town, log, scene=0, *, duration=20.0):
    key = f"{dataset}/{log}"
    return Listed(f"{key}/{scene:03}", dataset, town, key, "1", duration, 100)


SCENES = [
    *(listed("made", f"town-{n:02}-left", f"l{n}", part) for n in range(40) for part in range(2)),
    *(listed("made", f"town-{n:02}-right", f"r{n}", part) for n in range(40) for part in range(2)),
    *(listed("real", "", f"log-{n}") for n in range(7)),
    listed("lone", "Here", "only"),
]


def test_half_of_the_logs_of_each_data_set_are_left_to_test_with():
    telling = halve_logs(SCENES)
    assert set(telling) <= set(SCENES)
    logs = {scene.log for scene in telling}
    # A log is on one side whole.
    assert [scene for scene in SCENES if scene.log in logs] == telling
    count = {name: sum(log.startswith(name) for log in logs) for name in ("made", "real", "lone")}
    assert count == {"made": 40, "real": 4, "lone": 1}


def test_the_half_does_not_follow_from_the_order_of_names():
    sides = [scene.town.endswith("left") for scene in halve_logs(SCENES) if scene.dataset == "made"]
    assert 0.25 < sum(sides) / len(sides) < 0.75
    assert set(halve_logs(SCENES[::-1])) == set(halve_logs(SCENES))


def test_scenes_are_chosen_in_turn_of_data_sets_and_of_their_towns():
    chosen = choose_evenly(SCENES, 9)
    assert [scene.dataset for scene in chosen] == ["lone", "made", "real"] + ["made", "real"] * 3
    assert len({scene.town for scene in chosen if scene.dataset == "made"}) == 4


def test_those_that_are_chosen_of_a_town_are_no_longer_than_others():
    scenes = [listed("one", "Here", f"{n:03}", duration=5.0 + n) for n in range(400)]
    chosen = choose_evenly(scenes, 100)
    mean = sum(scene.duration for scene in scenes) / len(scenes)
    assert abs(sum(scene.duration for scene in chosen) / len(chosen) - mean) < 30.0
    assert chosen == choose_evenly(scenes[::-1], 100)
