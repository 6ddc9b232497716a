"""The page in a real browser: what it draws, and what mouse and keys do to it."""

from dataclasses import replace
from urllib.parse import parse_qs

import numpy as np
import pytest

from crossing import crossing_scene
from kerbstone.app.playback import Event, playback_page
from kerbstone.formats import find_logs, read_log
from kerbstone.formats.appearance import EGO_COLOUR, KIND_COLOURS, SIGNAL_COLOURS
from kerbstone.scene import Agents, Kind, SignalState

STAGE = "document.getElementById('view').getBoundingClientRect()"


def centre_of_stage(page):
    box = page.evaluate(f"({STAGE}).toJSON()")
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def text_of(page, element):
    return page.evaluate(f"document.getElementById({element!r}).innerText")


def details(page):
    cells = text_of(page, "details").split("\n")
    return dict(zip(cells[::2], cells[1::2], strict=True))


def link_of(page, part):
    page.wait_for(f"location.hash.includes({part!r})")
    return {k: v[0] for k, v in parse_qs(page.evaluate("location.hash.slice(1)")).items()}


def test_a_scene_opens_on_its_ego_with_everyone_who_is_there(open_page, count_colour):
    page = open_page([crossing_scene()])
    state = page.state()
    assert state["scene"] == "made/crossing"
    assert (state["step"], state["drawn"], state["follow"]) == ("0", "15", "ego")
    picture = page.picture()
    x, y = map(int, centre_of_stage(page))
    assert count_colour(picture[y - 12 : y + 12, x - 8 : x + 8], EGO_COLOUR) > 50


def test_every_kind_has_its_colour_in_the_picture(open_page, count_colour):
    page = open_page([crossing_scene()], "#t=4&follow=none&x=0&y=0&zoom=9")
    picture = page.picture()[50:740, :976]
    for kind in (Kind.CAR, Kind.BUS, Kind.MOTORCYCLE, Kind.CYCLIST, Kind.PEDESTRIAN):
        assert count_colour(picture, KIND_COLOURS[kind]) > 15, kind.name


def test_lights_change_their_colour_with_time(open_page, count_colour):
    view = "&follow=none&x=1.75&y=-9&zoom=20"
    red, green = SIGNAL_COLOURS[SignalState.RED], SIGNAL_COLOURS[SignalState.GREEN]
    x, y = slice(440, 536), slice(360, 440)
    page = open_page([crossing_scene()], f"#t=0{view}")
    before = page.picture()[y, x]
    page.press("End")
    after = page.picture()[y, x]
    assert count_colour(before, red) > 100 * (1 + count_colour(before, green))
    assert count_colour(after, green) > 100 * (1 + count_colour(after, red))


def test_keys_move_through_time(open_page):
    page = open_page([crossing_scene()])
    moves = [("ArrowRight", 1), ("PageDown", 11), ("ArrowLeft", 10), ("End", 59), ("PageUp", 49)]
    for key, step in [*moves, ("Home", 0), ("ArrowLeft", 0)]:
        assert page.press(key)["step"] == str(step)


def test_space_plays_and_pauses_on_a_step_and_the_end_stops(open_page):
    page = open_page([crossing_scene()])
    page.press(" ")
    assert page.evaluate("document.getElementById('play').ariaPressed") == "true"
    page.wait_for("Number(document.getElementById('slider').value) > 1")
    assert 1 < int(page.press(" ")["step"]) < 59
    assert [page.press(".")["speed"] for _ in range(4)] == ["2", "5", "10", "10"]
    page.press(" ")
    page.wait_for("document.body.dataset.step === '59'")
    assert page.evaluate("document.getElementById('play').ariaPressed") == "false"


def test_keys_go_from_one_road_user_to_the_next_the_nearest_first(open_page):
    page = open_page([crossing_scene()])
    assert page.press("a")["selected"] == "ego"
    assert page.press("a")["selected"] == "cyclist"
    assert page.press("A", shift=True)["selected"] == "ego"
    assert page.press("Escape")["selected"] == ""
    assert page.press("e")["selected"] == "ego"


