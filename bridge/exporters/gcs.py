"""Publishing to Google Cloud Storage, side by side, with generation preconditions.

One listing tells what is there (md5, generation); only what differs is uploaded, and when nothing
differs that listing is all that happens; who amends what it published last looks at the files
that it names instead. Otherwise the publisher first claims the destination, so
that two never interleave, asks the store whether it still is its turn, leaves its mark, and lists
again. Every upload and removal names the generation that this listing saw (0: must not exist).

A publisher may be paused anywhere in that, for longer than its claim lasts. So who takes a claim
over that was never given back first gives everything of ours a new generation: whatever the paused
one still sends, and whatever is still on its way, is refused.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import ConfigurationError, PublishConflict
from bridge.exporters.gcs_claim import CLAIM, BucketClaim, held
from bridge.exporters.gcs_objects import Objects, SeenObject, digest
from bridge.exporters.marking import OWNER, admit, decode_mark, drawing, encode_mark
from bridge.exporters.plan import Plan, check_paths, is_ours, is_safe, make_plan
from bridge.exporters.published import read_catalog
from bridge.exporters.render import CATALOG, INDEX, PROVENANCE, SHARDS, YAML_TYPE
from bridge.model.definitions import FOLDER as DEFINITIONS
from bridge.model.definitions import is_definition
from bridge.model.destinations import DestinationContent, Fence, Mark, PublishedCatalog
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Receipt, Stage

_URL = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")
_WORKERS = 16


@dataclass(slots=True)
class GcsExporter:
    """Publishes below `url`, a `gs://bucket/prefix`.

    `patience` bounds the retries of one request, in seconds. `lease_seconds` is how long a
    publisher that was killed keeps the others out. Raises `ConfigurationError` for another URL.
    """

    url: str
    patience: float = 60.0
    lease_seconds: float = 15.0
    workers: int = _WORKERS
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    bucket: str = field(init=False)
    prefix: str = field(init=False)
    _objects: Objects = field(init=False, repr=False)
    _published: frozenset[str] = frozenset()  # the paths of the last publish

    def __post_init__(self) -> None:
        found = _URL.fullmatch(self.url)
        prefix = ((found[2] if found else "") or "").strip("/")
        if not found or (prefix and not is_safe(prefix)):
            message = (
                f"{self.url!r} is no bucket: expected gs://bucket or gs://bucket/prefix, with "
                "letters, digits and ._-/ in the prefix"
            )
            raise ConfigurationError([Problem(message, "destination-unknown")])
        self.bucket = found[1]
        self.prefix = f"{prefix}/" if prefix else ""
        self._objects = Objects(
            self.url, self.bucket, self.prefix, self.patience, self.workers, self.trust
        )

    @property
    def name(self) -> str:
        """The URL as it was given."""
        return self.url

    async def publish(
        self, artifacts: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> Receipt:
        """See `bridge.ports.Exporter`. Runs in threads: Google's client blocks."""
        draw = drawing(fence) if fence else None
        return await asyncio.to_thread(self._publish, tuple(artifacts), dry_run, draw)

    async def amend(
        self, changed: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> int:
        """See `bridge.ports.Amending`. Runs in threads: Google's client blocks."""
        draw = drawing(fence) if fence else None
        return await asyncio.to_thread(self._amend, tuple(changed), dry_run, draw)

    async def found(self) -> DestinationContent:
        """See `bridge.ports.Destination`."""
        return await asyncio.to_thread(self._found)

    async def catalog(self) -> PublishedCatalog | None:
        """See `bridge.ports.Destination`."""
        return await asyncio.to_thread(self._catalog)

    async def definition(self, path: str) -> bytes | None:
        """See `bridge.ports.Rereadable`."""
        return await asyncio.to_thread(self._definition, path)

    async def claim(self, mark: Mark, over: Mark | None) -> None:
        """See `bridge.ports.Destination`."""
        await asyncio.to_thread(self._claim_for, mark, over)

    async def close(self) -> None:
        """Close the client's connections."""
        self._objects.close()

    def _publish(
        self, artifacts: Sequence[Artifact], dry_run: bool, draw: Callable[[], Mark] | None
    ) -> Receipt:
        check_paths(artifacts)
        with self._objects.explained():
            seen = self._listing(artifacts)
            plan = self._plan(artifacts, seen)
            # A claim that lies there is of somebody who is about to change what was just seen.
            if not dry_run and not (plan.idle and CLAIM not in seen):
                with held(self._objects, self.lease_seconds) as claim:
                    plan = self._publish_alone(artifacts, claim, draw, self._listing)
            if not dry_run:
                self._published = frozenset(artifact.path for artifact in artifacts)
        return plan.receipt(self.name)

    def _amend(
        self, changed: Sequence[Artifact], dry_run: bool, draw: Callable[[], Mark] | None
    ) -> int:
        check_paths(changed)
        with self._objects.explained():
            if dry_run:
                plan = self._plan(changed, self._named(changed))
            else:
                with held(self._objects, self.lease_seconds) as claim:
                    plan = self._publish_alone(changed, claim, draw, self._named)
        return len(plan.write)

    def _publish_alone(
        self,
        artifacts: Sequence[Artifact],
        claim: BucketClaim,
        draw: Callable[[], Mark] | None,
        look: Callable[[Sequence[Artifact]], dict[str, SeenObject]],
    ) -> Plan:
        by = draw() if draw is not None else None
        # What was seen before the claim may be another publisher's half.
        seen = look(artifacts)
        mark = seen.get(OWNER)
        if by is not None:
            admit(self._mark_of(mark), by, self.name)
        if claim.inherited:
            self._renew_generations(artifacts, self._listing(artifacts))
            seen = look(artifacts)
        plan = self._plan(artifacts, seen)
        if by is not None and not plan.idle:
            generation = mark.generation if mark else 0
            self._objects.put(OWNER, encode_mark(by), "application/json", generation)
        self._carry_out(plan, seen, claim)
        return plan

    def _found(self) -> DestinationContent:
        with self._objects.explained():
            index = self._objects.find(INDEX)
            return DestinationContent(
                self._mark_of(self._objects.find(OWNER)),
                self._objects.read(INDEX, index.generation) if index else None,
            )

    def _catalog(self) -> PublishedCatalog | None:
        with self._objects.explained():
            found = self._objects.find(CATALOG)
            if found is None or found.updated is None:
                return None
            body = self._objects.read(CATALOG, found.generation)
            return read_catalog(body, found.updated, self.url, self._body)

    def _definition(self, path: str) -> bytes | None:
        with self._objects.explained():
            return self._body(path) if is_definition(path) else None

    def _body(self, path: str) -> bytes | None:
        """What lies at a path; None when nothing does."""
        found = self._objects.find(path)
        return None if found is None else self._objects.read(path, found.generation)

    def _claim_for(self, mark: Mark, over: Mark | None) -> None:
        with self._objects.explained():
            seen = self._objects.find(OWNER)
            if self._mark_of(seen) != over:
                raise PublishConflict(
                    f"{self.url}: another Fester published here at the same time; run again"
                )
            generation = seen.generation if seen else 0
            self._objects.put(OWNER, encode_mark(mark), "application/json", generation)

    def _mark_of(self, seen: SeenObject | None) -> Mark | None:
        if seen is None:
            return None
        return decode_mark(self._objects.read(OWNER, seen.generation), self.name)

    def _listing(self, artifacts: Sequence[Artifact]) -> dict[str, SeenObject]:
        """Every object in the folders that we write to, by path below the prefix."""
        folders = {SHARDS, PROVENANCE, DEFINITIONS, ""} | {
            f"{head}/" for a in artifacts if (head := a.path.rpartition("/")[0])
        }
        found: dict[str, SeenObject] = {}
        for folder in sorted(folders):
            found |= self._objects.listing(folder)
        return found

    def _named(self, artifacts: Sequence[Artifact]) -> dict[str, SeenObject]:
        """The objects that these files would replace, and the mark, by path below the prefix."""
        paths = (*(artifact.path for artifact in artifacts), OWNER)
        with ThreadPoolExecutor(self.workers, thread_name_prefix="gcs") as pool:
            found = zip(paths, pool.map(self._objects.find, paths), strict=True)
            return {path: seen for path, seen in found if seen is not None}

    def _plan(self, artifacts: Sequence[Artifact], seen: Mapping[str, SeenObject]) -> Plan:
        existing = {path: entry.md5 for path, entry in seen.items()}
        plan = make_plan(artifacts, existing, digest, b"")
        if not plan.remove or INDEX not in seen:
            return plan
        # Only where something is to go does it matter what the old index names.
        index = self._objects.read(INDEX, seen[INDEX].generation)
        return make_plan(artifacts, existing, digest, index)

    def _renew_generations(
        self, artifacts: Sequence[Artifact], seen: Mapping[str, SeenObject]
    ) -> None:
        """Write everything of ours once more, as it is: the old generations are gone then."""
        ours = {artifact.path: artifact for artifact in artifacts}

        def renew(path: str) -> None:
            entry, artifact = seen[path], ours.get(path)
            same = artifact is not None and digest(artifact.body) == entry.md5
            body = (
                artifact.body if artifact and same else self._objects.read(path, entry.generation)
            )
            kind = artifact.content_type if artifact else YAML_TYPE
            self._objects.put(path, body, kind, entry.generation)

        # The index first: until then a publisher that wakes up could still replace it.
        known = ours.keys() | self._published
        paths = [path for path in seen if path in known or is_ours(path)]
        self._side_by_side(renew, [path for path in paths if path == INDEX])
        self._side_by_side(renew, [path for path in paths if path != INDEX])

    def _carry_out(self, plan: Plan, seen: Mapping[str, SeenObject], claim: BucketClaim) -> None:
        def upload(artifact: Artifact) -> None:
            before = seen.get(artifact.path)
            generation = before.generation if before else 0
            self._objects.put(artifact.path, artifact.body, artifact.content_type, generation)

        self._side_by_side(upload, plan.stage(Stage.DEFINITIONS))
        self._side_by_side(upload, plan.stage(Stage.ENTITIES))
        claim.check()  # the shards may have taken long; the index is for the holder alone
        self._side_by_side(upload, plan.stage(Stage.INDEX))
        self._side_by_side(upload, plan.stage(Stage.DATA))
        if plan.remove:
            claim.check()
        self._side_by_side(
            lambda path: self._objects.remove(path, seen[path].generation), plan.remove
        )

    def _side_by_side(self, work: Callable[[Any], None], items: Iterable[Any]) -> None:
        """Do `work` on every item in threads; after the first failure start no more."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="gcs") as pool:
            futures = [pool.submit(work, item) for item in items]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
