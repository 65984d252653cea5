"""What a scraper sees: projects read whole, projects left out, and gaps.

A gap is a value and is carried to the end: what could not be read may not be deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, TypeAlias
from urllib.parse import quote

from bridge.model.entities import Json
from bridge.model.reads import KnownReads, ReadFile, Reads, Wanted


@dataclass(frozen=True, slots=True)
class Project:
    """A GitLab project, or a checkout in a folder. Keyed by `id`, never by path: paths change."""

    id: int
    path: str  # full path, "group/subgroup/name"
    web_url: str = ""  # "" for a checkout without a remote
    default_branch: str = ""
    description: str = ""
    visibility: str = ""
    topics: tuple[str, ...] = ()
    archived: bool = False
    marked_for_deletion: bool = False  # scheduled for deletion, itself or a group above it
    created_at: datetime | None = None  # None where GitLab does not tell it
    updated_at: datetime | None = None
    last_activity_at: datetime | None = None

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def gitlab(self) -> str:
        """The address of its GitLab, as its page has it; "" where that is not known."""
        base = self.web_url.removesuffix(f"/{self.path}")
        return base if base != self.web_url else ""

    def file_url(self, path: str, verb: str = "blob") -> str:
        """The address of a file's page: to read it, or with "edit" or "raw"; "" where none is."""
        if not (self.web_url and self.default_branch):
            return ""
        return f"{self.web_url}/-/{verb}/{quote(f'{self.default_branch}/{path}', safe='/')}"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One wanted file of one project at its default branch.

    `text` is None when the file is there but cannot be used as text; `refused` then says why
    ("an LFS pointer", "a symbolic link", "binary", "4.1 MB; the limit is 256 kB"). It is None,
    too, for a nested manifest whose text is `kept` in the store. `reads` is what was read besides.
    """

    path: str
    oid: str
    size: int
    text: str | None
    refused: str = ""
    reads: Reads = field(default_factory=Reads)
    kept: bool = False

    @property
    def folder(self) -> str:
        """The folder that it lies in, "" at the root."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Observation:
    """What the crawl's own page told of a project besides its manifests; costs no request.

    `values` holds what GitLab gave, by our fact names; a fact that it did not give is in
    `unknown` with the reason. `unreadable` is set when the project as a whole could not be read.
    `catalog_info` is the name of a file that Backstage's own discovery reads, "" when none is seen.
    """

    project_id: int
    seen_at: datetime
    values: Mapping[str, Json] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    unreadable: str = ""
    catalog_info: str = ""


@dataclass(frozen=True, slots=True)
class ProjectRead:
    """A project whose repository was read: a wanted file that is not in `files` is not there.

    `observation` is what else its page told; None for a source that tells nothing else. `tip` is
    the commit that was read, "" unknown. `reads` is what was read besides for what `reads_key`
    names; None where nothing was to be. `looked` is what its page told of usual paths: of
    files only that they are there. It is of no use any more once all is read.
    """

    project: Project
    files: tuple[ManifestFile, ...] = ()
    observation: Observation | None = None
    tip: str = ""
    reads: Reads | None = None
    reads_key: str = ""
    looked: tuple[ReadFile, ...] = ()


@dataclass(frozen=True, slots=True)
class ProjectSkipped:
    """A project that was seen and is left out on purpose (archived, excluded by a filter)."""

    project: Project
    reason: str


@dataclass(frozen=True, slots=True)
class ProjectGone:
    """Positive evidence that a project is no more (404 by id)."""

    project_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read. Everything known of it stays as it was.

    With `project_id` it is one project; without, a part of the enumeration was lost and any
    project that was not seen may be in it. `path` is the project's path if known.
    """

    reason: str  # a sentence part: "403 from GitLab: no permission to read code"
    project_id: int | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A project that was listed and not read, for another process to read it."""

    project_id: int
    path: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a scraper has asked of its source since it was made.

    `outcomes` counts requests by HTTP status, or "no answer"; `waited` is how many seconds requests
    were held back, by the source's limits and between tries.
    """

    outcomes: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0


class Coverage(StrEnum):
    """What a scrape set out to see."""

    FULL = "full"  # everything: what was not seen, and lies in no gap, is gone
    CHANGES = "changes"  # what changed since a watermark: unseen means unchanged
    SELECTED = "selected"  # some projects by id


@dataclass(frozen=True, slots=True)
class ScrapeEnd:
    """The last record of every scrape; `requests` counts what it cost.

    One that is `cut` gave as much as was asked for at most, and not all that there is.
    `began` is when, by the source's own clock, where it tells: what it says of when something
    changed goes by that one.
    """

    coverage: Coverage
    requests: int = 0
    began: datetime | None = field(default=None, compare=False)
    cut: bool = False


Record: TypeAlias = ProjectRead | ProjectSkipped | ProjectGone | Gap | Unread | ScrapeEnd


def number_of(record: Record) -> int | None:
    """The project that a record is of, if it is of one."""
    if isinstance(record, ProjectRead | ProjectSkipped):
        return record.project.id
    return record.project_id if isinstance(record, Gap | ProjectGone | Unread) else None


def bytes_of(record: Record, *, kept: bool = False) -> int:
    """How much text a record holds; with `kept`, together with what it left in the store."""
    if not isinstance(record, ProjectRead):
        return 0
    reads = record.reads.files.values() if record.reads is not None else ()
    files = (*record.files, *reads)
    return sum(each.size for each in files if each.text is not None or (kept and each.kept))


# The manifest of a GitLab group, which the crawl makes. In a repository it is somebody's forgery.
GROUP_FILE: Final = "gitlab:group"


def in_repositories(files: Sequence[str]) -> tuple[str, ...]:
    """Those names of manifests that are looked for in repositories."""
    return tuple(name for name in files if name != GROUP_FILE)


class FurtherReads(Protocol):
    """What a scraper asks about reading more of a repository than its root's manifests."""

    @property
    def usual(self) -> tuple[str, ...]:
        """Paths that are looked for in most repositories."""

    async def known(self, ids: Sequence[int]) -> Mapping[int, KnownReads]:
        """What was read of projects before; those of which nothing was are left out."""

    async def texts(self, project_id: int, oids: Sequence[str]) -> Mapping[str, str]:
        """The texts of blobs that were read of a project before, by object id."""

    def key(self, project: Project, files: Sequence[ManifestFile]) -> str:
        """Names what may be wanted of a project with these manifests; "" for nothing. Cheap."""

    def is_manifest(self, path: str) -> bool:
        """Whether a file of this name is a manifest."""

    def wanted(self, project: Project, files: Sequence[ManifestFile]) -> Wanted:
        """What these manifests want to be read besides, and the settings of such a project."""


@dataclass(frozen=True, slots=True)
class ScrapeRequest:
    """What to read: `files` at each repository's root; all projects, or only some.

    `since` (aware) asks for what changed after it, and for the project ids in `also` whether they
    changed or not; `only` asks for these project ids. `further` tells what else to read of a
    repository, and what is known of that; None asks for nothing else. With `listing` a project may
    be told as `Unread`; who reads a `part` of what another listed is in no hurry, as one is with
    `only` these else, and asks for no more than `most` bytes of text and what comes with the last.
    """

    files: tuple[str, ...]
    since: datetime | None = None
    only: tuple[int, ...] = ()
    also: tuple[int, ...] = ()
    further: FurtherReads | None = field(default=None, compare=False, repr=False)
    listing: bool = False
    part: bool = False
    most: int | None = None
