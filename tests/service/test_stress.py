"""A service under stress: a network that swallows packets, passes that break, threads that hang."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from bridge.cli.serve import ending_in_time
from bridge.errors import StoreError
from bridge.model.hints import Hint
from bridge.model.problems import Problem
from bridge.model.runs import Outcome
from bridge.model.statements import Statement
from bridge.passes.makers import EntityMaker
from bridge.sandbox.world import World
from bridge.service.leadership import Leadership
from bridge.store import open_store
from tests.exporters.gcs_server import Bucket, serving
from tests.service.relay import relay_to
from tests.service.site import (
    LONG,
    TOKEN,
    a_gitlab,
    a_replica,
    a_world,
    hooks_to,
    manifest,
    settings,
    until,
)


@pytest.mark.real
async def test_a_network_that_swallows_packets_ends_the_lead_and_no_wait_lasts(
    server: str, tmp_path: Path
) -> None:
    """No error comes from the network, and no answer: everything that asks is told in time."""
    address = make_url(server)
    assert address.port is not None
    async with relay_to(address.port) as relay:
        url = address.set(port=relay.port, database="postgres")
        store = await open_store(url.render_as_string(hide_password=False), patience=0.5)
        try:
            lead = Leadership(store.lease, "lead", 6.0)
            assert await lead.take()
            relay.swallow()
            async with asyncio.timeout(LONG):
                with pytest.raises(StoreError):
                    await store.passes_saved("corp")
                with pytest.raises(StoreError, match="did not answer about the lease"):
                    await lead.fence()
                await lead.keep()
            assert not lead.leads
            relay.go_on()
            await until(lambda: heals(lead))
            assert lead.leads
        finally:
            relay.go_on()
            await store.close()


async def heals(lead: Leadership) -> bool:
    try:
        return await lead.take()
    except StoreError:
        return False


@pytest.mark.real
async def test_a_leader_whose_destination_is_held_tries_again_as_soon_as_it_may_be_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim of one that was killed at work; the next pass by the schedule is an hour away."""
    with serving(Bucket(page_size=100)) as bucket:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.host)

        def claim(line: str) -> None:
            if "/o?" in line:  # as the destination is looked at for the first time
                bucket.before = lambda line: None
                bucket.put("a/.fester-lease", b'{"holder": "killed:1", "seconds": 2}')

        bucket.before = claim
        async with (
            a_gitlab(a_world()) as (_, gitlab),
            a_replica(settings(gitlab, tmp_path, to=["gs://shop/a"])) as replica,
        ):
            await replica.until(lambda: len(replica.reports) == 2)
            refused, done = replica.reports
            assert refused.outcome is Outcome.FAILED
            assert "another Fester (killed:1) is publishing here" in refused.failure
            assert done.outcome is Outcome.COMPLETE
            assert b"s1" in bucket.read("a/")["services.csv"]


@pytest.mark.real
async def test_while_somebody_keeps_sqlites_lock_nobody_leads_and_hooks_are_refused(
    tmp_path: Path,
) -> None:
    """As a leader does that is stopped within a transaction: nothing tells but the waiting."""
    world = a_world()
    async with (
        a_gitlab(world) as (_, gitlab),
        a_replica(settings(gitlab, tmp_path)) as replica,
    ):
        await replica.until(lambda: bool(replica.reports))
        base = replica.hooks_url.removesuffix("/webhooks/gitlab")
        with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            hooks = hooks_to(world, replica)
            world.commit_file(2, "qm.yaml", manifest("pushed"))
            assert await hooks.deliver() == [503]
            await until(lambda: replica.live.store_away_since is not None)
            async with aiohttp.ClientSession() as session, session.get(f"{base}/readyz") as answer:
                told = await answer.json()
                assert (answer.status, told["role"]) == (200, "follower")
                assert "store_away_since" in told
            holder.execute("ROLLBACK")
        await until(lambda: replica.live.role == "leader")
        assert replica.live.store_away_since is None
        world.commit_file(3, "qm.yaml", manifest("afterwards"))
        assert await hooks.deliver() == [202]
        await replica.until(lambda: "afterwards" in replica.names)


