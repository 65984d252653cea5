"""Parts of a sweep that any process may read, what came of them, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.manifests import Translation
from bridge.model.scrape import Record


@dataclass(frozen=True, slots=True)
class Part:
    """Some projects that one process reads in one go; `projects` are their numbers and paths.

    `files` are the names of the manifests that are wanted. `reading` names the source, of those of
    the catalog `source`.
    """

    source: str
    reading: str
    sweep: int
    number: int
    files: tuple[str, ...]
    projects: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A part that a process began: what it writes counts as long as no other one began it since."""

    part: Part
    fence: int


@dataclass(frozen=True, slots=True)
class PartRead:
    """What a process read of a part, and what it made of the manifests, by their fingerprints.

    Of one that is `cut` it read no more, as that is enough for one: the rest is to be another part.
    """

    records: Sequence[Record] = ()
    translations: Mapping[str, Translation] = field(default_factory=dict)
    requests: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a part; None of one that failed for good, for a `reason`."""

    number: int
    read: PartRead | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep over one source is, in parts and in projects.

    `listed` says whether all parts are known by now; `failures` has reasons, the latest last.
    """

    reading: str
    began: datetime
    listed: bool
    waiting: int = 0
    under_way: int = 0
    done: int = 0
    failed: int = 0
    projects: int = 0
    projects_done: int = 0
    failures: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """The parts that are not settled."""
        return self.waiting + self.under_way
