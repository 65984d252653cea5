"""A GitLab whose repositories hold more than manifests, and passes over it into a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bridge.exporters import FolderExporter, destination
from bridge.exporters.render import ShardRenderer
from bridge.model.group_defaults import DefaultsPlace
from bridge.model.scrape import ScrapeRequest
from bridge.passes.interfaces import Store
from bridge.passes.merge import Guard
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions, Stages
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import FaultPlan
from bridge.sandbox.world import World
from bridge.scrapers import GitLabOptions, GitLabScraper
from bridge.store import open_store
from tests.scrapers.crawling import TOKEN, Time

OPENAPI = "openapi: 3.1.0\ninfo: {title: Cart, version: '1'}\npaths: {}\n"


def service(name: str, definition: str = "", **more: Any) -> str:
    """A qm.yaml of one service, which offers an API if it has a definition."""
    api = {"name": f"{name} api", "type": "openapi", "definition": definition}
    given = {"name": name, "owner": {"team": "crew"}, **more}
    if definition:
        given["apis"] = {"provides": [api]}
    return yaml.safe_dump({"version": 1, "service": given})


@dataclass
class Village:
    """A world, and passes that read it into `out`; `options` are those of the crawl."""

    folder: Path
    store: Store
    url: str
    sandbox: SandboxGitLab
    world: World
    time: Time
    nested: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mappings: Mappings = field(default_factory=load_mappings)
    options: dict[str, Any] = field(default_factory=dict)
    defaults: DefaultsPlace | None = None
    page: int = 50
    to: str = ""  # another destination than the folder `out`
    passes: Passes = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As a new process: only the store and the folder are left."""
        options = GitLabOptions(page_size=self.page, concurrency=2, max_retries=1, **self.options)
        scraper = GitLabScraper(
            self.url, TOKEN, options=options, clock=self.time.clock, sleep=self.time.sleep
        )
        self.passes = Passes(
            Stages(
                scraper,
                self.mappings,
                BackstageProcessor(load_merge_rules(shipped_folder() / "merge.yaml")),
                ShardRenderer(),
                (destination(self.to) if self.to else FolderExporter(self.out),),
                self.store,
                self.time.moment,
                guard=Guard(share=1.0),
                nested=tuple(self.nested.items()),
                defaults=self.defaults,
            )
        )

    async def close(self) -> None:
        await self.store.close()

    async def lose_store(self) -> None:
        """As a new process with an empty store: only what was published is left."""
        await self.store.close()
        self.store = await open_store(f"sqlite:///{self.folder}/another.db")
        self.restart()

    @property
    def out(self) -> Path:
        return self.folder / "out"

    async def sweep(self, faults: FaultPlan | None = None) -> Pass:
        return await self._run(PassOptions(), faults)

    async def due(self, faults: FaultPlan | None = None) -> Pass:
        """The pass that the schedule asks for: what changed, unless all is due."""
        return await self._run(await self.passes.next_pass(PassOptions()), faults)

    async def hinted(self, *ids: int, faults: FaultPlan | None = None) -> Pass:
        """The pass that hooks about these projects ask for."""
        files = self.mappings.files
        return await self._run(PassOptions(request=ScrapeRequest(files, only=ids)), faults)

    async def _run(self, wish: PassOptions, faults: FaultPlan | None) -> Pass:
        self.sandbox.forget_requests()
        self.sandbox.use_faults(faults or FaultPlan())
        try:
            done = await self.passes.run(wish)
        finally:
            self.sandbox.use_faults(FaultPlan())
            await self.passes.stages.scraper.close()
        self.time.now += 600.0
        return await self.passes.with_problems(done)

    @property
    def asked(self) -> int:
        """How many requests the last pass made."""
        return len(self.sandbox.requests)

    def entities(self) -> dict[str, Any]:
        """What is published, by kind and name."""
        found = {}
        for path in sorted((self.out / "entities").glob("*.yaml")):
            for each in yaml.safe_load_all(path.read_text()):
                found[f"{each['kind']}:{each['metadata']['name']}"] = each
        return found

    def definition(self, api: str) -> str | None:
        """The text that an API's placeholder leads to; None where it has none."""
        given = self.entities()[f"API:{api}"]["spec"]["definition"]
        if isinstance(given, str):
            return None
        assert given.keys() == {"$text"}
        text: str = (self.out / "entities" / given["$text"]).read_text()
        return text

    def definitions(self) -> list[str]:
        """The names of the published definitions."""
        folder = self.out / "definitions"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@asynccontextmanager
async def village(folder: Path, **more: Any) -> AsyncIterator[Village]:
    """An empty world and its passes."""
    time = Time()
    world = World(time.moment)
    sandbox = SandboxGitLab(world, token=TOKEN)
    store = await open_store(f"sqlite:///{folder}/village.db")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(sandbox))
        made = Village(folder, store, url, sandbox, world, time, **more)
        stack.push_async_callback(made.close)
        yield made