def test_the_details_tell_what_the_scene_holds(open_page):
    scene = crossing_scene(shift=(412_000.25, 5_498_000.5))
    page = open_page([scene], "#t=2&select=cyclist")
    assert details(page) == {
        "Id": "cyclist",
        "Kind": "cyclist",
        "Label": "BICYCLIST",
        "Size": "1.80 × 0.70 × 1.70 m",
        "East": "412004.45 m",
        "North": "5497996.50 m",
        "Heading": "90.0°",
        "Speed": "14.4 km/h, 4.00 m/s",
        "To ego": "2.5 m",
        "There": "0.0–5.9 s",
    }


def test_what_is_not_known_is_not_made_up(open_page):
    page = open_page([crossing_scene()], "#t=2&select=ghost")
    shown = details(page)
    assert (shown["Size"], shown["Heading"], shown["Speed"]) == ("not known", "–", "–")
    page.press("End")
    page.evaluate("location.hash = '#t=3&select=gap'")
    page.wait_for("document.body.dataset.selected === 'gap'")
    assert details(page)["There"] == "0.0–5.9 s, not now"


def test_a_click_selects_and_a_click_beside_deselects(open_page):
    page = open_page([crossing_scene()], "#t=0&follow=none&x=-40&y=-1.75&zoom=10")
    x, y = centre_of_stage(page)
    assert page.click(x + 30, y + 5)["selected"] == "truck"
    assert page.click(x, y + 100)["selected"] == ""


def test_a_drag_moves_the_picture_and_ends_the_following(open_page):
    page = open_page([crossing_scene()], "#zoom=10")
    x, y = centre_of_stage(page)
    page.mouse("mousePressed", x, y, button="left", clickCount=1)
    page.mouse("mouseMoved", x + 100, y + 50, button="left", buttons=1)
    page.mouse("mouseReleased", x + 100, y + 50, button="left", clickCount=1)
    state = page.state()
    assert (state["follow"], state["selected"]) == ("none", "")
    link = link_of(page, "follow=none")
    assert (float(link["x"]), float(link["y"])) == pytest.approx((1.75 - 10, -20 + 5), abs=0.06)


def test_the_wheel_zooms_around_the_pointer(open_page):
    page = open_page([crossing_scene()], "#follow=none&x=0&y=0&zoom=10")
    x, y = centre_of_stage(page)
    page.mouse("mouseWheel", x + 100, y, deltaX=0, deltaY=-400)
    link = link_of(page, "zoom=18")
    zoom = float(link["zoom"])
    assert zoom == pytest.approx(10 * np.exp(0.6), rel=0.01)
    assert float(link["x"]) == pytest.approx(10 - 100 / zoom, abs=0.06)


def test_heading_up_turns_the_picture(open_page, count_colour):
    colour = KIND_COLOURS[Kind.TRUCK]

    def extent(picture):
        wanted = np.array([colour >> 16, colour >> 8 & 255, colour & 255])
        hit = (np.abs(picture[50:740, :976].astype(int) - wanted) <= 3).all(axis=-1)
        rows, columns = np.nonzero(hit)
        return np.ptp(columns), np.ptp(rows)

    page = open_page([crossing_scene()], "#t=1&select=truck&follow=selected&zoom=10")
    across, along = extent(page.picture())
    assert across > 2 * along
    assert page.press("o")["up"] == "heading"
    across, along = extent(page.picture())
    assert along > 2 * across


def test_follow_goes_round_those_who_can_be_followed(open_page):
    page = open_page([crossing_scene()])
    assert [page.press("f")["follow"] for _ in range(2)] == ["none", "ego"]
    page.press("a")
    assert [page.press("f")["follow"] for _ in range(3)] == ["selected", "none", "ego"]


def test_the_legend_hides_a_kind(open_page, count_colour):
    page = open_page([crossing_scene()], "#follow=none&x=0&y=0&zoom=9")
    colour = KIND_COLOURS[Kind.BUS]
    assert count_colour(page.picture()[50:740, :976], colour) > 500
    page.evaluate("document.querySelector('#legend [title$=bus]').click()")
    assert page.state()["drawn"] == "14"
    assert count_colour(page.picture()[50:740, :976], colour) == 0


def test_the_legend_counts_who_is_there_now_and_in_all(open_page):
    page = open_page([crossing_scene()], "#t=0")
    rows = dict(row.split("\n") for row in legend(page))
    assert rows["pedestrian"] == "1 / 2"
    assert rows["ego"] == "1 / 1"
    assert (*rows,)[0] == "ego"
    assert (*rows,)[-1] == "unknown"


