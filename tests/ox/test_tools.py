"""Snyk and PagerDuty as collectors, on look-alikes that page, refuse and ask to wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.model.entities import Json
from bridge.model.facts import Reading, Subject
from bridge.model.numbers import number_of
from bridge.model.remediation import ActionOutcome, CaseStatus, IssuePlace
from bridge.model.scrape import Project
from bridge.ox.facts.json_api import Unanswered
from bridge.ox.facts.pagerduty import PagerDuty, PagerDutyCollector
from bridge.ox.facts.snyk import SnykCollector
from bridge.ox.facts.snyk_client import Snyk
from bridge.ox.remediation.registering import Registration
from bridge.sandbox.tools import ORG, SandboxTools, Vulnerability, tools_running
from bridge.store import SqlStore, open_store
from tests.ox.subjects import NOW, component, fact, readings, subject, told

pytestmark = pytest.mark.real

TOKEN = "sandbox-token"
NA, UNKNOWN = "not_applicable", "unknown"


@dataclass
class Shop:
    tools: SandboxTools
    url: str

    async def snyk(
        self, *paths: str, token: str = TOKEN, org: str = ORG, others: Sequence[str] = ()
    ) -> list[Reading]:
        subjects = [subject(project=Project(n, path)) for n, path in enumerate(paths)]
        snyk = Snyk(org, token, others=others, base=self.url)
        return await readings(SnykCollector(snyk, lambda: NOW), subjects)

    async def pagerduty(self, *subjects: Subject, token: str = TOKEN) -> list[Reading]:
        collector = PagerDutyCollector(PagerDuty(token, base=self.url), lambda: NOW)
        return await readings(collector, subjects)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    tools = SandboxTools()
    async with tools_running(tools) as url:
        yield Shop(tools, url)


def all_told(reading: Reading) -> list[Json]:
    return [told(reading, one.name) for one in reading.facts]


async def test_registered_or_not(shop: Shop) -> None:
    """What is not registered fails that alone; what hangs on it is not applicable."""
    shop.tools.projects = {"s1": "shop/API:package.json", "s2": "shop/other(main):pom.xml"}
    found = await shop.snyk("shop/api", "shop/other", "shop/nothing", "shop/ap")
    assert [told(one, "registered") for one in found] == [True, True, False, False]
    assert all_told(found[2]) == [False, *[NA] * 6]
    (without,) = await readings(
        SnykCollector(Snyk(ORG, TOKEN, base=shop.url), lambda: NOW), [subject()]
    )
    assert all_told(without) == [NA] * 7


async def test_of_two_gitlabs_with_one_path_each_has_what_snyk_says_is_its_own(shop: Shop) -> None:
    """By the repository's address; what has none, or one that is neither's, is nobody's."""
    shop.tools.projects = {"s1": "shop/api:x", "s2": "shop/api:x", "s3": "shop/web:x"}
    shop.tools.addresses = {"s1": "https://one/shop/api", "s2": "http://Two/Shop/api.git"}
    pages = ("https://one/shop/api", "https://two/shop/api")
    lab = number_of("lab", 1)
    subjects = [
        replace(subject(project=Project(1, "shop/api", pages[0])), namesakes=(pages[1],)),
        replace(subject(project=Project(lab, "shop/api", pages[1])), namesakes=(pages[0],)),
        subject(project=Project(2, "shop/web", "https://one/shop/web")),
    ]

    async def told_of() -> list[tuple[Json, Json]]:
        snyk = Snyk(ORG, TOKEN, base=shop.url)
        found = await readings(SnykCollector(snyk, lambda: NOW), subjects)
        return [(told(one, "registered"), told(one, "projects")) for one in found]

    assert await told_of() == [(True, [f"{ORG}/s{number}"]) for number in (1, 2, 3)]
    shop.tools.projects |= {"s4": "shop/api:y"}
    for address in ("", "https://three/shop/api"):
        shop.tools.addresses["s4"] = address
        assert await told_of() == [*[(UNKNOWN, UNKNOWN)] * 2, (True, [f"{ORG}/s3"])]
    shop.tools.addresses["s4"] = pages[1]
    shop.tools.requests.clear()
    assert [registered for registered, _ in await told_of()] == [True, True, True]
    del subjects[:2]
    assert await told_of() == [(True, [f"{ORG}/s3"])]
    listings = ["expand=target" in path for path in shop.tools.requests if "/projects" in path]
    assert listings == [True, False]  # addresses are asked for where they are needed


