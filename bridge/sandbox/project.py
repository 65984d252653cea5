"""A project of the sandbox GitLab: its files, and what GitLab knows of it besides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Literal, TypedDict

RepositoryState = Literal["ok", "empty", "forbidden", "disabled"]
BINARY_PROBE = 8000
TEXT_LIMIT = 10 * 1024 * 1024
DIRECTORY_MODE = "40000"
SUBMODULE_MODE = "160000"


@dataclass(frozen=True)
class SandboxFile:
    """A blob as git stores it; `lfs_oid` says that the content is a pointer to LFS."""

    content: bytes
    mode: str = "100644"
    lfs_oid: str | None = None

    @cached_property
    def oid(self) -> str:
        """The blob's git object id, so that equal content has equal oids."""
        header = b"blob %d\x00" % len(self.content)
        return hashlib.sha1(header + self.content, usedforsecurity=False).hexdigest()

    @property
    def is_file(self) -> bool:
        """Whether this is a blob: a directory or a submodule has a path and an id, too."""
        return self.mode not in (DIRECTORY_MODE, SUBMODULE_MODE)

    @cached_property
    def text(self) -> str | None:
        """The content as `rawTextBlob` gives it: none for a binary, cut at the display limit.

        GitLab guesses the encoding of what is not UTF-8, and says nothing about it.
        """
        if b"\x00" in self.content[:BINARY_PROBE]:
            return None
        if not self.is_file:
            return None
        shown = self.content[:TEXT_LIMIT]
        try:
            return shown.decode("utf-8")
        except UnicodeDecodeError:
            return shown.decode("latin-1")


def lfs_file(content: bytes) -> SandboxFile:
    """A file whose content went to LFS: what git keeps is the pointer."""
    oid = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"
    return SandboxFile(pointer.encode(), lfs_oid=oid)


def symlink(target: str) -> SandboxFile:
    """A symbolic link: its blob is the path it points to."""
    return SandboxFile(target.encode(), mode="120000")


def submodule(commit: str) -> SandboxFile:
    """Another repository at a commit: git keeps its id at a path, and no content."""
    return SandboxFile(commit.encode(), mode=SUBMODULE_MODE)


def as_file(content: str | bytes | SandboxFile) -> SandboxFile:
    """A file as tests and the sample write it."""
    if isinstance(content, SandboxFile):
        return content
    return SandboxFile(content.encode() if isinstance(content, str) else content)


def head_of(files: Mapping[str, SandboxFile]) -> str:
    """A commit id that changes exactly when the files do; zero when there is no commit."""
    if not files:
        return "0" * 40
    listing = "".join(f"{path}:{file.oid}\n" for path, file in sorted(files.items()))
    return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class ProtectedBranch:
    """A protected branch or, with a wildcard in its name, a pattern of branches."""

    name: str
    allow_force_push: bool = False
    code_owner_approval_required: bool = False


@dataclass(frozen=True)
class Release:
    """A release of a project, newest first in the project's list; one may lie in the future."""

    tag: str
    released_at: datetime


@dataclass(frozen=True)
class ApprovalRule:
    """How many approvals a merge request needs; `branches` are those it is for, () means all.

    A branch is named as a protected branch is: it may be a pattern. `all_protected` rules are for
    whatever is protected; `type` is as GraphQL names it.
    """

    name: str
    approvals: int
    branches: Sequence[str] = ()
    all_protected: bool = False
    type: str = "REGULAR"


@dataclass(frozen=True)
class OpenMergeRequest:
    """An open merge request's age and branch."""

    created_at: datetime
    updated_at: datetime
    source_branch: str = "topic"


@dataclass
class ProjectFacts:
    """What GitLab knows about a project besides its code.

    `slow` fields of GraphQL time out for this project alone. `settings_hidden`: the token's user
    is only a guest here. `issues` False: that feature is switched off here.
    `ci_config_path` is the project's own setting of where its pipeline's file lies. `touched` says
    when a folder was last changed, also of one that was deleted then.
    """

    pipeline_status: str | None = None
    languages: Mapping[str, float] = field(default_factory=dict)
    releases: Sequence[Release] = ()
    open_issues: int = 0
    open_merge_requests: int = 0
    forks: int = 0
    only_merge_if_pipeline_succeeds: bool = False
    protected_branches: Sequence[ProtectedBranch] = ()
    approval_rules: Sequence[ApprovalRule] = ()
    issues: bool = True
    ci_config_path: str = ""
    settings_hidden: bool = False
    merge_requests: Sequence[OpenMergeRequest] = ()
    incidents: int = 0
    discussions_resolved: bool = False
    catalog_resource: bool = False
    vulnerabilities: Mapping[str, int] = field(default_factory=dict)
    dora: Mapping[str, float] = field(default_factory=dict)
    touched: Mapping[str, datetime] = field(default_factory=dict)
    slow: frozenset[str] = frozenset()


class ProjectTraits(TypedDict, total=False):
    """What a project may be made with; `SandboxProject` says what is so unless it is given."""

    description: str | None
    default_branch: str
    archived: bool
    fork: bool
    original_hidden: bool
    visibility: str
    topics: Sequence[str]
    repository: RepositoryState
    poisoned: bool
    hidden: bool
    member: bool
    facts: ProjectFacts


@dataclass
class SandboxProject:
    """One project. `path` is the full path; `hidden` and `poisoned` make it unpleasant."""

    id: int
    path: str
    name: str
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime
    description: str | None = None
    default_branch: str = "main"
    archived: bool = False
    marked_for_deletion_at: datetime | None = None
    fork: bool = False
    original_hidden: bool = False  # whether the token may not read what it was forked from
    visibility: str = "private"
    topics: Sequence[str] = ()
    files: dict[str, SandboxFile] = field(default_factory=dict)
    branches: dict[str, dict[str, SandboxFile]] = field(default_factory=dict)  # beside the default
    tags: dict[str, dict[str, SandboxFile]] = field(default_factory=dict)
    repository: RepositoryState = "ok"
    poisoned: bool = False
    hidden: bool = False
    member: bool = True  # whether the token's user is a member
    issues_enabled: bool = True
    facts: ProjectFacts = field(default_factory=ProjectFacts)
    changes: ClassVar[int] = 0  # how often anything of any project was set: lists go stale by it

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        SandboxProject.changes += 1

    @property
    def namespace(self) -> str:
        """The full path of the group that holds the project."""
        return self.path.rpartition("/")[0]
