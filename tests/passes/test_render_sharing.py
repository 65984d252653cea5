"""What several processes render is published as if one had, definitions and all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from bridge.exporters import render
from bridge.exporters.render import ShardRenderer
from bridge.model.definitions import beside
from bridge.model.entities import CatalogEntity
from bridge.model.runs import Artifact, Outcome
from bridge.model.work import Claim, Part, PartRead, Task
from bridge.passes import render_sharing
from bridge.passes.further import further
from bridge.passes.render_sharing import rendered_part
from bridge.passes.sharing import read_part
from bridge.passes.task_sharing import CatalogHand
from bridge.service.worker import PartReader
from bridge.store import SqlStore
from bridge.store.work import SharedWork
from tests.passes.test_sharing import Here
from tests.passes.village import OPENAPI, Village, service, village

pytestmark = pytest.mark.real

SERVICES = [f"s{n}" for n in range(8)]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "SHARD_LIMIT", 2)
    monkeypatch.setattr(render_sharing, "PART", 3)
    monkeypatch.setattr(render_sharing, "LEAST", 4)


@dataclass(frozen=True)
class Counting(ShardRenderer):
    """Keeps which shards it rendered."""

    made: list[str] = field(default_factory=list)

    def shard(self, bits: str, entities: Sequence[CatalogEntity]) -> tuple[Artifact, ...]:
        self.made.append(bits)
        return super().shard(bits, entities)


class Crew:
    """A leader over a village, and a worker beside it."""

    def __init__(self, it: Village) -> None:
        self.it, self.queue = it, Here()
        self.store = cast(SqlStore, it.store)
        self.ours, self.theirs = Counting(), Counting()
        self.hand = CatalogHand(self.store.model, self.store.parts)
        self.reader = PartReader(self.store.parts, self.read, self.write, "worker")
        self.queue.do = self.reader.do
        self.shared(True)

    def shared(self, shared: bool) -> None:
        """Whether the passes from now on are shared."""
        work = SharedWork(self.store.parts, self.queue, str, "leader", 5, clock=lambda: 0.0)
        stages = replace(self.it.passes.stages, renderer=self.ours)
        self.it.passes.stages = replace(stages, work=work if shared else None)

    async def read(self, part: Part) -> PartRead:
        stages, model = self.it.passes.stages, self.store.model
        more = further(part.source, model.reads, stages.translator, ())
        return await read_part(part, stages.scraper, stages.translator, model, more)

    async def write(self, claim: Claim) -> bool:
        return await self.hand.do(claim, self.it.passes.stages.maker, self.theirs)

    def files(self) -> dict[str, bytes]:
        out = self.it.out
        found = (path for path in out.rglob("*") if path.is_file())
        return {str(path.relative_to(out)): path.read_bytes() for path in found}

    async def again(self) -> None:
        """Have all rendered anew by the leader alone."""
        self.ours.made.clear()
        model, source = self.store.model, self.it.passes.stages.scraper.name
        await model.note_places(source, (await model.state(source)).edition, None)
        self.it.restart()
        self.shared(False)
        await self.it.sweep()


@asynccontextmanager
async def a_crew(folder: Path) -> AsyncIterator[Crew]:
    async with village(folder) as it:
        for name in SERVICES:
            text = OPENAPI.replace("Cart", name)
            files = {"qm.yaml": service(name, "api.yaml", system="shop"), "api.yaml": text}
            it.world.add_project(f"shop/{name}", files=files)
        yield Crew(it)


async def test_the_leader_renders_nothing_that_others_do(tmp_path: Path) -> None:
    """It would have published the same to the byte, definitions as well."""
    async with a_crew(tmp_path) as crew:
        assert (await crew.it.sweep()).report.outcome is Outcome.COMPLETE
        shards = sorted(crew.theirs.made)
        assert (len(shards) >= 8, len(shards), crew.ours.made) == (True, len(set(shards)), [])
        assert {crew.it.definition(f"{name}-api") for name in SERVICES} == {
            OPENAPI.replace("Cart", name) for name in SERVICES
        }
        (told,) = [
            each
            for each in await crew.store.parts.progress(crew.it.passes.stages.scraper.name)
            if each.task is Task.RENDER
        ]
        assert (told.projects_done, told.failed, told.left) == (len(shards), 0, 0)
        files = crew.files()
        await crew.again()
        assert (sorted(crew.ours.made), crew.files()) == (shards, files)


async def test_what_nobody_could_render_the_leader_renders(tmp_path: Path) -> None:
    async with a_crew(tmp_path) as crew:

        async def breaks(claim: Claim) -> bool:
            on_catalog = claim.part.on_catalog
            if on_catalog is not None and on_catalog.task is Task.RENDER and claim.part.number == 1:
                raise ZeroDivisionError
            return await crew.write(claim)

        crew.reader.write = breaks
        assert (await crew.it.sweep()).report.outcome is Outcome.COMPLETE
        assert (len(crew.ours.made), set(crew.ours.made) & set(crew.theirs.made)) == (3, set())
        files = crew.files()
        await crew.again()
        assert crew.files() == files


async def test_a_shard_that_names_a_lost_definition_is_rendered_by_the_leader(
    tmp_path: Path,
) -> None:
    """Only it puts a sentence in place of one."""
    lost = beside("f" * 40, "api.yaml")
    async with a_crew(tmp_path) as crew:
        named: list[str] = []

        async def named_wrongly(claim: Claim) -> bool:
            what, parts, model = claim.part.on_catalog, crew.store.parts, crew.store.model
            if what is None or what.task is not Task.RENDER or named:
                return await crew.write(claim)
            found = await rendered_part(claim.part.source, what.items, model, crew.theirs)
            first, *others = found.shards
            named.append(first.bits)
            first = replace(first, files=(), definitions=(lost,))
            return await parts.finish(claim, PartRead(shards=(first, *others)))

        crew.reader.write = named_wrongly
        assert (await crew.it.sweep()).report.outcome is Outcome.COMPLETE
        assert crew.ours.made == named
        assert lost not in crew.files()


async def test_what_is_too_much_to_hand_over_the_leader_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_sharing, "BYTES", 0)
    monkeypatch.setattr(render_sharing, "SHARDS_AT_ONCE", 2)
    async with a_crew(tmp_path) as crew:
        assert (await crew.it.sweep()).report.outcome is Outcome.COMPLETE
        ours, theirs = sorted(crew.ours.made), sorted(crew.theirs.made)
        assert (len(ours), set(ours) & set(theirs)) == (len(ours + theirs) // 3, set())
        files = crew.files()
        await crew.again()
        assert (sorted(crew.ours.made), crew.files()) == (sorted(ours + theirs), files)


async def test_few_shards_are_sooner_rendered_than_handed_out(tmp_path: Path) -> None:
    async with a_crew(tmp_path) as crew:
        await crew.it.sweep()
        theirs = len(crew.theirs.made)
        crew.it.world.commit_file(1, "qm.yaml", service("s0", description="Another word."))
        await crew.it.sweep()
        assert 0 < len(crew.ours.made) < 4
        assert len(crew.theirs.made) == theirs