async def test_issues_by_severity_and_age(shop: Shop) -> None:
    """Of all of a repository's Snyk projects together, over several pages; ignored ones not."""
    old, young = NOW - timedelta(days=31), NOW - timedelta(days=30)
    shop.tools.projects = {"s1": "shop/api:package.json", "s2": "shop/api:Dockerfile"}
    shop.tools.issues = [
        Vulnerability("s1", "critical", old),
        Vulnerability("s2", "critical", old),
        Vulnerability("s1", "critical", young),
        Vulnerability("s1", "critical", old, ignored=True),
        *(Vulnerability("s2", "low", old) for _ in range(230)),
    ]
    (found,) = await shop.snyk("shop/api")
    assert told(found, "critical_older_than_30_days") == 2
    assert told(found, "issues_by_severity") == {"critical": 3, "high": 0, "medium": 0, "low": 230}
    ages = told(found, "issues_by_age")
    assert ages["critical"] == {"week": 0, "month": 0, "quarter": 3, "older": 0}
    assert ages["low"]["quarter"] == 230
    assert ages["high"] == dict.fromkeys(ages["low"], 0)


async def test_several_organizations_are_read_as_one(shop: Shop) -> None:
    """Of one that cannot be listed nothing is concluded; what another has is known."""
    shop.tools.projects = {"s1": "shop/api:x"}
    shop.tools.others = {"two": {"s2": "shop/web:x", "s3": "shop/api:y"}}
    shop.tools.issues = [
        Vulnerability("s2", "critical", NOW - timedelta(days=8)),
        Vulnerability("s3", "high", NOW - timedelta(days=91)),
        Vulnerability("s1", "high", NOW),
    ]
    paths = ("shop/api", "shop/web", "shop/none")
    found = await shop.snyk(*paths, others=["two", ORG])
    assert [told(one, "registered") for one in found] == [True, True, False]
    assert told(found[0], "issues_by_age")["high"] == {
        "week": 1,
        "month": 0,
        "quarter": 0,
        "older": 1,
    }
    assert told(found[1], "issues_by_age")["critical"]["month"] == 1
    listings = [path for path in shop.tools.requests if "/projects" in path]
    assert len(listings) == 2, "each once"
    assert all("version=2026-03-25" in path for path in listings)
    found = await shop.snyk(*paths, others=["gone"])
    assert [told(one, "registered") for one in found] == [True, UNKNOWN, UNKNOWN]
    reason = fact(found[1], "registered").reason
    assert ("answered 404" in reason, "(organization gone)" in reason) == (True, True)
    snyk = Snyk(ORG, TOKEN, others=["gone"], base=shop.url)
    with pytest.raises(Unanswered):
        await snyk.whole_listing(addresses=False)
    with pytest.raises(Unanswered):
        await snyk.greet()
    await snyk.api.close()


async def test_criticals_are_named_by_their_keys(shop: Shop) -> None:
    """Once for all Snyk projects of a repository, the newest fifty, with a title of one line."""
    old = NOW - timedelta(days=31)
    shop.tools.projects = {"s1": "shop/api:package.json", "s2": "shop/api:Dockerfile"}
    shop.tools.issues = [
        Vulnerability("s2", "critical", NOW, key="A", title="x\n" * 200),
        Vulnerability("s1", "critical", old, key="A"),
        Vulnerability("s1", "high", NOW, key="H"),
        *(Vulnerability("s1", "critical", NOW, key=f"K{n}") for n in range(49)),
        Vulnerability("s1", "critical", old - timedelta(days=1), key="OLDEST"),
    ]
    (found,) = await shop.snyk("shop/api")
    listed = told(found, "critical_issues")
    assert len(listed) == 50
    assert listed["A"] == {"title": "Something bad", "since": old.isoformat()}
    assert "OLDEST" not in listed
    assert "H" not in listed
    shop.tools.issues = shop.tools.issues[:1]
    (found,) = await shop.snyk("shop/api")
    (issue,) = told(found, "critical_issues").values()
    assert (len(issue["title"]), "\n" in issue["title"]) == (120, False)


