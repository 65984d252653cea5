"""A real Chromium, told what to do by its own protocol.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 60.0
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
    *("--remote-debugging-port=0", "--no-first-run", "--disable-dev-shm-usage"),
)


class NoChromium(Exception):
    """There is no Chromium here."""


@contextmanager
def chromium(profile: Path) -> Iterator[str]:
    """A running browser; yields the address that it is told at. Raises `NoChromium`."""
    if PROGRAM is None:
        raise NoChromium("chromium is not installed")
    process = subprocess.Popen(
        [PROGRAM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "DevTools listening on " in line:
                address = urlsplit(line.split()[-1])
                break
        else:
            raise NoChromium("chromium ended before it listened")
        yield f"http://{address.netloc}"
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


@dataclass(slots=True)
class Tab:
    """One tab. What goes wrong in a page's own script is in `errors`."""

    socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _loaded: bool = False

    async def tell(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Send a command and wait for its answer."""
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            answer = await self._heard()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: Mapping[str, Any] = answer["result"]
                return result

    async def _heard(self) -> Mapping[str, Any]:
        async with asyncio.timeout(PATIENCE):
            heard: Mapping[str, Any] = await self.socket.receive_json()
        if heard.get("method") == "Page.loadEventFired":
            self._loaded = True
        if heard.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.errors.append(str(heard["params"])[:500])
        return heard

    async def _until_loaded(self) -> None:
        while not self._loaded:
            await self._heard()

    async def open(self, url: str) -> None:
        """Open an address, and wait until it is there."""
        self._loaded = False
        await self.tell("Page.navigate", url=url)
        await self._until_loaded()

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it gives."""
        told = await self.tell(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def text(self) -> str:
        """What a person reads in the page."""
        return str(await self.evaluate("document.body.innerText"))

    async def looks(self, width: int, height: int, *, dark: bool = False, media: str = "") -> None:
        """The size of the window, the colours that are preferred, and screen or print."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.tell("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.tell("Emulation.setEmulatedMedia", media=media, features=[scheme])

    async def click(self, selector: str) -> None:
        """Click the first element that fits, where a person would, and wait for the next page."""
        place = await self.evaluate(
            f"(() => {{ const each = document.querySelector({selector!r}); if (!each) return null;"
            " each.scrollIntoView({block: 'center'}); const r = each.getClientRects()[0];"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        assert place, f"nothing fits {selector}"
        where = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        self._loaded = False
        await self.tell("Input.dispatchMouseEvent", type="mousePressed", **where)
        await self.tell("Input.dispatchMouseEvent", type="mouseReleased", **where)
        await self._until_loaded()

    async def write(self, selector: str, text: str) -> None:
        """Write into a field and press Enter, and wait for the next page."""
        await self.evaluate(f"document.querySelector({selector!r}).focus()")
        await self.tell("Input.insertText", text=text)
        self._loaded = False
        await self.press("Enter", "\r")
        await self._until_loaded()

    async def press(self, key: str, text: str = "") -> None:
        """Press and release a key."""
        code = {"Enter": 13, "Tab": 9}.get(key, 0)
        named = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        await self.tell("Input.dispatchKeyEvent", type="keyDown", **named)
        await self.tell("Input.dispatchKeyEvent", type="keyUp", **named)

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save what is to be seen as a PNG."""
        told = await self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(told["data"]))


@asynccontextmanager
async def tab(browser: str) -> AsyncIterator[Tab]:
    """A new tab of a browser, closed at the end."""
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{browser}/json/new?about:blank") as answer:
            made = await answer.json(content_type=None)
        try:
            async with session.ws_connect(made["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                opened = Tab(socket)
                for part in ("Page", "Runtime", "Log"):
                    await opened.tell(f"{part}.enable")
                yield opened
        finally:
            async with session.get(f"{browser}/json/close/{made['id']}") as answer:
                await answer.read()