class Breaks:
    """A maker of entities with a fault; what is not about merging is another one's."""

    def __init__(self, maker: EntityMaker) -> None:
        self._maker = maker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._maker, name)

    def merge(self, statements: Sequence[Statement]) -> tuple[None, Sequence[Problem]]:
        raise ZeroDivisionError("hunter2")


@pytest.mark.real
async def test_a_pass_that_breaks_is_an_outcome_and_the_service_goes_on(tmp_path: Path) -> None:
    world = a_world()
    with capture_logs() as logs:  # as text, an exception's locals take minutes
        await breaks_and_goes_on(world, tmp_path)
    assert "pass_broke" in {log["action"] for log in logs}


async def breaks_and_goes_on(world: World, tmp_path: Path) -> None:
    async with (
        a_gitlab(world) as (_, gitlab),
        a_replica(settings(gitlab, tmp_path)) as replica,
    ):
        await replica.until(lambda: bool(replica.reports))
        passes = replica.service.passes
        whole = passes.stages
        passes.stages = replace(whole, maker=cast(EntityMaker, Breaks(whole.maker)))
        hooks = hooks_to(world, replica)
        world.commit_file(2, "qm.yaml", manifest("pushed"))
        assert await hooks.deliver() == [202]
        await replica.until(lambda: replica.reports[-1].outcome is Outcome.FAILED)
        failure = replica.reports[-1].failure
        assert "ZeroDivisionError" in failure
        assert "hunter2" not in failure
        base = replica.hooks_url.removesuffix("/webhooks/gitlab")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{base}/readyz") as answer:
                assert answer.status == 200  # what was good is served still
                assert (await answer.json())["last_pass"]["outcome"] == "failed"
            async with session.get(f"{base}/metrics") as answer:
                assert 'fester_last_pass_outcome{outcome="failed"} 1.0' in await answer.text()
            async with session.get(f"{base}/") as answer:
                assert "ZeroDivisionError" in await answer.text()
            assert replica.names == {f"s{n}" for n in range(1, 6)}
            replica.service.pulse.beat("pass", -1)
            for path in ("healthz", "readyz"):
                async with session.get(f"{base}/{path}") as answer:
                    assert (answer.status, (await answer.json())["status"]) == (503, "hangs")
        passes.stages = whole
        replica.service.hint_queue.put([Hint(2)])
        await replica.until(lambda: "pushed" in replica.names)


ROOT = Path(__file__).parents[2]


def test_who_ended_in_time_is_not_ended_once_more() -> None:
    """The process may go on, as one that runs tests does."""
    with ending_in_time() as told:
        told()
    for timer in [each for each in threading.enumerate() if isinstance(each, threading.Timer)]:
        timer.join(LONG / 10)
        assert timer.finished.is_set()
        assert not timer.is_alive()


HANGS = """
import time
import bridge.cli.serve as serve
import bridge.wiring.serving as serving
from bridge.cli import main
from bridge.processors.backstage import BackstageProcessor
serving.GRACE, serve.STOP = 0.2, 1.0
BackstageProcessor.merge = lambda *_: (open("hangs", "w").close(), time.sleep(600))
main()
"""


@pytest.mark.real
async def test_a_thread_that_hangs_does_not_keep_the_process(tmp_path: Path) -> None:
    async with a_gitlab(a_world()) as (_, gitlab):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", HANGS, "serve", "--port", "0"),
            *("--from", gitlab, "--to", "out", "--store", "sqlite:///s.db"),
            env={**os.environ, "GITLAB_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            await until((tmp_path / "hangs").exists)
            async with asyncio.timeout(LONG):
                process.send_signal(signal.SIGTERM)
                _, said = await process.communicate()
            assert process.returncode == 1
            assert b"something hangs" in said
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
