"""Defaults for groups that two GitLabs keep, in one Fester, on each kind of store.

Every step is a process of its own: only the store and what is published are left of the one before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from bridge.model.numbers import FIRST, number_of
from bridge.model.runs import Outcome
from bridge.model.scrape import ScrapeRequest
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.world import World
from bridge.settings import Settings
from bridge.wiring import wired
from tests.service.site import TOKEN, a_world, settings

pytestmark = pytest.mark.real

LAB = "lab"
KEEPS = "platform/defaults"
FILE = "qm.defaults.yaml"
AWAY = FaultPlan((FaultRule(Fault.SERVER_ERROR),))


def defaults(product: str) -> str:
    return f"version: 1\ndefaults: {{shop: {{product: {product}}}}}\n"


@dataclass
class Company:
    """Two GitLabs with the same paths; `keeping` are those whose settings name their defaults."""

    folder: Path
    store: str
    gitlabs: dict[str, SandboxGitLab]
    worlds: dict[str, World]
    urls: dict[str, str]
    keeping: tuple[str, ...] = (FIRST, LAB)

    def settings(self) -> Settings:
        named = {"defaults": {"project": KEEPS}}
        own = {name: named if name in self.keeping else {} for name in (FIRST, LAB)}
        further = ({"name": LAB, "url": self.urls[LAB], "gitlab": own[LAB]},)
        made = settings(
            self.urls[FIRST], self.folder, self.store, gitlab=own[FIRST], further=further
        )
        token = {"token": SecretStr(TOKEN)}
        return made.model_copy(update={"source_secrets": {LAB: token}})

    async def passed(self, *wishes: PassOptions) -> list[Pass]:
        """Passes in a new process."""
        async with wired(self.settings()) as parts:
            passes = Passes(parts.stages)
            return [await passes.with_problems(await passes.run(wish)) for wish in wishes]

    async def sweep(self) -> list[Pass]:
        return await self.passed(PassOptions(), PassOptions(source=LAB))

    async def pushed(self, source: str) -> Pass:
        """The pass that a push to the project with the defaults of a GitLab asks for."""
        kept = self.worlds[source].find(KEEPS)
        assert kept is not None
        only = (number_of(source, kept.id),)
        request = ScrapeRequest(("qm.yaml", "qm.yml"), only=only)
        (done,) = await self.passed(PassOptions(request=request, source=source))
        return done

    def commit(self, source: str, product: str) -> None:
        kept = self.worlds[source].find(KEEPS)
        assert kept is not None
        self.worlds[source].commit_file(kept.id, FILE, defaults(product))

    def products(self) -> dict[str, str]:
        """The products of the published services, by their names."""
        return {
            each["metadata"]["name"]: each["metadata"]["annotations"].get("fester.dev/product", "")
            for path in sorted((self.folder / "out" / "entities").glob("*.yaml"))
            for each in yaml.safe_load_all(path.read_text())
            if each["kind"] == "Component"
        }


@pytest.fixture
async def company(tmp_path: Path, url: str) -> AsyncIterator[Company]:
    worlds = {FIRST: a_world(2), LAB: a_world(2)}
    for source, world in worlds.items():
        named = source or "first"
        world.add_project(KEEPS, files={FILE: defaults(named)})
        text = f"version: 1\nservice: {{name: {named}-web, owner: {{team: tide}}}}\n"
        world.add_project("shop/web", files={"qm.yaml": text})
        world.add_project("pay/web", files={"qm.yaml": text.replace("-web", "-pay")})
    gitlabs = {source: SandboxGitLab(world, token=TOKEN) for source, world in worlds.items()}
    async with running(gitlabs[FIRST]) as first, running(gitlabs[LAB]) as lab:
        yield Company(tmp_path, url, gitlabs, worlds, {FIRST: first, LAB: lab})


def told(company: Company) -> dict[str, str]:
    found = company.products()
    return {name: found[f"{name}-web"] for name in ("first", "lab")}


async def test_each_gitlab_has_its_own_and_a_change_reads_whom_it_concerns(
    company: Company,
) -> None:
    await company.sweep()
    assert told(company) == {"first": "first", "lab": "lab"}
    assert company.products()["lab-pay"] == ""
    company.commit(LAB, "bench")
    company.gitlabs[FIRST].forget_requests()
    done = await company.pushed(LAB)
    assert told(company) == {"first": "first", "lab": "bench"}
    shop = company.worlds[LAB].in_group("shop", subgroups=True)
    assert done.changes.projects == {number_of(LAB, each.id) for each in shop}
    assert company.gitlabs[FIRST].requests == []


async def test_one_that_is_away_keeps_its_defaults_and_holds_up_no_other(company: Company) -> None:
    await company.sweep()
    company.commit(FIRST, "counter")
    company.commit(LAB, "bench")
    company.gitlabs[LAB].use_faults(AWAY)
    first, lab = await company.sweep()
    assert (first.report.outcome, lab.report.outcome) == (Outcome.COMPLETE, Outcome.FAILED)
    assert told(company) == {"first": "counter", "lab": "lab"}
    company.gitlabs[LAB].use_faults(FaultPlan())
    await company.sweep()
    assert told(company) == {"first": "counter", "lab": "bench"}


async def test_what_ends_in_one_stays_in_the_other(company: Company) -> None:
    await company.sweep()
    kept = company.worlds[LAB].find(KEEPS)
    assert kept is not None
    company.worlds[LAB].delete_file(kept.id, FILE)
    done = await company.pushed(LAB)
    assert "defaults-missing" in {each.rule for each in done.report.problems}
    assert told(company) == {"first": "first", "lab": ""}
    # Another process, whose settings name them for the other one alone.
    company.commit(LAB, "bench")
    company.keeping = (LAB,)
    await company.sweep()
    assert told(company) == {"first": "", "lab": "bench"}
