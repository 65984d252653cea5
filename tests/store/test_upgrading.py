"""A store that version 0.1.0 wrote: `version_0_1_0.sql` are its rows after two passes.

Three services were published; the manifest of one of them is broken since the second pass.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.exporters.render import ShardRenderer
from bridge.model.runs import Outcome
from bridge.model.scrape import Gap
from bridge.model.work import OnCatalog, Task
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions, Stages
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import load_mappings
from bridge.store import open_store
from bridge.wiring.mappings import mappings_and_rules
from tests.fakes import NOON, ListScraper, RecordingExporter
from tests.store.older_stores import older_store

SOURCE = "https://gitlab.test"
PROJECTS = (5334585222847867, 3349749384297002, 4384820625856339)
NAMES = {"cart", "pay", "ledger"}


@pytest.mark.store
async def test_tasks_that_were_shared_are_what_they_were(tmp_path: Path) -> None:
    """`tasks_0019.sql` has a sweep that was read, and what was then merged of it."""
    store = await open_store(older_store(tmp_path / "s.db", "0019", "tasks_0019.sql"))
    try:
        found = await store.parts.progress(SOURCE)
        assert [each.task for each in found] == [Task.READ, Task.MERGE]
        read, merged = [await store.parts.claim(sweep, 0, "worker") for sweep in (7, 8)]
        assert read is not None
        assert merged is not None
        assert (read.part.files, read.part.projects) == (("qm.yaml",), ((1, "group/p1"),))
        what = OnCatalog(Task.MERGE, ("component:default/cart",), "abc", 4)
        assert merged.part.on_catalog == what
    finally:
        await store.close()


@pytest.mark.store
async def test_what_an_older_fester_published_stands_until_it_is_read(tmp_path: Path) -> None:
    store = await open_store(older_store(tmp_path / "s.db", "0005", "version_0_1_0.sql"))
    try:
        record = await store.latest(SOURCE)
        assert record is not None
        components = {e.ref.name for e in record.catalog.entities if e.ref.kind == "component"}
        assert components == NAMES
        assert len((await store.load(SOURCE)).manifests) == 3
        exporter = RecordingExporter()
        gaps = [Gap("503", number) for number in PROJECTS]
        stages = Stages(
            ListScraper(gaps),
            load_mappings(),
            BackstageProcessor(mappings_and_rules(None)[1]),
            ShardRenderer(),
            [exporter],
            store,
            lambda: NOON,
        )
        done = await Passes(stages).run(PassOptions())
        assert done.report.outcome is Outcome.INCOMPLETE
        assert done.report.manifests == {"valid": 2, "quarantined": 1, "ignored": 0}
        assert done.report.entities["Component"] == 3
        (yaml,) = [a.body for a in exporter.published[-1] if a.path == "entities/all.yaml"]
        assert all(f"\n  name: {name}\n".encode() in yaml for name in NAMES)
        assert b"fester.dev/kept-since" in yaml  # the broken one stands on its older text
    finally:
        await store.close()
