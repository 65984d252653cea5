"""A publisher that is stopped (SIGSTOP) for longer than its claim lasts, and goes on."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from bridge.errors import PublishConflict
from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from tests.exporters.catalogs import catalog
from tests.exporters.gcs_server import Bucket, serving
from tests.service.site import until

pytestmark = pytest.mark.real

URL, PREFIX = "gs://shop/main", "main/"
ROOT = Path(__file__).parents[2]
PUBLISHER = f"""
import asyncio, sys
from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from tests.exporters.catalogs import catalog
old = dict.fromkeys((f"c{{number}}" for number in range(int(sys.argv[1]))), "old")
files = render_catalog(catalog(int(sys.argv[1]), **old))
asyncio.run(GcsExporter("{URL}", 5.0, 1.0, workers=1).publish(files))
"""


async def publish(size: int, **changed: str) -> None:
    """Publish as soon as the claim of whoever is stopped is over."""
    exporter = GcsExporter(URL, 5.0, 1.0, workers=4)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    await exporter.publish(render_catalog(catalog(size, **changed)))
                    return
                except PublishConflict as refused:
                    await asyncio.sleep(min(refused.free_in, 0.3))
    finally:
        await exporter.close()


@pytest.mark.parametrize(
    ("point", "before", "its", "meanwhile"),
    [
        ("name=.*entities/all", (250, 90), 90, (91,)),
        ("name=.*entities/", (250,), 250, (250,)),  # with more shards to write
        ("name=.*index", (250, 90, 89), 250, (91,)),
        ("name=.*provenance/", (250,), 90, (250,)),
        # The other one takes the shards into use again that the stopped one is about to remove.
        ("DELETE.*entities", (250, 90), 90, (250,)),
    ],
)
async def test_who_was_stopped_writes_nothing_stale_and_removes_nothing_that_is_named(
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    before: tuple[int, ...],
    its: int,
    meanwhile: tuple[int, ...],
) -> None:
    """It is stopped at a request of each stage; another publishes as soon as it is let."""
    with serving(Bucket(page_size=100)) as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.host)
        for size in before:
            await publish(size)
        stopped: list[str] = []
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PUBLISHER, str(its)),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )

        def stop(line: str) -> None:
            if not stopped and re.search(point, line):
                stopped.append(line)
                os.kill(process.pid, signal.SIGSTOP)

        bucket.before = stop
        await until(lambda: bool(stopped) or process.returncode is not None)
        bucket.before = lambda line: None
        for size in meanwhile:
            await publish(size, c1="new")
        whole = bucket.read(PREFIX)
        os.kill(process.pid, signal.SIGCONT)
        _, said = await process.communicate()
        assert stopped
        assert process.returncode == 1
        assert b"PublishConflict" in said
        assert bucket.read(PREFIX) == whole
        named = re.findall(r"entities/\w+\.yaml", whole["index.yaml"].decode())
        assert set(named) <= set(whole)
