"""SIGSTOP and kill -9 of a leading `fester serve` in the midst of its publish to a bucket."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from bridge.sandbox.world import World
from tests.exporters.gcs_server import Bucket, serving
from tests.service.process import serve
from tests.service.site import LONG, a_gitlab, manifest, until
from tests.store.conftest import database
from tests.survival.test_kill_9 import named_is_there

pytestmark = pytest.mark.real

PREFIX = "a/"
TO = f"gs://shop/{PREFIX.rstrip('/')}"
POINTS = ("name=.*entities/", "name=.*index", "DELETE.*entities")
FEW, MANY = 95, 112  # services: one shard with their group, and two
SWEEPS = {"FESTER_LEASE": "1s", "FESTER_EVERY": "1s", "FESTER_FULL_EVERY": "1s"}


@dataclass
class Late:
    """Catches a publisher at a request and holds that request back, as a slow network would.

    What it had sent until then is done; the request itself comes when it is `let`.
    """

    point: str
    pid: int
    signal: signal.Signals
    caught: Event = field(default_factory=Event)
    let: Event = field(default_factory=Event)

    def __call__(self, line: str) -> None:
        if not self.caught.is_set() and re.search(self.point, line):
            self.caught.set()
            os.kill(self.pid, self.signal)
            self.let.wait(LONG)


@dataclass
class Town:
    """Projects and the bucket in which their services are published."""

    world: World
    bucket: Bucket
    ids: list[int] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)  # shards that were named and not there

    def look(self) -> None:
        """After each change: whoever reads at this moment finds all that the index names."""
        found = {name.removeprefix(PREFIX) for name in self.bucket.objects}
        index = self.bucket.objects.get(f"{PREFIX}index.yaml")
        named = re.findall(r"entities/\w+\.yaml", index.body.decode()) if index else []
        self.broken += [path for path in named if path not in found]

    def grow(self, count: int) -> None:
        """So many services, and no other ones."""
        for number in range(len(self.ids) + 1, count + 1):
            files = {"qm.yaml": manifest(f"s{number}")}
            self.ids.append(self.world.add_project(f"shop/p{number}", files=files).id)
        while len(self.ids) > count:
            self.world.delete(self.ids.pop())
        self.names = {f"s{number}" for number in range(1, count + 1)}

    def rename(self, number: int, name: str) -> None:
        """A service gets another name."""
        self.world.commit_file(self.ids[number - 1], "qm.yaml", manifest(name))
        self.names = {f"s{n}" for n in range(1, len(self.ids) + 1) if n != number} | {name}

    def published(self) -> set[str]:
        """The components that the bucket's index leads to, which must all be there."""
        found = self.bucket.read(PREFIX)
        if "catalog.json" not in found or "index.yaml" not in found:
            return set()
        named_is_there(found)
        parts = [json.loads(found[path]) for path in json.loads(found["catalog.json"])["shards"]]
        refs = [each["ref"] for part in parts for each in part["entities"]]
        return {ref.rpartition("/")[2] for ref in refs if ref.startswith("component:")}

    def is_published(self) -> bool:
        return self.published() == self.names

    def claims_end(self) -> None:
        """The time of the bucket goes on: whoever published before and is silent has lost it."""
        now = self.bucket.clock() + timedelta(seconds=60)
        began = datetime.now(UTC)
        self.bucket.clock = lambda: now + (datetime.now(UTC) - began)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with serving(Bucket(page_size=1000)) as found:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", found.host)
        yield found


@asynccontextmanager
async def a_town(bucket: Bucket) -> AsyncIterator[tuple[Town, str]]:
    """A town of few services, and the address of its GitLab."""
    town = Town(World(lambda: datetime.now(UTC)), bucket)
    town.grow(FEW)
    bucket.after_change = town.look
    async with a_gitlab(town.world) as (_, gitlab):
        yield town, gitlab


async def caught(town: Town, late: Late, size: int) -> None:
    """A leader publishes another number of services, and is caught at it."""
    town.bucket.before = late
    town.grow(size)
    await until(late.caught.is_set)
    town.claims_end()


async def test_a_leader_stopped_while_it_publishes_writes_nothing_old_over_newer(
    server: str, bucket: Bucket, tmp_path: Path
) -> None:
    """Another takes over, publishes something newer, and the first one goes on."""
    store = database(server)
    async with (
        a_town(bucket) as (town, gitlab),
        serve(gitlab, tmp_path, store, to=TO, **SWEEPS) as first,
    ):
        await until(first.leads)
        await until(town.is_published)
        async with serve(gitlab, tmp_path, store, to=TO, **SWEEPS) as second:
            leader, other = first, second
            for turn, point in enumerate(POINTS):
                late = Late(point, leader.process.pid, signal.SIGSTOP)
                await caught(town, late, MANY)
                town.grow(FEW)  # its successor takes the shard into use again that it removes
                town.rename(1, f"t{turn}")
                await until(other.leads)
                await until(town.is_published)
                late.let.set()
                os.kill(leader.process.pid, signal.SIGCONT)
                await until(leader.follows)
                assert town.is_published()
                assert await other.leads()
                town.rename(1, "s1")
                await until(town.is_published)
                leader, other = other, leader
    assert town.broken == []


async def test_a_leader_killed_while_it_publishes_is_healed_by_the_next(
    server: str, bucket: Bucket, tmp_path: Path
) -> None:
    """What it had sent arrives all the same."""
    store = database(server)
    async with a_town(bucket) as (town, gitlab):
        for turn, point in enumerate(POINTS):
            async with serve(gitlab, tmp_path, store, to=TO, **SWEEPS) as doomed:
                await until(town.is_published)
                late = Late(point, doomed.process.pid, signal.SIGKILL)
                await caught(town, late, MANY)
                late.let.set()
                await doomed.process.wait()
            town.grow(FEW)
            town.rename(1, f"t{turn}")
        async with serve(gitlab, tmp_path, store, to=TO, **SWEEPS) as last:
            await until(last.leads)
            await until(town.is_published)
    assert town.broken == []