async def test_many_projects_are_one_listing(shop: Shop) -> None:
    shop.tools.projects = {f"s{n:03}": f"shop/p{n}:x" for n in range(250)}
    found = await shop.snyk(*(f"shop/p{n}" for n in range(0, 250, 50)), "shop/p999")
    assert [told(one, "registered") for one in found] == [True] * 5 + [False]
    listings = [path for path in shop.tools.requests if "/projects" in path]
    assert len(listings) == 3


@pytest.mark.parametrize(
    ("answers", "token", "org", "reason"),
    [
        ([], "wrong", ORG, "refuses the token (401)"),
        ([], TOKEN, "another", "answered 404"),
        ([500], TOKEN, ORG, "answered 500"),
        ([429] * 9, TOKEN, ORG, "asks to wait (429)"),
    ],
)
async def test_what_cannot_be_listed_is_unknown(
    shop: Shop, answers: list[int], token: str, org: str, reason: str
) -> None:
    """Never "not registered"."""
    shop.tools.answers = answers
    (found,) = await shop.snyk("shop/api", token=token, org=org)
    assert all_told(found) == [UNKNOWN] * 7
    assert reason in fact(found, "registered").reason
    assert token not in fact(found, "registered").reason


async def test_a_429_is_waited_for(shop: Shop) -> None:
    shop.tools.projects = {"s1": "shop/api:x"}
    shop.tools.answers = [429, 429]
    (found,) = await shop.snyk("shop/api")
    assert told(found, "registered") is True


async def test_a_failed_second_question_leaves_the_first_answer(shop: Shop) -> None:
    shop.tools.projects = {"s1": "shop/api:x"}
    shop.tools.answers = [200, 200, 500]
    (found,) = await shop.snyk("shop/api")
    where = f"{shop.url}/org/the-company/project/s1"
    known = {"registered": True, "projects": [f"{ORG}/s1"], "url": where}
    assert {name: told(found, name) for name in known} == known
    assert all_told(found).count(UNKNOWN) == 4


async def test_the_token_follows_no_link_to_another_host(shop: Shop) -> None:
    shop.tools.projects = {f"s{n:03}": f"shop/p{n}:x" for n in range(150)}
    shop.tools.next_elsewhere = True
    (found,) = await shop.snyk("shop/p1")
    assert "another host" in fact(found, "registered").reason


def duty(policy: str, level: int, name: str) -> dict[str, Json]:
    return {
        "escalation_policy": {"id": policy},
        "escalation_level": level,
        "user": {"id": name, "summary": name},
    }


async def test_who_is_on_call(shop: Shop) -> None:
    """By the annotation's id first, else by exactly the name, never by a guess."""
    shop.tools.services = [
        {"id": f"PX{n:03}", "name": f"filler {n}", "escalation_policy": {"id": "E0"}}
        for n in range(120)
    ]
    shop.tools.services += [
        {
            "id": "PAAAA",
            "name": "Payments",
            "html_url": "https://x.pagerduty.com/PAAAA",
            "escalation_policy": {"id": "E1"},
        },
        {"id": "PBBBB", "name": "cart", "escalation_policy": {"id": "E2"}},
        {"id": "PCCCC", "name": "cart", "escalation_policy": {"id": "E1"}},
    ]
    shop.tools.on_calls = [duty("E1", 2, "Robin"), duty("E1", 1, "Kim"), duty("E1", 1, "Kim")]
    by_id = {"pagerduty.com/service-id": "PAAAA"}
    by_url = {"fester.dev/pagerduty-url": "https://x.pagerduty.com/service-directory/PBBBB"}
    gone = {"pagerduty.com/service-id": "PZZZZ"}
    found = await shop.pagerduty(
        subject(component("a", annotations=by_id)),
        subject(component("b", annotations=by_url)),
        subject(component("payments")),
        subject(component("cart")),
        subject(component("pay")),
        subject(component("payments", annotations=gone)),
    )
    payments = [True, ["Kim", "Robin"], "PAAAA", "https://x.pagerduty.com/PAAAA"]
    assert [all_told(one) for one in found] == [
        payments,
        [False, [], "PBBBB", NA],
        payments,
        *[[False, NA, NA, NA]] * 3,
    ]
    assert "several services" in fact(found[3], "on_call").reason
    assert "PZZZZ" in fact(found[5], "on_call").reason


