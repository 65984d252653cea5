"""The main ways through the pages, with a mouse or a finger, and with the keyboard alone."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Tab

pytestmark = pytest.mark.real

PHONE = (390, 844)


async def test_an_incident_on_a_phone(page: Tab, demo: str) -> None:
    """From the front page to who is asked and what to do, and on to what it needs."""
    await page.looks(*PHONE)
    await page.open(demo)
    await page.click('header nav a[href="/incident"]')
    await page.write("form.ask input", "booking-api")
    told = await page.text()
    for word in ("booking-api", "Owner", "Read first", "Hit by this", "Needs"):
        assert word.lower() in told.lower()
    owner = "[...document.querySelectorAll('dl.answer dt')].find(e => e.innerText == 'Owner')"
    assert await page.evaluate(f"{owner}.getBoundingClientRect().bottom < innerHeight")
    await page.click('dl.answer a[href^="/incident/"]')
    assert "/incident/" in await page.evaluate("location.pathname")


async def test_from_the_map_to_a_service_to_its_runbook(page: Tab, demo: str) -> None:
    await page.looks(1200, 900)
    await page.open(f"{demo}/map/system:default/tracking")
    await page.click('.map a[href="/entity/component%3Adefault/vessel-tracker"]')
    assert await page.evaluate("document.querySelector('h1').innerText") == "vessel-tracker"
    links = "[...document.querySelectorAll('main ul.plain li')]"
    link = f"{links}.find(each => /runbook/i.test(each.innerText)).querySelector('a')"
    address = await page.evaluate(f"{link}.href")
    assert address.startswith("http")
    await page.click(".map a.here ~ a, .map a:not(.here)")
    assert await page.evaluate("location.pathname.split('/')[1]") in ("entity", "map")


async def test_from_a_problem_to_why_it_is_so(page: Tab, demo: str) -> None:
    await page.looks(1200, 900)
    await page.open(demo)
    await page.click('main a[href="/problems?severity=warning"]')
    counted = await page.evaluate("document.querySelectorAll('tbody tr').length")
    assert counted > 3
    await page.click('td a[href^="/problems?team="], td a[href*="&team="], td a[href*="team="]')
    narrowed = await page.evaluate("document.querySelectorAll('main .scroll tbody tr').length")
    assert 0 < narrowed < counted
    await page.click('td.place a[href^="/explain"]')
    assert await page.evaluate("location.pathname") == "/explain"
    assert "made from" in await page.text()


async def test_documents_are_found_by_their_kind(page: Tab, demo: str) -> None:
    await page.looks(*PHONE)
    await page.open(demo)
    await page.click('header nav a[href="/documents"]')
    await page.evaluate("document.querySelector('select[name=kind]').value = 'runbook'")
    await page.click("main form button")
    kinds = "[...document.querySelectorAll('tbody tr')].map(each => each.cells[1].innerText)"
    assert {each.lower() for each in await page.evaluate(kinds)} == {"runbook"}
    await page.click('tbody td a[href^="/entity/"]')
    assert "/entity/" in await page.evaluate("location.pathname")


async def test_what_changed_is_filtered_and_says_when_the_question_is_wrong(
    page: Tab, demo: str
) -> None:
    await page.looks(1200, 900)
    await page.open(demo)
    await page.click('header nav a[href="/changes"]')
    await page.write("main form input[name=since]", "soon")
    assert "is a time like" in await page.text()
    await page.open(f"{demo}/changes")
    await page.write("main form input[name=since]", "2h")
    assert await page.evaluate("location.search.includes('since=2h')")


async def test_one_box_finds_services_documents_and_problems(page: Tab, demo: str) -> None:
    await page.looks(*PHONE)
    await page.open(f"{demo}/docs/mapping")
    await page.write("form.find input", "whale-watch")
    told = await page.text()
    for word in ("entit", "Problems"):
        assert word in told
    await page.click('main ul.plain a[href^="/entity/"]')
    assert "/entity/" in await page.evaluate("location.pathname")


async def test_the_keyboard_alone_skips_to_the_content(page: Tab, demo: str) -> None:
    await page.looks(1200, 900)
    await page.open(f"{demo}/entities")
    await page.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.press("Enter", "\r")
    assert await page.evaluate("location.hash") == "#content"
    await page.press("Tab")
    assert await page.evaluate("document.activeElement.closest('main') !== null")


async def test_the_demo_has_a_past_and_says_that_it_is_made_up(page: Tab, demo: str) -> None:
    """Its trend, its problems over time and its changes; every page begins with the notice."""
    for path in ("/", "/scores", "/problems", "/changes", "/docs", "/entity/nothing-like-this"):
        await page.open(demo + path)
        assert "made up" in await page.evaluate("document.querySelector('aside.notice').innerText")
    await page.open(f"{demo}/scores?days=90")
    drawn = "document.querySelector('.plot path.line').getTotalLength()"
    assert await page.evaluate(drawn) > 300
    await page.open(f"{demo}/problems")
    assert await page.evaluate(drawn) > 300
    await page.open(f"{demo}/changes")
    assert await page.evaluate("document.querySelectorAll('tbody tr').length") > 50
