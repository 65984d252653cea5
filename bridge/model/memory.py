"""What Fester remembers between passes, so that nothing unread is ever taken for deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from bridge.model.entities import Catalog
from bridge.model.manifests import Translation
from bridge.model.numbers import FIRST
from bridge.model.runs import Report
from bridge.model.scrape import Project

ManifestKey: TypeAlias = tuple[int, str]  # (project id, file path)


@dataclass(frozen=True, slots=True)
class KnownProject:
    """A project as it was last read. Moments are aware and whole seconds; None: never.

    One that could never be read is known by its path and its gap alone. `gap_tried` is when it
    was last tried in vain. `left_out` says why one that was seen is not read ("archived"): nothing
    of it is published, and it is kept to say so.
    """

    project: Project
    read_at: datetime | None
    gap_since: datetime | None = None
    gap_reason: str = ""
    gap_tried: datetime | None = None
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
    held_since: datetime | None = None
    good: Translation | None = None
    good_oid: str = ""
    broken_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Horizon:
    """Up to when a source is known whole. Moments are aware and whole seconds; None: never.

    `listed_at` is when the last pass began whose listing was complete: what changed before is
    known, or lies in a gap of its project. `complete_at` is when the last pass began after which
    nothing was missing or withheld. `swept_at` is the same of the last full sweep, and
    `scope` names what that sweep asked for. `passes` counts the passes that were saved: who saves
    must know the last one. `others` are the horizons of further sources, by name; their passes are
    counted in the first one's.
    """

    listed_at: datetime | None = None
    swept_at: datetime | None = None
    scope: str = ""
    complete_at: datetime | None = None
    passes: int = 0
    others: Mapping[str, Horizon] = field(default_factory=dict)

    def of(self, source: str) -> Horizon:
        """The horizon of one source; of one that is new, that nothing is known."""
        return self if source == FIRST else self.others.get(source, Horizon())

    def moved(self, source: str, own: Horizon, sources: Iterable[str]) -> Horizon:
        """This horizon with that of one source replaced; of no others than `sources` is it kept."""
        others = {name: self.others.get(name, Horizon()) for name in sources if name != FIRST}
        if source == FIRST:
            return replace(own, passes=self.passes, others=others)
        return replace(self, others=others | {source: replace(own, passes=0, others={})})

    @property
    def swept_by_all_at(self) -> datetime | None:
        """The oldest `swept_at` of all sources; None where one was never swept."""
        return _oldest([self.swept_at, *(each.swept_at for each in self.others.values())])

    @property
    def whole_at(self) -> datetime | None:
        """Since when nothing was missing of any source: the oldest `complete_at`; None: never."""
        return _oldest([self.complete_at, *(each.complete_at for each in self.others.values())])


def _oldest(moments: Sequence[datetime | None]) -> datetime | None:
    found = [moment for moment in moments if moment is not None]
    return min(found) if len(found) == len(moments) else None


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
