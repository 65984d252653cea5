"""A small GitLab with every kind of project, a crawl of it, and the comparison with the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.model.scrape import (
    Gap,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
    ScrapeRequest,
)
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import FaultPlan
from bridge.sandbox.project import SandboxFile, lfs_file, symlink
from bridge.sandbox.world import World
from bridge.scrapers import GitLabOptions, GitLabScraper

FILES = ("qm.yaml", "service.datadog.yaml")
TOKEN = "glpat-not-a-real-one"


class Time:
    """A clock that only sleeping moves, so that backing off takes no real time."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def clock(self) -> float:
        return self.now

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@dataclass
class Crawled:
    """What a crawl gave."""

    records: list[Record] = field(default_factory=list)
    requests: int = 0

    def of(self, project_id: int) -> Record | None:
        """The project's own record."""
        return next((r for r in self.records if number(r) == project_id), None)

    @property
    def read(self) -> dict[int, ProjectRead]:
        return {r.project.id: r for r in self.records if isinstance(r, ProjectRead)}

    @property
    def gaps(self) -> list[Gap]:
        return [r for r in self.records if isinstance(r, Gap)]

    @property
    def gone(self) -> set[int]:
        return {r.project_id for r in self.records if isinstance(r, ProjectGone)}

    @property
    def skipped(self) -> dict[int, str]:
        return {r.project.id: r.reason for r in self.records if isinstance(r, ProjectSkipped)}


def number(record: Record) -> int | None:
    match record:
        case ProjectRead(project) | ProjectSkipped(project, _):
            return project.id
        case Gap() | ProjectGone():
            return record.project_id
        case _:
            return None


def a_world(time: Time, projects: int = 60) -> World:
    """Ordinary projects with gaps between their ids, and one of each unpleasant kind."""
    world = World(time.moment)
    long_ago = time.moment() - timedelta(days=400)
    for n in range(1, projects + 1):
        files = {"qm.yaml": f"version: 1\nservice: {{name: s{n}}}\n"} if n % 3 else {}
        path = f"{'shop' if n % 2 else 'bank/core'}/p{n}"
        world.add_project(path, id=n * 7, files=files, created_at=long_ago)
    unpleasant: dict[str, dict[str, Any]] = {
        "odd/empty": {"repository": "empty"},
        "odd/forbidden": {"repository": "forbidden"},
        "odd/binary": {"files": {"qm.yaml": b"\0\1"}},
        "odd/large": {"files": {"qm.yaml": "#" * 300_000}},
        "odd/lfs": {"files": {"qm.yaml": lfs_file(b"x")}},
        "odd/link": {"files": {"qm.yaml": symlink("other.yaml")}},
    }
    for path, facts in unpleasant.items():
        world.add_project(path, created_at=long_ago, **facts)
    return world


async def crawl(
    world: World,
    time: Time,
    *,
    faults: FaultPlan | None = None,
    request: ScrapeRequest | None = None,
    group: str = "",
    token: str | None = TOKEN,
    **options: Any,
) -> Crawled:
    """Crawl a sandbox of `world` on loopback."""
    sandbox = SandboxGitLab(world, token=TOKEN, faults=faults)
    async with running(sandbox) as url:
        crawled = await crawl_at(url, time, request=request, group=group, token=token, **options)
    # A request with next to no time may run out of it before it reaches the server.
    if options.get("timeout", 1.0) >= 1.0:
        assert crawled.requests <= len(sandbox.requests)
    return crawled


async def crawl_at(
    url: str,
    time: Time,
    *,
    request: ScrapeRequest | None = None,
    group: str = "",
    token: str | None = TOKEN,
    **options: Any,
) -> Crawled:
    """Crawl the GitLab at `url`."""
    chosen = GitLabOptions(**{"timeout": 5.0, "page_size": 10, "concurrency": 4} | options)
    scraper = GitLabScraper(
        f"{url}/{group}", token, options=chosen, clock=time.clock, sleep=time.sleep
    )
    crawled = Crawled()
    try:
        async for record in scraper.scrape(request or ScrapeRequest(FILES)):
            crawled.records.append(record)
    finally:
        await scraper.close()
    end = crawled.records[-1]
    assert isinstance(end, ScrapeEnd)
    crawled.requests = end.requests
    return crawled


def assert_nothing_is_lost(world: World, crawled: Crawled, *, group: str = "") -> None:
    """Every project is told of once and truthfully, or lies in a gap of the enumeration."""
    told = Counter(n for record in crawled.records if (n := number(record)) is not None)
    assert max(told.values(), default=1) == 1
    lost_part = any(gap.project_id is None for gap in crawled.gaps)
    for project in world:
        if project.hidden or project.archived or not project.path.startswith(group):
            continue
        assert project.id in told or lost_part, f"{project.path} vanished without a word"
        assert project.id not in crawled.gone, f"{project.path} was taken for deleted"
        read = crawled.read.get(project.id)
        if read is not None:
            assert project.repository != "forbidden"
            truth = {name: file.oid for name, file in project.files.items() if name in FILES}
            assert {file.path: file.oid for file in read.files} == truth
            for file in read.files:
                assert file.text == expected_text(project.files[file.path])


def expected_text(file: SandboxFile) -> str | None:
    refused = file.lfs_oid or file.mode == "120000" or len(file.content) > 256 * 1024
    return None if refused else file.text
