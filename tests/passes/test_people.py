"""Groups and users through whole passes: what could not be read is never deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.model.memory import PassRecord
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import ScrapeRequest
from bridge.passes.explain import explain
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.passes.view import Known
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.world import World
from bridge.scrapers import GitLabScraper
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.clock import utc_now
from bridge.wiring.given import gitlab_options
from tests.scrapers.crawling import TOKEN, Time

pytestmark = pytest.mark.real

GROUP = "group:default/shop-payments"


def manifest(name: str, team: str) -> str:
    return f"version: 1\nservice:\n  name: {name}\n  owner: {{team: '{team}', channel: '#pay'}}\n"


@dataclass(frozen=True)
class Done:
    """A pass's report, and all that is known after it."""

    report: Report
    known: Known
    record: PassRecord


@dataclass
class Shop:
    """A GitLab with people, and the passes over it."""

    world: World
    sandbox: SandboxGitLab
    passes: Passes

    async def make(self, wish: PassOptions | None = None) -> Done:
        done = await self.passes.run(wish or PassOptions())
        known = await self.passes.known()
        assert known.record is not None
        return Done(done.report, known, known.record)

    async def due(self) -> Done:
        return await self.make(await self.passes.next_pass(PassOptions()))


@asynccontextmanager
async def shop(folder: Path, **settings: Any) -> AsyncIterator[Shop]:
    world = World(utc_now)
    owners = {"good": "@shop/payments", "titled": "Payments", "typo": "shop-paymnets"}
    for name, team in owners.items():
        world.add_project(f"shop/payments/{name}", files={"qm.yaml": manifest(name, team)})
    world.members.user("ann", "Ann Lee", email="ann@shop.example")
    world.members.user("dan", state="blocked")
    world.members.user("bot_7", bot=True)
    for name in ("ann", "dan", "bot_7"):
        world.members.add("shop/payments", name)
    world.members.add("shop", "ann")
    world.members.add("shop", "boss", 50)
    sandbox = SandboxGitLab(world, token=TOKEN)
    async with running(sandbox) as url:
        chosen = Settings.model_validate(
            {
                "from": url,
                "store": f"sqlite:///{folder}/s.db",
                "token": SecretStr(TOKEN),
                "gitlab": {"people": True},
                **settings,
            }
        )
        async with wired(chosen) as parts:
            # Backing off takes no time.
            scraper = GitLabScraper(url, TOKEN, options=gitlab_options(chosen), sleep=Time().sleep)
            try:
                yield Shop(world, sandbox, Passes(replace(parts.stages, scraper=scraper)))
            finally:
                await scraper.close()


def bodies(done: Done) -> dict[str, Mapping[str, Any]]:
    return {str(each.ref): each.body for each in done.known.catalog.entities}


def rules(done: Done, *wanted: str) -> list[tuple[str, str]]:
    found = done.record.report.problems
    return [(each.rule, each.project) for each in found if each.rule in wanted]


