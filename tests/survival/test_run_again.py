"""`fester run` as a process, again and again, while GitLab changes, hides and forgets things."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox.project import SandboxProject
from bridge.sandbox.world import World
from tests.published import entities_in
from tests.service.process import serve
from tests.service.site import TOKEN, a_gitlab, a_world, manifest, published
from tests.survival.mortal import Mortal

pytestmark = pytest.mark.real

DATE = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d"


@dataclass
class Operator:
    """A person at a shell beside a GitLab of thirty services."""

    worker: Mortal
    world: World
    gitlab: str
    folder: Path

    async def fester(self, *arguments: str, limit: int = 0) -> tuple[int, str]:
        """Exit code and output of `fester …`; `limit` is the largest file, in bytes."""
        output = self.folder / "output.txt"
        code = await asyncio.to_thread(
            self.worker.ends,
            "command_line",
            arguments=arguments,
            folder=str(self.folder),
            environment={"GITLAB_TOKEN": TOKEN, "COLUMNS": "400"},
            output=str(output),
            limit=limit,
        )
        text = output.read_text("utf-8", "replace")
        assert "Traceback" not in text
        return code, text

    async def run(self, *more: str, limit: int = 0) -> int:
        """The exit code of `fester run`."""
        places = ("--from", self.gitlab, "--to", "out", "--report", "report.json")
        code, _ = await self.fester("run", *places, *more, limit=limit)
        return code

    def problems(self, rule: str) -> list[dict[str, Any]]:
        """What the last report says by a rule."""
        report = json.loads((self.folder / "report.json").read_text())
        return [problem for problem in report["problems"] if problem["rule"] == rule]

    async def explains(self, ref: str) -> str:
        _, output = await self.fester("explain", ref)
        return output

    def project(self, number: int) -> SandboxProject:
        found = self.world.get(number)
        assert found is not None
        return found

    @property
    def published(self) -> set[str]:
        return published(self.folder)


@asynccontextmanager
async def operator(worker: Mortal, folder: Path, services: int = 30) -> AsyncIterator[Operator]:
    """After a first run that was complete."""
    world = a_world(services)
    async with a_gitlab(world) as (_, url):
        made = Operator(worker, world, url, folder)
        assert await made.run() == 0
        assert made.published == {f"s{n}" for n in range(1, services + 1)}
        yield made


async def test_too_many_removals_are_withheld_until_they_are_accepted(
    tmp_path: Path, worker: Mortal
) -> None:
    """Additions go through; exit code, output, report, metric and explanation say what is held."""
    async with operator(worker, tmp_path) as it:
        before = it.published
        for number in range(1, 16):
            it.world.delete(number)
        it.world.add_project("shop/new", files={"qm.yaml": manifest("new")})
        places = ("--from", it.gitlab, "--to", "out")
        code, output = await it.fester("run", *places)
        assert code == 3
        assert "15 of 31 entities would be removed" in output
        assert "--accept-removals" in output
        for how in ((), ("--incremental",)):  # it stays withheld, however often it comes
            assert await it.run(*how) == 3
            (problem,) = it.problems("removals-withheld")
            assert problem["severity"] == "error"
            assert it.published == before | {"new"}
        assert "withheld" in await it.explains("component:default/s3")
        assert "withheld" not in await it.explains("component:default/s20")
        async with serve(it.gitlab, tmp_path, f"sqlite:///{tmp_path}/fester.db") as process:
            _, metrics = await process.asks("metrics")
            assert re.search(rb'fester_problems\{.*rule="removals-withheld".*\} 1.0', metrics)
        assert await it.run("--accept-removals") == 0
        assert it.published == {f"s{n}" for n in range(16, 31)} | {"new"}
        assert await it.run() == 0


async def test_a_few_removals_need_nobody(tmp_path: Path, worker: Mortal) -> None:
    async with operator(worker, tmp_path) as it:
        for number in range(1, 7):
            it.world.delete(number)
        assert await it.run() == 0
        assert it.published == {f"s{n}" for n in range(7, 31)}


async def test_a_project_that_cannot_be_read_is_kept_and_says_since_when_and_why(
    tmp_path: Path, worker: Mortal
) -> None:
    async with operator(worker, tmp_path) as it:
        before = it.published
        it.project(3).repository = "forbidden"
        assert await it.run() == 3
        assert it.published == before
        (problem,) = it.problems("unreadable")
        assert problem["project"] == "shop/p3"
        since = re.search(rf"since ({DATE})\S* \(.*permission", problem["message"])
        assert since
        assert await it.run() == 3  # it says since when, not when it was tried last
        assert since[1] in it.problems("unreadable")[0]["message"]
        told = await it.explains("component:default/s3")
        assert re.search(rf"not readable since {since[1]}.*permission", told)
        it.project(3).repository = "ok"
        assert await it.run() == 0
        assert "not readable" not in await it.explains("component:default/s3")


async def test_a_broken_manifest_keeps_its_entity_with_the_date_and_its_owner_sees_why(
    tmp_path: Path, worker: Mortal
) -> None:
    async with operator(worker, tmp_path) as it:
        before = it.published
        it.world.commit_file(3, "qm.yaml", "version: 1\nservice:\n  name: s3\n")
        assert await it.run() == 0
        assert it.published == before
        catalog = entities_in(tmp_path / "out")
        kept = {
            entry["ref"]: entry["entity"]["metadata"]["annotations"]["fester.dev/kept-since"]
            for entry in catalog
            if "fester.dev/kept-since" in entry["entity"]["metadata"].get("annotations", {})
        }
        assert set(kept) == {"component:default/s3"}
        assert re.match(DATE, kept["component:default/s3"])
        (problem,) = [p for p in it.problems("manifest-invalid") if p["project"] == "shop/p3"]
        assert (problem["file"], problem["line"]) == ("qm.yaml", 2)
        assert "service.owner is missing" in problem["message"]
        told = await it.explains("component:default/s3")
        assert f"kept since {kept['component:default/s3']}" in told
        assert "service.owner is missing" in told
        it.world.commit_file(3, "qm.yaml", manifest("s3"))
        assert await it.run() == 0
        assert "kept-since" not in json.dumps([e["entity"] for e in entities_in(tmp_path / "out")])


@pytest.mark.parametrize("kilobytes", [4, 60])
async def test_a_full_disk_costs_a_pass_and_nothing_else(
    tmp_path: Path, worker: Mortal, kilobytes: int
) -> None:
    """A limit on files: the store cannot be written, or not all that is to be published."""
    async with operator(worker, tmp_path, services=200) as it:
        before = it.published
        for number in range(1, 201):
            it.world.commit_file(number, "qm.yaml", manifest(f"s{number}", team="other"))
        it.world.delete(1)
        assert await it.run(limit=kilobytes * 1024) == 1
        assert it.published == before
        index = (tmp_path / "out" / "index.yaml").read_text()
        assert all((tmp_path / "out" / name).exists() for name in named(index))
        assert await it.run() == 0
        assert it.published == before - {"s1"}


def named(index: str) -> list[str]:
    found = re.findall(r"entities/\w+\.yaml", index)
    assert found
    return found
