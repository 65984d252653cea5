"""Parts of a pass that any process may do, what came of them, and how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.manifests import Translation
from bridge.model.runs import Artifact
from bridge.model.scrape import Record


class Task(StrEnum):
    """What is to be done in a pass, part by part."""

    READ = "read"  # projects
    MERGE = "merge"  # what is said of entities
    CHECK = "check"  # where entities point
    RENDER = "render"  # shards

    @property
    def items(self) -> str:
        """What its parts are of, in the plural."""
        return {Task.READ: "projects", Task.RENDER: "shards"}.get(self, "entities")


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What several processes are to do of a pass over the source `reading`, of those of a catalog.

    Who has other `rules` is not to do it; "" where the queue alone tells who may. `told` is what
    whoever does it has to know besides: of what is read, the names of manifests.
    """

    reading: str
    task: Task = Task.READ
    rules: str = ""
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnCatalog:
    """What is to be done with the catalog as it stands in an `edition`: a task that is not to read.

    `items` are references, or the bits of shards. `rules` and `told` are those of the `SweepPlan`.
    """

    task: Task
    items: tuple[str, ...]
    rules: str
    edition: int
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """Some projects that one process reads in one go; `projects` are their numbers and paths.

    `files` are the names of the manifests that are wanted. `reading` names the source, of those of
    the catalog `source`. Where there is something `on_catalog`, that is all there is to do.
    """

    source: str
    reading: str
    sweep: int
    number: int
    files: tuple[str, ...] = ()
    projects: tuple[tuple[int, str], ...] = ()
    on_catalog: OnCatalog | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A part that a process began: what it writes counts as long as no other one began it since."""

    part: Part
    fence: int


@dataclass(frozen=True, slots=True)
class RenderedShard:
    """The files of a shard, and how many `entities` it has.

    Of one that another process rendered there are the `definitions` that its entities name, too.
    """

    bits: str
    entities: int
    files: tuple[Artifact, ...]
    definitions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartRead:
    """What a process read of a part, and what it made of the manifests, by their fingerprints.

    Of one that is `cut` it read no more, as that is enough for one: the rest is to be another part.
    Of one that was to be merged or checked there is `put` alone: the references of what changed. Of
    one that was to be rendered there are `shards` alone.
    """

    records: Sequence[Record] = ()
    translations: Mapping[str, Translation] = field(default_factory=dict)
    requests: int = 0
    cut: bool = False
    put: tuple[str, ...] = ()
    shards: tuple[RenderedShard, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a part; None of one that failed for good, for a `reason`."""

    number: int
    read: PartRead | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep over one source is, in parts and in projects.

    `listed` says whether all parts are known by now; `failures` has reasons, the latest last. Where
    the `task` is not to read, they are of its `items` in place of projects.
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
    task: Task = Task.READ

    @property
    def left(self) -> int:
        """The parts that are not settled."""
        return self.waiting + self.under_way
