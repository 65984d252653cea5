"""What a pass gives: artifacts, receipts and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.entities import Catalog, Json
from bridge.model.moments import iso
from bridge.model.problems import Problem
from bridge.model.scrape import Coverage


class Stage(StrEnum):
    """When an artifact is written: a reader of the index must find all that it names."""

    DEFINITIONS = "definitions"  # first: entities name them
    ENTITIES = "entities"
    INDEX = "index"  # after every entity file is safe
    DATA = "data"  # beside the index; nothing refers to it by name


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file to publish. `path` is relative, `[A-Za-z0-9._/-]` only, without `..`."""

    path: str
    body: bytes
    content_type: str
    stage: Stage = Stage.DATA


@dataclass(frozen=True, slots=True)
class Processed:
    """What a processor made: files, and a catalog if it makes entities."""

    artifacts: tuple[Artifact, ...] = ()
    catalog: Catalog | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one exporter did. `changed` lists the paths written."""

    to: str
    written: int
    kept: int
    removed: int
    changed: tuple[str, ...] = ()


class Step(StrEnum):
    """What a pass is doing, for whoever shows how far it is."""

    PROJECT = "project"  # with how many were read so far
    PROCESS = "process"
    PUBLISH = "publish"
    REMEMBER = "remember"
    COLLECT = "collect"  # after the pass, with how many readings of facts were made


class Outcome(StrEnum):
    """How a pass ended."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"  # published, but something could not be read, or was withheld
    FAILED = "failed"  # nothing published

    @property
    def exit_code(self) -> int:
        """The command's exit code for this outcome."""
        return {"complete": 0, "incomplete": 3, "failed": 1}[self.value]


@dataclass(frozen=True, slots=True)
class Report:
    """The account of one pass; `as_json` is the shape that `--report` writes.

    `projects`, `manifests` and `entities` count all that is known, whatever the pass set out to
    see; `this_pass` counts the projects that it looked at itself.
    """

    outcome: Outcome
    seconds: float
    projects: Mapping[str, int] = field(default_factory=dict)
    manifests: Mapping[str, int] = field(default_factory=dict)
    entities: Mapping[str, int] = field(default_factory=dict)
    gitlab_requests: int = 0
    problems: tuple[Problem, ...] = ()
    published: tuple[Receipt, ...] = ()
    started_at: datetime | None = None
    failure: str = ""
    kind: Coverage = Coverage.FULL  # what the pass set out to see
    this_pass: Mapping[str, int] = field(default_factory=dict)
    source: str = ""  # of several sources the name of the one that was read; "" the first, or all

    def as_json(self) -> dict[str, Json]:
        """The report as a JSON tree with the documented keys."""
        return {
            "outcome": self.outcome.value,
            "kind": self.kind.value,
            "source": self.source,
            "seconds": round(self.seconds, 3),
            "started_at": iso(self.started_at),
            "failure": self.failure,
            "projects": dict(self.projects),
            "this_pass": dict(self.this_pass),
            "manifests": dict(self.manifests),
            "entities": dict(self.entities),
            "gitlab_requests": self.gitlab_requests,
            "problems": [problem_json(problem) for problem in self.problems],
            "published": [
                {"to": r.to, "written": r.written, "kept": r.kept, "removed": r.removed}
                for r in self.published
            ],
        }


def changed_in(report: Report) -> frozenset[str] | None:
    """The paths that were written anywhere; None when there is no destination that would say."""
    if not report.published:
        return None
    return frozenset(path for receipt in report.published for path in receipt.changed)


def problem_json(problem: Problem) -> dict[str, Json]:
    """A problem as a JSON object with the report's keys."""
    return {
        "source": problem.source,
        "project": problem.project,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "severity": problem.severity.value,
        "rule": problem.rule,
        "ref": problem.ref,
    }