def legend(page):
    return page.evaluate("[...document.querySelectorAll('#legend button')].map((b) => b.innerText)")


def test_a_link_leads_to_a_scene_a_moment_and_a_selection(open_page):
    scenes = [crossing_scene(), crossing_scene(id="made/other", steps=30)]
    page = open_page(scenes, "#scene=2&t=1.2&select=bus&follow=none&x=3&y=4&zoom=5")
    state = page.state()
    assert (state["scene"], state["step"], state["selected"]) == ("made/other", "12", "bus")
    page.press("ArrowRight")
    link = link_of(page, "t=1.3")
    assert link == {
        "scene": "2", "t": "1.3", "select": "bus", "follow": "none",
        "zoom": "5.00", "x": "3.0", "y": "4.0",
    }  # fmt: skip


def test_one_goes_from_scene_to_scene(open_page):
    scenes = [crossing_scene(), crossing_scene(id="made/other", ego=False)]
    page = open_page(scenes)
    page.press("n")
    page.wait_for("document.body.dataset.scene === 'made/other'")
    assert page.state()["follow"] == "none"
    page.press("N", shift=True)
    page.wait_for("document.body.dataset.scene === 'made/crossing'")
    assert page.state()["follow"] == "ego"


def test_a_wrong_link_opens_the_first_scene(open_page):
    page = open_page([crossing_scene()], "#scene=7&t=1e9&select=nobody&zoom=-3&up=side&x=a")
    state = page.state()
    assert (state["scene"], state["step"], state["selected"]) == ("made/crossing", "59", "")


def test_events_are_marks_that_one_can_jump_to(open_page):
    events = {
        "made/crossing": [
            Event("hard_braking", ("truck",), 1.0, 2.0, "4.1 m/s²"),
            Event("cut_in", ("late", "ego"), 4.0, 4.5),
        ]
    }
    page = open_page([crossing_scene()], events=events)
    assert page.evaluate("document.querySelectorAll('#marks button').length") == 2
    assert text_of(page, "events").split("\n")[:3] == [
        "hard braking",
        "1.0–2.0 s",
        "truck · 4.1 m/s²",
    ]
    page.evaluate("document.querySelectorAll('#events button')[1].click()")
    state = page.state()
    assert (state["step"], state["selected"]) == ("40", "late")
    state = page.press("G", shift=True)
    assert (state["step"], state["selected"]) == ("10", "truck")
    assert page.press("g")["step"] == "40"


def test_a_jump_to_an_event_shows_all_who_take_part(open_page, count_colour):
    event = Event("near_miss", ("bus", "train"), 1.0, 2.0)
    page = open_page([crossing_scene()], "#zoom=20", events={"made/crossing": [event]})
    picture = page.press("g") and page.picture()[50:740, :920]
    for kind in (Kind.BUS, Kind.TRAIN):
        assert count_colour(picture, KIND_COLOURS[kind]) > 200, kind.name
    near = Event("near_miss", ("cyclist", "ego"), 0.5, 1.0)
    page = open_page([crossing_scene()], events={"made/crossing": [near]})
    assert page.press("g")["follow"] == "ego"


def test_hostile_names_are_only_text(open_page):
    scene = crossing_scene(id="<img src=x onerror=document.title=1>")
    ids = ("ego", '"><svg onload=document.title=1>', *scene.agents.ids[2:])
    labels = ("</script><b>x", *scene.agents.label[1:])
    scene = replace(scene, agents=replace(scene.agents, ids=ids, label=labels))
    page = open_page([scene], "#select=ego", title="<i>Title</i>")
    assert page.evaluate("document.title") == "<i>Title</i>"
    assert details(page)["Label"] == "</script><b>x"
    assert page.evaluate("document.querySelectorAll('img, b, h1 i').length") == 0
    assert text_of(page, "about").split("\n")[1] == scene.id


