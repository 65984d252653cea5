"""Law: passes in a row give, byte for byte, what one pass from nothing gives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.exporters.render import ShardRenderer, render_catalog
from bridge.model.blob_ids import blob_id
from bridge.model.entities import Catalog
from bridge.model.memory import Memory
from bridge.model.problems import Problem
from bridge.model.runs import Outcome
from bridge.model.scrape import ManifestFile, ProjectRead, ScrapeRequest
from bridge.model.statements import entity_digest
from bridge.passes.intake import counted
from bridge.passes.interfaces import Store
from bridge.passes.merge import Guard
from bridge.passes.reasons import gap_problem, problems_of
from bridge.passes.reconcile import translated_manifests
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions, Stages
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.services_csv import ServicesCsv
from bridge.store import SqlStore, open_store
from tests import whole
from tests.fakes import NOON, RecordingExporter, fresh, project
from tests.laws import examples
from tests.passes.test_runner import Gitlab

SOURCE = "https://gitlab.test"
ACCEPTED = PassOptions(accept_removals=True)  # an emptied catalog is withheld else
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


def stages(gitlab: Gitlab, store: Store) -> Stages:
    return Stages(
        gitlab,
        MAPPINGS,
        BackstageProcessor(RULES),
        ShardRenderer(),
        [RecordingExporter()],
        store,
        lambda: NOON,
        lists=(ServicesCsv(),),
        guard=Guard(share=1.0),
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
steps = st.lists(
    st.tuples(numbers, st.sampled_from(["push", "push", "gap", "gone", "sweep", "restart"]), texts),
    max_size=12,
)


def without_hints(problems: Iterable[Problem]) -> list[str]:
    """What is wrong, without what may have been meant: that is told as of when it was found."""
    told = (replace(each, message=each.message.partition("; did you mean")[0]) for each in problems)
    return sorted(repr(each) for each in told if each.rule not in ("removals-withheld",))


async def is_as_made_at_once(passes: Passes, store: SqlStore) -> None:
    """The model is what everything that is known gives at once: entities, files and problems."""
    known = await passes.known()
    manifests = translated_manifests(known.memory)
    catalog, problems = whole.processed(manifests, BackstageProcessor(RULES))
    assert [(e.ref, e.body) for e in known.catalog.entities] == [
        (e.ref, e.body) for e in catalog.entities
    ]
    assert [entity_digest(e) for e in known.catalog.entities] == [
        entity_digest(e) for e in catalog.entities
    ]
    files = await store.model.files(SOURCE)
    rendered = {a.path: sha256(a.body).hexdigest() for a in render_catalog(catalog)}
    assert {path: each.digest for path, each in files.items() if path in rendered} == rendered
    assert files.keys() - rendered.keys() <= {"services.csv"}
    standing = await store.model.problems(SOURCE)
    theirs = [p for key, each in known.memory.manifests.items()
              for p in problems_of(known.memory.projects[key[0]], each)]  # fmt: skip
    gaps = [p for each in known.memory.projects.values() if (p := gap_problem(each))]
    assert without_hints(standing) == without_hints([*problems, *theirs, *gaps])
    assert await counted_again(known.memory, catalog) == dict(
        (await store.model.state(SOURCE)).figures
    )


async def counted_again(memory: Memory, catalog: Catalog) -> dict[str, int]:
    figures = {f"entities.{kind}": count for kind, count in catalog.counts().items()}
    return {name: n for name, n in sorted({**figures, **counted(memory)}.items()) if n}


@pytest.mark.store
@settings(max_examples=examples(40), deadline=None)
@given(st.dictionaries(numbers, texts), steps)
def test_passes_in_a_row_give_what_one_pass_from_nothing_gives(
    start: dict[int, str | None], changes: list[tuple[int, str, str | None]]
) -> None:
    """Sweeps, pushes, gaps and restarts in any order."""

    async def run(folder: Path) -> None:
        gitlab = Manifests(dict(start))
        store = await open_store(fresh(folder))
        try:
            passes = Passes(stages(gitlab, store))
            await passes.run(ACCEPTED)
            await is_as_made_at_once(passes, store)
            for number, fate, text in changes:
                gitlab.unreadable = {number} if fate == "gap" else set()
                if fate == "push":
                    gitlab.texts[number] = text
                elif fate == "gone":
                    gitlab.texts.pop(number, None)
                if fate == "restart":
                    passes = Passes(stages(gitlab, store))
                if fate == "sweep":
                    done = await passes.run(ACCEPTED)
                else:
                    request = ScrapeRequest(MAPPINGS.files, only=(number,))
                    done = await passes.run(replace(ACCEPTED, request=request))
                assert done.report.outcome in (Outcome.COMPLETE, Outcome.INCOMPLETE)
                await is_as_made_at_once(passes, store)
        finally:
            await store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
