"""The page of scaling curves: points and lines, text only, and shown by a real browser."""

import base64
import dataclasses
import hashlib
import re

import numpy as np
import pytest

from browser import Browser, find_chromium
from kerbstone.app.scale_page import scale_page
from kerbstone.world.scaling import fit_scaling
from kerbstone.world.training.ladder import RungResult


def make_results(*, noise=0.002, lost=()):
    rng = np.random.default_rng(0)
    results = []
    for size, parameters in (("width16", 20_000), ("tiny<script>", 280_000), ("b", 3_600_000)):
        for share in (0.1, 0.3, 1.0):
            hours = 20 * share
            loss = 0.4 + 6 * parameters**-0.35 + 0.3 * hours**-0.5 + noise * rng.normal()
            name = f"{size}-{share:g}-0"
            results.append(
                RungResult(
                    name,
                    size,
                    parameters,
                    share,
                    hours,
                    int(50 * share),
                    0,
                    None if name in lost else float(loss),
                    900,
                    1000,
                    "steps",
                    60.0,
                    f"out/{name}/model.kst",
                )
            )
    return results


def make_page(results=None, notes=("a & b",)):
    results = results or make_results()
    known = [r for r in results if r.loss is not None]
    fit = fit_scaling(
        np.array([float(r.parameters) for r in known]),
        np.array([r.hours for r in known]),
        np.array([r.loss for r in known]),
    )
    return scale_page(results, fit, store="road", notes=notes)


def test_every_run_is_a_point_in_both_charts_and_every_series_a_line():
    page = make_page()
    assert page.count("<circle") == 2 * 9
    assert page.count('<polyline class="law"') == 6
    assert "would pay" in page
    assert "nan" not in page.lower().replace("finance", "")


def test_points_lie_within_the_frame_and_near_their_lines():
    page = make_page(make_results(noise=0.0))
    chart = page[page.index("<svg") : page.index("</svg>")]
    group = chart[chart.index('<g class="s0">') :]
    line = np.array(
        [tuple(map(float, p.split(","))) for p in re.search(r'points="([^"]+)"', group)[1].split()]
    )
    for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', group)[:3]:
        assert 52 <= float(x) <= 324
        assert 12 <= float(y) <= 240
        assert np.interp(float(x), *line.T) == pytest.approx(float(y), abs=1.0)


def test_labels_of_lines_that_meet_do_not_cover_one_another():
    flat = [dataclasses.replace(result, loss=0.5) for result in make_results()]
    chart = make_page(flat).split("</svg>")[1]
    heights = sorted(float(y) for y in re.findall(r'class="label" x="\d+" y="([\d.]+)"', chart))
    assert len(heights) == 3
    assert min(np.diff(heights)) >= 11.9


def test_a_run_without_a_loss_is_listed_and_not_drawn():
    page = make_page(make_results(lost=("b-1-0",)))
    assert page.count("<circle") == 2 * 8
    assert '<th scope="row">b-1-0</th>' in page


def test_one_run_alone_has_a_page():
    page = make_page(make_results()[:1])
    assert "nothing varied" in page
    assert "says nothing" in page


def test_names_are_text_and_the_policy_lets_nothing_load():
    page = make_page()
    assert "<script" not in page
    assert "tiny&lt;script&gt;" in page
    assert "a &amp; b" in page
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in page
    assert "style=" not in page.replace("<style>", "")


def test_a_browser_shows_it_without_complaint_or_request(tmp_path):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: install it to test the page in a real browser")
    browser = Browser(program, tmp_path / "profile")
    try:
        path = tmp_path / "scale.html"
        path.write_text(make_page(), encoding="utf-8")
        browser.open(path.as_uri(), dark=False)
        colours = {
            browser.evaluate(f"getComputedStyle(document.querySelector('.s{n} .law')).stroke")
            for n in range(3)
        }
        assert len(colours) == 3
        assert browser.requests() == []
        assert browser.complaints() == []
    finally:
        browser.close()
