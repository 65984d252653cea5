"""axe-core from npm, installed once into a cache outside the repository's tree.

https://github.com/dequelabs/axe-core/blob/develop/doc/API.md
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.browser.chromium import Tab

PACKAGE = Path(__file__).parent / "package.json"
SECONDS = 300


class NoAxe(Exception):
    """axe-core cannot be had here; the text says why."""


@cache
def source() -> str:
    """The script. Raises `NoAxe`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    text = PACKAGE.read_text("utf-8")
    folder = Path(home) / "fester-tests" / f"axe-{sha256(text.encode()).hexdigest()[:16]}"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not script.exists():
            _install(folder, text)
    return script.read_text("utf-8")


def _install(folder: Path, package: str) -> None:
    if shutil.which("npm") is None:
        raise NoAxe("npm is not on PATH; install Node.js 20 or newer")
    (folder / PACKAGE.name).write_text(package, "utf-8")
    command = ["npm", "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=SECONDS
    )
    if done.returncode:
        raise NoAxe(f"npm could not install axe-core: {done.stderr[-800:]}")


async def violations(tab: Tab) -> list[str]:
    """What axe finds wrong with the page of a tab: a line for each rule and element."""
    await tab.evaluate(source())
    found: list[dict[str, Any]] = await tab.evaluate(
        "axe.run().then(told => told.violations.map(each => ({id: each.id, help: each.help,"
        " nodes: each.nodes.map(node => node.html.slice(0, 160) + ' ' + node.failureSummary)})))"
    )
    return [f"{each['id']}: {node}" for each in found for node in each["nodes"][:3]]
