"""`fester demo` as a process, for tests that look at a whole Fester."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

PATIENCE = 90.0
_PROGRAM = (sys.executable, "-c", "from bridge.cli import main; main()")


@contextmanager
def running_demo(folder: Path, *more: str) -> Iterator[str]:
    """It runs, has scores and its past; yields its address without a slash."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_PROGRAM, "demo", "--port", "0", "--to", str(folder / "out"), *more],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        url = _address(process)
        deadline = time.monotonic() + PATIENCE
        while not (_scored(url) and past_of(url)):
            assert time.monotonic() < deadline, (folder / "log").read_text("utf-8")[-2000:]
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("serving "):
            return line.split()[1].rstrip("/")
    raise AssertionError("fester demo ended before it served")


def past_of(url: str) -> list[object]:
    """What the demo tells that changed before it was started."""
    with urlopen(f"{url}/api/changes", timeout=10) as answer:
        items: list[object] = json.load(answer)["items"]
    return items


def _scored(url: str) -> bool:
    try:
        with urlopen(f"{url}/api/ox/scores", timeout=10) as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        error.close()
        return False
