"""One Chromium and one demo for all tests that look at pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.browser.chromium import NoChromium, Tab, chromium, tab
from tests.running_demo import running_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running demo."""
    with running_demo(tmp_path_factory.mktemp("demo")) as url:
        yield url


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running browser."""
    try:
        running = chromium(tmp_path_factory.mktemp("profile"))
        address = running.__enter__()
    except NoChromium as reason:
        pytest.skip(f"NOT PROVEN IN A BROWSER: {reason}")
    yield address
    running.__exit__(None, None, None)


@pytest.fixture
async def page(browser: str) -> AsyncIterator[Tab]:
    """A new tab."""
    async with tab(browser) as opened:
        yield opened
