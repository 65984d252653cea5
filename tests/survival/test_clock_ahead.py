"""A publisher on a host whose clock is minutes ahead (faketime), beside one that is at work."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.exporters.gcs_server import Bucket, serving
from tests.service.site import until

pytestmark = pytest.mark.real

CLAIM = "main/.fester-lease"
FAKETIME = shutil.which("faketime")
ROOT = Path(__file__).parents[2]
PUBLISHER = """
import asyncio, sys, time
from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from tests.exporters.catalogs import catalog
print(int(time.time()), flush=True)
exporter = GcsExporter("gs://shop/main", 5.0, 60.0, workers=1)
asyncio.run(exporter.publish(render_catalog(catalog(int(sys.argv[1])))))
"""


async def publisher(size: int, *before: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-c", PUBLISHER, str(size)),
        env={**os.environ, "PYTHONPATH": str(ROOT), "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_clock_that_is_ahead_takes_no_claim_that_is_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By its own host's clock the claim of one minute is over; by the bucket's it is not."""
    if FAKETIME is None:
        pytest.skip("NOT PROVEN WITH A FALSE CLOCK: faketime is not installed")
    with serving(Bucket(page_size=100)) as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.host)
        stopped: list[str] = []
        at_work = await publisher(90)

        def stop(line: str) -> None:
            if not stopped and re.search("name=.*entities/all", line):
                stopped.append(line)
                os.kill(at_work.pid, signal.SIGSTOP)

        bucket.before = stop
        await until(lambda: bool(stopped) or at_work.returncode is not None)
        bucket.before = lambda line: None
        assert CLAIM in bucket.objects, "else it was stopped too early"
        ahead = await publisher(250, FAKETIME, "-f", "+180s")
        printed, said = await ahead.communicate()
        os.kill(at_work.pid, signal.SIGCONT)
        began, refused = await at_work.communicate()
        assert int(printed) - int(began) >= 180, "else its clock was not ahead"
        assert ahead.returncode == 1
        assert b"PublishConflict" in said
        assert at_work.returncode == 0, refused
        assert stopped
        # Whoever was at work went on as if nobody had asked.
        assert CLAIM not in bucket.objects
        text = b"".join(each for each in bucket.read("main/").values())
        assert text.count(b"kind: Component") == 90
