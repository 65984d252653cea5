"""The GraphQL that reads further files, and what GitLab charges for it.

A question is about one or several paths in some projects, on one branch. Many ride in one
request, each under an alias of its own: `u0: projects(ids: $i0 …)`. See `queries` for the charge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from bridge.scrapers.gitlab.queries import LARGEST_PAGE, project_gid

PROJECTS_AT_ONCE: Final = 100  # GitLab gives no more in one page
TEXTS_AT_ONCE: Final = 50
PATHS_AT_ONCE: Final = 53  # of as many projects they cost 197; GitLab allows nobody known 200
MIXED_PATHS: Final = 20  # of several projects, asked of each of them
QUESTIONS_AT_ONCE: Final = 30  # keeps a query's text below GitLab's limit
TEXT_AT_ONCE: Final = 4 * 1024 * 1024  # bytes of text in one answer


class Asked(StrEnum):
    """What a question is about."""

    BLOBS = "blobs"  # what is at some paths
    TEXTS = "texts"  # the text at one path
    FOLDERS = "folders"  # the folders in a folder
    FILES = "files"  # the files in a folder
    TIPS = "tips"  # the last commit


_BLOB: Final = "path oid size mode lfsOid"
# What a question's own part of a project costs: a resolver and its Gitaly call, nodes, fields.
_SELECTED: Final = {
    Asked.BLOBS: 9,
    Asked.TEXTS: 11,
    Asked.FOLDERS: 10,
    Asked.FILES: 10,
    Asked.TIPS: 13,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `branch` is "" for the default one; `after` goes on with a list; `size` is
    how many bytes of text are expected. About the last commit it has no paths. A text is asked for
    `ahead` of knowing what is there.
    """

    asked: Asked
    paths: tuple[str, ...]
    ids: tuple[int, ...]
    branch: str = ""
    after: str = ""
    size: int = 0
    ahead: bool = False

    @property
    def cost(self) -> int:
        """What GitLab charges for it at most."""
        own = _SELECTED[self.asked]
        if self.asked in (Asked.BLOBS, Asked.TEXTS):
            own = int((own + len(self.paths)) * (1 + len(self.paths) / 100))
        return int((own + 4) * (1 + len(self.ids) / 100)) + 1

    def halves(self) -> tuple[Question, ...]:
        """Two questions about half as much; itself where it is about as little as can be."""
        if len(self.ids) > 1:
            middle = len(self.ids) // 2
            return replace(self, ids=self.ids[:middle]), replace(self, ids=self.ids[middle:])
        if len(self.paths) > 1:
            middle = len(self.paths) // 2
            parts = self.paths[:middle], self.paths[middle:]
            return tuple(replace(self, paths=part) for part in parts)
        return (self,)


def together(questions: Sequence[Question], limit: int) -> Iterator[list[Question]]:
    """The questions as requests, each within GitLab's limits. `limit` is that of complexity."""
    part: list[Question] = []
    cost = size = 0
    for each in questions:
        full = cost + each.cost > limit or len(part) >= QUESTIONS_AT_ONCE
        if part and (full or size + each.size > TEXT_AT_ONCE):
            yield part
            part, cost, size = [], 0, 0
        part.append(each)
        cost, size = cost + each.cost, size + each.size
    if part:
        yield part


def read_further(questions: Sequence[Question]) -> tuple[str, dict[str, Any]]:
    """The query of a request, and its variables; question number n answers under `alias(n)`."""
    declared: list[str] = []
    asked: list[str] = []
    variables: dict[str, Any] = {}
    for n, each in enumerate(questions):
        declared.append(f"$i{n}: [ID!]")
        variables[f"i{n}"] = [project_gid(number) for number in each.ids]
        if each.branch:
            declared.append(f"$b{n}: String")
            variables[f"b{n}"] = each.branch
        inside, names, values = _inside(n, each)
        declared += names
        variables |= values
        asked.append(
            f"{alias(n)}: projects(ids: $i{n}, first: {len(each.ids)}) "
            f"{{ nodes {{ id repository {{ {inside} }} }} }}"
        )
    return f"query readFurther({', '.join(declared)}) {{ {' '.join(asked)} }}", variables


def _inside(n: int, each: Question) -> tuple[str, list[str], dict[str, Any]]:
    """What question number n asks of a repository, the variables that it declares, and theirs."""
    # No type of ref without one: GitLab would then look for a branch named "head".
    at = f"ref: $b{n}, refType: HEADS" if each.branch else ""
    if each.asked is Asked.TIPS:
        return f"tree{f'({at})' if at else ''} {{ lastCommit {{ sha }} }}", [], {}
    if each.asked in (Asked.BLOBS, Asked.TEXTS):
        text = " rawTextBlob" if each.asked is Asked.TEXTS else ""
        inside = (
            f"blobs(paths: $p{n}, first: {len(each.paths)}, {at or 'refType: HEADS'}) "
            f"{{ nodes {{ {_BLOB}{text} }} }}"
        )
        return inside, [f"$p{n}: [String!]!"], {f"p{n}": list(each.paths)}
    declared = [f"$p{n}: String"]
    variables: dict[str, Any] = {f"p{n}": each.paths[0]}
    kind = "trees" if each.asked is Asked.FOLDERS else "blobs"
    after = f", after: $a{n}" if each.after else ""
    if each.after:
        declared.append(f"$a{n}: String")
        variables[f"a{n}"] = each.after
    inside = (
        f"tree(path: $p{n}{f', {at}' if at else ''}) {{ {kind}(first: {LARGEST_PAGE}{after}) "
        "{ nodes { path } pageInfo { hasNextPage endCursor } } }"
    )
    return inside, declared, variables


def alias(index: int) -> str:
    """The alias under which the question number `index` is answered."""
    return f"u{index}"
