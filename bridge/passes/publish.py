"""From changed entities to published files: only the shards that changed are rendered and written.

Each destination is compared as a whole at first, after a failure and with each full sweep; between
these it is given what changed, if it can take that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from io import BytesIO
from itertools import chain, islice
from typing import Final

from bridge.errors import PublishError
from bridge.model.definitions import (
    ELSEWHERE,
    blob_of,
    definition_of,
    is_definition,
    with_definition,
)
from bridge.model.destinations import Fence
from bridge.model.entities import CatalogEntity
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Receipt, Stage
from bridge.model.statements import Statement, StoredFile
from bridge.model.todo import Todo
from bridge.model.work import RenderedShard
from bridge.passes.adoption import as_manifests
from bridge.passes.layout import Counts, Layout, changed_layout
from bridge.passes.ledger import Ledger
from bridge.passes.makers import EntityList, EntityMaker, Renderer
from bridge.passes.reconcile import translated_manifests
from bridge.passes.spool import Spool
from bridge.ports import Amending, Exporter

SHARDS_AT_ONCE: Final = 8  # that are loaded at once
RETRY_SECONDS: Final = 60.0  # until a destination is tried again that did not say when

_NOT_AT_HAND: Final = f"{ELSEWHERE}read again with the next sweep of its project."

Shown = Callable[[CatalogEntity], CatalogEntity]
# Renders some shards, in the order of their bits, and adds their files; gives those that it did.
Others = Callable[["Rendered", Sequence[str], Spool], Awaitable[Collection[str]]]


@dataclass(slots=True)
class Rendered:
    """The files of a pass that differ from the published ones, and those that are no more.

    `files` are all that are to be published, by path.
    """

    files: dict[str, StoredFile]
    put: list[tuple[Artifact, str, int]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    @property
    def changed(self) -> dict[str, Artifact]:
        """What differs, by path."""
        return {artifact.path: artifact for artifact, _, _ in self.put}

    def add(self, artifact: Artifact, spool: Spool, entities: int = 0) -> None:
        """Take a file in, if it is another one than was published."""
        digest = sha256(artifact.body).hexdigest()
        known = self.files.get(artifact.path)
        if known is not None and known.digest == digest:
            return
        self.put.append((spool.keep(artifact), digest, entities))
        self.files[artifact.path] = StoredFile(
            artifact.path, digest, artifact.content_type, artifact.stage.value, entities
        )

    def take(self, shard: RenderedShard, spool: Spool) -> None:
        """Take in the files of a shard."""
        for artifact in shard.files:
            self.add(artifact, spool, shard.entities)

    def drop(self, path: str) -> None:
        """A file is to be no more."""
        if self.files.pop(path, None) is not None:
            self.gone.append(path)


async def render(
    ledger: Ledger,
    renderer: Renderer,
    shown: Shown,
    spool: Spool,
    others: Others | None = None,
) -> Rendered:
    """The shards that have to be rendered anew, and what leads to them. Raises `StoreError`.

    What `others` render is not rendered here.
    """
    model, source = ledger.model, ledger.source
    rendered = Rendered(dict(await ledger.files()))
    laid_out = await _laid_out(ledger, renderer, rendered.files)
    if laid_out is None:
        return rendered
    shards, layout = laid_out
    done = await others(rendered, sorted(layout.changed), spool) if others is not None else ()
    left = [bits for bits in layout.changed if bits not in done]
    for start in range(0, len(left), SHARDS_AT_ONCE):
        some = left[start : start + SHARDS_AT_ONCE]
        found = await model.under(source, some)
        defined = iter(await _defined(ledger, rendered, spool, [*chain.from_iterable(found)]))
        of_shard = {b: [*islice(defined, len(each))] for b, each in zip(some, found, strict=True)}
        for shard in await asyncio.to_thread(shards_of, renderer, shown, of_shard):
            rendered.take(shard, spool)
    gone = set(layout.gone)
    for path in [path for path in rendered.files if renderer.bits(path) in gone] if gone else ():
        rendered.drop(path)
    now = (shards - gone) | set(layout.changed)
    if now != shards or ledger.indexed is not renderer:
        _index(ledger, renderer, rendered, sorted(now), spool)
    return rendered


async def _laid_out(
    ledger: Ledger, renderer: Renderer, files: Collection[str]
) -> tuple[set[str], Layout] | None:
    """The shards that are published, and what is to be made of them; None where nothing is.

    The places of a first sweep are many: they are held no longer than this takes.
    """
    model, source = ledger.model, ledger.source
    places = await model.todo(source, Todo.RENDER)
    if not places and ledger.indexed is renderer:
        return None
    shards = {bits for path in files if (bits := renderer.bits(path)) is not None}
    if not places:
        return shards, Layout()
    counts = Counts(lambda bits, deeper: model.count_under(source, bits, deeper))
    limit, depth = renderer.limit, renderer.depth
    return shards, await changed_layout(places, shards, counts.of, limit=limit, depth=depth)


def _index(
    ledger: Ledger, renderer: Renderer, rendered: Rendered, shards: Sequence[str], spool: Spool
) -> None:
    """Add what leads to the shards. It names all of them: once it is published as it would be
    made, it is made anew only when there are others.
    """
    before = len(rendered.put)
    for artifact in renderer.index(shards):
        rendered.add(artifact, spool)
    ledger.indexed = renderer if len(rendered.put) == before else None


async def _defined(
    ledger: Ledger, rendered: Rendered, spool: Spool, entities: Sequence[CatalogEntity]
) -> list[CatalogEntity]:
    """The entities, with the definitions that they name among the files that are to be published.

    A text may be at hand no more, where a store was lost: then it says so in its place.
    """
    paths = [definition_of(each.body) for each in entities]
    lost = await define(ledger, rendered, spool, [path for path in paths if path is not None])
    return [
        replace(each, body=with_definition(each.body, _NOT_AT_HAND)) if path in lost else each
        for each, path in zip(entities, paths, strict=True)
    ]


async def define(
    ledger: Ledger, rendered: Rendered, spool: Spool, paths: Collection[str]
) -> set[str]:
    """Add the definitions of these paths that are not there yet; gives those that are lost.

    Raises `StoreError`.
    """
    new = {path: blob_of(path) for path in paths if path not in rendered.files}
    texts = await ledger.model.reads.anybodys(ledger.source, {oid for oid, _ in new.values()})
    lost = {path for path, (oid, _) in new.items() if oid not in texts}
    for path, (oid, type_) in new.items():
        if path not in lost:
            body = texts[oid].encode("utf-8", "backslashreplace")
            rendered.add(Artifact(path, body, type_, Stage.DEFINITIONS), spool)
    return lost


async def files_of(
    ledger: Ledger, maker: EntityMaker, renderer: Renderer, projects: Collection[int]
) -> frozenset[str]:
    """The published files with entities of some projects. Raises `StoreError`."""
    if not projects:
        return frozenset()
    model, source = ledger.model, ledger.source
    manifests = translated_manifests(await model.known(source, projects))
    said = {str(one.ref) for each in manifests for one in maker.statements(each)[0]}
    places = [each.place for each in (await model.entities(source, said)).values()]
    return frozenset(
        path
        for path in await ledger.files()
        if (bits := renderer.bits(path)) is not None
        and any(place.startswith(bits) for place in places)
    )


async def drop_definitions(ledger: Ledger, rendered: Rendered) -> None:
    """Take away the definitions that no API names any more. Raises `StoreError`."""
    # What was not there before this pass is named by what it rendered.
    new = rendered.changed
    there = {path for path in rendered.files if is_definition(path) and path not in new}
    if not there:
        return
    async for part in ledger.model.of_kind(ledger.source, "api"):
        there -= {path for each in part if (path := definition_of(each.body)) is not None}
    for path in there:
        rendered.drop(path)


def shards_of(
    renderer: Renderer, shown: Shown, shards: Mapping[str, Sequence[CatalogEntity]]
) -> list[RenderedShard]:
    """The files of some shards, by the bits of these. Pure."""
    return [
        RenderedShard(
            bits,
            len(entities),
            renderer.shard(bits, [shown(entity) for entity in entities]),
        )
        for bits, entities in shards.items()
    ]


async def listed(ledger: Ledger, lists: Sequence[EntityList], spool: Spool) -> list[Artifact]:
    """The lists of entities, made line by line. Raises `StoreError`."""
    made = []
    kept = await _kept(ledger)
    for each in lists:
        body = BytesIO()  # gives its bytes without a copy of them: of a million services it counts
        body.write(each.head)
        left = sorted((ref, said) for ref, said in kept.items() if ref.startswith(f"{each.kind}:"))
        async for said in ledger.model.said_of_kind(ledger.source, each.kind):
            while left and left[0][0] < str(said[0].ref):
                body.write(each.line(left.pop(0)[1]))
            body.write(each.line(said))
        for _, stated in left:
            body.write(each.line(stated))
        made.append(spool.keep(Artifact(each.path, body.getvalue(), each.content_type, Stage.DATA)))
    return made


async def _kept(ledger: Ledger) -> dict[str, list[Statement]]:
    """Entities of which nobody speaks and whose removal is withheld, as what would be said."""
    gone = await ledger.model.todo(ledger.source, Todo.GONE)
    there = await ledger.model.entities(ledger.source, gone)
    return {
        ref: [
            Statement(stored.entity.ref, stored.merged.body, manifest, n)
            for n, manifest in enumerate(as_manifests([stored.entity]))
        ]
        for ref, stored in there.items()
        if stored.entity.origins
    }


@dataclass(slots=True)
class Destinations:
    """The destinations of passes in a row; `known` are those that hold what was published last."""

    known: set[int] = field(default_factory=set)

    async def publish(
        self,
        exporters: Sequence[Exporter],
        ledger: Ledger,
        rendered: Rendered,
        spool: Spool,
        *,
        whole: bool,
        fence: Fence | None,
    ) -> tuple[list[Receipt], list[Problem], float | None]:
        """Publish everywhere, side by side; one destination's failure does not hold up another.

        Without a `fence` nothing is written: the receipts say what would be. Gives receipts,
        refusals, and after how many seconds the first refused one may be free.
        """
        dry_run = fence is None
        changed = rendered.changed
        moved = bool(rendered.gone) or any(
            artifact.stage is Stage.INDEX for artifact in changed.values()
        )
        everything: list[Artifact] | None = None
        works = []
        for exporter in exporters:
            if id(exporter) in self.known and not whole and not changed and not moved:
                works.append(_nothing(exporter, len(rendered.files)))
            elif isinstance(exporter, Amending) and not (
                whole or moved or id(exporter) not in self.known
            ):
                works.append(_amended(exporter, changed, len(rendered.files), fence))
            else:
                if everything is None:
                    everything = [each async for each in _all(ledger, rendered, changed, spool)]
                works.append(exporter.publish(everything, dry_run=dry_run, fence=fence))
        results = await asyncio.gather(*works, return_exceptions=True)
        receipts: list[Receipt] = []
        refusals: list[Problem] = []
        waits: list[float] = []
        for exporter, result in zip(exporters, results, strict=True):
            if isinstance(result, BaseException):
                self.known.discard(id(exporter))
                if not isinstance(result, PublishError):
                    raise result
                refusals.append(Problem(f"{exporter.name}: {result}", "publish-failed"))
                waits.append(getattr(result, "free_in", 0.0) or RETRY_SECONDS)
            else:
                if not dry_run:
                    self.known.add(id(exporter))
                receipts.append(result)
        return receipts, refusals, min(waits, default=None)


async def _nothing(exporter: Exporter, count: int) -> Receipt:
    return Receipt(exporter.name, 0, count, 0)


async def _amended(
    exporter: Exporter, changed: Mapping[str, Artifact], count: int, fence: Fence | None
) -> Receipt:
    assert isinstance(exporter, Amending)
    dry_run = fence is None
    written = await exporter.amend(tuple(changed.values()), dry_run=dry_run, fence=fence)
    return Receipt(exporter.name, written, count - written, 0, tuple(sorted(changed)))


async def _all(
    ledger: Ledger, rendered: Rendered, changed: Mapping[str, Artifact], spool: Spool
) -> AsyncIterator[Artifact]:
    """Every file that is to be published."""
    for path in sorted(rendered.files):
        if path in changed:
            yield changed[path]
            continue
        found = await ledger.model.file(ledger.source, path)
        if found is not None:
            yield spool.keep(found[0])
