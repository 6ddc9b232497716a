"""The coverage page: what it says, what it draws, and that it can load and run nothing."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from browser import Browser, find_chromium
from kerbstone.app.choices import say_interval, say_number
from kerbstone.app.coverage_page import coverage_page
from kerbstone.errors import InputError
from kerbstone.mine.coverage import Coverage, CoverageRow
from kerbstone.mine.rates import estimate_rate


def make_row(scenario, group, counts, *, hours=2.0):
    counts = np.asarray(counts, float)
    exposures = np.full(len(counts), hours)
    rate = estimate_rate(counts, exposures)
    way = estimate_rate(counts, exposures / 10)
    return CoverageRow(scenario, group, len(counts), int(counts.sum()), rate, way)


def make_coverage(**changes):
    rows = (
        make_row("cut_in", "all", [9, 0, 1, 3, 2, 0, 0, 7, 1, 1]),
        make_row("cut_in", "Miami", [9, 0, 1]),
        make_row("cut_in", "<script>alert(1)</script>", [0, 0]),
        make_row("flying", "all", [0] * 10),
        make_row("flying", "Nowhere", []),
    )
    return Coverage(**({"by": "town", "distance": "ego", "rows": rows} | changes))


def make_page(coverage=None, **docs):
    return coverage_page(
        coverage or make_coverage(), docs or {"cut_in": "One & only."}, store="road"
    )


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []
        self.texts = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data.strip())


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_every_rate_is_there_with_its_interval():
    texts = read(make_page()).texts
    rows = make_coverage().rows
    for row in rows[:4]:
        assert say_number(row.per_hour.rate) in texts
        assert say_interval(row.per_hour) in texts
        assert say_interval(row.per_1000_km) in texts
    assert f"clustered (× {rows[0].per_hour.effect:.1f})" in texts
    assert "One & only." in texts


def test_what_never_happened_has_a_bound_and_no_point():
    page = make_page(make_coverage(rows=(make_row("flying", "all", [0, 0]),)))
    assert "&lt; 0.922" in page
    assert "<circle" not in page
    assert page.count('class="whisker') == 2


def test_without_exposure_there_is_a_dash():
    page = make_page(make_coverage(rows=(make_row("flying", "Nowhere", []),)))
    assert "–" in read(page).texts
    assert "whisker" not in page.split("</style>")[1]


def test_names_are_text_and_nothing_else():
    page = make_page()
    tags = [tag for tag, _ in read(page).tags]
    assert "script" not in tags
    assert "&lt;script&gt;" in page


def test_the_policy_lets_it_load_and_run_nothing():
    page = make_page()
    policy = next(a["content"] for t, a in read(page).tags if a.get("http-equiv"))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert not any("style" in attributes for _, attributes in read(page).tags)
    links = [a.get("href") or a.get("src") for _, a in read(page).tags]
    assert [link for link in links if link] == ["data:,"]


def test_whiskers_lie_within_the_plot_and_in_order():
    page = make_page()
    for first, last in re.findall(r'class="whisker \w+" x1="([\d.]+)" x2="([\d.]+)"', page):
        assert 0 <= float(first) <= float(last) <= 240


def test_failed_searches_are_told():
    failed = (("cut_in", "s", InputError("value", "no")),)
    assert "1 searches failed" in make_page(make_coverage(failed=failed))


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
    path = tmp_path / "coverage.html"
    path.write_text(make_page(), encoding="utf-8")
    browser.open(path.as_uri(), dark=dark)
    width = browser.evaluate("document.querySelector('table').getBoundingClientRect().width")
    assert 600 < width < 1280
    style = "getComputedStyle(document.querySelector('circle.clustered')).fill"
    assert browser.evaluate(style) == ("rgb(190, 149, 255)" if dark else "rgb(138, 63, 252)")
    assert browser.requests() == []
    assert browser.complaints() == []
