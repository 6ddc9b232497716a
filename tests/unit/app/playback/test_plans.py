"""Plans on the page: what is packed is what is drawn."""

import numpy as np
import pytest

from crossing import crossing_scene
from kerbstone.app.playback import (
    BlindArea,
    Drive,
    Fact,
    Forecast,
    PlanDrawing,
    Plans,
    Reach,
    playback_page,
)
from kerbstone.app.playback.plans import pack_plans
from kerbstone.errors import InputError
from playback_codec import unpack

SCENE = "made/crossing"
# What is drawn, without the controls around it.
VIEW = "document.getElementById('view').toDataURL()"
EDGE = np.array([[0.0, -10.0], [0.0, 10.0], [0.0, 30.0]])


def poses(count=21, *, speed=8.0, shift=0.0, dt=0.15):
    """North from where the ego of the crossing is at 2 s."""
    y = -4.0 + speed * dt * np.arange(count)
    return np.column_stack(
        [np.full(count, 1.75 + shift), y, np.full(count, np.pi / 2), np.full(count, speed)]
    )


def drawing(time=2.0, **changes):
    ring = np.array([[8.0, 2.0], [12.0, 2.0], [12.0, 6.0], [8.0, 6.0], [8.0, 2.0]])
    hole = np.array([[9.0, 3.0], [10.0, 3.0], [10.0, 4.0], [9.0, 3.0]])
    made = {
        "time": time,
        "facts": (Fact("Shield", "passes", "good"), Fact("Why", "<b>", "bad", "all of it")),
        "branches": (
            Drive(poses(), "lanes", "80 %", 0.15, 0.8),
            Drive(poses(speed=4.0), "brake", "20 %", 0.15, 0.2),
        ),
        "others": (Drive(poses(shift=1.0), "right", "cost 2.0", 0.15),),
        "failsafe": Drive(poses(11, speed=3.0, shift=-1.0, dt=0.1), "fail-safe", "", 0.1),
        "is_verified": True,
        "reaches": (Reach(0.0, 0.5, (ring, hole)), Reach(0.5, 1.0, (ring + 1.0,))),
        "forecasts": (Forecast(poses(5, shift=6.0), 0.15, (4.5, 1.8), 1),),
        "corridor": (EDGE, EDGE + np.array([3.5, 0.0])),
        "known": 2,
    }
    return PlanDrawing(**{**made, **changes})


def plans(*drawings):
    return {SCENE: Plans(drawings or (drawing(),), (4.9, 1.9))}


def test_poses_and_lines_come_out_in_the_order_of_their_counts():
    packed = pack_plans(plans(drawing(), drawing(3.0, failsafe=None))[SCENE], np.array([1.0, 2.0]))
    first, second = packed["moments"]
    assert [branch["count"] for branch in first["branches"]] == [21, 21]
    assert first["failsafe"]["count"] == 11
    assert second["failsafe"] is None
    ways = [*first["branches"], *first["others"], first["failsafe"], *first["forecasts"]]
    begin = sum(way["count"] for way in ways[:3])
    y = unpack(packed["poses"]["y"])[begin : begin + 11] / 100
    assert y + 2.0 == pytest.approx(poses(11, speed=3.0, dt=0.1)[:, 1], abs=0.006)
    lines = np.column_stack([unpack(packed["lines"][axis]) for axis in "xy"]) / 100
    assert lines[:3] + np.array([1.0, 2.0]) == pytest.approx(EDGE)
    assert first["blind"] == []
    counts = [ring for reach in first["reaches"] for ring in reach["rings"]]
    assert counts == [5, 4, 5]
    assert len(lines) == 2 * (sum(first["corridor"]) + sum(counts))


def test_a_page_without_plans_has_nothing_of_them():
    page = playback_page([crossing_scene()], title="Test")
    assert "class Plans" not in page
    assert "--speed-0" not in page
    assert '"plans":null' in page


