"""A browser for the tests of the page, started once."""

from __future__ import annotations

import numpy as np
import pytest

from browser import Browser, find_chromium
from kerbstone.app.playback import playback_page


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: install it to test the page in a real browser")
    started = Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Open a page of scenes in the browser, and hold it to what every page must keep."""

    def open_scenes(
        scenes,
        link="",
        *,
        title="Test",
        facts=(),
        events=None,
        matches=(),
        listed_as="Matches",
        offsets=None,
        plans=None,
        **screen,
    ):
        text = playback_page(
            scenes,
            title=title,
            facts=facts,
            events=events,
            matches=matches,
            listed_as=listed_as,
            offsets=offsets,
            plans=plans,
        )
        return open_text(text, link, **screen)

    def open_text(text, link="", **screen):
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        browser.open(path.as_uri() + link, **screen)
        return browser

    open_scenes.text = open_text
    yield open_scenes
    assert browser.requests() == []
    assert browser.complaints() == []


@pytest.fixture
def count_colour():
    """Count the pixels of a picture that have a colour, within a tolerance per channel."""

    def count(picture, colour, tolerance=3):
        wanted = np.array([colour >> 16, colour >> 8 & 255, colour & 255])
        return int((np.abs(picture.astype(int) - wanted) <= tolerance).all(axis=-1).sum())

    return count
