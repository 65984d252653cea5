"""Parts of a pass that any process may read or merge, what came of them, how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.manifests import Translation
from bridge.model.scrape import Record


@dataclass(frozen=True, slots=True)
class ToMerge:
    """References to merge by some rules, as things stand in an `edition` of the catalog."""

    refs: tuple[str, ...]
    rules: str
    edition: int


@dataclass(frozen=True, slots=True)
class Part:
    """Some projects that one process reads in one go; `projects` are their numbers and paths.

    `files` are the names of the manifests that are wanted. `reading` names the source, of those of
    the catalog `source`. Where there is something `to_merge`, that is all there is to do.
    """

    source: str
    reading: str
    sweep: int
    number: int
    files: tuple[str, ...] = ()
    projects: tuple[tuple[int, str], ...] = ()
    to_merge: ToMerge | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A part that a process began: what it writes counts as long as no other one began it since."""

    part: Part
    fence: int


@dataclass(frozen=True, slots=True)
class PartRead:
    """What a process read of a part, and what it made of the manifests, by their fingerprints.

    Of one that is `cut` it read no more, as that is enough for one: the rest is to be another part.
    Of one that was to be merged there is `put` alone: the references of what changed.
    """

    records: Sequence[Record] = ()
    translations: Mapping[str, Translation] = field(default_factory=dict)
    requests: int = 0
    cut: bool = False
    put: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a part; None of one that failed for good, for a `reason`."""

    number: int
    read: PartRead | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep over one source is, in parts and in projects.

    `listed` says whether all parts are known by now; `failures` has reasons, the latest last. With
    `merges` it is the merging of what a pass found, and of references in place of projects.
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
    merges: bool = False

    @property
    def left(self) -> int:
        """The parts that are not settled."""
        return self.waiting + self.under_way
