"""What the user may choose about a crawl, and which projects that leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.model.scrape import Project


@dataclass(frozen=True, slots=True)
class GitLabOptions:
    """How to crawl. `timeout` and `longest_wait` are seconds; `max_retries` is for one request.

    `exclude` are globs of project paths, matched whatever the case (`*` matches `/` too).
    `topics`: only projects with one of them.
    """

    archived: bool = False
    forks: bool = True
    membership: bool = False
    exclude: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    concurrency: int = 8
    page_size: int = 50
    timeout: float = 40.0
    max_retries: int = 4
    longest_wait: float = 600.0

    def reason_to_skip(self, project: Project, *, group: str = "", forked: bool = False) -> str:
        """Why the project is left out, as a sentence part; "" when it is to be read."""
        path = project.path.lower()
        if group and not path.startswith(f"{group.lower()}/"):
            return f"outside the group {group}"
        if project.archived and not self.archived:
            return "archived"
        if forked and not self.forks:
            return "a fork"
        for glob in self.exclude:
            if fnmatchcase(path, glob.lower()):
                return f"excluded by the pattern {glob!r}"
        wanted = {topic.lower() for topic in self.topics}
        if wanted and wanted.isdisjoint(topic.lower() for topic in project.topics):
            return f"without any of the topics {', '.join(self.topics)}"
        return ""
