import numpy as np
import pytest

from kerbstone.errors import InputError
from kerbstone.label import LabelConfig, Profile, Provenance, label_detections
from kerbstone.scene import BoxIndex, Kind, derive_velocity, iou_3d
from watched import (
    CAR,
    WALKER,
    User,
    drive,
    make_clock,
    make_scene,
    purity,
    true_boxes,
    walk,
    watch,
)

CLOCK = make_clock(150)
EGO = drive(6.0, steps=150, start=(-40.0, -3.5, 0.0))


def street():
    return [
        User(drive(9.0, steps=150, start=(-60.0, 0.0, 0.0))),
        User(drive(8.0, steps=150, start=(60.0, 3.5, np.pi)), hidden=range(60, 75)),
        User(drive(0.0, steps=150, start=(20.0, -7.0, 0.1))),
        User(drive(5.0, 0.15, steps=110, start=(-20.0, 12.0, 0.5)), first=20),
        User(walk((1.2, 0.0), steps=150, start=(-8.0, 9.0)), Kind.PEDESTRIAN, WALKER),
    ]


def labelled(users=None, *, clock=CLOCK, config=None, ego=EGO, profile=None, names=None, **more):
    """Return labels, the association, and whom each detection shows."""
    users = street() if users is None else users
    detections, who = watch(users, clock, **more)
    scene = make_scene(clock, ego=ego)
    labels, found = label_detections(detections, scene, profile or Profile(), config, names=names)
    return labels, found, detections, who


def test_everybody_on_a_street_is_labelled_once():
    labels, found, _, who = labelled(recall=0.9, ghosts=0.5, noise=0.15)
    assert purity(found.track, who) == (0, 0)
    sure = labels.select(labels.confidence > 0.5)
    assert sorted(sure.kind.tolist()) == [Kind.CAR] * 4 + [Kind.PEDESTRIAN]
    agent, step, box, _ = true_boxes(street())
    met = 0
    for a in range(5):
        own = agent == a
        best = 0
        for number in range(len(sure.ids)):
            cells = sure.agent == number
            _, true, said = np.intersect1d(step[own], sure.step[cells], return_indices=True)
            over = iou_3d(box[own][true], sure.boxes()[cells][said]) > 0.5
            best = max(best, int(over.sum()))
        met += best
    assert met > 0.95 * len(step)


def test_places_speeds_and_headings_are_far_better_than_what_was_detected():
    labels, _, detections, who = labelled(noise=0.3, heading_noise=0.1, flips=0.1)
    cell = np.flatnonzero(labels.row >= 0)
    row = labels.row[cell]
    agent, step, box, _ = true_boxes(street())
    lookup = {(a, s): n for n, (a, s) in enumerate(zip(agent.tolist(), step.tolist(), strict=True))}
    true = box[
        [
            lookup[a, s]
            for a, s in zip(who[row].tolist(), detections.step[row].tolist(), strict=True)
        ]
    ]

    def rms(values):
        return float(np.sqrt((values**2).mean()))

    def turned(heading):
        return np.angle(np.exp(1j * (heading - true[:, BoxIndex.HEADING])))

    before, after = detections.box[row, :2] - true[:, :2], labels.place[cell, :2] - true[:, :2]
    assert rms(after) < 0.5 * rms(before)
    assert rms(turned(labels.heading[cell])) < 0.2 * rms(turned(detections.box[row, 3]))
    speed = np.array([9.0, 8.0, 0.0, 5.0, 1.2])[who[row]]
    assert rms(np.hypot(*labels.velocity[cell].T) - speed) < 0.3


def test_velocities_are_those_of_the_places():
    labels, *_ = labelled()
    scene, _ = labels.to_scene()
    derived = derive_velocity(scene.agents.centre, scene.agents.valid, 0.1)
    inner = np.zeros(scene.agents.valid.shape, bool)
    inner[1:, 2:-2] = scene.agents.valid[1:, 2:-2]
    off = np.abs(derived - scene.agents.velocity)[inner]
    assert np.nanquantile(off, 0.98) < 0.5


