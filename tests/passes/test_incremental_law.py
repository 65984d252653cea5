"""Law: passes in a row give, byte for byte, what one pass from nothing gives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exporters.render import Earlier, render_catalog
from bridge.model.memory import Memory
from bridge.model.runs import Artifact
from bridge.model.scrape import ManifestFile, ProjectRead, ScrapeRequest
from bridge.passes.pipeline import Guard, Known, Pass, PassOptions, Stages, restored_pass
from bridge.passes.runner import Passes
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.services_csv import ServicesCsv
from bridge.scrapers.blobs import blob_id
from tests.fakes import NOON, DictStore, RecordingExporter, project
from tests.passes.test_runner import Gitlab

MAPPINGS: Mappings = load_mappings()
RULES = load_merge_rules(shipped_folder() / "merge.yaml")


@dataclass
class Manifests(Gitlab):
    """The source of `test_passes`, with real manifests as its texts."""

    texts: dict[int, str | None] = field(default_factory=dict)

    def record(self, number: int) -> Any:
        text = self.texts.get(number)
        if number in self.unreadable or number not in self.texts or text is None:
            return super().record(number)
        raw = text.encode()
        file = ManifestFile("qm.yaml", blob_id(raw), len(raw), text)
        return ProjectRead(project(number), (file,))


def stages(gitlab: Gitlab, store: DictStore) -> Stages:
    return Stages(
        gitlab,
        MAPPINGS,
        (BackstageProcessor(RULES), ServicesCsv()),
        [RecordingExporter()],
        store,
        partial(render_catalog, earlier=Earlier()),
        lambda: NOON,
        Guard(share=1.0),
    )


def a_manifest(name: str, team: str, system: str, needs: str, tier: int) -> str:
    return (
        f"version: 1\nservice:\n  name: {name}\n  owner: {{team: {team}}}\n  system: {system}\n"
        f"  description: '{needs} {tier}'\n  tier: tier_{tier}\n  dependencies: [{needs}]\n"
    )


names = st.sampled_from(["cart", "card", "pay", "PAY", "stock", "'true'", "1.0"])
good = st.builds(a_manifest, names, names, names, names, st.integers(1, 4))
broken = st.just("version: 1\nservice: {name: x}\n")
texts = st.one_of(good, good, good, broken, st.none())
numbers = st.integers(1, 6)
steps = st.lists(st.tuples(numbers, st.sampled_from(["push", "gap", "gone"]), texts), max_size=12)


def outcome(done: Pass) -> tuple[Any, ...]:
    report = replace(done.record.report, seconds=0.0, gitlab_requests=0, published=(), projects={})
    kept = [p for p in report.problems if p.rule not in ("manifest-removed", "project-left-out")]
    return done.artifacts, replace(report, problems=tuple(kept), kind="")


async def from_nothing(memory: Memory, done: Pass) -> tuple[Artifact, ...]:
    """What stages that remember nothing make of the same memory."""
    fresh = await restored_pass(stages(Gitlab({}), DictStore()), Known(memory, done.record))
    return fresh.artifacts if fresh is not None else done.artifacts


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(numbers, texts), steps)
def test_passes_in_a_row_give_what_one_pass_from_nothing_gives(
    start: dict[int, str | None], changes: list[tuple[int, str, str | None]]
) -> None:
    async def run() -> None:
        gitlab, store = Manifests(dict(start)), DictStore()
        passes = Passes(stages(gitlab, store))
        done = await passes.run(PassOptions())
        for number, fate, text in changes:
            gitlab.unreadable = {number} if fate == "gap" else set()
            if fate == "push":
                gitlab.texts[number] = text
            elif fate == "gone":
                gitlab.texts.pop(number, None)
            request = ScrapeRequest(MAPPINGS.files, only=(number,))
            done = await passes.run(PassOptions(request=request))
            assert done.artifacts == await from_nothing(done.memory, done)
            # Another process on the same store makes the same pass of it.
            again = await Passes(stages(gitlab, copied(store))).run(PassOptions(request=request))
            assert outcome(again) == outcome(done)

    asyncio.run(run())


def copied(store: DictStore) -> DictStore:
    return DictStore(dict(store.memories), dict(store.records))
