"""A problem: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bridge.model.numbers import mark_of
from bridge.secret.masks import masked

_NO_SOURCE: Final = (
    "?"  # the name of a GitLab that is read no more; none of those read is called so
)


class Severity(StrEnum):
    """How bad a problem is."""

    ERROR = "error"  # something is left out, or kept as it was, because of this
    WARNING = "warning"  # everything is published, but somebody should look
    INFO = "info"  # worth knowing; nothing to do


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, made to be shown to a person.

    `project` is a project's full path ("" for Fester's own files), `file` a path inside that
    project (or on this machine), `line` and `column` count from 1 and are 0 when unknown.
    `rule` is a stable slug ("manifest-invalid", "claim-lost", …) that machines may group by.
    `ref` is the entity concerned ("component:default/x"), "" if none. `gitlab` is the mark of the
    source whose the project is, 0 the first's, and `source` the name of it, "" the first's; the
    name is given where people are told (`with_sources`).
    """

    message: str
    rule: str
    severity: Severity = Severity.ERROR
    project: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    ref: str = ""
    gitlab: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        # A message may quote what a library said: it is shown, stored and served.
        shown = masked(self.message)
        if shown is not self.message:
            object.__setattr__(self, "message", shown)

    def at(self, *, project: str, file: str) -> Problem:
        """The same problem, placed in a project's file."""
        return replace(self, project=project, file=file)

    @property
    def whereabouts(self) -> str:
        """The project's path; of one of a further GitLab with that one's name: `lab:shop/cart`."""
        return f"{self.source}:{self.project}" if self.source and self.project else self.project

    @property
    def position(self) -> str:
        """`file:line:col`, as much of it as is known."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def place(self) -> str:
        """`file:line:col`, as much of it as is known; the project in front, if any."""
        return " ".join(part for part in (self.whereabouts, self.position) if part)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


def with_sources(problems: Iterable[Problem], sources: Collection[str]) -> list[Problem]:
    """The problems, each with the name of the one of these sources whose its project is."""
    names = {mark_of(name): name for name in sources}
    return [
        replace(each, source=names.get(each.gitlab, _NO_SOURCE)) if each.gitlab else each
        for each in problems
    ]
