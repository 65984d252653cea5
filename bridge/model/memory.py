"""What Fester remembers between passes, so that nothing unread is ever taken for deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from bridge.model.entities import Catalog
from bridge.model.manifests import Translation
from bridge.model.runs import Report
from bridge.model.scrape import Project

ManifestKey: TypeAlias = tuple[int, str]  # (project id, file path)


@dataclass(frozen=True, slots=True)
class KnownProject:
    """A project as it was last read. Date-times are ISO, UTC; "" means not.

    One that could never be read is known by its path and its gap alone. `gap_tried` is when it
    was last tried in vain. `left_out` says why one that was seen is not read ("archived"): nothing
    of it is published, and it is kept to say so.
    """

    project: Project
    read_at: str
    gap_since: str = ""
    gap_reason: str = ""
    gap_tried: str = ""
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class KnownManifest:
    """A wanted file as it was last read, and its last good translation if that is another one.

    `current` belongs to blob `oid`. When `current` is quarantined, `good` (of blob `good_oid`)
    stands in for it and `broken_since` says since when. `held_since` is when this file was first
    seen to be valid: the older claim on an entity wins.
    """

    project_id: int
    file: str
    oid: str
    current: Translation
    held_since: str = ""
    good: Translation | None = None
    good_oid: str = ""
    broken_since: str = ""


@dataclass(frozen=True, slots=True)
class Horizon:
    """Up to when a source is known whole. Date-times are ISO, UTC; "" means never.

    `listed_at` is when the last pass began whose listing was complete: what changed before is
    known, or lies in a gap of its project. `complete_at` is when the last pass began after which
    nothing was missing or withheld. `swept_at` is the same of the last full sweep, and
    `scope` names what that sweep asked for. `passes` counts the passes that were saved: who saves
    must know the last one.
    """

    listed_at: str = ""
    swept_at: str = ""
    scope: str = ""
    complete_at: str = ""
    passes: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is known of one source."""

    projects: Mapping[int, KnownProject] = field(default_factory=dict)
    manifests: Mapping[ManifestKey, KnownManifest] = field(default_factory=dict)
    horizon: Horizon = Horizon()


@dataclass(frozen=True, slots=True)
class SourceState:
    """How far a source is known. `edition` counts every write: who writes must know the last one.

    `figures` counts what is known, "manifests.valid" or "entities.Component"; `rules` names what
    the entities were merged by.
    """

    horizon: Horizon = Horizon()
    edition: int = 0
    figures: Mapping[str, int] = field(default_factory=Counter)
    rules: str = ""

    def counts(self, group: str) -> dict[str, int]:
        """The figures of a group, by what stands behind its dot."""
        head = f"{group}."
        return {
            name.removeprefix(head): count
            for name, count in sorted(self.figures.items())
            if name.startswith(head) and count
        }


@dataclass(frozen=True, slots=True)
class PassRecord:
    """The outcome of the last pass that was saved: what is served after a restart."""

    report: Report
    catalog: Catalog