async def test_nobody_is_known_while_pagerduty_is_down(shop: Shop) -> None:
    shop.tools.answers = [200, 503]
    (found,) = await shop.pagerduty(subject())
    assert all_told(found) == [UNKNOWN] * 4
    (found,) = await shop.pagerduty(subject(), token="wrong")
    assert "refuses the token" in fact(found, "on_call").reason


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = await open_store(f"sqlite:///{tmp_path}/s.db")
    yield made
    await made.close()


PATHS = ("shop/a", "shop/b", "shop/c", "shop/d")


async def registered(
    shop: Shop, store: SqlStore, *paths: str, apply: bool = True
) -> list[tuple[str, ActionOutcome]]:
    snyk = Snyk(ORG, TOKEN, base=shop.url)
    places = [IssuePlace(n, path, path, "", "", "main") for n, path in enumerate(paths, start=1)]
    cases = await store.remediation.cases("corp")
    made = Registration(snyk, "i1", store.remediation, "corp")
    records = await made.run(places, cases, lambda _: apply, NOW, room=2)
    await snyk.api.close()
    return [(record.action.project, record.outcome) for record in records]


async def test_missing_projects_are_planned_then_imported_once(shop: Shop, store: SqlStore) -> None:
    """Those that Snyk lists are left out, and what was asked for once is not asked for again."""
    shop.tools.projects = {"s1": "shop/a:x"}
    plan = await registered(shop, store, *PATHS, apply=False)
    assert plan == [("shop/b", ActionOutcome.PLANNED), ("shop/c", ActionOutcome.PLANNED)]
    assert shop.tools.imports == []
    assert await registered(shop, store, *PATHS) == [
        ("shop/b", ActionOutcome.DONE),
        ("shop/c", ActionOutcome.DONE),
    ]
    assert await registered(shop, store, *PATHS) == [("shop/d", ActionOutcome.DONE)]
    assert await registered(shop, store, *PATHS) == []
    assert shop.tools.imports == [{"id": n, "branch": "main"} for n in (2, 3, 4)]


async def test_nothing_is_imported_when_snyk_cannot_be_listed(shop: Shop, store: SqlStore) -> None:
    shop.tools.answers = [500]
    assert await registered(shop, store, "shop/b") == []
    assert shop.tools.imports == []


async def test_a_refused_import_is_tried_again_in_another_run(shop: Shop, store: SqlStore) -> None:
    shop.tools.answers = [200, 422]
    assert await registered(shop, store, "shop/b") == [("shop/b", ActionOutcome.FAILED)]
    assert await registered(shop, store, "shop/b") == [("shop/b", ActionOutcome.DONE)]


async def test_an_imports_outcome_is_asked_for_and_remembered(shop: Shop, store: SqlStore) -> None:
    """By Snyk's own list, else by the job's account; pending ones are asked after again."""
    room = [await registered(shop, store, *PATHS) for _ in range(2)]
    assert [outcome for run in room for _, outcome in run] == [ActionOutcome.DONE] * 4
    shop.tools.projects = {"s1": "shop/a:x"}
    shop.tools.jobs = {
        "job-2": {
            "status": "complete",
            "logs": [{"projects": [{"success": True}, {"success": False}, {"success": True}]}],
        },
        "job-3": {"status": "complete", "logs": [{"projects": []}]},
    }
    assert await registered(shop, store, *PATHS) == [
        ("shop/a", ActionOutcome.NOTED),
        ("shop/b", ActionOutcome.NOTED),
        ("shop/c", ActionOutcome.NOTED),
    ]
    cases = (await store.remediation.load("corp")).cases.values()
    assert {case.key.project_id: (case.status, case.reason) for case in cases} == {
        1: (CaseStatus.FIXED, "Snyk watches it now"),
        2: (CaseStatus.FIXED, "Snyk watches 2 files of it"),
        3: (
            CaseStatus.SNOOZED,
            "Snyk found nothing in it to watch; it is not asked for again",
        ),
        4: (CaseStatus.OPENED, "the model knows the project, and Snyk does not"),
    }
    shop.tools.answers = [200, 500]
    assert await registered(shop, store, *PATHS) == []
    shop.tools.jobs["job-4"] = {"status": "failed"}
    assert await registered(shop, store, *PATHS) == [("shop/d", ActionOutcome.NOTED)]
    assert await registered(shop, store, *PATHS) == []
    assert len(shop.tools.imports) == 4
