"""The page of a finding in a real browser: the list of matches, who they are, and why."""

import json
import re

import numpy as np
import pytest

from crossing import crossing_scene
from kerbstone.app.finding_page import finding_page
from kerbstone.app.playback import Curve, Event, Listed, Plot
from kerbstone.errors import InputError
from kerbstone.mine import find
from kerbstone.store import Store
from streets import put_scenes, street

BRAKES = "vehicle v: deceleration(v) > 3 m/s2 and speed(v) > 2 m/s"
CLOSE = "vehicle v, pedestrian p: distance(v, p) < 12 m and not stopped(v)"


@pytest.fixture(scope="module")
def road(tmp_path_factory) -> Store:
    """A store of walkers who are nearly run over, and leaders who brake."""
    store = Store.create(str(tmp_path_factory.mktemp("found") / "road"))
    for number in range(5):
        scene = street(f"street/{number}", brake=True, walker=True, speed=9.0 + number, lead=25.0)
        put_scenes(store, f"log-{number}", scene)
    return store


def data_of(page: str) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def texts(page, selector):
    return page.evaluate(f"[...document.querySelectorAll({selector!r})].map((e) => e.innerText)")


def click(page, selector, place=0):
    page.evaluate(f"document.querySelectorAll({selector!r})[{place}].click()")


def clock(page) -> str:
    return page.evaluate("document.getElementById('clock').innerText").split("\n")[0]


def test_the_page_opens_at_the_first_match_with_its_witness_selected(road, open_page):
    found = find(BRAKES, road)
    first = found.matches[0]
    page = open_page.text(finding_page(found, road))
    state = page.state()
    assert state["scene"].startswith(first.scene)
    assert state["selected"] == first.witnesses[0].agent
    assert clock(page).startswith(f"{first.start:.1f} / ")


def test_every_match_and_near_miss_is_listed_in_its_order(road, open_page):
    found = find("vehicle v: speed(v) > 11.5 m/s", road, near_misses=3)
    page = open_page.text(finding_page(found, road))
    lines = [text.split("\n") for text in texts(page, "#matches button")]
    assert len(lines) == len(found.matches)
    for line, match in zip(lines, found.matches, strict=True):
        assert line[0] == f"{match.rank}. {match.scene.partition('/')[2]}"
        assert float(line[1]) == pytest.approx(match.robustness, abs=0.006)
        assert f"{match.start:.1f}–{match.end:.1f} s" in line
    assert "speed(v) 11 m/s, needs > 11.5 m/s" in lines[-1] or "needs > 11.5 m/s" in lines[-1][2]
    assert texts(page, "#matches .heading") == ["Near misses"]


def test_a_click_on_a_match_goes_to_it_and_marks_it(road, open_page):
    found = find(BRAKES, road)
    page = open_page.text(finding_page(found, road))
    for place in (1, 0, 2):
        click(page, "#matches button", place)
        match = found.matches[place]
        page.wait_for(f"document.body.dataset.scene.startsWith({match.scene!r})")
        page.wait_for(
            f"document.querySelector('#clock').innerText.startsWith('{match.start:.1f} ')"
        )
        marked = page.evaluate(
            "[...document.querySelectorAll('#matches button')]"
            ".findIndex((b) => b.ariaCurrent === 'true')"
        )
        assert marked == place


def test_keys_go_from_match_to_match(road, open_page):
    found = find(BRAKES, road)
    page = open_page.text(finding_page(found, road))
    page.press("g")
    page.wait_for(f"document.body.dataset.scene.startsWith({found.matches[1].scene!r})")
    page.press("G", shift=True)
    page.wait_for(f"document.body.dataset.scene.startsWith({found.matches[0].scene!r})")


def test_each_atom_has_a_row_with_its_name_and_its_value_now(road, open_page):
    found = find(BRAKES, road)
    match = found.matches[0]
    page = open_page.text(finding_page(found, road))
    assert texts(page, "#traces .label") == [
        "the query", "deceleration(v) > 3 m/s2", "speed(v) > 2 m/s",
    ]  # fmt: skip
    best = match.best - match.first
    for _ in range(best):
        page.press("ArrowRight")
    values = texts(page, "#traces .now")
    braking, speed = (atom.left[match.best - match.trace.first] for atom in match.trace.atoms)
    assert values[1] == f"✓ {float(f'{braking:.3g}'):g} m/s2"
    assert values[2] == f"✓ {float(f'{speed:.3g}'):g} m/s"


