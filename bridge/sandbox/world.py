"""What the sandbox GitLab holds: groups, projects, files; and what can happen to them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Unpack

from bridge.sandbox.listings import Listings
from bridge.sandbox.members import Members
from bridge.sandbox.project import (
    ProjectTraits,
    SandboxFile,
    SandboxProject,
    as_file,
    head_of,
)
from bridge.sandbox.tracker import Accounts, Tracker

Clock = Callable[[], datetime]

# GitLab writes these columns lazily; a crawler that trusts them to the second loses changes.
ACTIVITY_STEP = timedelta(hours=1)
UPDATE_STEP = timedelta(minutes=5)
CI_CONFIG = ".gitlab-ci.yml"


@dataclass(frozen=True)
class SandboxGroup:
    """A group; its parent follows from its path."""

    id: int
    path: str
    name: str
    archived: bool = False
    marked_for_deletion_at: datetime | None = None


@dataclass(frozen=True)
class Happening:
    """Something that hooks tell the world outside, in GitLab's own event names."""

    event: str
    project_id: int
    path: str
    old_path: str | None = None
    before: str | None = None
    after: str | None = None
    added: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    branch: str = "main"
    at: datetime | None = None


class UnknownProject(LookupError):
    """There is no project with this id in the world."""


class World:
    """All groups and projects; changes move timestamps as GitLab does and tell `listeners`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.listeners: list[Callable[[Happening], None]] = []
        self.people = Accounts()
        self.members = Members()
        self.issues = Tracker(clock, first_id=10_000)
        self.merge_requests = Tracker(clock, first_id=50_000)
        self._projects: dict[int, SandboxProject] = {}
        self._ids: list[int] = []
        self._by_path: dict[str, int] = {}
        self._groups: dict[str, SandboxGroup] = {}
        self._next_id = 1
        self._changes = 0  # of groups, and of which projects there are
        self._listings = Listings()

    def __len__(self) -> int:
        return len(self._projects)

    def __iter__(self) -> Iterator[SandboxProject]:
        return (self._projects[number] for number in self._ids)

    @property
    def projects(self) -> list[SandboxProject]:
        """Every project, by id."""
        return list(self)

    @property
    def groups(self) -> list[SandboxGroup]:
        """Every group, parents before their children."""
        return sorted(self._groups.values(), key=lambda group: group.path)

    def get(self, project_id: int) -> SandboxProject | None:
        """The project with this id, if it is (still) there."""
        return self._projects.get(project_id)

    def find(self, path: str) -> SandboxProject | None:
        """The project with this full path; like GitLab, case does not matter."""
        number = self._by_path.get(path.lower())
        return None if number is None else self._projects[number]

    def listing(
        self, asked: Hashable, make: Callable[[], list[SandboxProject]]
    ) -> Sequence[SandboxProject]:
        """What `make` gives for a question, made anew only after anything has changed.

        A real GitLab has indexes; making every page from all projects is slow with a million.
        """
        return self._listings.get((self._changes, SandboxProject.changes), asked, make)

    def group(self, path: str) -> SandboxGroup | None:
        """The group with this full path."""
        return self._groups.get(path.lower())

    def group_by_id(self, number: int) -> SandboxGroup | None:
        """The group with this id."""
        return next((group for group in self._groups.values() if group.id == number), None)

    def in_group(self, path: str, *, subgroups: bool) -> list[SandboxProject]:
        """Projects of a group by id, with those of its subgroups if asked."""
        prefix = path.lower() + "/"
        inside = [p for p in self if p.path.lower().startswith(prefix)]
        return inside if subgroups else [p for p in inside if p.namespace.lower() == path.lower()]

    def is_archived(self, project: SandboxProject) -> bool:
        """Whether a project is archived, itself or by a group above it."""
        return project.archived or any(group.archived for group in self._above(project.path))

    def is_marked_for_deletion(self, project: SandboxProject) -> bool:
        """Whether a project is scheduled for deletion, itself or by a group above it."""
        marks = [group.marked_for_deletion_at for group in self._above(project.path)]
        return any(mark is not None for mark in [project.marked_for_deletion_at, *marks])

    def _above(self, path: str) -> Iterator[SandboxGroup]:
        parts = path.lower().split("/")
        for length in range(1, len(parts)):
            group = self._groups.get("/".join(parts[:length]))
            if group is not None:
                yield group

    def add_group(self, path: str, name: str | None = None) -> SandboxGroup:
        """Create a group and the groups above it, unless they exist."""
        known = self._groups.get(path.lower())
        if known is not None:
            return known
        parent, _, last = path.rpartition("/")
        if parent:
            self.add_group(parent)
        group = SandboxGroup(1000 + len(self._groups), path, name or _title(last))
        self._put(group)
        return group

    def add_project(
        self,
        path: str,
        *,
        files: Mapping[str, str | bytes | SandboxFile] | None = None,
        id: int | None = None,
        name: str | None = None,
        created_at: datetime | None = None,
        **traits: Unpack[ProjectTraits],
    ) -> SandboxProject:
        """Create a project (and its groups); `files` may be text, bytes or `SandboxFile`s."""
        number = self._next_id if id is None else id
        if number in self._projects or path.lower() in self._by_path:
            raise ValueError(f"a project {path!r} or number {number} exists already")
        now = self.clock()
        born = created_at or now
        # Not everything in an organization changed just now.
        active = now if created_at is None else max(born, now - timedelta(days=number % 90))
        kept = {at: as_file(content) for at, content in (files or {}).items()}
        called = name or _title(_last(path))
        project = SandboxProject(number, path, called, born, active, active, files=kept, **traits)
        self._keep(project)
        self._tell("project_create", project)
        return project

    def rename(self, project_id: int, last: str) -> None:
        """Give a project another last path segment; its id stays."""
        project = self._known(project_id)
        self._move(project, f"{project.namespace}/{last}", "project_rename")
        project.name = _title(last)

    def transfer(self, project_id: int, group: str) -> None:
        """Move a project to another group, which is created if it is not there; its id stays."""
        project = self._known(project_id)
        self._move(project, f"{group}/{project.path.rpartition('/')[2]}", "project_transfer")

    def rename_group(self, path: str, last: str) -> None:
        """Give a group another last path segment; all that is in it moves, and no date with it."""
        old = self._groups[path.lower()].path
        above = old.rpartition("/")[0]
        new = f"{above}/{last}" if above else last
        self._move_group(path, new)
        self._report(Happening("group_rename", 0, new, old, at=self.clock()))

    def _move_group(self, path: str, new: str) -> None:
        group = self._groups[path.lower()]
        if new.lower() in self._groups:
            raise ValueError(f"a group {new!r} exists already")
        if parent := new.rpartition("/")[0]:
            self.add_group(parent)
        for each in [g for g in self.groups if f"{g.path}/".lower().startswith(f"{path}/".lower())]:
            del self._groups[each.path.lower()]
            moved = new + each.path[len(group.path) :]
            self._put(replace(each, path=moved))
            self.members.moved(each.path, moved)
        for project in self.in_group(path, subgroups=True):
            del self._by_path[project.path.lower()]
            project.path = new + project.path[len(group.path) :]
            self._by_path[project.path.lower()] = project.id

    def transfer_group(self, path: str, parent: str) -> None:
        """Move a group and all that is in it below another; GitLab tells nobody."""
        last = self._groups[path.lower()].path.rpartition("/")[2]
        self._move_group(path, f"{parent}/{last}" if parent else last)

    def archive_group(self, path: str, archived: bool = True) -> None:
        """Archive a group: all below it is archived, and no date of a project moves."""
        group = self._groups[path.lower()]
        self._put(replace(group, archived=archived))
        self._report(Happening("group_update", 0, group.path, at=self.clock()))

    def schedule_deletion(self, project_id: int) -> None:
        """Mark a project for deletion: it stays for days under another path and name."""
        project = self._known(project_id)
        project.marked_for_deletion_at = self.clock()
        name = f"{project.name}-deletion_scheduled-{project_id}"
        self.rename(project_id, f"{_last(project.path)}-deletion_scheduled-{project_id}")
        project.name = name

    def schedule_group_deletion(self, path: str) -> str:
        """Mark a group for deletion; gives its new path. Its projects move with it, unmarked."""
        group = self._groups[path.lower()]
        self._put(replace(group, marked_for_deletion_at=self.clock()))
        last = f"{_last(group.path)}-deletion_scheduled-{group.id}"
        self.rename_group(path, last)
        above = group.path.rpartition("/")[0]
        return f"{above}/{last}" if above else last

    def restore(self, project_id: int) -> None:
        """Take a project's mark off again; it gets its path and name back."""
        project = self._known(project_id)
        project.marked_for_deletion_at = None
        name = project.name.removesuffix(f"-deletion_scheduled-{project_id}")
        self.rename(
            project_id, _last(project.path).removesuffix(f"-deletion_scheduled-{project_id}")
        )
        project.name = name

    def archive(self, project_id: int, archived: bool = True) -> None:
        """Archive a project, or bring it back."""
        project = self._known(project_id)
        project.archived = archived
        project.updated_at = self.clock()
        self._tell("project_update", project)

    def delete(self, project_id: int) -> None:
        """Remove a project for good; its id is never given again."""
        project = self._known(project_id)
        del self._projects[project_id]
        del self._by_path[project.path.lower()]
        del self._ids[bisect_left(self._ids, project_id)]
        self._changes += 1
        self._tell("project_destroy", project)

    def commit_file(
        self,
        project_id: int,
        path: str,
        content: str | bytes | SandboxFile,
        *,
        skip_ci: bool = False,
    ) -> str:
        """Write a file on the default branch; gives the blob's oid.

        `skip_ci`: the commit says [skip ci], and so the head commit has no pipeline.
        """
        project = self._known(project_id)
        if skip_ci:
            project.facts.pipeline_status = None
        file = as_file(content)
        changed = "modified" if path in project.files else "added"
        before = head_of(project.files)
        project.files[path] = file
        if project.repository == "empty":
            project.repository = "ok"
        self._pushed(project, before, changed, path)
        return file.oid

    def commit_to_branch(
        self, project_id: int, branch: str, path: str, content: str | bytes | SandboxFile
    ) -> None:
        """Write a file on another branch than the default one, which is made if it is not there."""
        project = self._known(project_id)
        files = project.branches.setdefault(branch, dict(project.files))
        changed = "modified" if path in files else "added"
        before = head_of(files)
        files[path] = as_file(content)
        self._pushed(project, before, changed, path, branch)

    def rename_file(self, project_id: int, old: str, new: str) -> None:
        """Move a file on the default branch. A hook lists a rename under `added` alone."""
        project = self._known(project_id)
        before = head_of(project.files)
        project.files[new] = project.files.pop(old)
        self._pushed(project, before, "added", new)

    def tag(self, project_id: int, name: str) -> None:
        """Tag the default branch as it is; a tag may have a branch's name."""
        project = self._known(project_id)
        project.tags[name] = dict(project.files)

    def delete_file(self, project_id: int, path: str) -> None:
        """Remove a file from the default branch."""
        project = self._known(project_id)
        before = head_of(project.files)
        del project.files[path]
        self._pushed(project, before, "removed", path)

    def _put(self, group: SandboxGroup) -> None:
        self._groups[group.path.lower()] = group
        self._changes += 1

    def _known(self, project_id: int) -> SandboxProject:
        project = self._projects.get(project_id)
        if project is None:
            raise UnknownProject(f"no project {project_id} in the sandbox")
        return project

    def _keep(self, project: SandboxProject) -> None:
        self._next_id = max(self._next_id, project.id + 1)
        if project.id not in self._projects:
            insort(self._ids, project.id)
            self._changes += 1
        self._projects[project.id] = project
        self._by_path[project.path.lower()] = project.id
        if project.namespace.lower() not in self._groups:
            self.add_group(project.namespace)

    def _move(self, project: SandboxProject, path: str, event: str) -> None:
        if self._by_path.get(path.lower(), project.id) != project.id:
            raise ValueError(f"a project {path!r} exists already")
        old = project.path
        del self._by_path[old.lower()]
        project.path = path
        project.updated_at = self.clock()
        self._keep(project)
        self._tell(event, project, old_path=old)

    def _pushed(
        self, project: SandboxProject, before: str, changed: str, path: str, branch: str = ""
    ) -> None:
        now = self.clock()
        if now - project.last_activity_at >= ACTIVITY_STEP:
            project.last_activity_at = now
        if now - project.updated_at >= UPDATE_STEP:
            project.updated_at = now
        self._report(
            Happening(
                "push",
                project.id,
                project.path,
                before=before,
                after=head_of(project.branches[branch] if branch else project.files),
                added=(path,) if changed == "added" else (),
                modified=(path,) if changed == "modified" else (),
                removed=(path,) if changed == "removed" else (),
                branch=branch or project.default_branch,
                at=now,
            )
        )

    def _tell(self, event: str, project: SandboxProject, old_path: str | None = None) -> None:
        if self.listeners:
            branch = project.default_branch
            self._report(
                Happening(event, project.id, project.path, old_path, branch=branch, at=self.clock())
            )

    def _report(self, happening: Happening) -> None:
        for listener in self.listeners:
            listener(happening)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _title(segment: str) -> str:
    return segment.replace("-", " ").title()
