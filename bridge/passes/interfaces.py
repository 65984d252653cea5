"""What a pass needs of others that keep things: stores, and the work that several share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bridge.model.destinations import Mark
from bridge.model.entities import CatalogEntity
from bridge.model.memory import KnownProject, Memory, PassRecord, SourceState
from bridge.model.problems import Problem
from bridge.model.reads import KeptReads, KnownReads
from bridge.model.runs import Artifact, Report
from bridge.model.statements import (
    Checked,
    Concluded,
    Merged,
    Statement,
    StoredEntity,
    StoredFile,
    Taken,
)
from bridge.model.work import Claim, Part, PartRead, Settled, SweepPlan


class ReadStore(Protocol):
    """Keeps what was read of repositories besides their manifests. Raises `StoreError`."""

    async def known(self, source: str, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        """What was read of projects; those of which nothing was are left out."""

    async def marks(self, source: str, ids: Sequence[int]) -> Mapping[int, tuple[str, str]]:
        """Of projects the commit that was read, and the key of what was wanted."""

    async def texts(self, source: str, project_id: int, oids: Collection[str]) -> Mapping[str, str]:
        """The texts of some blobs of a project, by object id, as far as they are there."""

    async def texts_of(self, source: str, ids: Collection[int]) -> Mapping[str, str]:
        """All texts that are kept of some projects, by object id."""

    async def anybodys(self, source: str, oids: Collection[str]) -> Mapping[str, str]:
        """The texts of some blobs, of whatever project, as far as they are there."""

    async def keep(self, source: str, edition: int, kept: Sequence[KeptReads]) -> int:
        """Keep what was read of some projects, in place of what was before; the next edition."""

    async def adopt(self, source: str, edition: int, texts: Sequence[tuple[int, str, str]]) -> int:
        """Keep texts of blobs, each (project, object id, text), until their projects are read
        again; the next edition."""

    async def strangers(self, source: str) -> frozenset[int]:
        """The ids of projects that are not known, and of which something is kept."""

    async def forget(self, source: str, edition: int, ids: Collection[int]) -> int:
        """Keep nothing of some projects; the next edition."""


class ModelStore(Protocol):
    """Keeps what is known of a source, what is said of each entity, and what was made of it.

    Methods that change it take the edition that they build on and give the next one; they raise
    `StoreConflict` when another process made one meanwhile. Every method raises `StoreError`.
    """

    @property
    def reads(self) -> ReadStore:
        """What was read of repositories besides their manifests."""

    async def state(self, source: str) -> SourceState:
        """How far the source is known."""

    async def known(self, source: str, ids: Collection[int]) -> Memory:
        """What is known of some projects."""

    async def marks(
        self, source: str, ids: Collection[int]
    ) -> Mapping[int, tuple[KnownProject, Mapping[str, str]]]:
        """Of some projects what is known, with the fingerprints of their files."""

    def project_ids(self, source: str) -> AsyncIterator[list[int]]:
        """The ids of all projects that are known, many at a time."""

    async def gaps(self, source: str) -> list[KnownProject]:
        """The projects that cannot be read as things stand."""

    async def gitlabs(self, source: str, names: Collection[str]) -> Mapping[str, str]:
        """Under which address each of these GitLabs has its projects' pages, as far as is known."""

    async def in_groups(self, source: str, groups: Collection[str]) -> frozenset[int]:
        """The ids of the projects below groups, named by their paths in lower case."""

    async def take(self, source: str, edition: int, taken: Taken, lane: str) -> int:
        """Write what changed; what is to be merged for it is noted in `lane`."""

    async def begin_restating(self, source: str, edition: int) -> int:
        """Begin to work out anew what all manifests say; `take` then gets all of them."""

    async def begin_merging(
        self, source: str, edition: int, rules: str, lanes: Collection[str]
    ) -> int:
        """Make what is noted in some lanes of long passes ready; of other rules, everything.

        `lanes` are some of those in which something is noted.
        """

    async def lanes(self, source: str) -> frozenset[str]:
        """The lanes and stages in which something is noted."""

    async def todo(
        self, source: str, stage: str, limit: int | None = None, after: str = ""
    ) -> list[str]:
        """What is noted in a stage (`Todo`) or in a lane, in an order of its own; at most so much
        of what comes `after` something.
        """

    async def noted(self, source: str, stage: str, items: Collection[str]) -> set[str]:
        """Those of some items that are noted in a stage."""

    async def speaking_of(
        self, source: str, refs: Collection[str]
    ) -> Mapping[str, list[Statement]]:
        """All that is said of some references, each in the order of `Statement.place`."""

    async def entities(self, source: str, refs: Collection[str]) -> Mapping[str, StoredEntity]:
        """Some entities, as far as they are there."""

    async def merged(self, source: str, edition: int, done: Merged) -> int:
        """Write what merging gave; what is to be checked and rendered for it is noted."""

    async def written_by_others(self, source: str, edition: int) -> int:
        """Go on from what other processes wrote: none of them may write any more."""

    async def remove(
        self, source: str, edition: int, refs: Sequence[str], figures: Mapping[str, int]
    ) -> int:
        """Remove entities; what is to be checked and rendered for it is noted."""

    async def missing(self, source: str, refs: Collection[str]) -> Mapping[str, set[str]]:
        """What some entities refer to, as they were merged, and is not there."""

    async def relinked(self, source: str, refs: Collection[str]) -> set[str]:
        """Those of some entities whose references were put right."""

    async def pointing_at(self, source: str, spelt: str) -> list[str]:
        """The entities that refer to what is spelt so (`EntityMaker.spelt`)."""

    async def named(
        self, source: str, names: Collection[str]
    ) -> Mapping[tuple[int, str], Sequence[str]]:
        """The entities that go by some names, by rank and name."""

    async def neighbours(
        self, source: str, refs: Collection[str], count: int
    ) -> Mapping[str, Sequence[str]]:
        """For each reference the entities of its kind that begin or end most like it."""

    async def checked(self, source: str, edition: int, done: Checked) -> int:
        """Write what is wrong with the references of entities, and those that were put right."""

    async def note_places(self, source: str, edition: int, places: Collection[str] | None) -> int:
        """Note that what lies at these places is to be rendered; None: everything."""

    async def count_under(self, source: str, place: str, deeper: int) -> Mapping[str, int]:
        """How many entities have a place that begins so, by that and so many more of its bits."""

    async def under(self, source: str, places: Sequence[str]) -> list[list[CatalogEntity]]:
        """For each of some beginnings the entities whose place begins so, sorted by reference."""

    async def files(self, source: str) -> Mapping[str, StoredFile]:
        """The published files without their bodies, by path."""

    async def file(self, source: str, path: str) -> tuple[Artifact, str] | None:
        """A published file, and its digest."""

    async def conclude(self, source: str, edition: int, done: Concluded) -> int:
        """End a pass: its files are the published ones."""

    async def problems_about(
        self, source: str, about: Collection[str]
    ) -> Mapping[str, Sequence[Problem]]:
        """What is wrong with some things, by what it is about."""

    async def problems(self, source: str) -> list[Problem]:
        """All that is wrong as things stand."""

    async def digests(self, source: str) -> Mapping[str, str]:
        """The digest of every entity, by reference."""

    def catalog(self, source: str) -> AsyncIterator[list[CatalogEntity]]:
        """Every entity, many at a time, in any order."""

    def of_kind(self, source: str, kind: str) -> AsyncIterator[list[CatalogEntity]]:
        """The entities of a kind, many at a time, in no order that lasts."""

    def said_of_kind(self, source: str, kind: str) -> AsyncIterator[list[Statement]]:
        """All that is said of each entity of a kind, by reference."""