def test_the_curves_cross_zero_at_the_ends_of_the_match(road, open_page):
    found = find(BRAKES, road)
    match = found.matches[0]
    page = open_page.text(finding_page(found, road))
    signs = []
    page.press("Home")
    for _ in range(len(match.trace.robustness)):
        signs.append(texts(page, "#traces .now")[0][0])
        page.press("ArrowRight")
    held = [step for step, sign in enumerate(signs, match.trace.first) if sign == "✓"]
    assert (held[0], held[-1]) == (match.first, match.last)


def test_the_rows_stand_below_the_slider_and_a_click_moves_the_time(road, open_page):
    page = open_page.text(finding_page(find(BRAKES, road), road))
    box = page.evaluate("document.querySelector('#traces canvas').getBoundingClientRect().toJSON()")
    slider = page.evaluate("document.querySelector('#slider').getBoundingClientRect().toJSON()")
    assert box["x"] == pytest.approx(slider["x"] + 8, abs=1)
    assert box["x"] + box["width"] == pytest.approx(slider["x"] + slider["width"] - 8, abs=1)
    steps = int(page.evaluate("document.querySelector('#slider').max"))
    state = page.click(box["x"] + 0.75 * box["width"], box["y"] + 10)
    assert int(state["step"]) == pytest.approx(0.75 * steps, abs=1)


def test_the_plot_is_drawn_with_its_interval_and_playhead(road, open_page):
    page = open_page.text(finding_page(find(BRAKES, road), road), dark=False)
    box = page.evaluate(
        "document.querySelectorAll('#traces canvas')[0].getBoundingClientRect().toJSON()"
    )
    top, left = int(box["y"]), int(box["x"])
    picture = page.picture()[top : top + int(box["height"]), left : left + int(box["width"])]
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    accent, miss, text = (0x00, 0x63, 0xA3), (0xB6, 0x4B, 0x00), (0x1B, 0x1F, 0x24)
    for wanted in (accent, miss, text):
        assert any(max(abs(a - b) for a, b in zip(c, wanted, strict=True)) < 40 for c in colours)
    assert any(r > 200 and b > r + 5 and g < r - 5 for r, g, b in colours), "no shaded interval"


def test_witnesses_are_named_in_the_picture(open_page, count_colour):
    scene = crossing_scene()
    shown = Event("match", ("truck", "bus"), 1.0, 2.0, roles=("v", "w"))
    line = Listed("1. x", "", "", "", scene=scene.id, event=shown)
    mark = 0x8A3FFC
    page = open_page([scene], events={scene.id: [shown]}, matches=[line], dark=False)
    marked = count_colour(page.picture()[50:740, :920], mark, tolerance=30)
    plain = Event("match", ("truck", "bus"), 1.0, 2.0)
    line = Listed("1. x", "", "", "", scene=scene.id, event=plain)
    page = open_page([scene], events={scene.id: [plain]}, matches=[line], dark=False)
    assert marked > 150 + count_colour(page.picture()[50:740, :920], mark, tolerance=30)


