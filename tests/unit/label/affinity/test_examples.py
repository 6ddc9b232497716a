import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.affinity import LabelledDetections, initial_affinity, split_by_town
from kerbstone.label.affinity.examples import collect_examples
from kerbstone.label.profile import Profile
from kerbstone.scene import Kind
from sightings import detect, drive, shake


def label(rows, town="a", **kwargs):
    return LabelledDetections(*detect(rows, **kwargs), town)


def test_a_lone_road_user_is_right_to_be_paired_with_itself():
    examples = collect_examples(label(drive(0, range(5))), Profile())
    assert len(examples) == 4
    for example in examples:
        assert example.right.tolist() == [True]
        assert example.track_alone.tolist() == example.row_alone.tolist() == [False]
        assert example.track_weight.tolist() == example.row_weight.tolist() == [1.0]


def test_two_side_by_side_are_right_each_with_itself():
    rows = drive(0, range(4), velocity=(0, 0)) + drive(1, range(4), (0.2, 0.2), velocity=(0, 0))
    for example in collect_examples(label(rows), Profile()):
        assert len(example.right) == 4
        assert example.right.sum() == 2
        right = example.right
        assert sorted(zip(example.track[right], example.row[right], strict=True)) == [
            (0, 0),
            (1, 1),
        ]


def test_who_was_not_detected_is_right_to_be_alone():
    rows = drive(0, [0, 1, 2, 4], velocity=(0, 0)) + drive(
        1, range(3, 5), (0.4, 0), velocity=(0, 0)
    )
    step = collect_examples(label(rows), Profile())[2]
    # At step 3 only somebody new is there, who has no track yet.
    assert step.right.tolist() == [False]
    assert step.track_alone.tolist() == [True]
    assert step.row_alone.tolist() == [True]


def test_nothing_may_go_with_nothing_or_be_alone_but_with_nobody():
    rows = drive(0, range(4), velocity=(0, 0)) + drive(-1, range(4), (0.4, 0), velocity=(0, 0))
    example = collect_examples(label(rows), Profile())[-1]
    assert example.right.sum() == 2
    assert sorted(example.track_alone.tolist()) == sorted(example.row_alone.tolist())
    assert example.track_alone.sum() == 1


def test_of_two_tracks_of_one_road_user_the_longer_one_counts():
    # The jump at step 6 leaves the gate, so a second track starts; then both are near.
    rows = drive(0, range(6), velocity=(0, 0)) + drive(0, [6, 7], (1.5, 0), velocity=(0, 0))
    rows += drive(0, [8], (0.9, 0), velocity=(0, 0))
    example = collect_examples(label(rows), Profile(gate=40.0, trial=1.0))[-1]
    assert len(example.track_weight) == 2
    longer = int(example.track_told[:, 0].argmax())
    assert example.right.tolist() == (example.track == longer).tolist()
    assert example.track_weight[longer] == 1
    assert example.track_weight[1 - longer] == 0


def test_an_affinity_that_tracks_worse_is_shown_its_own_errors():
    rows = drive(0, range(12), velocity=(0, 0)) + drive(1, range(12), (1.0, 0), velocity=(0, 0))
    log = label(shake(rows, 1))
    lonely = collect_examples(log, Profile(), initial_affinity(alone=-50.0))
    # All go alone always, so tracks of the same road user pile up.
    assert max(len(example.track_weight) for example in lonely) > 2
    assert any((example.track_weight == 0).any() for example in lonely)


def test_a_log_where_nothing_is_near_anything_gives_no_examples():
    rows = [(step, step, 500.0 * step, 0.0, 0.0, Kind.CAR) for step in range(5)]
    assert collect_examples(label(rows), Profile()) == []
    assert collect_examples(label([], steps=4), Profile()) == []


def test_logs_are_split_by_town_and_not_by_log():
    logs = [label(drive(0, range(3)), town) for town in ("a", "b", "a", "c")]
    rest, held = split_by_town(logs, ["a"])
    assert [log.town for log in rest] == ["b", "c"]
    assert [log.town for log in held] == ["a", "a"]


def test_a_town_that_is_not_there_is_told_and_not_all_may_be_held_out():
    logs = [label(drive(0, range(3)), "berlin")]
    with pytest.raises(InputError, match="no log of the town 'berln'") as caught:
        split_by_town(logs, ["berln"])
    assert "berlin" in caught.value.remedy
    with pytest.raises(InputError, match="nothing to learn from"):
        split_by_town(logs, ["berlin"])


@pytest.mark.parametrize(
    ("agent", "code"),
    [([0, 0], "shape"), ([0, 0, -2], "value"), ([3, 3, 1], "duplicate")],
)
def test_labels_that_cannot_be_are_refused(agent, code):
    found, _ = detect(drive(0, [0]) + drive(1, [0]) + drive(2, [1]))
    with pytest.raises(InputError) as caught:
        LabelledDetections(found, np.array(agent), "a")
    assert caught.value.code == code


def test_many_detections_of_nothing_in_a_step_are_no_duplicates():
    found, _ = detect(drive(0, [0]) + drive(1, [0], (9, 9)))
    assert len(LabelledDetections(found, np.array([-1, -1])).agent) == 2