class CatalogParts(Protocol):
    """Takes what processes made of parts of a catalog. Not an entry point.

    What they write does not count where another process began the part since, or wrote to the
    catalog. Every method raises `StoreError`.
    """

    async def merged(self, claim: Claim, done: Merged) -> bool:
        """Write what merging a part gave; whether it counts."""

    async def checked(self, claim: Claim, done: Checked) -> bool:
        """Write what checking a part gave; whether it counts."""

    async def finish(self, claim: Claim, read: PartRead) -> bool:
        """Hand over what came of a part that writes nothing to the catalog; whether it counts."""


class WorkSharing(Protocol):
    """Has other processes do parts of a pass. Not an entry point.

    Where there is none a pass does all by itself, as it does where there are no `others`.
    """

    async def others(self, reading: str) -> int:
        """How many other processes would read this source now; 0 where nobody can tell."""

    async def begin(self, source: str, edition: int, plan: SweepPlan) -> tuple[int, int]:
        """Begin a sweep over a catalog; its number, and the next edition.

        Raises `StoreConflict` when another process made one meanwhile.
        """

    async def put(self, part: Part) -> None:
        """Have a part done.

        Raises `StoreConflict` when another process began the sweep anew.
        """

    async def listed(self, sweep: int) -> None:
        """Say that there are no more parts. Raises as `put`."""

    async def settled(self, sweep: int) -> Sequence[Settled]:
        """Some parts that are settled, each once; none when there are none for a moment.

        Raises as `put`.
        """

    async def abandoned(self, sweep: int) -> Claim | None:
        """A part that nobody else would read, begun for this process; None where there is none.

        Raises `StoreError`.
        """

    async def finish(self, claim: Claim, read: PartRead) -> bool:
        """Take what this process read of such a part; whether it counts. Raises `StoreError`."""

    async def fail(self, claim: Claim, reason: str) -> bool:
        """Say why it could not be read; whether it is to be tried again. Raises `StoreError`."""

    async def drop(self, sweep: int) -> None:
        """Have nothing more read of a sweep. Raises `StoreError`."""


