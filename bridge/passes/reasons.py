"""Why something is gone, or kept though it was not read: in words for the report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from bridge.model.manifests import Verdict
from bridge.model.memory import KnownManifest, KnownProject
from bridge.model.moments import iso
from bridge.model.numbers import mark_in
from bridge.model.problems import Problem, Severity
from bridge.model.scrape import Project

# GitLab does not tell the one from the other. That many vanish at once is the guard's business.
UNLISTED = (
    "it is no longer in GitLab's complete list of projects: it was deleted, or this token is no "
    "longer shown it"
)
UNLISTED_GROUP = (
    "it is no longer among the groups that are read: it was deleted, this token is no longer shown "
    "it, or the settings ask for no people"
)
_NO_FILE = "the file is no longer on the default branch"
_UNNAMED = (
    "the file is no longer on the default branch, or nothing names it any more (`include`, "
    "`gitlab.nested`)"
)
_FEWER = "the group has fewer members than before"  # a group has several files if it has many
_NEVER_READ = "nothing was known of it yet"
_MOST_NAMED = 3  # nested manifests that one problem names


def why_absent(project: Project, file: str) -> str:
    """Why a file of a project that was read whole is no longer there."""
    if project.id < 0:
        return _FEWER
    return _UNNAMED if "/" in file else _NO_FILE


def nested_kept(project: Project, files: Collection[str], reason: str) -> Problem:
    """Nested manifests that were not read: which, and why."""
    names = sorted(files)
    more = f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else ""
    return Problem(
        f"{', '.join(names[:_MOST_NAMED])}{more}: not read, and what was known of it is kept "
        f"({reason})",
        "nested-kept",
        Severity.WARNING,
        project=project.path,
        gitlab=mark_in(project.id),
    )


def member_left(project: Project, who: str) -> Problem:
    """Somebody is no longer in a group, whose path is the project's."""
    return Problem(
        f"{who} is no longer a member that counts: left, blocked, or with a role that is too low",
        "member-left",
        Severity.INFO,
        project=project.path,
        gitlab=mark_in(project.id),
        ref=who if ":" in who else "",
    )


def enumeration_gap(reason: str) -> Problem:
    """What to say when a part of the list of projects was lost."""
    return Problem(
        f"a part of the list of projects could not be read ({reason}); "
        "everything known that was not seen is kept",
        "enumeration-gap",
        Severity.WARNING,
    )


def problems_of(known: KnownProject, manifest: KnownManifest) -> tuple[Problem, ...]:
    """What is wrong with a manifest as it is now, or why it is ignored."""
    gitlab, found = mark_in(known.project.id), manifest.current.problems
    if gitlab:  # a translation does not tell it
        found = tuple(replace(each, gitlab=gitlab) for each in found)
    if manifest.current.verdict is not Verdict.IGNORED:
        return found
    ignored = Problem(
        f"ignored: {manifest.current.reason}",
        "manifest-ignored",
        Severity.INFO,
        project=known.project.path,
        file=manifest.file,
        gitlab=gitlab,
    )
    return (*found, ignored)


def gap_problem(known: KnownProject) -> Problem | None:
    """Since when and why a project cannot be read; None when it can."""
    if not known.gap_since:
        return None
    return unreadable(known.project, known.gap_reason, known.gap_since, known.read_at)


def unreadable(
    project: Project, reason: str, since: datetime | None, read_at: datetime | None
) -> Problem:
    """A project that cannot be read: since when, why, and from when the kept is."""
    kept = f"what was known of it since {iso(read_at)} is kept" if read_at else _NEVER_READ
    when = f" since {iso(since)}" if since else ""
    return Problem(
        f"could not be read{when} ({reason}); {kept}",
        "unreadable",
        Severity.WARNING,
        project=project.path,
        gitlab=mark_in(project.id),
    )
