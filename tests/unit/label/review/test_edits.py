from dataclasses import replace

import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label.labels import Provenance
from kerbstone.label.review import Action, Edit, apply_edits
from kerbstone.scene import Kind, angle_difference

CELLS = ("place", "heading", "velocity", "std", "confidence", "provenance", "row")


def cell(labels, agent, step):
    here = (np.array(labels.ids)[labels.agent] == agent) & (labels.step == step)
    return int(np.flatnonzero(here)[0])


def own(labels, agent):
    return np.flatnonzero(np.array(labels.ids)[labels.agent] == agent)


def placed(labels, agent, step, *, shift=(0.0, 0.0, 0.0), turn=0.0, longer=0.0):
    box = labels.boxes()[cell(labels, agent, step)]
    box[:3] += shift
    box[3] += turn
    box[4] += longer
    return Edit(Action.PLACE, agent, step, box=tuple(box.tolist()))


def refuses(code, labels, edits, profile):
    with pytest.raises(InputError) as caught:
        apply_edits(labels, edits, profile)
    assert caught.value.code == code, str(caught.value)
    return caught.value


def test_no_edits_return_the_labels_themselves(labels, profile):
    assert apply_edits(labels, [], profile) is labels


def test_a_box_placed_where_the_label_was_moves_nothing(labels, profile, detections):
    for given in (None, detections):
        back = apply_edits(labels, [placed(labels, "1", 40)], profile, given)
        np.testing.assert_array_equal(back.place, labels.place)
        rest = np.arange(len(labels)) != cell(labels, "1", 40)
        for name in CELLS:
            np.testing.assert_array_equal(getattr(back, name)[rest], getattr(labels, name)[rest])


@pytest.mark.parametrize("shift", [0.3, 1.0, 5.0, 12.0])
def test_a_placed_box_is_exact_and_its_track_bends_to_it_smoothly(labels, profile, shift):
    back = apply_edits(labels, [placed(labels, "1", 40, shift=(0, shift, 0))], profile)
    here = cell(labels, "1", 40)
    assert back.place[here, 1] == labels.place[here, 1] + shift
    bend = (back.place - labels.place)[own(labels, "1"), 1]
    # No leap: what the track turns aside per step grows and shrinks gently.
    assert np.abs(np.diff(bend)).max() < 0.2 * shift
    assert np.abs(np.diff(bend, n=2)).max() < 0.12 * shift
    assert np.argmax(np.abs(bend)) in (39, 40, 41)


def test_the_speed_of_a_bent_track_is_that_of_its_places(labels, profile):
    back = apply_edits(labels, [placed(labels, "1", 40, shift=(0, 1.0, 0))], profile)
    mine = own(back, "1")
    driven = np.gradient(back.place[mine, 1], 0.1)
    off = np.abs(driven - back.velocity[mine, 1])
    assert off[5:-5].max() < 0.25
    assert np.abs(back.velocity[mine, 1]).max() > 1.0


def test_what_no_edit_reaches_stays_to_the_last_bit(labels, profile):
    back = apply_edits(labels, [placed(labels, "1", 40, shift=(0, 0.7, 0))], profile)
    rest = np.setdiff1d(np.arange(len(labels)), own(labels, "1"))
    far = own(labels, "1")[:8]
    for name in CELLS:
        for kept in (rest, far):
            np.testing.assert_array_equal(getattr(back, name)[kept], getattr(labels, name)[kept])
    assert back.ids == labels.ids
    np.testing.assert_array_equal(back.size, labels.size)


def test_what_was_reviewed_before_does_not_move_again(labels, profile):
    once = apply_edits(labels, [placed(labels, "1", 36)], profile)
    twice = apply_edits(once, [placed(once, "1", 40, shift=(0, 1.0, 0))], profile)
    np.testing.assert_array_equal(twice.place[cell(once, "1", 36)], once.place[cell(once, "1", 36)])
    # And it holds the track there: less goes that way than without it.
    free = apply_edits(labels, [placed(labels, "1", 40, shift=(0, 1.0, 0))], profile)
    before = cell(labels, "1", 37)
    held = np.abs(twice.place - once.place)[before, 1]
    assert held < 0.6 * np.abs(free.place - labels.place)[before, 1]


def test_what_stands_moves_as_a_whole(labels, profile):
    moved = [n for n in labels.ids if not labels.velocity[own(labels, n)].any()]
    (parked,) = moved
    back = apply_edits(labels, [placed(labels, parked, 30, shift=(0.4, -0.3, 0))], profile)
    off = (back.place - labels.place)[own(labels, parked)]
    np.testing.assert_allclose(off, np.tile([0.4, -0.3, 0.0], (len(off), 1)), atol=2e-3)
    assert not back.velocity[own(labels, parked)].any()


def test_what_is_placed_apart_does_not_stand(labels, profile):
    (parked,) = (n for n in labels.ids if not labels.velocity[own(labels, n)].any())
    edits = [placed(labels, parked, 5), placed(labels, parked, 50, shift=(4.0, 0, 0))]
    back = apply_edits(labels, edits, profile)
    way = back.place[own(labels, parked), 0]
    assert way[50] - way[5] == pytest.approx(4.0)
    # It was seen to stand until shortly before.
    assert abs(way[35] - way[5]) < 0.3
    assert (np.diff(way) < 0.6).all()
    assert back.velocity[cell(back, parked, 47), 0] > 1


