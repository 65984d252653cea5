"""Jira Service Management as a collector, on a look-alike that pages, refuses and hides names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.model.entities import Json
from bridge.model.facts import Reading, Subject
from bridge.ox.facts.jsm import JSM, NAMED_BY, Jsm
from bridge.ox.facts.on_call import ScheduleCollector
from bridge.sandbox.tools import CLOUD, USER, SandboxTools, tools_running
from tests.ox.subjects import NOW, component, fact, readings, subject, told

pytestmark = pytest.mark.real

TOKEN = "sandbox-token"
NA, UNKNOWN = "not_applicable", "unknown"
NAMES = ("on_call_named", "on_call", "schedules")


@dataclass
class Shop:
    tools: SandboxTools
    url: str

    async def read(
        self, *subjects: Subject, token: str = TOKEN, user: str = USER, cloud: str = CLOUD
    ) -> list[Reading]:
        tool = Jsm(cloud, token, user=user, base=self.url)
        collector = ScheduleCollector(tool, JSM, NAMED_BY, lambda: NOW)
        return await readings(collector, subjects)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    tools = SandboxTools()
    tools.operations = [schedule(f"f{n}", f"filler {n}", "filler") for n in range(75)]
    tools.operations += [
        schedule("d1", "Days", "team-1"),
        schedule("n1", "Nights", "team-1"),
        schedule("o1", "Old", "team-1", enabled=False),
        schedule("a b/c", "Odd", "team-2"),
    ]
    tools.participants = {
        "d1": [user("1"), user("2")],
        "n1": [
            {"id": "e1", "type": "escalation", "onCallParticipants": [user("2"), user("3")]},
            {"id": "e2", "type": "escalation"},
            {"id": "whole", "type": "team"},
            {"id": "4", "type": "user", "forwardedFrom": user("5")},
        ],
        "o1": [user("6")],
    }
    tools.accounts = {"1": "Kim", "2": "Robin", "3": "Lee\n Smith", "5": "Sam"}
    async with tools_running(tools) as url:
        yield Shop(tools, url)


def schedule(number: str, name: str, team: str, *, enabled: bool = True) -> dict[str, Any]:
    return {"id": number, "name": name, "enabled": enabled, "teamId": team, "timezone": "UTC"}


def user(number: str) -> dict[str, str]:
    return {"id": number, "type": "user"}


def named(**annotations: str) -> Subject:
    given = {f"fester.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return subject(component("cart", annotations=given))


def all_told(reading: Reading) -> list[Json]:
    return [told(reading, name) for name in NAMES]


@pytest.mark.parametrize("user_of_token", [USER, ""])
async def test_who_is_on_call_by_name_with_escalations_resolved(
    shop: Shop, user_of_token: str
) -> None:
    """By a user's API token, or an app's; whom Jira does not name goes by the account's id."""
    found = await shop.read(
        named(jsm_schedule="nights"),
        named(jsm_team="team-1"),
        named(opsgenie_schedule="Days"),
        named(jsm_schedule="d1", opsgenie_schedule="Nights"),
        user=user_of_token,
    )
    nights, days = ["Robin", "Lee Smith", "team whole", "4"], ["Kim", "Robin"]
    assert [all_told(one) for one in found] == [
        [True, nights, ["Nights"]],
        [True, ["Kim", *nights], ["Days", "Nights", "Old"]],
        [True, days, ["Days"]],
        [True, days, ["Days"]],
    ]
    asked = [path for path in shop.tools.requests if "/on-calls" in path]
    assert len(asked) == 2, "each once, and none that is switched off"
    assert len([path for path in shop.tools.requests if "/v1/schedules?" in path]) == 2, "pages"


async def test_nothing_is_guessed_of_names_of_teams(shop: Shop) -> None:
    """An Atlassian id names the team; what names a team in Opsgenie names none here."""
    opsgenie = subject(component("cart", annotations={"opsgenie.com/team": "Checkout"}))
    found = await shop.read(opsgenie, named(jsm_team="team"), named(jsm_schedule="Evenings"))
    assert [all_told(one) for one in found] == [[False, NA, NA]] * 3
    reasons = [fact(one, "on_call").reason for one in found]
    assert "by the annotation fester.dev/jsm-team" in reasons[0]
    assert "the team team has no schedule" in reasons[1]
    assert "no schedule Evenings" in reasons[2]


async def test_while_jira_shows_no_names_the_ids_stand_for_them(shop: Shop) -> None:
    """Who is on call is known all the same; Jira is not asked for names again in that round."""
    shop.tools.shows_accounts = False
    days, nights = await shop.read(named(jsm_schedule="Days"), named(jsm_schedule="Nights"))
    assert told(days, "on_call") == ["1", "2"]
    assert told(nights, "on_call") == ["2", "3", "team whole", "4"]
    assert len([path for path in shop.tools.requests if "/user/bulk" in path]) == 1


async def test_a_schedule_that_is_closed_or_gone_is_unknown_and_holds_up_no_other(
    shop: Shop,
) -> None:
    shop.tools.closed = {"d1"}
    team, nights, odd = await shop.read(
        named(jsm_team="team-1"), named(jsm_schedule="Nights"), named(jsm_schedule="Odd")
    )
    assert all_told(team) == [True, UNKNOWN, ["Days", "Nights", "Old"]], "somebody is, surely"
    assert "refuses the token (403) (schedule Days)" in fact(team, "on_call").reason
    assert told(nights, "on_call_named") is True
    assert "answered 404 (schedule Odd)" in fact(odd, "on_call").reason
    assert "/a%20b%2Fc/on-calls" in shop.tools.requests[-1], "an id stays one part of the path"


@pytest.mark.parametrize(
    ("answers", "asked", "reason"),
    [
        ([], {"token": "wrong"}, "refuses the token (401)"),
        ([], {"user": "another@shop.example"}, "refuses the token (401)"),
        ([], {"cloud": "another"}, "answered 404"),
        ([200, 500], {}, "answered 500"),
    ],
)
async def test_what_cannot_be_listed_is_unknown(
    shop: Shop, answers: list[int], asked: dict[str, str], reason: str
) -> None:
    """Also for who names nothing: of what was not listed nothing is concluded."""
    shop.tools.answers = answers
    found = await shop.read(named(jsm_schedule="Days"), subject(), **asked)
    assert [all_told(one) for one in found] == [[UNKNOWN] * 3] * 2
    assert reason in fact(found[0], "on_call").reason


async def test_of_hostile_answers_no_more_is_kept_than_a_few_names(shop: Shop) -> None:
    nested: dict[str, Any] = user("1")
    for number in range(50):
        nested = {"id": f"e{number}", "type": "escalation", "onCallParticipants": [nested]}
    shop.tools.participants["d1"] = [nested, *(user(f"p{n}") for n in range(5000))]
    (found,) = await shop.read(named(jsm_schedule="Days"))
    assert len(told(found, "on_call")) == 50
    assert max(map(len, shop.tools.requests)) < 4000, "nor are more names asked for"
    shop.tools.participants["d1"] = "everybody"
    (found,) = await shop.read(named(jsm_schedule="Days"))
    assert "does not say who is on call" in fact(found, "on_call").reason
