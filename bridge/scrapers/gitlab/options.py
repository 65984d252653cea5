"""What the user may choose about a crawl, and which projects that leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.model.scrape import Project


@dataclass(frozen=True, slots=True)
class GitLabOptions:
    """How to crawl. `timeout` and `longest_wait` are seconds; `max_retries` is for one request.

    `exclude` are globs of project paths, matched whatever the case (`*` matches `/` too).
    `topics`: only projects with one of them. `groups`: only projects in one of them or below; none
    means all. `branches` are (glob, branch): the first glob that fits a project's path names the
    branch that its files are read from. `people`: groups and their members are read, too.
    """

    archived: bool = False
    people: bool = False
    forks: bool = True
    membership: bool = False
    exclude: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    branches: tuple[tuple[str, str], ...] = ()
    concurrency: int = 8
    page_size: int = 50
    timeout: float = 40.0
    max_retries: int = 4
    longest_wait: float = 600.0

    def branch_of(self, path: str) -> str:
        """The branch that a project's files are read from; "" for its default branch."""
        lowered = path.lower()
        found = (branch for glob, branch in self.branches if fnmatchcase(lowered, glob.lower()))
        return next(found, "")

    def reason_to_skip(self, project: Project, *, forked: bool = False) -> str:
        """Why the project is left out, as a sentence part; "" when it is to be read."""
        return next(self._reasons(project, forked=forked), "")

    def _reasons(self, project: Project, *, forked: bool) -> Iterator[str]:
        path = project.path.lower()
        inside = tuple(f"{group.lower()}/" for group in self.groups)
        if inside and not path.startswith(inside):
            yield f"outside the group {', '.join(self.groups)}"
        if project.marked_for_deletion:
            yield "scheduled for deletion in GitLab"
        if project.archived and not self.archived:
            yield "archived (`gitlab.archived` is off)"
        if forked and not self.forks:
            yield "a fork (`gitlab.forks` is off)"
        for glob in self.exclude:
            if fnmatchcase(path, glob.lower()):
                yield f"excluded by the pattern {glob!r} of `gitlab.exclude`"
        wanted = {topic.lower() for topic in self.topics}
        if wanted and wanted.isdisjoint(topic.lower() for topic in project.topics):
            yield f"without any of the topics {', '.join(self.topics)} of `gitlab.topics`"
