"""Two `fester serve` on one PostgreSQL, behind networks that swallow packets."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from bridge.sandbox.hooks import Hooks
from bridge.sandbox.world import World
from tests.service.process import Process, serve
from tests.service.relay import Relay, relay_to
from tests.service.site import SECRET, a_gitlab, manifest, published, until
from tests.store.conftest import database

pytestmark = pytest.mark.real

NAMES = {f"s{number}" for number in range(1, 6)}


def through(relay: Relay, url: str) -> str:
    return make_url(url).set(port=relay.port).render_as_string(hide_password=False)


async def cut_off(process: Process) -> bool:
    """Whether it says that it does not lead, cannot know who does, and serves what it has."""
    status, body = await process.asks("readyz")
    found = json.loads(body)
    assert (status, found["status"]) == (200, "ready")
    return found["role"] == "follower" and "store_away_since" in found


async def lives(process: Process) -> bool:
    status, body = await process.asks("healthz")
    return (status, json.loads(body)) == (200, {"status": "ok"})


def hooks(world: World, process: Process) -> Hooks:
    return Hooks(world, f"{process.address}webhooks/gitlab", token=SECRET)


async def test_two_replicas_whose_network_swallows_packets_tell_the_truth(
    server: str, tmp_path: Path
) -> None:
    """First the leader's, then both; then all flows again. No error comes, and no answer."""
    url, port, more = database(server), make_url(server).port, {"FESTER_LEASE": "2s"}
    assert port is not None
    world = World(lambda: datetime.now(UTC))
    for number in range(1, 6):
        world.add_project(f"shop/p{number}", files={"qm.yaml": manifest(f"s{number}")})
    async with (
        a_gitlab(world) as (_, gitlab),
        relay_to(port) as one,
        relay_to(port) as two,
        serve(gitlab, tmp_path, through(one, url), **more) as first,
    ):
        await until(first.leads)
        await until(lambda: published(tmp_path) == NAMES)
        async with serve(gitlab, tmp_path, through(two, url), **more) as second:
            await until(second.follows)
            await until(second.serves("s1"))
            one.swallow()
            world.commit_file(1, "qm.yaml", manifest("while-one-is-away"))
            away = hooks(world, first)
            world.commit_file(2, "qm.yaml", manifest("said-to-one-that-is-away"))
            assert await away.deliver() == [503], "what cannot be kept is not accepted"
            await until(lambda: cut_off(first))
            assert await lives(first)
            await until(second.leads)  # and begins with what changed
            changed = NAMES - {"s1", "s2"} | {"while-one-is-away", "said-to-one-that-is-away"}
            await until(lambda: published(tmp_path) == changed)
            two.swallow()
            await until(lambda: cut_off(second))
            assert await lives(first)
            assert await lives(second)
            one.go_on()
            two.go_on()
            await until(lambda: one_leads(first, second))
            follower = first if await second.leads() else second
            told = hooks(world, follower)
            world.commit_file(3, "qm.yaml", manifest("afterwards"))
            assert await told.deliver() == [202]
            await until(lambda: published(tmp_path) == changed - {"s3"} | {"afterwards"})
            assert await one_leads(first, second)
            await until(first.serves("afterwards"))
            await until(second.serves("afterwards"))


async def one_leads(first: Process, second: Process) -> bool:
    return {await first.role(), await second.role()} == {"leader", "follower"}