def test_the_page_may_load_nothing_and_run_nothing_else(open_page, browser):
    page = open_page([crossing_scene()])
    blocked = page.evaluate(
        """new Promise((done) => {
             const names = [];
             addEventListener('securitypolicyviolation', ({ effectiveDirective }) => {
               if (names.push(effectiveDirective) === 3) done(names.sort());
             });
             fetch('https://example.invalid/').catch(() => {});
             new Image().src = 'https://example.invalid/x.png';
             document.body.append(Object.assign(document.createElement('script'), { text: '1' }));
           })"""
    )
    assert blocked == ["connect-src", "img-src", "script-src-elem"]
    browser.events.clear()  # these complaints were asked for


@pytest.mark.parametrize(
    "change",
    [
        {"map": None, "signals": None},
        {"ego": None},
        {"agents": Agents.empty(60), "ego": None},
        {"agents": Agents.empty(60), "ego": None, "map": None, "signals": None},
    ],
)
def test_what_a_scene_lacks_is_not_drawn_and_nothing_breaks(open_page, count_colour, change):
    scene = replace(crossing_scene(), **change)
    page = open_page([scene])
    for key in ("a", "e", "f", "o", "0", "End", "v", "i", "g", "n", " "):
        page.press(key)
    state = page.state()
    assert int(state["drawn"]) <= len(scene.agents)
    if scene.ego is None:
        assert count_colour(page.picture()[50:740, :920], EGO_COLOUR) == 0


def test_a_scene_of_one_step_can_be_shown(open_page):
    page = open_page([crossing_scene().window_steps(5, 1)])
    assert page.press(" ")["step"] == "0"
    assert text_of(page, "clock").startswith("0.0 / 0.0 s")


@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_the_canvas_is_as_fine_as_the_screen(open_page, ratio):
    page = open_page([crossing_scene()], ratio=ratio)
    view = "document.getElementById('view')"
    assert page.evaluate(f"{view}.width / {view}.clientWidth") == ratio


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (820, 1180)])
def test_the_page_fits_the_screen(open_page, width, height):
    page = open_page([crossing_scene()], width=width, height=height, touch=width < 500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    below = page.evaluate("document.getElementById('transport').getBoundingClientRect().bottom")
    assert below <= height
    if width > 760:
        assert page.evaluate("document.documentElement.scrollHeight") <= height


def test_selecting_and_playing_moves_nothing_on_the_page(open_page):
    page = open_page([crossing_scene()])
    boxes = (
        "JSON.stringify([...document.querySelectorAll('main, #stage, #transport, #slider, #details,"
        " #chart, #legend, #clock')].map((e) => e.getBoundingClientRect().toJSON()))"
    )
    before = page.evaluate(boxes)
    for key in ("a", "a", "End", "i", "Escape"):
        page.press(key)
    assert page.evaluate(boxes) == before


def test_light_and_dark_follow_the_system_and_a_key(open_page):
    def brightness(page):
        return page.picture()[400, 20].mean()

    page = open_page([crossing_scene()], dark=False)
    assert brightness(page) > 200
    page.press("d")
    assert brightness(page) < 60
    page = open_page([crossing_scene()], dark=True)
    assert brightness(page) < 60


def test_the_keys_are_shown_and_all_controls_have_names(open_page):
    page = open_page([crossing_scene()])
    page.press("?")
    assert page.evaluate("document.getElementById('help').open")
    assert "Play or pause" in text_of(page, "keys")
    page.press("Escape")
    assert not page.evaluate("document.getElementById('help').open")
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, canvas')].filter((e) =>
             !(e.ariaLabel || e.innerText?.trim() || e.labels?.[0]?.innerText.trim()))
             .map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_typing_an_id_finds_it_and_presses_no_other_key(open_page):
    page = open_page([crossing_scene()])
    page.evaluate("document.getElementById('find').focus()")
    for letter in "late":
        page.press(letter)
    state = page.state()
    assert (state["selected"], state["step"]) == ("late", "30")


@pytest.mark.data
def test_a_real_log_is_shown_small_and_whole(data_root, open_page):
    logs = find_logs([data_root / "av2"], format="av2-sensor")
    scene = next(read_log(logs[0]))
    assert len(playback_page([scene], title="AV2")) < 400_000
    page = open_page([scene])
    there = int(scene.agents.valid[:, 0].sum())
    assert page.state()["drawn"] == str(there)
    assert page.state()["follow"] == "ego"
