"""The catalog's model in tables: what is known, what it says of entities, what was made of it.

Every write makes an edition, see `editions`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from bridge.errors import StoreError
from bridge.model.entities import CatalogEntity
from bridge.model.memory import KnownProject, Memory, SourceState
from bridge.model.problems import Problem
from bridge.model.runs import Artifact
from bridge.model.statements import (
    Checked,
    Concluded,
    Merged,
    Statement,
    StoredEntity,
    StoredFile,
    Taken,
)
from bridge.model.todo import Todo
from bridge.store import known, links, rows, speaking
from bridge.store.addresses import addresses
from bridge.store.codec import Undecodable, decode_horizon
from bridge.store.concluded import write_concluded
from bridge.store.editions import Editions
from bridge.store.entity_rows import under_place
from bridge.store.merging import write_checked, write_merged, write_removed
from bridge.store.reads import SqlReads
from bridge.store.sources import batched, parts_of
from bridge.store.stale import move, note, note_all, noted
from bridge.store.tables import (
    entities,
    files,
    problems,
    sources,
    stale,
    statements,
)
from bridge.store.taken import write_taken


class SqlModel:
    """A `bridge.passes.interfaces.ModelStore` in SQLite or PostgreSQL; `SqlStore.model`."""

    def __init__(self, editions: Editions, clock: Callable[[], datetime]) -> None:
        self._of, self._changing = editions.of, editions.changing
        self._standing = editions.standing
        self._clock = clock
        self._reads = SqlReads(self._of, self._changing)

    @property
    def reads(self) -> SqlReads:
        """What was read of repositories besides their manifests."""
        return self._reads

    # What is known of the source.

    async def state(self, source: str) -> SourceState:
        """How far the source is known, the counts of it, and its edition."""
        async with self._of(source, "look at") as (connection, source_id):
            columns = sources.c
            wanted = select(
                columns.horizon, columns.passes, columns.edition, columns.figures, columns.rules
            ).where(columns.id == source_id)
            row = (await connection.execute(wanted)).one_or_none()
        if row is None:
            return SourceState()
        try:
            horizon = decode_horizon(row.horizon, row.passes)
            figures = Counter({str(k): int(v) for k, v in json.loads(row.figures).items()})
        except (Undecodable, ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"the state of {source} (table fester_sources): {error}") from error
        return SourceState(horizon, row.edition, figures, row.rules)

    async def known(self, source: str, ids: Collection[int]) -> Memory:
        """What is known of these projects."""
        async with self._of(source, "load what is known of") as (connection, source_id):
            return await known.memory_of(connection, source_id, ids)

    async def marks(
        self, source: str, ids: Collection[int]
    ) -> Mapping[int, tuple[KnownProject, Mapping[str, str]]]:
        """Of each of these projects what is known, with the fingerprints of its files."""
        async with self._of(source, "look at projects of") as (connection, source_id):
            return await known.marks_of(connection, source_id, ids)

    async def project_ids(self, source: str) -> AsyncIterator[list[int]]:
        """The ids of all projects that are known, many at a time."""
        async with self._of(source, "list the projects of") as (connection, source_id):
            async for part in known.ids(connection, source_id):
                yield part

    async def gaps(self, source: str) -> list[KnownProject]:
        """The projects that cannot be read as things stand, by id."""
        async with self._of(source, "list the gaps of") as (connection, source_id):
            return await known.gaps(connection, source_id)

    async def gitlabs(self, source: str, names: Collection[str]) -> Mapping[str, str]:
        """Under which address each of these GitLabs has its projects' pages, as far as is known."""
        async with self._of(source, "look for addresses in") as (connection, source_id):
            return await addresses(connection, source_id, names)

    async def in_groups(self, source: str, groups: Collection[str]) -> frozenset[int]:
        """The ids of the projects that lie in groups, named by their paths in lower case."""
        async with self._of(source, "look for groups of") as (connection, source_id):
            return await known.in_groups(connection, source_id, groups)

    # Taking in what a scrape saw.

    async def take(self, source: str, edition: int, taken: Taken, lane: str) -> int:
        """Write what changed, and note in `lane` which entities are to be merged anew.

        Gives the new edition. Raises `StoreConflict` when `edition` is not the latest.
        """
        async with self._changing(source, edition, taken.figures) as (connection, source_id):
            await write_taken(connection, source_id, taken, lane)
        self._standing.replaced(source, edition + 1, taken.problems)
        return edition + 1

    async def begin_restating(self, source: str, edition: int) -> int:
        """Begin to work out anew what all manifests say: the figures begin with the entities, and
        no rules are in force until all of it is done."""
        kinds: Counter[str] = Counter()
        async for part in self.catalog(source):
            kinds.update(f"entities.{entity.body['kind']}" for entity in part)
        async with self._changing(source, edition, {}) as (connection, source_id):
            await connection.execute(
                update(sources)
                .where(sources.c.id == source_id)
                .values(figures=json.dumps(kinds, sort_keys=True), rules="")
            )
        return edition + 1

    async def lanes(self, source: str) -> frozenset[str]:
        """The lanes and stages in which something is noted."""
        async with self._of(source, "look at the work on") as (connection, source_id):
            wanted = select(stale.c.stage).where(stale.c.source_id == source_id).distinct()
            return frozenset((await connection.execute(wanted)).scalars())

    async def begin_merging(
        self, source: str, edition: int, rules: str, lanes: Collection[str]
    ) -> int:
        """Make what is noted in `lanes` ready for merging; of other `rules`, everything.

        `lanes` are some of those in which something is noted (`lanes`): none is looked at again.
        """
        state = await self.state(source)
        if state.rules == rules and not lanes:
            return edition
        async with self._changing(source, edition, {}) as (connection, source_id):
            for lane in lanes:
                await move(connection, source_id, lane, Todo.MERGE)
            if state.rules != rules:
                for table, column, stage in (
                    (statements, statements.c.ref, Todo.MERGE),
                    (entities, entities.c.ref, Todo.MERGE),
                    (entities, entities.c.ref, Todo.CHECK),
                    (entities, entities.c.place, Todo.RENDER),
                ):
                    mine = table.c.source_id == source_id
                    await note_all(connection, source_id, stage, column, mine)
                await connection.execute(
                    update(sources).where(sources.c.id == source_id).values(rules=rules)
                )
        return edition + 1

    async def note_places(self, source: str, edition: int, places: Collection[str] | None) -> int:
        """Note that what lies at these places is to be rendered; None: everything."""
        async with self._changing(source, edition, {}) as (connection, source_id):
            if places is not None:
                await note(connection, source_id, Todo.RENDER, places)
                return edition + 1
            mine = entities.c.source_id == source_id
            await note_all(connection, source_id, Todo.RENDER, entities.c.place, mine)
        return edition + 1

    async def todo(
        self, source: str, stage: str, limit: int | None = None, after: str = ""
    ) -> list[str]:
        """What is left to do in a stage, in order; at most so much, of what comes `after`."""
        async with self._of(source, "look at the work on") as (connection, source_id):
            wanted = select(stale.c.item).where(
                stale.c.source_id == source_id, stale.c.stage == stage
            )
            if after:
                wanted = wanted.where(stale.c.item > after)
            found = await connection.execute(wanted.order_by(stale.c.item).limit(limit))
            return [row.item for row in found]

    async def noted(self, source: str, stage: str, items: Collection[str]) -> set[str]:
        """Those of some items that are noted in a stage."""
        async with self._of(source, "look at the work on") as (connection, source_id):
            return await noted(connection, source_id, stage, items)

    # Merging.

    async def speaking_of(
        self, source: str, refs: Collection[str]
    ) -> Mapping[str, list[Statement]]:
        """All that is said of these references, each in the order of `Statement.place`."""
        async with self._of(source, "load what is said in") as (connection, source_id):
            return await speaking.of(connection, source_id, refs)

    async def entities(self, source: str, refs: Collection[str]) -> Mapping[str, StoredEntity]:
        """These entities, as far as they are there."""
        found: dict[str, StoredEntity] = {}
        async with self._of(source, "load entities of") as (connection, source_id):
            for part in batched(refs):
                wanted = select(entities).where(
                    entities.c.source_id == source_id, entities.c.ref.in_(part)
                )
                for row in await connection.execute(wanted):
                    found[row.ref] = rows.stored_entity(row)
        return found

    async def merged(self, source: str, edition: int, done: Merged) -> int:
        """Write what merging gave, and note what is to be checked and rendered for it."""
        async with self._changing(source, edition, done.figures) as (connection, source_id):
            await write_merged(connection, source_id, done)
        self._standing.replaced(source, edition + 1, done.problems)
        return edition + 1

    async def written_by_others(self, source: str, edition: int) -> int:
        """Go on from what other processes wrote: none of them may write any more."""
        async with self._changing(source, edition, {}):
            pass
        return edition + 1

    async def remove(
        self, source: str, edition: int, refs: Sequence[str], figures: Mapping[str, int]
    ) -> int:
        """Remove entities of which nobody speaks, and note what is to be done for it."""
        async with self._changing(source, edition, figures) as (connection, source_id):
            problems = await write_removed(connection, source_id, refs)
        self._standing.replaced(source, edition + 1, problems)
        return edition + 1

    async def missing(self, source: str, refs: Collection[str]) -> Mapping[str, set[str]]:
        """What these entities point at and is not there."""
        async with self._of(source, "check the references of") as (connection, source_id):
            return await links.missing(connection, source_id, refs)

    async def relinked(self, source: str, refs: Collection[str]) -> set[str]:
        """Those of these entities whose references were put right."""
        async with self._of(source, "check the references of") as (connection, source_id):
            return await links.put_right(connection, source_id, refs)

    async def neighbours(
        self, source: str, refs: Collection[str], count: int
    ) -> Mapping[str, Sequence[str]]:
        """For each reference the entities of its kind that begin or end most like it, sorted."""
        async with self._of(source, "look for names in") as (connection, source_id):
            return await links.alike(connection, source_id, refs, count)

    async def pointing_at(self, source: str, spelt: str) -> list[str]:
        """The entities that refer to what is spelt so, in whatever spelling they were merged with.

        `spelt` is a reference in the one spelling of all.
        """
        async with self._of(source, "look for references in") as (connection, source_id):
            return await links.pointing_at(connection, source_id, spelt)

    async def named(
        self, source: str, names_: Collection[str]
    ) -> Mapping[tuple[int, str], Sequence[str]]:
        """The entities that go by some names, by rank and name."""
        async with self._of(source, "look for names in") as (connection, source_id):
            return await links.named(connection, source_id, names_)

    async def checked(self, source: str, edition: int, done: Checked) -> int:
        """Write what is wrong with the references of entities, and those that were put right."""
        async with self._changing(source, edition, {}) as (connection, source_id):
            await write_checked(connection, source_id, done)
        self._standing.replaced(source, edition + 1, done.problems)
        return edition + 1

    # Rendering and publishing.

    async def count_under(self, source: str, place: str, deeper: int) -> Mapping[str, int]:
        """How many entities have a place that begins so, by that and so many more of its bits."""
        async with self._of(source, "count entities of") as (connection, source_id):
            bits = func.substr(entities.c.place, 1, len(place) + deeper).label("bits")
            wanted = select(bits, func.count()).where(*under_place(source_id, place))
            return {row[0]: row[1] for row in await connection.execute(wanted.group_by("bits"))}

    async def under(self, source: str, places: Sequence[str]) -> list[list[CatalogEntity]]:
        """For each of some beginnings the entities whose place begins so, sorted by reference."""
        found: list[list[CatalogEntity]] = []
        async with self._of(source, "load entities of") as (connection, source_id):
            for place in places:
                wanted = select(entities).where(*under_place(source_id, place))
                made = _entities((await connection.execute(wanted)).all())
                found.append(sorted(made, key=lambda entity: str(entity.ref)))
        return found

    async def files(self, source: str) -> Mapping[str, StoredFile]:
        """All published files, without their bodies, by path."""
        columns = files.c
        async with self._of(source, "list the files of") as (connection, source_id):
            wanted = select(
                columns.path, columns.digest, columns.content_type, columns.stage, columns.entities
            ).where(columns.source_id == source_id)
            found = (await connection.execute(wanted)).all()
        return {
            row.path: StoredFile(row.path, row.digest, row.content_type, row.stage, row.entities)
            for row in found
        }

    async def file(self, source: str, path: str) -> tuple[Artifact, str] | None:
        """A published file and its digest."""
        async with self._of(source, "load a file of") as (connection, source_id):
            wanted = select(files).where(files.c.source_id == source_id, files.c.path == path)
            row = (await connection.execute(wanted)).one_or_none()
        return None if row is None else (rows.stored_file(row), row.digest)

    async def conclude(self, source: str, edition: int, done: Concluded) -> int:
        """Make the files of a pass the published ones, and its report that of the latest pass."""
        async with self._changing(source, edition, {}) as (connection, source_id):
            await write_concluded(connection, source_id, done, self._clock())
        return edition + 1

    # Looking at all of it.

    async def problems(self, source: str) -> list[Problem]:
        """All that is wrong as things stand."""
        async with self._of(source, "list the problems of") as (connection, source_id):
            return await self._standing.all(connection, source, source_id)

    async def problems_about(
        self, source: str, about: Collection[str]
    ) -> Mapping[str, Sequence[Problem]]:
        """What is wrong with some things, by what it is about."""
        found: dict[str, list[Problem]] = {}
        async with self._of(source, "list problems of") as (connection, source_id):
            for part in batched(about):
                wanted = select(problems.c.about, problems.c.body).where(
                    problems.c.source_id == source_id, problems.c.about.in_(part)
                )
                for row in await connection.execute(wanted.order_by(problems.c.n)):
                    found.setdefault(row.about, []).append(rows.stored_problem(row.body))
        return found

    async def digests(self, source: str) -> Mapping[str, str]:
        """The digest of every entity, by reference: what differs elsewhere is to be loaded."""
        async with self._of(source, "compare the catalog of") as (connection, source_id):
            columns = entities.c
            wanted = select(columns.ref, columns.shown).where(columns.source_id == source_id)
            found: dict[str, str] = {}
            async for part in parts_of(connection, wanted):
                found.update((row.ref, row.shown) for row in part)
        return found

    async def catalog(self, source: str) -> AsyncIterator[list[CatalogEntity]]:
        """Every entity, many at a time, in no order that lasts."""
        async with self._of(source, "load the catalog of") as (connection, source_id):
            wanted = select(entities).where(entities.c.source_id == source_id)
            async for part in parts_of(connection, wanted):
                yield await asyncio.to_thread(_entities, part)

    async def of_kind(self, source: str, kind: str) -> AsyncIterator[list[CatalogEntity]]:
        """The entities of a kind, many at a time, in no order that lasts."""
        async with self._of(source, "load entities of") as (connection, source_id):
            wanted = select(entities).where(
                entities.c.source_id == source_id, entities.c.ref.between(f"{kind}:", f"{kind};")
            )
            async for part in parts_of(connection, wanted):
                yield await asyncio.to_thread(_entities, part)

    async def said_of_kind(self, source: str, kind: str) -> AsyncIterator[list[Statement]]:
        """All that is said of each entity of a kind, one entity after the other, by reference."""
        async with self._of(source, "load what is said in") as (connection, source_id):
            async for said in speaking.of_kind(connection, source_id, kind):
                yield said


def _entities(found: Sequence[Any]) -> list[CatalogEntity]:
    return [rows.stored_entity(row).entity for row in found]
