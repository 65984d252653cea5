"""Tags and deactivations on a look-alike of Snyk that refuses, asks to wait and gives no answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bridge.errors import TrackerError
from bridge.model.entities import Ref
from bridge.model.memory import KnownProject, Memory
from bridge.model.numbers import number_of
from bridge.model.remediation import (
    ActionOutcome,
    ActionRecord,
    Case,
    CaseStatus,
    IssueKey,
    IssuePlace,
)
from bridge.model.scrape import Project
from bridge.ox.facts.namesakes import namesakes
from bridge.ox.facts.snyk_client import Snyk
from bridge.ox.remediation.closed_projects import ARCHIVED, archived_places
from bridge.ox.remediation.snyk_changes import value_of, wanted_tags
from bridge.ox.remediation.snyk_upkeep import SnykUpkeep
from bridge.sandbox.tools import ORG, SandboxTools, tools_running
from bridge.store import SqlStore, open_store
from tests.ox.remediation.fleets import board, score, service
from tests.ox.subjects import NOW

KEYS = {"owner": "team", "tier": "tier", "system": "system"}
PLANNED, DONE, FAILED = ActionOutcome.PLANNED, ActionOutcome.DONE, ActionOutcome.FAILED
SKIPPED, NOTED = ActionOutcome.SKIPPED, ActionOutcome.NOTED


def at(number: int, owner: str = "group:default/red", system: str = "") -> IssuePlace:
    path = f"shop/p{number}"
    return IssuePlace(number, path, path, owner, "", "main", system)


@dataclass
class Shop:
    tools: SandboxTools
    store: SqlStore
    url: str
    places: Mapping[Ref, IssuePlace] = field(default_factory=lambda: {service(1): at(1)})
    archived: list[IssuePlace] = field(default_factory=list)
    deactivates: bool = True
    closed: str | TrackerError = ARCHIVED
    apply: bool = True
    ours: bool = True
    gitlabs: tuple[str, ...] = ()
    now: datetime = NOW

    async def records(self, per_run: int = 50) -> list[ActionRecord]:
        others = list(self.tools.others)
        snyk = Snyk(ORG, "sandbox-token", others=others, gitlabs=self.gitlabs, base=self.url)
        remembered = self.store.remediation
        made = SnykUpkeep(
            *(snyk, remembered, "corp", KEYS, True, self.deactivates, per_run, self._closed)
        )
        scores = [score(ref, [], self.now) for ref in self.places]
        try:
            return await made.run(
                board(self.now, scores),
                self.places,
                self.archived,
                cases=await remembered.cases("corp"),
                applies=lambda _: self.apply,
                now=self.now,
                still_ours=self._ours,
            )
        finally:
            await snyk.api.close()

    async def run(self, per_run: int = 50) -> list[ActionOutcome]:
        return [record.outcome for record in await self.records(per_run)]

    async def cases(self) -> list[Case]:
        return list((await self.store.remediation.cases("corp")).values())

    async def _ours(self) -> bool:
        return self.ours

    async def _closed(self, number: int) -> str:
        if isinstance(self.closed, TrackerError):
            raise self.closed
        return self.closed

    @property
    def writes(self) -> int:
        return sum(each.startswith("POST") for each in self.tools.requests)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    tools = SandboxTools(projects={"s1": "shop/p1:pom.xml"})
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    async with tools_running(tools) as url:
        yield Shop(tools, store, url)
    await store.close()


@pytest.mark.real
async def test_tags_are_planned_then_written_once_and_those_of_others_stay(shop: Shop) -> None:
    mine, others = [("team", "blue"), ("tier", "2")], [("env", "prod"), ("owner", "kim")]
    shop.tools.tags["s1"] = [*mine, *others]
    shop.apply = False
    (plan,) = await shop.records()
    said = "tags in Snyk: team=red is missing, team=blue is out of date"
    assert (plan.outcome, plan.action.reason, shop.writes) == (PLANNED, said, 0)
    assert await shop.cases() == []
    shop.apply = True
    assert await shop.run() == [DONE]
    assert sorted(shop.tools.tags["s1"]) == sorted([*others, ("tier", "2"), ("team", "red")])
    assert (await shop.run(), await shop.cases(), shop.writes) == ([], [], 2)


@pytest.mark.real
async def test_no_more_than_the_cap_and_the_rest_is_counted(shop: Shop) -> None:
    """Over several pages of Snyk's list."""
    shop.places = {service(n): at(n) for n in range(1, 151)}
    shop.tools.projects = {f"s{n}": f"shop/p{n}:x" for n in range(1, 151)}
    *done, left = await shop.records(per_run=3)
    assert [each.outcome for each in done] == [DONE] * 3
    assert (left.outcome, len(shop.tools.tags)) == (NOTED, 3)
    assert "(`snyk.per_run`), 147 wait" in left.action.reason


