"""The page of the generality matrix: text only, coloured by skill, and shown by a real browser."""

import base64
import hashlib
import re

import pytest

from browser import Browser, find_chromium
from kerbstone.app.generality_page import generality_page
from kerbstone.judge.generality.domains import Domain
from kerbstone.judge.generality.matrix import Matrix
from kerbstone.judge.generality.outcomes import Bounds, Row
from kerbstone.judge.generality.sampling import Listed
from kerbstone.judge.generality.verdict import give_verdict

SKILLS = {"grid": 0.62, "far<script>": -1.7}


def cell(task, domain, **values):
    skill = SKILLS[domain]
    gain = Bounds(skill, skill - 0.1, skill + 0.1)
    told = {"trivial": "rule", "score": Bounds(1.0, 0.9, 1.1), "skill": gain, "over_trivial": gain}
    return Row(task, domain, domain == "grid", "displacement", "m", **told | values)


def make_page():
    domains = tuple(
        Domain(name, f"town = '{name}'", name == "grid", True, (Listed("s", "l", 10.0),))
        for name in SKILLS
    )
    rows = [cell("kind", name) for name in SKILLS] + [
        cell("anomaly", "grid", skill=Bounds(), reason="3 items, at least 20 are needed"),
        cell("anomaly", "far<script>", skill=Bounds()),
    ]
    verdict = give_verdict(rows, families={"kind": None, "anomaly": None}, registry=["kind"])
    return generality_page(Matrix("model", tuple(rows), domains, verdict, ("a & b",), 200, 0))


def test_cells_are_coloured_by_skill_and_marked_by_who_won():
    page = make_page()
    assert re.findall(r'<td class="([\w ]+)"[^>]*>([^<]*)</td>', page)[:4] == [
        ("up6", "0.62 ▲"),
        ("down10 first", "-1.70 ▼"),
        ("none", "–"),
        ("none first", "▼"),
    ]
    assert "not defined: 3 items, at least 20 are needed" in page


def test_names_are_text_and_nothing_else():
    page = make_page()
    assert "<script" not in page
    assert "far&lt;script&gt;" in page
    assert "a &amp; b" in page


def test_the_policy_lets_it_load_and_run_nothing():
    page = make_page()
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page
    assert "style=" not in page.replace("<style>", "")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: install it to test the page in a real browser")
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_without_complaint_or_request(browser, tmp_path, dark):
    path = tmp_path / "generality.html"
    path.write_text(make_page(), encoding="utf-8")
    browser.open(path.as_uri(), dark=dark)
    colours = [
        browser.evaluate(f"getComputedStyle(document.querySelector('{name}')).backgroundColor")
        for name in ("td.up6", "td.down10", "td.none")
    ]
    assert len(set(colours)) == 3
    assert browser.requests() == []
    assert browser.complaints() == []
