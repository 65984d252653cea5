"""Three `fester serve` on one PostgreSQL and one bucket, on hosts whose clocks are hours off."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.exporters.gcs_server import Bucket
from tests.service.process import Process, serve
from tests.service.site import until
from tests.service.test_bucket_deaths import PREFIX, TO, Town, a_town, bucket
from tests.store.conftest import database

__all__ = ["bucket"]

pytestmark = pytest.mark.real

# Its command starts a process of its own, which would outlive a kill of the command.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
OFTEN = {"FESTER_LEASE": "8s", "FESTER_EVERY": "1s"}


def by(offset: str) -> dict[str, str]:
    """The environment of a process whose clock is off by so much."""
    preload = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    return OFTEN | preload | {"FAKETIME": offset}


async def test_clocks_that_are_hours_off_neither_lose_nor_double_anything(
    server: str, bucket: Bucket, tmp_path: Path
) -> None:
    """Each of them leads once; only what changed is asked for, by a clock that is not GitLab's."""
    if FAKETIME is None:
        pytest.skip("NOT PROVEN WITH FALSE CLOCKS: faketime is not installed")
    store = database(server)
    async with a_town(bucket) as (town, gitlab), AsyncExitStack() as stack:
        fences = fences_of(town)
        left: list[Process] = []
        for clock in (by("+3h"), by("-3h"), OFTEN):
            replica = serve(gitlab, tmp_path, store, to=TO, **clock)
            left.append(await stack.enter_async_context(replica))
            await until(left[0].leads)
        for turn in range(3):
            await until(town.is_published)
            town.rename(1, f"t{turn}")
            await until(town.is_published)
            leader = await who_leads(left)
            left.remove(leader)
            leader.process.kill()
            await leader.process.wait()
            town.claims_end()  # should it have been at work
    assert town.broken == []
    assert fences == sorted(set(fences)), "an older publish came after a newer one"


async def who_leads(replicas: list[Process]) -> Process:
    """The only one that leads, as soon as there is one."""
    leaders: list[Process] = []

    async def one() -> bool:
        leaders[:] = [each for each in replicas if await each.leads()]
        return len(leaders) == 1

    await until(one)
    return leaders[0]


def fences_of(town: Town) -> list[int]:
    """The numbers of the publishes, as they come to lie in the bucket."""
    found: list[int] = []

    def look() -> None:
        town.look()
        mark = town.bucket.objects.get(f"{PREFIX}.fester-owner")
        if mark is not None and (fence := json.loads(mark.body)["fence"]) not in found[-1:]:
            found.append(fence)

    town.bucket.after_change = look
    return found