@pytest.mark.real
@pytest.mark.parametrize(
    ("status", "written", "remembered"),
    [
        (429, 0, None),  # asks to wait: the rest of the run is left
        (403, 0, None),
        (409, 1, None),
        (500, 1, CaseStatus.OPENING),
        (422, 1, CaseStatus.SNOOZED),
    ],
)
async def test_a_refusal_stops_what_it_can_explain_and_no_more(
    shop: Shop, status: int, written: int, remembered: CaseStatus | None
) -> None:
    shop.places = {service(n): at(n) for n in (1, 2)}
    shop.tools.projects["s2"] = "shop/p2:x"
    shop.tools.answers = [200, 200, status]  # the list, the first tag, the second one
    first, second = await shop.records()
    assert first.outcome is FAILED
    assert "1 of 2 requests were carried out" in first.detail
    assert second.outcome is (DONE if written else PLANNED)
    assert [case.status for case in await shop.cases()] == ([remembered] if remembered else [])
    assert shop.tools.tags["s1"] == [("team", "red")]
    shop.now += timedelta(days=8)  # after that Snyk's list says what is missing still
    await shop.run()
    assert shop.tools.tags["s1"] == shop.tools.tags["s2"] == [("team", "red"), ("tier", "2")]
    assert await shop.cases() == []


@pytest.mark.real
async def test_what_was_refused_is_asked_again_when_something_else_is_to_be_said(
    shop: Shop,
) -> None:
    shop.tools.answers = [200, 422]
    assert await shop.run() == [FAILED]
    assert await shop.run() == []
    shop.places = {service(1): at(1, "group:default/blue")}
    assert await shop.run() == [DONE]


@pytest.mark.real
async def test_nothing_is_changed_where_it_cannot_be_listed_or_another_has_the_turn(
    shop: Shop,
) -> None:
    shop.tools.answers = [500]
    assert (await shop.run(), shop.writes) == ([], 0)
    shop.ours = False
    assert (await shop.run(), shop.writes) == ([PLANNED], 0)
    assert await shop.cases() == []


@pytest.mark.real
async def test_an_archived_repositorys_projects_are_proposed_then_deactivated_once(
    shop: Shop,
) -> None:
    """In every organization; who turns one on again is not overruled."""
    shop.places, shop.archived, shop.deactivates = {}, [at(1)], False
    shop.tools.others = {"two": {"t1": "shop/P1:x", "t2": "shop/p2:x"}}
    assert (await shop.run(), shop.writes) == ([PLANNED, PLANNED], 0)
    shop.deactivates = True
    assert await shop.run() == [DONE, DONE]
    assert shop.tools.inactive == {"s1", "t1"}
    shop.tools.inactive = set()
    assert (await shop.run(), shop.writes) == ([], 2)
    shop.archived, shop.places = [], {service(1): at(1)}  # it is opened again, and archived anew
    await shop.run()
    shop.archived, shop.places = [at(1)], {}
    assert await shop.run() == [DONE, DONE]


@pytest.mark.real
async def test_what_snyk_watches_in_another_gitlab_is_neither_tagged_nor_deactivated(
    shop: Shop,
) -> None:
    """Paths alone tell nothing where two GitLabs have them; what is nobody's is left, and told."""
    pages = ("https://one/shop/p1", "https://two/shop/p1")
    mine = replace(at(1), web_url=pages[0], namesakes=(pages[1],))
    shop.tools.projects = {"s1": "shop/p1:x", "s2": "shop/p1:x", "s3": "shop/p1:x"}
    shop.tools.addresses = {"s1": pages[0], "s2": pages[1]}
    shop.places, shop.archived = {service(1): mine}, []
    *done, left = await shop.records()
    assert ([each.outcome for each in done], left.outcome) == ([DONE], NOTED)
    assert set(shop.tools.tags) == {"s1"}
    assert "several GitLabs have a project shop/p1" in left.action.reason
    shop.places, shop.archived = {}, [mine]
    assert await shop.run() == [DONE, NOTED]
    assert shop.tools.inactive == {"s1"}