def test_a_front_that_is_turned_round_turns_round_for_the_whole_track(labels, profile):
    back = apply_edits(labels, [placed(labels, "1", 40, turn=np.pi)], profile)
    mine = own(labels, "1")
    turned = np.abs(angle_difference(back.heading[mine], labels.heading[mine]))
    np.testing.assert_allclose(turned, np.pi, atol=0.1)
    # It drives where it drove, backwards now.
    np.testing.assert_allclose(back.velocity[mine], labels.velocity[mine], atol=0.5)
    np.testing.assert_allclose(back.place[mine], labels.place[mine], atol=0.2)


def test_a_front_turned_round_stops_at_what_was_reviewed(labels, profile):
    once = apply_edits(labels, [Edit(Action.CONFIRM, "1", 10)], profile)
    back = apply_edits(once, [placed(once, "1", 40, turn=np.pi)], profile)
    mine = own(labels, "1")
    turned = np.abs(angle_difference(back.heading[mine], labels.heading[mine])) > np.pi / 2
    assert not turned[:20].any()
    assert turned[30:].all()


def test_a_small_turn_of_a_box_is_one_of_its_neighbourhood(labels, profile):
    back = apply_edits(labels, [placed(labels, "1", 40, turn=0.3)], profile)
    here = cell(labels, "1", 40)
    assert angle_difference(back.heading[here], labels.heading[here]) == pytest.approx(0.3)
    assert np.abs(back.heading - labels.heading)[own(labels, "1")[:15]].max() < 0.02


def test_headings_on_either_side_of_the_turn_are_near_one_another(labels, profile):
    """The oncoming car's heading lies at ±π, and a person's box has it from either side."""
    here = cell(labels, "3", 20)
    for sign in (-1, 1):
        box = labels.boxes()[here]
        box[3] = sign * (np.pi - 0.01)
        edit = Edit(Action.PLACE, "3", 20, box=tuple(box.tolist()))
        back = apply_edits(labels, [edit], profile)
        off = angle_difference(back.heading, labels.heading)
        assert np.abs(off).max() < 0.05


def test_a_size_is_that_of_the_whole_track_and_the_middle_one_of_several(labels, profile):
    edits = [placed(labels, "1", step, longer=by) for step, by in ((10, 0.4), (20, 0.5), (30, 2))]
    back = apply_edits(labels, edits, profile)
    np.testing.assert_allclose(back.size[0], labels.size[0] + [0.5, 0, 0])


def test_a_box_in_a_hole_fills_it_on_both_sides(labels, profile):
    hole = own(labels, "1")[24:33]
    kept = labels.select(~np.isin(np.arange(len(labels)), hole))
    edit = Edit(Action.PLACE, "1", 28, box=tuple(labels.boxes()[hole[4]].tolist()))
    back = apply_edits(kept, [edit], profile)
    mine = own(back, "1")
    assert back.step[mine].tolist() == list(range(60))
    np.testing.assert_allclose(back.place[mine], labels.place[own(labels, "1")], atol=0.15)
    filled = back.provenance[mine] == Provenance.INTERPOLATED
    assert filled[[24, 25, 26, 27, 29, 30, 31, 32]].all()
    assert back.provenance[mine[28]] == Provenance.REVIEWED
    assert (back.confidence[mine] > 0.3).all()
    assert (back.confidence[mine] <= 1).all()


def test_steps_deleted_with_the_same_edits_stay_empty(labels, profile):
    edits = [Edit(Action.DELETE, "1", step) for step in (30, 31, 33)]
    edits.append(placed(labels, "1", 32, shift=(0, 0.2, 0)))
    back = apply_edits(labels, edits, profile)
    assert np.setdiff1d(range(60), back.step[own(back, "1")]).tolist() == [30, 31, 33]


def test_a_new_track_of_two_boxes_is_filled_between_them(labels, profile):
    boxes = [(30.0, 12.0, 0.9, 0.0, 4.2, 1.8, 1.5), (40.0, 12.0, 0.9, 0.0, 4.2, 1.8, 1.5)]
    edits = [
        Edit(Action.PLACE, "new", step, box=box, kind=Kind.TRUCK, label="lorry")
        for step, box in zip((10, 30), boxes, strict=True)
    ]
    back = apply_edits(labels, edits, profile)
    assert (back.ids[-1], back.kind[-1], back.name[-1]) == ("new", Kind.TRUCK, "lorry")
    mine = own(back, "new")
    assert back.step[mine].tolist() == list(range(10, 31))
    np.testing.assert_allclose(back.place[mine, 0], np.linspace(30, 40, 21), atol=0.1)
    np.testing.assert_allclose(back.velocity[mine, 0], 5.0, atol=0.3)
    np.testing.assert_array_equal(back.place[mine[[0, -1]]], np.array(boxes)[:, :3])
    assert back.size[-1].tolist() == [4.2, 1.8, 1.5]
    for name in CELLS:
        np.testing.assert_array_equal(getattr(back, name)[: len(labels)], getattr(labels, name))


