"""Files on their way to a destination: small ones in memory, many of them on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import IO, Final

from bridge.model.runs import Artifact, Stage

HELD: Final = 4 * 1024 * 1024  # bytes in memory, until the rest goes to disk


class _Spooled(Artifact):
    """An artifact whose body is read when it is asked for."""

    __slots__ = ("_read",)
    _read: Callable[[], bytes]

    def __init__(
        self, path: str, content_type: str, stage: Stage, read: Callable[[], bytes]
    ) -> None:
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "content_type", content_type)
        object.__setattr__(self, "stage", stage)
        object.__setattr__(self, "_read", read)

    @property
    def body(self) -> bytes:
        """What it holds."""
        return self._read()


class Spool:
    """Keeps the bodies of one pass's files; a context, at whose end the disk is free again."""

    def __init__(self, held: int = HELD) -> None:
        self._left = held
        self._file: IO[bytes] | None = None
        self._end = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def keep(self, artifact: Artifact) -> Artifact:
        """The same file, as long as the context lasts, without its body where there are many."""
        if self._left >= len(artifact.body):
            self._left -= len(artifact.body)
            return artifact
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="fester-")  # noqa: SIM115 — lasts with us
        start, size, handle = self._end, len(artifact.body), self._file.fileno()
        os.pwrite(handle, artifact.body, start)
        self._end += size
        return _Spooled(
            artifact.path,
            artifact.content_type,
            artifact.stage,
            lambda: os.pread(handle, size, start),
        )
