"""Every kind of page: for who cannot see, on a phone, in the dark, on paper, and by its weight."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession

from bridge.api.description import description
from tests.browser import axe
from tests.browser.chromium import Tab
from tests.browser.kinds import ALL, KINDS

WIDTHS = (360, 390, 768, 1200)
HEAVIEST = 200_000
# What sticks out of a window, and may not be scrolled to inside of something.
STICKS_OUT = """[...document.querySelectorAll('body *')].filter(each =>
  !each.closest('svg, .scroll, .map, pre, .skip, table') &&
  each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML.slice(0, 120))"""


def test_every_kind_of_page_is_looked_at() -> None:
    """A new page is described as one, and gets an address here."""
    described = {
        path
        for path, item in description()["paths"].items()
        if any(
            str(answer.get("$ref", "")).endswith("/Page")
            for answer in item.get("get", {}).get("responses", {}).values()
        )
    }
    assert described == set(KINDS)


@pytest.mark.real
@pytest.mark.parametrize("path", ALL)
async def test_a_page_is_whole_for_everybody(page: Tab, demo: str, path: str) -> None:
    """axe-core finds nothing, in light and in dark, and no width makes the page scroll sideways."""
    try:
        axe.source()
    except axe.NoAxe as reason:
        pytest.skip(f"NOT PROVEN BY AXE: {reason}")
    for dark in (False, True):
        await page.looks(1200, 900, dark=dark)
        await page.open(demo + path)
        assert await axe.violations(page) == []
    for width in WIDTHS:
        await page.looks(width, 800)
        await page.open(demo + path)
        assert await page.evaluate(STICKS_OUT) == [], width
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
    assert [each for each in page.errors if "status of 4" not in each] == []


@pytest.mark.real
@pytest.mark.parametrize("path", ALL)
async def test_a_page_can_be_printed_and_searched_from(page: Tab, demo: str, path: str) -> None:
    await page.looks(1200, 900, media="print")
    await page.open(demo + path)
    shown = "getComputedStyle(document.querySelector('header')).display"
    assert await page.evaluate(shown) == "none"
    ink = "getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(ink) == "rgb(255, 255, 255)"
    await page.looks(1200, 900)
    boxes = await page.evaluate("document.querySelectorAll('form.find input[name=q]').length")
    assert boxes == 1


@pytest.mark.real
@pytest.mark.parametrize("path", ALL)
async def test_no_page_is_heavy(demo: str, path: str) -> None:
    async with ClientSession() as session, session.get(demo + path) as answer:
        assert len(await answer.read()) < HEAVIEST
