"""A problem: what is wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.secret.masks import masked


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
    `ref` is the entity concerned ("component:default/x"), "" if none.
    """

    message: str
    rule: str
    severity: Severity = Severity.ERROR
    project: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    ref: str = ""

    def __post_init__(self) -> None:
        # A message may quote what a library said: it is shown, stored and served.
        shown = masked(self.message)
        if shown is not self.message:
            object.__setattr__(self, "message", shown)

    def at(self, *, project: str, file: str) -> Problem:
        """The same problem, placed in a project's file."""
        return replace(self, project=project, file=file)

    @property
    def place(self) -> str:
        """`file:line:col`, as much of it as is known; the project's path in front, if any."""
        position = f":{self.line}:{self.column}" if self.line else ""
        file = f"{self.file}{position}"
        return " ".join(part for part in (self.project, file) if part)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message