def test_plans_of_a_scene_that_is_not_on_the_page_are_refused():
    with pytest.raises(InputError, match="not on the page") as caught:
        playback_page([crossing_scene()], title="Test", plans={"made/crosing": plans()[SCENE]})
    assert SCENE in caught.value.remedy


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_opens_at_its_first_plan_and_draws_all_of_it(open_page, count_colour, dark):
    page = open_page([crossing_scene()], plans=plans(), dark=dark)
    assert page.state()["step"] == "20"
    shown = page.evaluate("document.getElementById('plan-section').innerText")
    assert "made at 2.0 s" in shown
    assert "<b>" in shown
    assert "right" in shown
    failsafe = 0x52D273 if dark else 0x1B7A33
    drawn = count_colour(page.picture(), failsafe)
    page.press("s")
    # What is left of the colour stands in the panel.
    assert drawn > count_colour(page.picture(), failsafe) + 30
    tone = page.evaluate("getComputedStyle(document.querySelector('dd[data-tone=bad]')).color")
    assert tone == ("rgb(255, 122, 112)" if dark else "rgb(179, 38, 30)")


def test_each_layer_changes_the_picture_and_is_listed_among_the_keys(open_page):
    page = open_page([crossing_scene()], plans=plans())
    keys = page.evaluate("document.getElementById('keys').innerText")
    for key, name in zip(
        "psuwbc", ("Plan", "Fail-safe", "Reach", "Other", "Predict", "Corridor"), strict=True
    ):
        before = page.evaluate(VIEW)
        page.press(key)
        assert page.evaluate(VIEW) != before, name
        assert name in keys


def blind_areas():
    corner = np.array([[-6.0, 0.0], [-2.0, 0.0], [-2.0, 4.0], [-6.0, 4.0], [-6.0, 0.0]])
    return (
        BlindArea((corner,), is_lane=False),
        BlindArea((corner + np.array([6.0, 8.0]),), is_lane=True),
        BlindArea((0.2 * corner,), is_lane=False, name="stops the fail-safe", is_bad=True),
    )


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_not_seen_is_a_layer_with_a_key_and_colours(open_page, count_colour, dark):
    page = open_page([crossing_scene()], plans=plans(drawing(blind=blind_areas())), dark=dark)
    assert "Not seen" in page.evaluate("document.getElementById('keys').innerText")
    assert "not seen, on lanes" in page.evaluate("document.querySelector('.plan-key').innerText")
    bad = 0xFF7A70 if dark else 0xB3261E
    before, marked = page.evaluate(VIEW), count_colour(page.picture(), bad)
    page.press("h")
    assert page.evaluate(VIEW) != before
    assert count_colour(page.picture(), bad) < marked - 20


def test_a_page_on_which_all_are_seen_knows_nothing_of_the_unseen(open_page):
    page = open_page([crossing_scene()], plans=plans())
    assert "Not seen" not in page.evaluate("document.getElementById('keys').innerText")
    before = page.evaluate(VIEW)
    page.press("h")
    assert page.evaluate(VIEW) == before


def test_ghosts_drive_the_plan_until_its_end(open_page):
    page = open_page([crossing_scene()], plans=plans(drawing(reaches=(), corridor=(EDGE, EDGE))))
    page.press("e")
    ghosts = "document.body.dataset.ghosts"
    assert page.evaluate(ghosts) == "0"  # The ghosts are where the car is, and not drawn.
    page.press("PageDown")
    assert page.evaluate(ghosts) == "3"
    for _ in range(3):
        page.press("PageDown")
    assert page.evaluate(ghosts) == "0"


def test_before_the_first_plan_the_panel_says_so(open_page):
    page = open_page([crossing_scene()], "#t=1", plans=plans())
    assert "none yet" in page.evaluate("document.getElementById('plan-title').innerText")


def test_the_plan_in_force_is_the_last_one_made(open_page):
    page = open_page([crossing_scene()], "#t=3.4", plans=plans(drawing(2.0), drawing(3.0)))
    assert "made at 3.0 s" in page.evaluate("document.getElementById('plan-title').innerText")


def test_names_from_the_data_cannot_leave_their_place(open_page):
    hostile = "</script><img src=x onerror=alert(1)>"
    branches = tuple(Drive(poses(), hostile, hostile, 0.15, 0.5) for _ in range(2))
    others = (Drive(poses(shift=1.0), hostile, hostile, 0.15),)
    page = open_page([crossing_scene()], plans=plans(drawing(branches=branches, others=others)))
    assert page.evaluate("document.querySelectorAll('img').length") == 0
