"""Every accident happens as planned, and only as planned."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultDice, FaultPlan, FaultRule
from bridge.sandbox.world import World
from tests.sandbox.conftest import HandClock, Lab

ENUMERATION = "/projects?pagination=keyset&order_by=id&sort=asc&per_page=1"
PROJECTS = "{ projects { nodes { id repository { rootRef } } } }"


def always(fault: Fault, **limits: object) -> FaultPlan:
    return FaultPlan((FaultRule(fault, **limits),))  # type: ignore[arg-type]


@pytest.mark.real
@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        (Fault.RATE_LIMITED, 429, "text/plain"),
        (Fault.BAD_GATEWAY, 502, "text/html"),
        (Fault.UNAVAILABLE, 503, "text/plain"),
        (Fault.SERVER_ERROR, 500, "application/json"),
        (Fault.UNAUTHORIZED, 401, "application/json"),
        (Fault.FORBIDDEN, 403, "application/json"),
    ],
)
async def test_plain_refusals(lab: Lab, fault: Fault, status: int, content_type: str) -> None:
    """Status and body are those of GitLab or of what stands before it; once, then health."""
    lab.sandbox.use_faults(always(fault, first_n=1))
    response = await lab.get(ENUMERATION)
    assert (response.status, response.content_type) == (status, content_type)
    assert (await lab.get(ENUMERATION)).status == 200
    assert [request.fault for request in lab.sandbox.requests] == [fault, None]


@pytest.mark.real
async def test_rate_limit_headers(lab: Lab, clock: HandClock) -> None:
    """`Retry-After` comes as seconds or as a date; application limits hide behind fine headers."""
    rules = (FaultRule(Fault.RATE_LIMITED),)
    lab.sandbox.use_faults(FaultPlan(rules, retry_after=7))
    response = await lab.get(ENUMERATION)
    assert (response.headers["Retry-After"], await response.text()) == ("7", "Retry later\n")
    assert response.headers["RateLimit-Remaining"] == "0"
    assert "RateLimit-ResetTime" in response.headers
    plan = FaultPlan(rules, retry_after=7, retry_after_as="date", healthy_headers=True)
    lab.sandbox.use_faults(plan)
    response = await lab.get(ENUMERATION)
    wait = parsedate_to_datetime(response.headers["Retry-After"]) - clock.now
    assert wait.total_seconds() == 7
    assert int(response.headers["RateLimit-Remaining"]) > 0


@pytest.mark.real
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.TRUNCATED])
async def test_broken_connections(lab: Lab, fault: Fault) -> None:
    """A reset or half a body is an error of the client, never a shorter answer."""
    lab.world.add_project("a/b")
    lab.sandbox.use_faults(always(fault))
    with pytest.raises(aiohttp.ClientError):
        await lab.post(PROJECTS)


@pytest.mark.real
async def test_a_hang_ends_when_the_server_stops(world: World) -> None:
    """No real time passes for it."""
    sandbox = SandboxGitLab(world, token="t", faults=always(Fault.HANG))
    async with aiohttp.ClientSession() as session:
        async with running(sandbox) as url:
            asking = asyncio.create_task(session.get(f"{url}/api/v4/projects"))
            while not sandbox.requests:  # noqa: ASYNC110 — yields to the server, waits for no time
                await asyncio.sleep(0)
        with pytest.raises(aiohttp.ClientError):
            await asking


@pytest.mark.real
async def test_partial_answers_lose_projects_and_say_so(lab: Lab) -> None:
    """An even id goes whole, an odd one only loses its repository; both with an error."""
    for number in range(1, 5):
        lab.world.add_project(f"a/p{number}")
    lab.sandbox.use_faults(always(Fault.PARTIAL, project_ids=(2, 3)))
    ids = '["gid://gitlab/Project/2","gid://gitlab/Project/3","gid://gitlab/Project/4"]'
    body = await lab.ask(PROJECTS.replace("projects", f"projects(ids:{ids})"))
    four, three, two = body["data"]["projects"]["nodes"]
    assert four["repository"] == {"rootRef": "main"}
    assert three == {"id": "gid://gitlab/Project/3", "repository": None}
    assert two is None
    messages = {error["message"] for error in body["errors"]}
    assert messages == {"Timeout on Project.repository", "Timeout on ProjectConnection.nodes"}


@pytest.mark.real
async def test_no_data_at_all(lab: Lab) -> None:
    """Errors with 200 and no `data`."""
    lab.sandbox.use_faults(always(Fault.NO_DATA))
    assert "data" not in await lab.ask(PROJECTS)


@pytest.mark.real
async def test_lost_pages(lab: Lab) -> None:
    """A lost page still links on; one cut short looks like the end."""
    lab.world.add_project("a/b")
    lab.sandbox.use_faults(always(Fault.LOST_PAGE))
    response = await lab.get(ENUMERATION)
    assert await response.json() == []
    assert "next" in response.links
    lab.sandbox.use_faults(always(Fault.CUT_SHORT))
    assert "next" not in (await lab.get(ENUMERATION)).links


@pytest.mark.real
async def test_a_limit_of_requests(world: World, clock: HandClock) -> None:
    """Above the limit comes 429 until the minute is over."""
    sandbox = SandboxGitLab(world, token="t", rate_limit=2)
    async with running(sandbox) as url, aiohttp.ClientSession() as session:

        async def status() -> int:
            async with session.get(f"{url}/api/v4/projects") as response:
                return response.status

        assert [await status() for _ in range(3)] == [200, 200, 429]
        clock.advance(minutes=1)
        assert await status() == 200
    assert sandbox.counts == {"rest-enumeration": 4}


def test_rules_strike_where_they_should() -> None:
    """Targets, projects, `skip` and `first_n` narrow a rule; the same seed repeats."""
    rule = FaultRule(Fault.SERVER_ERROR, "graphql", project_ids=(5,), skip=1, first_n=1)
    dice = FaultDice(FaultPlan((rule,)))
    struck = [dice.throw("graphql", (5,)) is not None for _ in range(3)]
    assert struck == [False, True, False]
    assert FaultDice(FaultPlan((rule,))).throw("raw", (5,)) is None
    assert not FaultRule(Fault.LOST_PAGE).concerns("graphql", ())

    def run(seed: int) -> list[bool]:
        seeded = FaultDice(FaultPlan.rates(seed, bad_gateway=0.5))
        return [seeded.throw("graphql") is not None for _ in range(40)]

    assert run(1) == run(1) != run(2)
    assert 5 < sum(run(1)) < 35
