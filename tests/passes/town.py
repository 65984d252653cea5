"""A GitLab that changes and fails, whole passes over it, and what must be true after each.

Everything is real but the GitLab (the sandbox, on loopback), the time, and the store where a test
says so. The removal guard is off: it must not be what keeps the entities.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

from bridge.exporters.filesystem import FolderExporter
from bridge.exporters.render import ShardRenderer
from bridge.model.definitions import definition_of
from bridge.model.runs import Outcome
from bridge.model.scrape import ScrapeRequest
from bridge.passes.interfaces import Store
from bridge.passes.merge import Guard
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions, Stages
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.teams import OwnerRules
from bridge.sandbox.app import CountedRequest, SandboxGitLab, running
from bridge.sandbox.faults import FaultPlan
from bridge.sandbox.project import SandboxProject
from bridge.sandbox.world import World
from bridge.scrapers import GitLabOptions, GitLabScraper
from tests.scrapers.crawling import TOKEN, Time

MAPPINGS: Mappings = load_mappings(None)
RULES = load_merge_rules(shipped_folder() / "merge.yaml")
NO_GUARD = Guard(share=1.0)
# Of the injected time, which every sleeper moves: what a pass may wait for in all.
LONGEST_PASS = timedelta(hours=6)
MOST_REQUESTS = 1_500
REAL_SECONDS = 60.0  # the last resort against a pass that waits for nothing


def manifest(number: int, revision: int = 0, *, further: bool = False) -> str:
    text = (
        f"version: 1\nservice:\n  name: s{number}\n  description: revision {revision}\n"
        "  owner: {team: crew}\n"
    )
    if further:
        text += f"  apis: {{provides: [{{name: a{number}, type: openapi, definition: {API}}}]}}\n"
        text += "include: ['*/qm.yaml']\n"
    return text


def nested(number: int) -> str:
    """The manifest of the component `n<number>`."""
    return f"version: 1\nservice: {{name: n{number}, owner: {{team: crew}}}}\n"


def definition(number: int, revision: int = 0) -> str:
    """Of the API `a<number>`."""
    title = f"{{title: a{number}, version: '{revision}'}}"
    return f"openapi: 3.1.0\ninfo: {title}\npaths: {{}}\n"


API, NESTED = "api.yaml", "svc/qm.yaml"
BROKEN = "version: 1\nservice: {name: ''}\n"


class BoundedTime(Time):
    """A clock that only sleeping moves, up to a deadline: to sleep on is to hang."""

    deadline = float("inf")

    async def sleep(self, seconds: float) -> None:
        assert self.now + seconds < self.deadline, "the pass waits and waits"
        await super().sleep(seconds)


@dataclass(frozen=True)
class Weather:
    """How GitLab fails, and how many seconds a request waits for it."""

    faults: FaultPlan = field(default_factory=FaultPlan)
    patience: float = 10.0


GOOD = Weather()
MEMBERS = {"shop": ("ann", "bob"), "bank": ("cy",), "bank/core": ("ann", "dee"), "empty": ()}
Member: TypeAlias = tuple[str, str]  # a group's name, a user's
Further: TypeAlias = tuple[str, int]  # a path, a project's number
Meanwhile = Callable[[int], None]


def nothing(seen: int) -> None:
    """Nothing happens meanwhile."""


@dataclass(frozen=True)
class Published:
    """A component as the published files have it."""

    project: str
    description: str


@dataclass
class Town:
    """A world of projects by number; project n gives the component `s<n>`."""

    folder: Path
    store: Store
    url: str
    sandbox: SandboxGitLab
    world: World
    time: BoundedTime
    revision: int = 0
    group: str = ""
    people: bool = False  # groups and their members are read, too
    further: bool = False  # projects have an API with a definition, and a nested manifest
    off: timedelta = timedelta()  # by how much Fester's clock is ahead of GitLab's
    # Projects whose latest change GitLab stamps nowhere: only a full sweep must see them.
    unstamped: set[int] = field(default_factory=set)
    passes: Passes = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget all that is only in memory, as a new process would."""
        self.passes = Passes(self._stages(GOOD.patience))

    def add(self, number: int, path: str = "", files: bool = True) -> None:
        """A new project, with a manifest or without."""
        group = "shop" if number % 2 else "bank/core"
        held = {"qm.yaml": self._manifest(number)} if files else {}
        if files and self.further:
            held |= {API: definition(number, self.revision), NESTED: nested(number)}
        self.world.add_project(path or f"{group}/p{number}", id=number, files=held)

    def commit(self, number: int) -> None:
        """A new, valid manifest."""
        self.revision += 1
        self.world.commit_file(number, "qm.yaml", self._manifest(number))

    def _manifest(self, number: int) -> str:
        return manifest(number, self.revision, further=self.further)

    def define(self, number: int) -> None:
        """Another definition of its API; the manifest stays as it is."""
        self.revision += 1
        self.world.commit_file(number, API, definition(number, self.revision))

    def break_it(self, number: int) -> None:
        """A manifest that is not valid."""
        self.revision += 1
        self.world.commit_file(number, "qm.yaml", f"{BROKEN}# {self.revision}\n")

    def nest(self, number: int) -> None:
        """A nested manifest, which the one at the root includes."""
        self.world.commit_file(number, NESTED, nested(number))

    def remove_file(self, number: int, path: str = "qm.yaml") -> None:
        if path in self.known(number).files:
            self.world.delete_file(number, path)

    def known(self, number: int) -> SandboxProject:
        project = self.world.get(number)
        assert project is not None
        return project

    def must_stand(self) -> set[int]:
        """Projects whose entities may not be removed as things are, if they were published.

        That is every project whose manifest is there, valid or not, and every one of which nobody
        can know whether it is.
        """
        return {
            p.id
            for p in self.world
            if self._listed(p) and ("qm.yaml" in p.files or self._unreadable(p))
        }

    def gives(self) -> dict[int, Published]:
        """Projects that can be read and whose manifest is valid, and what they give."""
        found = {}
        for p in self.world:
            text = p.files["qm.yaml"].content.decode() if "qm.yaml" in p.files else BROKEN
            if self._listed(p) and not self._unreadable(p) and not text.startswith(BROKEN):
                described = re.search(r"revision \d+", text)
                assert described is not None
                found[p.id] = Published(p.path, described[0])
        return found

    def more_must_stand(self) -> set[Further]:
        """The same of definitions and nested manifests."""
        standing = self.must_stand() if self.further else ()
        return {
            (path, p.id)
            for p in self.world
            if p.id in standing
            for path in (API, NESTED)
            if path in p.files or self._unreadable(p)
        }

    def gives_more(self) -> dict[Further, str]:
        """Definitions with their texts, and nested manifests, of projects that give anything."""
        found = {}
        for number in self.gives() if self.further else ():
            files = self.known(number).files
            if API in files:
                found[API, number] = files[API].content.decode()
            if NESTED in files:
                found[NESTED, number] = ""
        return found

    def more_published(self) -> dict[Further, str]:
        """The same as the published files have it."""
        found = {}
        for entity in self._entities() if self.further else ():
            kind, _, name = entity["ref"].partition(":default/")
            path = definition_of(entity["entity"])
            if path is not None:
                found[API, int(name[1:])] = (self.folder / path).read_text()
            elif kind == "component" and name.startswith("n"):
                found[NESTED, int(name[1:])] = ""
        return found

    def _belong(self) -> set[Member]:
        """Who may not be removed from a team as things are, if they were published in it."""
        return self.members() | self.members(hidden=True)

    def _listed(self, project: SandboxProject) -> bool:
        inside = not self.group or project.path.startswith(f"{self.group}/")
        left_out = self.world.is_archived(project) or self.world.is_marked_for_deletion(project)
        return inside and not left_out and not project.hidden

    def _unreadable(self, project: SandboxProject) -> bool:
        return project.repository == "forbidden" or project.poisoned

    def members(self, *, hidden: bool = False) -> set[Member]:
        """Who is a member of which group, or of the groups whose members are hidden; each group
        itself stands as one with nobody."""
        found: set[Member] = set()
        for group in self.world.groups if self.people else ():
            if (group.path in self.world.members.hidden) is hidden:
                name = group.path.replace("/", "-")
                found.add((name, ""))
                direct = self.world.members.of(group.path, ("DIRECT",))
                found |= {(name, each.user.username) for each in direct if each.user}
        return found

    def members_published(self) -> set[Member]:
        """The same as the published files have it."""
        found: set[Member] = set()
        for entity in self._entities() if self.people else ():
            name, spec = entity["entity"]["metadata"]["name"], entity["entity"]["spec"]
            if entity["ref"].startswith("group:"):
                found.add((name, ""))
            elif entity["ref"].startswith("user:"):
                found |= {(team.rpartition("/")[2], name) for team in spec["memberOf"]}
        return found

    def _entities(self) -> list[Any]:
        if not (self.folder / "catalog.json").exists():
            return []
        paths = json.loads((self.folder / "catalog.json").read_text())["shards"]
        parts = [json.loads((self.folder / path).read_text()) for path in paths]
        return [each for part in parts for each in part["entities"]]

    def published(self) -> dict[int, Published]:
        """What the files in the folder say, which must agree with each other."""
        if not (self.folder / "catalog.json").exists():
            return {}
        index = (self.folder / "index.yaml").read_text()
        shards = [self.folder / name for name in re.findall(r"entities/\w+\.yaml", index)]
        text = "".join(shard.read_text() for shard in shards)
        found = {}
        for entry in self._entities():
            name = entry["ref"].removeprefix("component:default/s")
            if name.isdigit():
                (origin,) = entry["origins"]
                description = entry["entity"]["metadata"]["description"]
                found[int(name)] = Published(origin["project"], description)
        assert set(found) == {int(n) for n in re.findall(r"\n  name: s(\d+)\n", text)}
        return found

    async def make(
        self,
        wish: PassOptions,
        weather: Weather = GOOD,
        meanwhile: Meanwhile = nothing,
        beside: Collection[int] = (),
    ) -> Pass:
        """One pass that ends, and removes nothing that stood all the while.

        `meanwhile` hears how many requests were made, before each one is answered. While it reads,
        the pass that hooks about the projects in `beside` ask for is made too.
        """
        before, standing, giving = self.published(), self.must_stand(), set(self.gives())
        members, belong = self.members_published(), self._belong()
        more, there = self.more_published(), self.more_must_stand()
        hinted: list[asyncio.Task[Pass]] = []

        def hear(_: CountedRequest) -> None:
            nonlocal standing, giving, belong, there
            if beside and not hinted:
                request = ScrapeRequest(MAPPINGS.files, only=tuple(sorted(beside)))
                hinted.append(asyncio.create_task(self.passes.run(PassOptions(request=request))))
            meanwhile(len(self.sandbox.requests))
            standing &= self.must_stand()
            giving |= set(self.gives())
            belong &= self._belong()
            there &= self.more_must_stand()

        self.sandbox.forget_requests()
        self.sandbox.use_faults(weather.faults)
        self.sandbox.on_request = hear
        self.time.deadline = self.time.now + LONGEST_PASS.total_seconds()
        self.passes.stages = self._stages(weather.patience)
        try:
            async with asyncio.timeout(REAL_SECONDS):
                done = await self.passes.run(wish)
                await asyncio.gather(*hinted)
        finally:
            self.time.deadline = float("inf")
            self.sandbox.on_request = lambda seen: None
            self.sandbox.use_faults(FaultPlan())
            await self.passes.stages.scraper.close()
        after = self.published()
        lost = (set(before) - set(after)) & standing
        assert not lost, f"{sorted(lost)} stood all the while and were removed"
        gone = (members - self.members_published()) & belong
        assert not gone, f"{sorted(gone)} belonged to it all the while and were removed"
        less = (more.keys() - self.more_published().keys()) & there
        assert not less, f"{sorted(less)} were there all the while and were removed"
        made_up = set(after) - set(before) - giving
        assert not made_up, f"{sorted(made_up)} never were there"
        assert len(self.sandbox.requests) < MOST_REQUESTS
        if done.report.outcome is Outcome.FAILED and not beside:
            assert after == before
        return done

    async def sweep(
        self,
        weather: Weather = GOOD,
        meanwhile: Meanwhile = nothing,
        beside: Collection[int] = (),
    ) -> Pass:
        """A full pass."""
        return await self.make(PassOptions(), weather, meanwhile, beside)

    async def due(
        self,
        weather: Weather = GOOD,
        meanwhile: Meanwhile = nothing,
        beside: Collection[int] = (),
    ) -> Pass:
        """The pass that is due: of what changed, or full."""
        return await self.make(
            await self.passes.next_pass(PassOptions()), weather, meanwhile, beside
        )

    async def hinted(self, ids: Collection[int], weather: Weather = GOOD) -> Pass:
        """The pass that hooks about these projects ask for."""
        request = ScrapeRequest(MAPPINGS.files, only=tuple(sorted(ids)))
        return await self.make(PassOptions(request=request), weather)

    async def converge(self) -> None:
        """After a good full pass the published files are exactly what GitLab holds."""
        before, kept = self.published(), self.must_stand()
        hidden = {team for team, _ in self.members(hidden=True)}
        unseen = {each for each in self.members_published() if each[0] in hidden}
        more = self.more_published()
        await self.sweep()
        assert self.members_published() == self.members() | unseen
        self.unstamped.clear()
        gives = self.gives()
        after = self.published()
        stays = {number: before[number] for number in kept & set(before) if number not in gives}
        assert after.keys() == gives.keys() | stays.keys()
        assert {number: after[number] for number in gives} == gives
        more = {key: value for key, value in more.items() if key[1] in stays}
        assert self.more_published() == self.gives_more() | more

    async def is_current(self) -> None:
        """After a good pass of what changed: what GitLab stamps and shows is published as it is."""
        after = self.published()
        memory = (await self.passes.known()).memory
        gaps = {number for number, known in memory.projects.items() if known.gap_since}
        for number, given in self.gives().items():
            if number not in gaps | self.unstamped:
                assert after.get(number) == given
        more = self.more_published()
        for key, text in self.gives_more().items():
            if key[1] not in gaps | self.unstamped:
                assert more.get(key) == text

    def _stages(self, timeout: float) -> Stages:
        options = GitLabOptions(
            page_size=8, concurrency=4, timeout=timeout, max_retries=2, people=self.people
        )
        url = f"{self.url}/{self.group}" if self.group else self.url
        scraper = GitLabScraper(
            url, TOKEN, options=options, clock=self.time.clock, sleep=self.time.sleep
        )
        return Stages(
            scraper,
            MAPPINGS,
            BackstageProcessor(RULES, OwnerRules(people=self.people)),
            ShardRenderer(),
            (FolderExporter(self.folder),),
            self.store,
            lambda: self.time.moment() + self.off,
            guard=NO_GUARD,
        )


@asynccontextmanager
async def town(
    folder: Path,
    store: Store,
    projects: int = 30,
    *,
    people: bool = False,
    further: bool = False,
) -> AsyncIterator[Town]:
    """A town of so many projects, most with a manifest, before its first pass.

    With `people` its groups have members, who are read, too; with `further` its projects have APIs
    with definitions, and nested manifests.
    """
    time = BoundedTime()
    world = World(time.moment)
    sandbox = SandboxGitLab(world, token=TOKEN)
    async with running(sandbox) as url:
        made = Town(folder, store, url, sandbox, world, time, people=people, further=further)
        for number in range(1, projects + 1):
            made.add(number * 7, files=number % 4 != 0)
        for group, names in MEMBERS.items() if people else ():
            world.add_group(group)
            for name in names:
                world.members.add(group, name)
        time.now += 7200.0
        yield made
