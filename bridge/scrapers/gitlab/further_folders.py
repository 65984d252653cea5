"""What lies in folders of repositories, and which paths there patterns mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from bridge.language.paths import is_pattern, part_fits
from bridge.scrapers.bounds import LISTED_LIMIT
from bridge.scrapers.gitlab.files import nodes_of
from bridge.scrapers.gitlab.further_asking import id_parts
from bridge.scrapers.gitlab.further_jobs import Job, JobAsking
from bridge.scrapers.gitlab.further_queries import Asked, Question

FITTING_LIMIT: Final = 200  # paths that one pattern may mean

# (project, pattern) → the folders that fit its first parts, and its parts that are left.
Level: TypeAlias = dict[tuple[int, str], tuple[list[str], list[str]]]
# (project, folder, what was sought) → the paths in it.
Listed: TypeAlias = dict[tuple[int, str, Asked], list[str]]


class Folders:
    """Looks into the folders of some projects at once; one that cannot be listed has failed."""

    def __init__(self, asking: JobAsking) -> None:
        self._asking = asking

    async def fitting(
        self, jobs: Sequence[Job], patterns: Mapping[int, Sequence[str]], *, manifests: bool
    ) -> dict[int, list[str]]:
        """The paths that patterns mean, level by level: each lists the folders that fit so far."""
        by_id = {job.id: job for job in jobs if not job.failed}
        level = _first_level(by_id, patterns, manifests=manifests)
        found: dict[int, list[str]] = {}
        while level:
            step: Level = {}
            for key, so_far in level.items():
                folders, parts = _as_far_as_written(*so_far)
                if parts:
                    step[key] = folders, parts
                else:
                    found.setdefault(key[0], []).extend(folders)
            listed = await self.listed(by_id, step, manifests=manifests)
            level = {}
            for (number, pattern), (folders, parts) in step.items():
                if by_id[number].failed:
                    continue
                paths = _fitting_in(listed, number, folders, parts)
                if len(paths) > FITTING_LIMIT:
                    reason = f"more than {FITTING_LIMIT} paths fit it"
                    by_id[number].cut(pattern, reason, manifests=manifests)
                    paths = paths[:FITTING_LIMIT]
                if len(parts) == 1:
                    found.setdefault(number, []).extend(paths)
                elif paths:
                    level[number, pattern] = paths, parts[1:]
        return {number: sorted(set(paths)) for number, paths in found.items()}

    async def listed(self, by_id: Mapping[int, Job], level: Level, *, manifests: bool) -> Listed:
        """What lies in the folders of a level: in each its folders, or its files."""
        questions = _questions(by_id, level)
        found: Listed = {}
        while questions:
            answers = await self._asking.of(by_id, questions)
            questions = []
            for (question, number), repository in answers.items():
                key = number, question.paths[0], question.asked
                names, cursor = _page_of(repository, question.asked)
                if names is None:
                    by_id[number].failed = "GitLab's answer is not whole"
                    continue
                there = found.setdefault(key, [])
                there += names
                if cursor and len(there) >= LISTED_LIMIT:
                    folder = question.paths[0] or "the root"
                    reason = f"only {LISTED_LIMIT} entries of {folder} were looked at"
                    by_id[number].cut(f"{question.paths[0]}/*", reason, manifests=manifests)
                elif cursor:
                    questions.append(replace(question, ids=(number,), after=cursor))
        return found


def _first_level(
    by_id: Mapping[int, Job], patterns: Mapping[int, Sequence[str]], *, manifests: bool
) -> Level:
    """All patterns at their roots; those that stand for several paths are noted."""
    level: Level = {}
    for number, job in by_id.items():
        for pattern in patterns.get(number, ()):
            if is_pattern(pattern):
                job.cut(pattern, manifests=manifests)
            level[number, pattern] = ([""], pattern.split("/"))
    return level


def _questions(by_id: Mapping[int, Job], level: Level) -> list[Question]:
    """Which lists a level needs: each folder is asked about once for all projects of a branch."""
    about: dict[tuple[str, str, Asked], set[int]] = {}
    for (number, _), (folders, parts) in level.items():
        for folder in folders:
            about.setdefault((by_id[number].branch, folder, _sought(parts)), set()).add(number)
    return [
        Question(kind, (folder,), part, branch)
        for (branch, folder, kind), ids in sorted(about.items())
        for part in id_parts(sorted(ids))
    ]


def _sought(parts: Sequence[str]) -> Asked:
    """What the next of a pattern's parts names: the last one names files."""
    return Asked.FILES if len(parts) == 1 else Asked.FOLDERS


def _fitting_in(
    listed: Listed, number: int, folders: Sequence[str], parts: Sequence[str]
) -> list[str]:
    """What in these folders of a project fits the next of a pattern's parts."""
    return [
        path
        for folder in folders
        for path in listed.get((number, folder, _sought(parts)), ())
        if part_fits(path.rpartition("/")[2], parts[0])
    ]


def _as_far_as_written(folders: list[str], parts: list[str]) -> tuple[list[str], list[str]]:
    """The folders below, down to the next part of a pattern that stands for several."""
    count = next((n for n, part in enumerate(parts) if is_pattern(part)), len(parts))
    below = "/".join(parts[:count])
    return [_joined(each, below) if below else each for each in folders], parts[count:]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _page_of(repository: Any, asked: Asked) -> tuple[list[str] | None, str]:
    """The paths in a folder's list, and the cursor of its next page ("" on the last one)."""
    tree = repository.get("tree") if isinstance(repository, dict) else None
    if tree is None:
        return [], ""  # an empty repository has no tree
    kind = "trees" if asked is Asked.FOLDERS else "blobs"
    nodes = nodes_of(tree, kind)
    info = tree[kind].get("pageInfo") if nodes is not None else None
    if nodes is None or not isinstance(info, dict):
        return None, ""
    paths = [str(node["path"]) for node in nodes if isinstance(node, dict) and "path" in node]
    return paths, str(info.get("endCursor") or "") if info.get("hasNextPage") else ""