@pytest.mark.real
async def test_what_snyk_watches_in_another_gitlab_is_not_ours_before_fester_knows_it(
    shop: Shop,
) -> None:
    """That one was never read yet, or not all of it is: nothing tells that its path is one here."""
    mine = replace(at(1), web_url="https://one/git/shop/p1")
    shop.gitlabs = ("https://one/git/", "https://one/lab", "https://two")
    shop.tools.projects = dict.fromkeys(("s1", "s2", "s3", "s4", "s5"), "shop/p1:x")
    shop.tools.addresses = {
        "s1": "https://one/git/shop/p1",
        "s2": "https://one/lab/shop/p1.git",
        "s3": "http://two/Shop/p1",
        "s4": "https://broker/shop/p1",
    }
    shop.places, shop.archived = {}, [mine]
    assert await shop.run() == [DONE, DONE, DONE]
    assert shop.tools.inactive == {"s1", "s4", "s5"}


@pytest.mark.real
@pytest.mark.parametrize(
    "closed", ["", "the project is scheduled for deletion", TrackerError("no answer")]
)
async def test_what_gitlab_does_not_call_archived_right_now_stays_active(
    shop: Shop, closed: str | TrackerError
) -> None:
    shop.archived, shop.places, shop.closed = [at(1)], {}, closed
    assert (await shop.run(), shop.writes, await shop.cases()) == ([SKIPPED], 0, [])


@pytest.mark.real
async def test_a_lost_answer_is_settled_by_snyks_own_list(shop: Shop) -> None:
    """The intent was remembered before; what was done is not done again."""
    shop.archived, shop.places = [at(1)], {}
    shop.tools.answers = [200, 503]
    assert await shop.run() == [FAILED]
    (case,) = await shop.cases()
    assert (case.key, case.status) == (IssueKey.deactivation(1, "s1"), CaseStatus.OPENING)
    shop.tools.inactive.add("s1")
    assert await shop.run() == [NOTED]
    assert [case.status for case in await shop.cases()] == [CaseStatus.FIXED]
    assert (await shop.run(), shop.writes) == ([], 1)


def test_what_is_not_known_or_not_agreed_on_has_no_tag() -> None:
    places = {
        service(1): at(1, "", "system:default/pay"),
        service(2): replace(at(1, "", "system:default/pay"), owner="group:default/blue"),
        service(3): at(3, "", ""),
    }
    scores = [score(ref, [], NOW, tier=n) for n, ref in enumerate(places, start=1)]
    found = wanted_tags(board(NOW, scores), places, KEYS)
    assert found == {1: {"system": "pay"}, 3: {"tier": "3"}}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("group:default/red", "red"),
        ("group:corp/red.team", "corp-red-team"),
        (f"group:default/{'x' * 63}", "x" * 50),
        ("", ""),
    ],
)
def test_a_reference_as_a_tags_value(reference: str, value: str) -> None:
    assert value_of(reference) == value


def test_only_what_is_surely_archived_is_taken_for_it() -> None:
    """Not a gap, not a path that is another project's by now, not one of a further source."""

    def known(path: str, archived: bool = True, gap: datetime | None = None) -> KnownProject:
        project = Project(1, path, f"https://gitlab/{path}", archived=archived)
        return KnownProject(project, NOW, gap)

    memory = Memory(
        projects={
            1: known("shop/old"),
            2: known("shop/gap", gap=NOW),
            3: known("shop/moved"),
            4: known("Shop/Moved", archived=False),
            5: known("shop/live", archived=False),
            number_of("lab", 1): known("shop/Old"),
            number_of("lab", 2): known("shop/other"),
        }
    )
    (place,) = archived_places(memory)
    assert (place.project, place.namesakes) == ("shop/old", ("https://gitlab/shop/Old",))
    assert namesakes(memory).keys() == {1, number_of("lab", 1)}