class KeptText(Protocol):
    """Keeps a text a source. Raises `StoreError`."""

    async def load(self, source: str) -> str:
        """The text that was saved last; "" when none ever was."""

    async def save(self, source: str, text: str) -> None:
        """Keep this text in place of the one before."""


class EditionText(Protocol):
    """Keeps a text a source, of which each is an edition of the source. Raises `StoreError`."""

    async def load(self, source: str) -> str:
        """The text that was kept last; "" when none ever was."""

    async def keep(self, source: str, edition: int, text: str) -> int:
        """Keep this text in place of the one before. Gives the next edition.

        Raises `StoreConflict` when `edition` is not the latest.
        """


class Store(Protocol):
    """Keeps what must survive a restart. Not an entry point: SQLite or PostgreSQL by URL."""

    @property
    def model(self) -> ModelStore:
        """What is known, part by part."""

    @property
    def group_defaults(self) -> EditionText:
        """What manifests inherit from their groups, as it was read last."""

    async def load(self, source: str) -> Memory:
        """All that is known of a source; empty when it was never seen. Raises `StoreError`."""

    async def passes_saved(self, source: str) -> int:
        """How many passes of a source were saved: `Horizon.passes` of what `load` would give."""

    async def latest(self, source: str) -> PassRecord | None:
        """The last saved pass of a source, with the catalog and the problems as they stand."""

    async def passes(self, source: str, limit: int) -> list[Report]:
        """The reports of the latest passes as they were saved, newest first."""

    async def report(self, source: str) -> Report | None:
        """The report of the last saved pass, with the problems as they stand."""

    def scratch(self, source: str) -> AbstractAsyncContextManager[Store]:
        """A copy of what is known of a source, to try something on; gone at the end."""

    async def mark(self, source: str) -> Mark | None:
        """Whose what this store publishes of a source is; None when it never published any."""

    async def next_mark(self, source: str, passes: int, above: int = 0) -> Mark:
        """The mark of the next publish; its fence number is larger than any before, and `above`.

        Raises `StoreConflict` when `passes` is not how many passes of the source were saved.
        """

    async def close(self) -> None:
        """Release connections; safe to call twice."""
