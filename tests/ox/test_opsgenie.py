"""Opsgenie as a collector, on a look-alike that pages, refuses, forgets and asks to wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.model.entities import Json
from bridge.model.facts import Reading, Subject
from bridge.ox.facts.on_call import ScheduleCollector
from bridge.ox.facts.opsgenie import NAMED_BY, OPSGENIE, Opsgenie
from bridge.sandbox.tools import SandboxTools, tools_running
from tests.ox.subjects import NOW, component, fact, readings, subject, told

pytestmark = pytest.mark.real

TOKEN = "sandbox-token"
NA, UNKNOWN = "not_applicable", "unknown"
NAMES = ("on_call_named", "on_call", "schedules")


@dataclass
class Shop:
    tools: SandboxTools
    url: str

    async def read(self, *subjects: Subject, token: str = TOKEN) -> list[Reading]:
        tool = Opsgenie(token, base=self.url)
        collector = ScheduleCollector(tool, OPSGENIE, NAMED_BY, lambda: NOW)
        return await readings(collector, subjects)

    @property
    def asked(self) -> Sequence[str]:
        """The schedules that were asked, in their order."""
        return [path.split("/")[3] for path in self.tools.requests if "/on-calls" in path]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    tools = SandboxTools()
    tools.schedules = [schedule(f"f{n}", f"filler {n}", "Filler") for n in range(45)]
    tools.schedules += [
        schedule("d1", "Days", "Checkout"),
        schedule("n1", "Nights", "Checkout"),
        schedule("o1", "Old", "Checkout", enabled=False),
        schedule("x1", "Sleepers", "Quiet"),
        schedule("a b/c", "Odd", "Odd"),
    ]
    tools.recipients = {
        "d1": ["kim@shop", "robin@shop"],
        "n1": ["robin@shop", "lee@shop"],
        "o1": ["gone@shop"],
        "x1": [],
    }
    async with tools_running(tools) as url:
        yield Shop(tools, url)


def schedule(number: str, name: str, team: str, *, enabled: bool = True) -> dict[str, Any]:
    owner = {"id": f"id-of-{team}", "name": team}
    return {"id": number, "name": name, "enabled": enabled, "ownerTeam": owner}


def of_team(team: str) -> Subject:
    return subject(component("cart", annotations={"opsgenie.com/team": team}))


def by_schedule(name: str, team: str = "Checkout") -> Subject:
    annotations = {"opsgenie.com/team": team, "fester.dev/opsgenie-schedule": name}
    return subject(component("cart", annotations=annotations))


def all_told(reading: Reading) -> list[Json]:
    return [told(reading, name) for name in NAMES]


async def test_a_team_has_those_of_its_schedules_and_a_schedule_its_own(shop: Shop) -> None:
    """By name or id; each schedule is asked once however many services name it."""
    found = await shop.read(
        of_team("checkout"),
        of_team("id-of-Checkout"),
        by_schedule("Nights"),
        by_schedule("d1"),
        of_team("Quiet"),
    )
    whole = [True, ["kim@shop", "robin@shop", "lee@shop"], ["Days", "Nights", "Old"]]
    assert [all_told(one) for one in found] == [
        whole,
        whole,
        [True, ["robin@shop", "lee@shop"], ["Nights"]],
        [True, ["kim@shop", "robin@shop"], ["Days"]],
        [False, [], ["Sleepers"]],
    ]
    assert shop.asked == ["d1", "n1", "x1"], "each once, and none that is switched off"
    listings = [path for path in shop.tools.requests if "/on-calls" not in path]
    assert len(listings) == 3, "pages"


async def test_nothing_is_guessed(shop: Shop) -> None:
    """A name alone finds nothing, and a schedule that is not there is not replaced by the team."""
    named_so = subject(component("checkout"))
    found = await shop.read(named_so, of_team("Chec"), by_schedule("Evenings"))
    assert [all_told(one) for one in found] == [[False, NA, NA]] * 3
    reasons = [fact(one, "on_call").reason for one in found]
    assert "by the annotation opsgenie.com/team" in reasons[0]
    assert "the team Chec has no schedule" in reasons[1]
    assert "no schedule Evenings" in reasons[2]
    assert shop.asked == []


async def test_a_schedule_that_is_closed_or_gone_is_unknown_and_holds_up_no_other(
    shop: Shop,
) -> None:
    shop.tools.closed = {"d1"}
    team, nights, days, odd = await shop.read(
        of_team("Checkout"), by_schedule("Nights"), by_schedule("Days"), by_schedule("Odd")
    )
    assert all_told(team) == [True, UNKNOWN, ["Days", "Nights", "Old"]], "somebody is, surely"
    assert "refuses the token (403) (schedule Days)" in fact(team, "on_call").reason
    assert told(nights, "on_call") == ["robin@shop", "lee@shop"]
    assert all_told(days) == [UNKNOWN, UNKNOWN, ["Days"]]
    assert all_told(odd) == [UNKNOWN, UNKNOWN, ["Odd"]]
    assert "answered 404 (schedule Odd)" in fact(odd, "on_call").reason
    assert shop.asked[-1] == "a%20b%2Fc", "an id stays one part of the path"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [([200] * 3 + [503], "answered 503"), ([200] * 3 + [429] * 4, "asks to wait (429)")],
)
async def test_once_it_is_away_no_further_schedule_is_asked(
    shop: Shop, answers: list[int], reason: str
) -> None:
    shop.tools.answers = answers
    team, quiet = await shop.read(of_team("Checkout"), of_team("Quiet"))
    assert all_told(team)[:2] == all_told(quiet)[:2] == [UNKNOWN, UNKNOWN]
    assert reason in fact(quiet, "on_call").reason
    assert set(shop.asked) == {"d1"}


async def test_a_429_is_waited_for(shop: Shop) -> None:
    shop.tools.answers = [429, 200, 200, 200, 429]
    (found,) = await shop.read(by_schedule("Days"))
    assert told(found, "on_call") == ["kim@shop", "robin@shop"]


@pytest.mark.parametrize(
    ("answers", "token", "reason"),
    [
        ([], "wrong", "refuses the token (401)"),
        ([403], TOKEN, "refuses the token (403)"),
        ([200, 500], TOKEN, "answered 500"),
    ],
)
async def test_what_cannot_be_listed_is_unknown(
    shop: Shop, answers: list[int], token: str, reason: str
) -> None:
    """Also for who names nothing: of what was not listed nothing is concluded."""
    shop.tools.answers = answers
    found = await shop.read(of_team("Checkout"), subject(), token=token)
    assert [all_told(one) for one in found] == [[UNKNOWN] * 3] * 2
    assert reason in fact(found[0], "on_call").reason
    assert token not in fact(found[0], "on_call").reason


async def test_the_key_follows_no_link_to_another_host(shop: Shop) -> None:
    shop.tools.next_elsewhere = True
    (found,) = await shop.read(of_team("Checkout"))
    assert "another host" in fact(found, "on_call").reason


async def test_of_hostile_answers_no_more_is_kept_than_a_few_names(shop: Shop) -> None:
    shop.tools.recipients["x1"] = [f"p{n}@shop" for n in range(5000)]
    (found,) = await shop.read(of_team("Quiet"))
    assert len(told(found, "on_call")) == 50
    hostile: Any = "everybody"
    shop.tools.recipients["x1"] = hostile
    (found,) = await shop.read(of_team("Quiet"))
    assert "does not say who is on call" in fact(found, "on_call").reason