async def test_groups_and_users_are_entities_and_owners_resolve_against_them(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as it:
        done = await it.make()
        found = bodies(done)
        assert done.report.outcome is Outcome.COMPLETE
        assert done.report.entities == {"Component": 3, "Group": 2, "User": 2}
        team = found[GROUP]
        assert (team["spec"]["parent"], team["metadata"]["title"]) == (
            "group:default/shop",
            "Payments",
        )
        # What manifests say of their owner is said of the team that they mean.
        assert team["metadata"]["annotations"]["fester.dev/owner-channel"] == "#pay"
        ann = found["user:default/ann"]["spec"]
        assert ann["memberOf"] == ["group:default/shop", GROUP]
        assert ann["profile"] == {"displayName": "Ann Lee", "email": "ann@shop.example"}
        for name in ("good", "titled"):
            assert found[f"component:default/{name}"]["spec"]["owner"] == GROUP
        (problem,) = [p for p in done.record.report.problems if p.rule == "owner-unknown"]
        assert (problem.project, problem.line) == ("shop/payments/typo", 4)
        assert f"did you mean {GROUP}?" in problem.message
        # Groups are no projects.
        assert done.report.projects == {"seen": 3, "with_manifest": 3, "unreadable": 0}


async def test_members_that_cannot_be_read_empty_no_team_and_are_asked_for_again(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as it:
        before = bodies(await it.make())
        it.world.members.hidden.add("shop/payments")
        it.world.members.remove("shop/payments", "ann")
        it.world.members.add("shop/payments", "new")
        broken = await it.make()
        assert broken.report.outcome is Outcome.INCOMPLETE
        assert bodies(broken) == before
        assert ("unreadable", "shop/payments") in rules(broken, "unreadable")
        told = " ".join(explain(GROUP, broken.known.memory, broken.record).facts)
        assert "GitLab does not show its members to this token" in told
        assert broken.report.projects["seen"] == 3  # a group is no project
        it.world.members.hidden.clear()
        later = replace(it.passes.stages, clock=lambda: utc_now() + timedelta(minutes=2))
        it.passes.stages = later
        healed = bodies(await it.due())  # a pass of what changed: it asks for gaps, too
        assert healed["user:default/new"]["spec"]["memberOf"] == [GROUP]
        assert healed["user:default/ann"]["spec"]["memberOf"] == ["group:default/shop"]


FAULTS = [Fault.BAD_GATEWAY, Fault.NO_DATA, Fault.SERVER_ERROR, Fault.RESET, Fault.TRUNCATED]


@pytest.mark.parametrize("fault", FAULTS)
async def test_when_graphql_fails_for_good_no_group_and_no_user_is_lost(
    tmp_path: Path, fault: Fault
) -> None:
    async with shop(tmp_path) as it:
        before = bodies(await it.make())
        it.sandbox.use_faults(FaultPlan((FaultRule(fault, "graphql"),)))
        assert bodies(await it.make()) == before
        it.sandbox.use_faults(FaultPlan())
        assert bodies(await it.make()) == before


async def test_who_leaves_goes_and_a_pass_between_sweeps_leaves_people_as_they_are(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as it:
        before = bodies(await it.make())
        it.world.members.remove("shop", "boss")
        assert bodies(await it.due()) == before
        pushed = ScrapeRequest(it.passes.stages.translator.files, only=(1,))
        assert bodies(await it.make(PassOptions(request=pushed))) == before
        after = await it.make()
        assert "user:default/boss" not in bodies(after)
        (told,) = [each for each in after.record.report.problems if each.rule == "member-left"]
        assert (told.project, told.ref) == ("shop", "user:default/boss")
        told_by = explain("user:default/boss", after.known.memory, after.record).problems
        assert told in told_by


async def test_people_are_off_by_default_and_names_make_groups_as_before(tmp_path: Path) -> None:
    async with shop(tmp_path, gitlab={}) as it:
        done = await it.make()
        assert done.report.entities == {"Component": 3, "Group": 3}
        assert rules(done, "owner-unknown") == []


async def test_none_of_ours_is_published_for_what_another_provider_publishes(
    tmp_path: Path,
) -> None:
    known = {"known": ["shop-payments", "user:default/ann"]}
    async with shop(tmp_path, owners=known) as it:
        done = await it.make()
        assert done.report.entities == {"Component": 3, "Group": 1, "User": 1}
        assert bodies(done)["component:default/good"]["spec"]["owner"] == GROUP
        assert rules(done, "dangling-ref") == []


LONG = "-".join(["a-division-of-a-division"] * 3)


async def test_two_paths_that_become_one_name_are_never_one_team(tmp_path: Path) -> None:
    async with shop(tmp_path) as it:
        it.world.add_group("shop-payments", "Other")
        it.world.add_group("shop-payments/below")
        it.world.members.add("shop-payments", "other")
        it.world.members.add("shop-payments", "ann")
        it.world.add_project(f"{LONG}/one/x", files={"qm.yaml": manifest("x", f"@{LONG}/one")})
        it.world.add_group(f"{LONG}/two")
        done = await it.make()
        found = bodies(done)
        assert found[GROUP]["metadata"]["title"] == "Payments"
        assert "user:default/other" not in found
        assert GROUP in found["user:default/ann"]["spec"]["memberOf"]
        assert "parent" not in found["group:default/shop-payments-below"]["spec"]
        (problem,) = [p for p in done.record.report.problems if p.rule == "claim-lost"]
        assert (problem.project, problem.ref) == ("shop-payments", GROUP)
        assert "shop/payments and shop-payments both become" in problem.message
        # Names over 63 characters stay apart by a hash, and are found by the path.
        owner = found["component:default/x"]["spec"]["owner"]
        long = {ref: body for ref, body in found.items() if ref.startswith("group:default/a-div")}
        paths = {
            body["metadata"]["annotations"]["fester.dev/gitlab-group"] for body in long.values()
        }
        assert paths == {LONG, f"{LONG}/one", f"{LONG}/two"}
        assert all(len(body["metadata"]["name"]) <= 63 for body in long.values())
        assert long[owner]["metadata"]["annotations"]["fester.dev/gitlab-group"] == f"{LONG}/one"
        # Whose it is stays so, whichever comes first; where it goes, the other one has the name.
        assert bodies(await it.make()) == found
        it.world.rename_group("shop/payments", "pay")
        after = bodies(await it.make())
        assert after[GROUP]["metadata"]["title"] == "Other"
        assert after["user:default/other"]["spec"]["memberOf"] == [GROUP]
        assert after["group:default/shop-payments-below"]["spec"]["parent"] == GROUP


async def test_people_cost_a_request_for_forty_groups_and_nothing_between_sweeps(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as it:
        for number in range(498):
            it.world.add_group(f"group-{number}")
            it.world.members.add(f"group-{number}", f"user-{number % 90}")
        for _ in range(2):  # a sweep that finds nothing new asks for as much
            it.sandbox.forget_requests()
            done = await it.make()
            assert done.report.entities["Group"] == 500
            asked = [each for each in it.sandbox.requests if each.kind == "graphql"]
            assert len([each for each in asked if not each.project_ids]) == 13
        it.sandbox.forget_requests()
        await it.due()
        asked = [each for each in it.sandbox.requests if each.kind == "graphql"]
        assert asked
        assert all(set(each.project_ids) == {1, 2, 3} for each in asked)


async def test_who_names_no_owner_is_told_the_likely_one_and_the_catalog_is_not(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as it:
        it.world.add_project("shop/payments/bare", files={"README.md": "Soon.\n"})
        typo = manifest("typo", "shop-paymnets").replace("  owner", "  system: till\n  owner")
        good = manifest("good", "@shop/payments").replace("  owner", "  system: till\n  owner")
        it.world.commit_file(1, "qm.yaml", good)
        it.world.commit_file(3, "qm.yaml", typo)
        nobody = "version: 1\nservice:\n  name: nobodys\n"
        it.world.add_project("shop/payments/nobodys", files={"qm.yaml": nobody})
        done = await it.make()
        memory, guess = done.known.memory, "may be group:default/shop-payments: it lies in"
        for name in ("bare", "nobodys", "typo"):
            told = explain(f"shop/payments/{name}", memory, done.record).facts
            assert guess in " ".join(told), name
        for asked in ("shop/payments/good", "shop/payments", "good"):
            assert guess not in " ".join(explain(asked, memory, done.record).facts)
        assert {ref for ref in bodies(done) if "nobodys" in ref or "bare" in ref} == set()