def test_hostile_names_in_a_finding_are_only_text(open_page):
    hostile = "<img src=x onerror=document.title=1>"
    scene = crossing_scene(id=hostile)
    curve = Curve(hostile, np.array([1.0, -1.0]), np.array([1.0, 2.0]), hostile)
    shown = Event("match", ("ego",), 0.0, 1.0, hostile, roles=(hostile,), plot=Plot(0, (curve,)))
    line = Listed(hostile, hostile, hostile, hostile, scene=scene.id, event=shown)
    page = open_page([scene], events={scene.id: [shown]}, matches=[line])
    assert texts(page, "#traces .label") == [hostile]
    assert texts(page, "#matches .title") == [hostile]
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.title") == "Test"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_page_fits_the_screen(road, open_page, width, height):
    page = open_page.text(
        finding_page(find(CLOSE, road), road), width=width, height=height, touch=width < 500
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("scrollY") == 0
    if width > 760:
        assert page.evaluate("document.documentElement.scrollHeight") <= height


def test_the_times_shown_are_those_of_the_whole_scene(open_page):
    scene = crossing_scene().window_steps(20, 30)
    shown = Event("match", ("ego",), 1.0, 2.0, plot=Plot(0, (Curve("x", np.ones(30)),)))
    line = Listed("1. x", "", "", "", scene=scene.id, event=shown)
    page = open_page([scene], events={scene.id: [shown]}, matches=[line], offsets={scene.id: 2.0})
    assert clock(page) == "3.0 / 4.9 s"
    assert page.state()["step"] == "10"


def test_only_some_stretches_are_on_the_page_and_the_rest_is_listed_as_such(tmp_path, open_page):
    store = Store.create(str(tmp_path / "road"))
    for number in range(14):
        put_scenes(store, f"log-{number}", street(f"s/{number:02}", brake=True, lead=25.0))
    found = find(BRAKES, store, near_misses=3)
    text = finding_page(found, store)
    data = data_of(text)
    assert len(data["scenes"]) == 12
    assert sum(line["scene"] is None for line in data["matches"]) == len(found.matches) - 12
    page = open_page.text(text)
    assert (
        page.evaluate("document.querySelectorAll('#matches button:disabled').length")
        == len(found.matches) - 12
    )
    assert "cannot be played" in page.evaluate("document.querySelector('.notes').innerText")


def test_matches_close_together_share_a_stretch(road):
    found = find("any a: true", road, top=30, near_misses=0, where="id = 'street/0'")
    data = data_of(finding_page(found, road))
    assert len(data["scenes"]) == 1
    assert len(data["scenes"][0]["events"]) == len(found.matches) > 2


def test_a_query_about_ego_alone_can_be_shown(road, open_page):
    found = find("speed(ego) > 12.5 m/s", road, near_misses=1)
    page = open_page.text(finding_page(found, road))
    assert page.state()["selected"] == "ego"


def test_a_finding_of_nothing_and_one_whose_scenes_are_gone_are_told(road, tmp_path):
    nothing = find("train a: true", road)
    with pytest.raises(InputError, match="nothing to show"):
        finding_page(nothing, road)
    other = Store.create(str(tmp_path / "other"))
    with pytest.raises(InputError, match="not in the store any more"):
        finding_page(find(BRAKES, road), other)


def test_a_page_without_matches_shows_no_list_and_no_plot(open_page):
    page = open_page([crossing_scene()])
    assert page.evaluate("document.getElementById('matches-section').hidden")
    assert page.evaluate("document.getElementById('traces').hidden")


def test_the_line_that_is_shown_unfolds_and_the_others_stay_one_line(open_page):
    scene = crossing_scene()
    shown = [Event("match", ("ego",), float(time), time + 1.0) for time in range(3)]
    reasons = "time to collision 0.2 s (usually none); " * 6
    lines = [
        Listed(f"{place}. x", "0.0–1.0 s", reasons, "1.0", scene=scene.id, event=event)
        for place, event in enumerate(shown, 1)
    ]
    page = open_page([scene], events={scene.id: shown}, matches=lines)
    heights = "[...document.querySelectorAll('#matches .who')].map((e) => e.clientHeight)"
    cut = (
        "[...document.querySelectorAll('#matches .who')].map((e) => e.scrollWidth > e.clientWidth)"
    )
    first, *others = page.evaluate(heights)
    assert first > 3 * max(others)
    assert page.evaluate(cut) == [False, True, True]
    click(page, "#matches button", 2)
    page.wait_for("document.querySelectorAll('#matches button')[2].ariaCurrent === 'true'")
    assert page.evaluate(cut) == [True, True, False]
    # What is cut is there on hovering.
    assert page.evaluate("document.querySelectorAll('#matches button')[1].title").endswith(reasons)


def test_the_list_has_the_heading_that_it_is_given(open_page):
    scene = crossing_scene()
    shown = Event("match", ("ego",), 0.0, 1.0)
    line = Listed("1. x", "", "", "", scene=scene.id, event=shown)
    page = open_page(
        [scene], events={scene.id: [shown]}, matches=[line], listed_as="Most <b>alike</b>"
    )
    assert texts(page, "#matches-title") == ["Most <b>alike</b>"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_matches_and_near_misses_can_be_read(road, open_page, width, height, dark):
    found = find("vehicle v: speed(v) > 11.5 m/s", road, near_misses=3)
    page = open_page.text(
        finding_page(found, road), width=width, height=height, touch=width < 500, dark=dark
    )
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 4 * len(found.matches)
    assert min(contrasts) >= 4.5


CONTRASTS = """(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0.99) return light(colour);
    }
    return 1;
  };
  return [...document.querySelectorAll('#matches span, #matches .heading, #traces span, .notes p')]
    .filter((e) => e.innerText)
    .map((e) => [light(numbers(getComputedStyle(e).color)), ground(e)])
    .map(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05));
})()"""
"""The contrast of each text of the list with what lies behind it, as WCAG 2 defines it."""