def test_a_new_track_of_one_box_is_there_at_one_step(labels, profile):
    box = (30.0, 12.0, 0.9, 0.4, 0.6, 0.6, 1.8)
    edit = Edit(Action.PLACE, "5", 10, box=box, kind=Kind.PEDESTRIAN)
    back = apply_edits(labels, [edit], profile)
    (here,) = own(back, "5")
    np.testing.assert_allclose(back.boxes()[here], box)
    assert back.name[-1] == "pedestrian"


def test_a_track_of_interpolated_cells_alone_can_be_corrected(labels, profile):
    hole = own(labels, "1")[26:30]
    part = labels.select(np.isin(np.arange(len(labels)), hole))
    part = replace(part, provenance=np.full(4, Provenance.INTERPOLATED, np.uint8))
    back = apply_edits(part, [placed(part, "1", 27, shift=(0, 0.5, 0))], profile)
    assert back.place[1, 1] == part.place[1, 1] + 0.5


def test_the_detections_must_be_those_of_the_labels(labels, profile, detections):
    fewer = detections.select(np.arange(20))
    with pytest.raises(InputError, match="not those"):
        apply_edits(labels, [placed(labels, "1", 40)], profile, fewer)


def test_tracks_swapped_at_a_step_are_swapped_back(labels, profile):
    edits = [Edit(Action.MOVE, "1", 20, to="3"), Edit(Action.MOVE, "3", 20, to="1")]
    back = apply_edits(labels, edits, profile)
    one, other = cell(labels, "1", 20), cell(labels, "3", 20)
    np.testing.assert_array_equal(back.place[[one, other]], labels.place[[other, one]])


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ([Edit(Action.CONFIRM, "9", 5)], "reference"),
        ([Edit(Action.DELETE, "4", 0)], "reference"),
        ([Edit(Action.CONFIRM, "1", 60)], "clock"),
        ([Edit(Action.DELETE, "1", -1)], "clock"),
        ([Edit(Action.PLACE, "1", 5)], "value"),
        ([Edit(Action.PLACE, "1", 5, box=(0.0,) * 6)], "value"),
        ([Edit(Action.PLACE, "1", 5, box=(0.0,) * 7)], "value"),
        ([Edit(Action.PLACE, "1", 5, box=(0.0, 0.0, 0.0, np.nan, 4.0, 2.0, 1.0))], "value"),
        ([Edit(Action.PLACE, "1", 5, box=(1e9, 0.0, 0.0, 0.0, 4.0, 2.0, 1.0))], "value"),
        ([Edit(Action.PLACE, "1", 5, box=(0.0, 0.0, 0.0, 0.0, 1e4, 2.0, 1.0))], "value"),
        ([Edit(Action.PLACE, "9", 5, box=(0.0, 0.0, 0.0, 0.0, 4.0, 2.0, 1.0))], "reference"),
        ([Edit(Action.CLASSIFY, "9", kind=Kind.CAR)], "reference"),
        ([Edit(Action.CLASSIFY, "1")], "value"),
        ([Edit(Action.MOVE, "1", 5)], "value"),
        ([Edit(Action.MOVE, "1", 5, to="2")], "duplicate"),
        ([Edit(Action.MOVE, "4", 0, to="2")], "reference"),
        ([Edit(Action.DELETE, "1", 5), Edit(Action.CONFIRM, "1", 5)], "duplicate"),
        ([Edit(Action.MOVE, "1", 5, to="9"), Edit(Action.DELETE, "1", 5)], "reference"),
        ([Edit(Action.DELETE, "1", 5), Edit(Action.DELETE, "1", 5)], "duplicate"),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing_nor_do_those_beside_it(
    labels, profile, edits, code
):
    before = {name: getattr(labels, name).copy() for name in CELLS}
    sound = placed(labels, "2", 5, shift=(1.0, 0, 0))
    error = refuses(code, labels, [sound, *edits], profile)
    assert error.remedy.startswith("nothing was changed")
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(labels, name), values)


def test_labels_are_not_changed_in_place(labels, profile):
    before = {name: getattr(labels, name).copy() for name in (*CELLS, "size", "kind", "agent")}
    edits = [
        placed(labels, "1", 40, shift=(0, 1, 0), longer=1.0),
        Edit(Action.CONFIRM, "2", 3),
        Edit(Action.DELETE, "3", 3),
        Edit(Action.MOVE, "3", 4, to="8"),
        Edit(Action.CLASSIFY, "4", kind=Kind.RIDER),
    ]
    apply_edits(labels, edits, profile)
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(labels, name), values)


def test_the_order_of_edits_means_nothing(labels, profile):
    edits = [placed(labels, "1", step, shift=(0, 0.3, 0)) for step in (5, 25, 45)]
    edits += [Edit(Action.DELETE, "2", step) for step in (1, 2)]
    one, other = (apply_edits(labels, part, profile) for part in (edits, edits[::-1]))
    for name in CELLS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