def test_cells_say_where_they_come_from():
    course = drive(8.0, steps=40)
    labels, *_ = labelled(
        [User(course, first=50, hidden=range(60, 64))],
        config=LabelConfig(reach=0.5, keep=0.0),
    )
    assert (labels.step == np.arange(45, 95)).all()
    expected = np.full(50, Provenance.DETECTED)
    expected[:5] = expected[-5:] = Provenance.EXTRAPOLATED
    expected[15:19] = Provenance.INTERPOLATED
    np.testing.assert_array_equal(labels.provenance, expected)
    np.testing.assert_array_equal(labels.row >= 0, labels.provenance == Provenance.DETECTED)
    assert labels.std[17, 0] > labels.std[10, 0]
    assert labels.confidence[0] < labels.confidence[10]


def test_cells_of_too_little_confidence_are_left_out():
    everything, *_ = labelled(ghosts=1.0, config=LabelConfig(keep=0.0))
    some, *_ = labelled(ghosts=1.0, config=LabelConfig(keep=0.6))
    assert some.confidence.min() >= 0.6
    assert len(some) == (everything.confidence >= 0.6).sum()
    assert 0 < len(some.ids) < len(everything.ids)
    none, *_ = labelled(config=LabelConfig(keep=1.0))
    assert (len(none), none.ids) == (0, ())


def test_what_is_there_is_surer_than_what_is_not():
    labels, _, _, who = labelled(ghosts=2.0, config=LabelConfig(keep=0.0))
    seen = labels.row >= 0
    real = who[labels.row[seen]] >= 0
    confidence = labels.confidence[seen]
    assert np.median(confidence[real]) > 0.8
    assert np.median(confidence[~real]) < 0.4


def test_names_are_those_of_most_detections_of_the_kind():
    users = [User(drive(8.0, steps=30))]
    detections, _ = watch(users, CLOCK)
    names = np.array(["Van"] * 10 + ["Car"] * 8 + ["Tram"] * 12)
    detections.kind[18:] = Kind.TRAIN
    detections.score[18:] = 0.1
    labels, _ = label_detections(detections, make_scene(CLOCK), Profile(), names=names)
    assert (labels.kind.tolist(), labels.name) == ([Kind.CAR], ("Van",))
    unnamed, _ = label_detections(detections, make_scene(CLOCK), Profile())
    assert unnamed.name == ("car",)


def test_without_a_recording_car_labels_are_made_all_the_same():
    labels, *_ = labelled(ego=None)
    assert len(labels.ids) == 5
    assert labels.to_scene()[0].ego is None


def test_a_recording_car_that_is_lost_for_a_while_loses_nothing():
    ego = EGO.copy()
    ego[40:60] = np.nan
    detections, _ = watch(street(), CLOCK)
    scene = make_scene(CLOCK, ego=ego)
    labels, _ = label_detections(detections, scene, Profile())
    assert np.isfinite(labels.boxes()).all()
    assert len(labels.ids) == 5


@pytest.mark.parametrize("count", [0, 1])
def test_a_log_of_hardly_any_detection_gives_hardly_any_label(count):
    detections, _ = watch([User(drive(0.0, steps=1))], CLOCK)
    seen = detections.select(np.arange(count))
    labels, found = label_detections(seen, make_scene(CLOCK), Profile(), LabelConfig(keep=0.0))
    assert len(labels.ids) == len(found.track) == count
    scene, _ = labels.to_scene()
    assert len(scene.agents) == count


def test_a_log_of_one_step_is_labelled():
    clock = make_clock(1)
    users = [User(drive(0.0, steps=1, start=(9.0 * k, 0.0, 0.0))) for k in range(4)]
    labels, *_ = labelled(users, clock=clock, ego=None, config=LabelConfig(keep=0.0))
    assert labels.step.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(labels.size, np.tile(CAR, (4, 1)), rtol=0.1)


def test_detections_of_another_clock_are_refused():
    detections, _ = watch(street(), CLOCK)
    for other in (make_clock(149), make_clock(150, 0.2)):
        with pytest.raises(InputError) as caught:
            label_detections(detections, make_scene(other), Profile())
        assert caught.value.code == "clock"


def test_the_same_input_gives_the_same_labels():
    one, *_ = labelled(ghosts=1.0)
    other, *_ = labelled(ghosts=1.0)
    assert one.boxes().tobytes() == other.boxes().tobytes()
    assert one.confidence.tobytes() == other.confidence.tobytes()


@pytest.mark.parametrize(
    "values", [{"reach": -1.0}, {"standing_reach": float("nan")}, {"keep": 1.5}, {"keep": -0.1}]
)
def test_a_config_that_makes_no_sense_is_refused(values):
    with pytest.raises(InputError) as caught:
        LabelConfig(**values)
    assert caught.value.code == "config"
