"""Publishing to a folder: never a half-written file, never two publishers at once."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from pathlib import Path

from bridge.errors import PublishConflict, PublishError
from bridge.exporters.marking import OWNER, admit, decode_mark, drawing, encode_mark
from bridge.exporters.plan import Plan, check_paths, make_plan
from bridge.exporters.published import read_catalog
from bridge.exporters.render import CATALOG, INDEX, PROVENANCE, SHARDS
from bridge.model.definitions import FOLDER as DEFINITIONS
from bridge.model.definitions import is_definition
from bridge.model.destinations import DestinationContent, Fence, Mark, PublishedCatalog
from bridge.model.runs import Artifact, Receipt, Stage

_TEMPORARY = ".fester-tmp-"
_LOCK = ".fester-lock"
_AT_ONCE = 8  # files that are written side by side: most of the time a disk is waited for


@dataclass(frozen=True, slots=True)
class FolderExporter:
    """Publishes into `folder`, which is made if it is not there."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder as it was given."""
        return str(self.folder)

    async def publish(
        self, artifacts: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> Receipt:
        """See `bridge.ports.Exporter`. Runs in a thread: disks block."""
        draw = drawing(fence) if fence else None
        return await asyncio.to_thread(self._publish, tuple(artifacts), dry_run, draw)

    async def amend(
        self, changed: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> int:
        """See `bridge.ports.Amending`. Runs in a thread: disks block."""
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
        await asyncio.to_thread(self._claim, mark, over)

    async def close(self) -> None:
        """Nothing is held open between publishes."""

    def _publish(
        self, artifacts: Sequence[Artifact], dry_run: bool, draw: Callable[[], Mark] | None
    ) -> Receipt:
        check_paths(artifacts)
        with self._explained():
            self._refuse_links(artifacts)
            if dry_run:
                return self._plan(artifacts).receipt(self.name)
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._sweep(artifacts)
                plan = self._plan(artifacts)
                # A publisher that was paused before this holds the folder alone only now; the
                # store then knows whether another has gone on in its place.
                if draw is not None and not plan.idle:
                    self._mark(draw())
                self._carry_out(plan)
        return plan.receipt(self.name)

    def _amend(
        self, changed: Sequence[Artifact], dry_run: bool, draw: Callable[[], Mark] | None
    ) -> int:
        check_paths(changed)
        with self._explained():
            self._refuse_links(changed)
            if dry_run:
                return len(self._amendment(changed).write)
            with self._locked():
                plan = self._amendment(changed)
                if draw is not None and not plan.idle:
                    self._mark(draw())
                self._carry_out(plan)
        return len(plan.write)

    def _amendment(self, changed: Sequence[Artifact]) -> Plan:
        """What differs of these files; no other file is looked at."""
        paths = {artifact.path for artifact in changed}
        existing = {path: digest for path in paths if (digest := self._digest(path)) is not None}
        return make_plan(changed, existing, _digest, None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = error.filename or self.folder
            raise PublishError(
                f"{place}: {error.strerror or error}; check that the folder can be written and "
                "that the disk has room. What was published before still stands"
            ) from error

    def _found(self) -> DestinationContent:
        with self._explained():
            return DestinationContent(self._owner(), self._read(INDEX))

    def _catalog(self) -> PublishedCatalog | None:
        with self._explained():
            file = self._published(CATALOG)
            if file is None:
                return None
            at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
            return read_catalog(file.read_bytes(), at, self.name, self._read)

    def _definition(self, path: str) -> bytes | None:
        with self._explained():
            return self._read(path) if is_definition(path) else None

    def _claim(self, mark: Mark, over: Mark | None) -> None:
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._locked():
                if self._owner() != over:
                    raise PublishConflict(
                        f"{self.folder}: another Fester published here at the same time; run again"
                    )
                self._put(OWNER, encode_mark(mark))

    def _owner(self) -> Mark | None:
        body = self._read(OWNER)
        return decode_mark(body, self.name) if body is not None else None

    def _mark(self, by: Mark) -> None:
        admit(self._owner(), by, self.name)
        self._put(OWNER, encode_mark(by))
        _sync_folder(self.folder)

    def _plan(self, artifacts: Sequence[Artifact]) -> Plan:
        paths = {artifact.path for artifact in artifacts} | {INDEX, CATALOG}
        for name in (SHARDS, PROVENANCE, DEFINITIONS):
            if (self.folder / name).is_dir():
                paths |= {f"{name}{entry.name}" for entry in (self.folder / name).iterdir()}
        existing = {path: digest for path in paths if (digest := self._digest(path)) is not None}
        return make_plan(artifacts, existing, _digest, self._read(INDEX))

    def _published(self, path: str) -> Path | None:
        """A published file; None when it is not there or is no ordinary file."""
        file = self.folder / path
        return None if file.is_symlink() or not file.is_file() else file

    def _digest(self, path: str) -> str | None:
        """A published file's digest, bit by bit: some are large."""
        file = self._published(path)
        if file is None:
            return None
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()

    def _read(self, path: str) -> bytes | None:
        file = self._published(path)
        return file.read_bytes() if file is not None else None

    def _carry_out(self, plan: Plan) -> None:
        def put(artifact: Artifact) -> None:
            self._put(artifact.path, artifact.body)

        with ThreadPoolExecutor(_AT_ONCE, "fester-files") as pool:
            for stage in (Stage.DEFINITIONS, Stage.ENTITIES, Stage.INDEX, Stage.DATA):
                written = plan.stage(stage)
                # An index leads to others, and each stands before what names it.
                in_order = stage in (Stage.INDEX, Stage.DATA)
                deque((map if in_order else pool.map)(put, written), maxlen=0)
                # The names are on disk before anything refers to them.
                for folder in self._folders(written) if written else ():
                    _sync_folder(folder)
        for path in plan.remove:
            (self.folder / path).unlink(missing_ok=True)

    def _put(self, path: str, body: bytes) -> None:
        """Write beside the target and put it in place in one step."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(temporary, flags, 0o644), "wb") as stream:
                stream.write(body)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _folders(self, artifacts: Sequence[Artifact]) -> list[Path]:
        """Every folder from the destination down to these artifacts, the inner ones first."""
        folders = (SHARDS, PROVENANCE, DEFINITIONS)
        found = {self.folder, *(self.folder / name for name in folders)}
        for artifact in artifacts:
            above = Path(artifact.path).parents
            found |= {self.folder / parent for parent in above}
        return sorted(filter(Path.is_dir, found), reverse=True)

    def _refuse_links(self, artifacts: Sequence[Artifact]) -> None:
        """No folder below the destination may lead out of it."""
        for folder in self._folders(artifacts):
            if folder != self.folder and folder.is_symlink():
                raise PublishError(
                    f"{folder} is a symbolic link: replace it by a plain folder, or publish to "
                    "where it leads"
                )

    def _sweep(self, artifacts: Sequence[Artifact]) -> None:
        """Remove what a publish that was killed left behind."""
        for folder in self._folders(artifacts):
            for leftover in folder.glob(f"{_TEMPORARY}*"):
                leftover.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the destination alone; the lock ends with the process, however that ends."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(os.open(self.folder / _LOCK, flags, 0o644), "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PublishConflict(
                    f"{self.folder}: another Fester is publishing here; wait for it, or give each "
                    "its own folder"
                ) from None
            yield


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
