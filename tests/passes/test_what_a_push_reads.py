"""A push must not look through whole tables, nor an idle pass through all that is published.

Its statements are held to SQLite's own plans.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.manifests import TranslatedManifest
from bridge.model.runs import Artifact, Stage
from bridge.passes.runner import Passes
from bridge.store import open_store
from tests.fakes import WordMaker, WordRenderer
from tests.passes.test_runner import Bench, Gitlab

# Tables with as many rows as there are projects, or more.
LARGE = ("projects", "manifests", "statements", "entities", "targets", "names", "problems")


@contextmanager
def statements() -> Iterator[dict[str, Any]]:
    """Collects each statement that is sent to a database, with parameters of one time."""
    found: dict[str, Any] = {}

    def note(
        _c: object, _cursor: object, text: str, given: Any, _context: object, many: bool
    ) -> None:
        found[text] = given[0] if many else given

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def reads_all(plan: str) -> bool:
    """Whether a step of a plan goes through all that is known of a source."""
    large = any(f"fester_{table} " in f"{plan} " for table in LARGE)
    keyed = "(source_id=? AND" in plan or "rowid=?" in plan or "INTEGER PRIMARY KEY" in plan
    return large and (plan.startswith("SCAN") or (plan.startswith("SEARCH") and not keyed))


@pytest.mark.parametrize(
    ("plan", "whole"),
    [
        ("SCAN fester_statements", True),
        ("SEARCH fester_statements USING PRIMARY KEY (source_id=?)", True),
        ("SEARCH fester_statements USING PRIMARY KEY (source_id=? AND ref=?)", False),
        ("SEARCH fester_sources USING INTEGER PRIMARY KEY (rowid=?)", False),
        ("SCAN fester_passes", False),
    ],
)
def test_a_step_through_everything_is_told(plan: str, whole: bool) -> None:
    assert reads_all(plan) is whole


@pytest.mark.store
async def test_no_statement_of_a_push_looks_through_a_table(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        bench = Bench(Gitlab({number: f"word{number}" for number in range(1, 30)}), store)
        await bench.due()
        bench.gitlab.texts |= {2: "other", 3: None}
        with statements() as sent:
            done = await bench.hinted(2, 3)
        assert done.changes.removed
    finally:
        await store.close()
    looking = {
        text: given
        for text, given in sent.items()
        if text.startswith(("SELECT", "UPDATE", "DELETE")) or " SELECT " in text
    }
    assert len(looking) > 10
    whole = []
    with sqlite3.connect(tmp_path / "s.db") as connection:
        for text, given in looking.items():
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", given)]
            whole += [(step, text) for step in plan if reads_all(step)]
    connection.close()
    # The one shard of so small a catalog is all of it: it is counted and rendered.
    shard = "WHERE fester_entities.source_id = ?"
    ends = (shard, f"{shard} GROUP BY bits")
    assert [step for step, text in whole if not text.endswith(ends)] == []
    assert len(whole) <= 2


class Counting(WordRenderer):
    """Counts how often the index of all shards is made."""

    def __init__(self) -> None:
        super().__init__()
        self.indexes = 0

    def index(self, shards: Sequence[str]) -> tuple[Artifact, ...]:
        self.indexes += 1
        return super().index(shards)


@pytest.mark.store
async def test_the_index_of_all_shards_is_made_only_when_there_may_be_others(
    tmp_path: Path,
) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        bench = Bench(Gitlab({number: f"word{number}" for number in range(1, 30)}), store)
        renderer = Counting()
        bench.passes = Passes(replace(bench.stages(), renderer=renderer), full_every=3600)
        await bench.due()
        await bench.due()  # it finds that the published one is as it would be made
        made = renderer.indexes
        await bench.due()
        bench.gitlab.texts |= {2: "other"}
        done = await bench.hinted(2)
        assert done.changes.put
        assert renderer.indexes == made
        # Another process has nothing to go by.
        bench.passes = Passes(replace(bench.stages(), renderer=renderer), full_every=3600)
        await bench.due()
        assert renderer.indexes == made + 1
    finally:
        await store.close()


@pytest.mark.store
async def test_a_lost_index_is_made_again_by_whoever_takes_over(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        bench = Bench(Gitlab({1: "a", 2: "b"}), store)
        await bench.due()
        await bench.due()
        with sqlite3.connect(tmp_path / "s.db") as connection:
            index = WordRenderer().index([""])[0].path
            connection.execute("DELETE FROM fester_files WHERE path = ?", (index,))
        connection.close()
        bench.passes = Passes(bench.stages(), full_every=3600)
        await bench.due()
        assert index in await store.model.files(bench.gitlab.name)
    finally:
        await store.close()


@pytest.mark.store
async def test_an_idle_pass_sends_the_same_statements_whatever_the_size(tmp_path: Path) -> None:
    sent: dict[int, list[str]] = {}
    for count in (3, 300):
        store = await open_store(f"sqlite:///{tmp_path}/{count}.db")
        try:
            bench = Bench(Gitlab({number: f"word{number}" for number in range(count)}), store)
            await bench.due()
            await bench.due()
            with statements() as found:
                await bench.due()
            sent[count] = sorted(found)
            with sqlite3.connect(tmp_path / f"{count}.db") as connection:
                for text, given in found.items():
                    if text.startswith("SELECT"):
                        assert len(connection.execute(text, given).fetchall()) <= 1, text
            connection.close()
        finally:
            await store.close()
    assert sent[3] == sent[300]


@dataclass(frozen=True)
class Halves(WordRenderer):
    """Entities in two shards, by the first letter of their names; notes what is rendered."""

    limit: int = 1
    rendered: list[str] = field(default_factory=list)

    def place(self, ref: Ref) -> str:
        return "0" if ref.name < "m" else "1"

    def shard(self, bits: str, entities: Sequence[CatalogEntity]) -> tuple[Artifact, ...]:
        self.rendered.append(bits)
        body = "\n".join(str(entity.ref) for entity in entities).encode()
        return (Artifact(f"half/{bits}", body, "text/plain", Stage.ENTITIES),)

    def bits(self, path: str) -> str | None:
        return path.removeprefix("half/") if path.startswith("half/") else None


@pytest.mark.store
async def test_a_pass_renders_what_is_shown_otherwise_and_no_more(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    differs: list[Collection[Ref] | None] = []

    async def renew(files: object, note: Callable[..., Awaitable[None]]) -> None:
        await note(differs.pop())

    try:
        bench = Bench(Gitlab({1: "early", 2: "late", 3: "zeal", 4: "zest"}), store)
        renderer = Halves()
        bench.passes = Passes(replace(bench.stages(), renderer=renderer, renew=renew))
        late = Ref("component", "default", "late")
        for wanted, rendered in (
            (None, ["0", "1"]),
            ((), []),
            ((late,), ["0"]),
            (None, ["0", "1"]),
        ):
            differs.append(wanted)
            renderer.rendered.clear()
            await bench.due()
            assert sorted(renderer.rendered) == rendered
    finally:
        await store.close()


@dataclass(frozen=True)
class Learning(WordMaker):
    """Learns what manifests describe, and notes at which of them it looks."""

    learns: bool = True
    looked: list[str] = field(default_factory=list)
    knows: tuple[str, ...] = ()

    def described(self, manifest: TranslatedManifest) -> Sequence[str]:
        words = [str(draft.body["metadata"]["name"]) for draft in manifest.translation.drafts]
        self.looked.extend(words)
        return words

    def learned(self, described: Sequence[str]) -> Learning:
        return replace(self, knows=tuple(described), fingerprint=" ".join(sorted(described)))


@pytest.mark.store
async def test_what_manifests_describe_is_looked_at_when_they_changed(
    tmp_path: Path,
) -> None:
    """Whoever changed them. An idle pass, of which there are many, looks at none."""
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        bench, maker = Bench(Gitlab({1: "a", 2: "b"}), store), Learning()
        bench.passes = Passes(replace(bench.stages(), maker=maker), full_every=3600)
        await bench.due()
        assert sorted(maker.looked) == ["a", "b"]
        maker.looked.clear()
        await bench.due()
        await bench.due()
        assert maker.looked == []
        bench.gitlab.texts |= {2: "c"}
        await bench.hinted(2)
        await bench.due()
        assert maker.looked == ["c"]  # the other one is as it was
        assert (await store.model.state(bench.gitlab.name)).rules == "a c"
        other = Bench(bench.gitlab, store)
        bench.gitlab.texts |= {1: "d"}
        await other.hinted(1)
        await bench.due()
        assert (await store.model.state(bench.gitlab.name)).rules == "c d"
    finally:
        await store.close()


@pytest.mark.store
async def test_a_push_knows_what_another_process_learned_that_led_meanwhile(
    tmp_path: Path,
) -> None:
    """Else it would publish all by what was described before, until the next scheduled pass."""
    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        bench = Bench(Gitlab({1: "a", 2: "b"}), store)
        bench.passes = Passes(replace(bench.stages(), maker=Learning()), full_every=3600)
        await bench.due()
        other = Bench(bench.gitlab, store)
        other.passes = Passes(replace(other.stages(), maker=Learning()), full_every=3600)
        bench.gitlab.texts |= {1: "d"}
        bench.gitlab.changed = {1}
        await other.due()
        assert (await store.model.state(bench.gitlab.name)).rules == "b d"
        await bench.hinted(2)
        assert (await store.model.state(bench.gitlab.name)).rules == "b d"
    finally:
        await store.close()
