"""Which problems a request asks for, and how many there are of each sort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.errors import BadQuestion
from bridge.model.entities import Ref
from bridge.model.numbers import FIRST, FIRST_CALLED
from bridge.model.problems import Problem, Severity

NOBODY: Final = "nobody"  # asks for what belongs to no team
_LONGEST: Final = 600  # characters of one parameter
_ORDER: Final = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Owned:
    """A problem, and the reference of the team whose it is; "" when nobody is known."""

    problem: Problem
    team: str


@dataclass(frozen=True, slots=True)
class ProblemFilter:
    """What must fit; None and "" fit everything. `team` is a reference, "" for nobody's.

    `project` is a project's path, or that of a group with all below it; `kind` a problem's rule;
    `source` the name of the GitLab whose the project is, "" the first's.
    """

    team: str | None = None
    project: str = ""
    kind: str = ""
    severity: str = ""
    source: str | None = None

    def fits(self, each: Owned) -> bool:
        """Whether a problem is asked for."""
        path = each.problem.project.lower()
        return (
            self.team in (None, each.team)
            and self.source in (None, each.problem.source)
            and (not self.project or f"{path}/".startswith(f"{self.project}/"))
            and self.kind in ("", each.problem.rule)
            and self.severity in ("", each.problem.severity.value)
        )


@dataclass(frozen=True, slots=True)
class Sorts:
    """How many problems there are of each severity, kind and team; most first."""

    severities: Mapping[str, int]
    kinds: Mapping[str, int]
    teams: Mapping[str, int]


def question(query: Mapping[str, str]) -> ProblemFilter:
    """The question that parameters mean. Raises `BadQuestion`."""
    asked = {key: query.get(key, "").strip()[:_LONGEST] for key in ("team", "project", "kind")}
    severity = query.get("severity", "")
    if severity and severity not in [each.value for each in Severity]:
        raise BadQuestion(f"`severity` is one of {', '.join(Severity)}")
    project = asked["project"].strip("/").lower()
    return ProblemFilter(
        _team(asked["team"]), project, asked["kind"], severity, _source(query.get("source", ""))
    )


def _source(text: str) -> str | None:
    name = text.strip()[:_LONGEST]
    return (FIRST if name == FIRST_CALLED else name) if name else None


def _team(text: str) -> str | None:
    if not text:
        return None
    if text == NOBODY:
        return ""
    try:
        return str(Ref.parse(text, kind="group"))
    except ValueError:
        raise BadQuestion(
            f"`team` is a reference like group:default/name, a name, or {NOBODY}"
        ) from None


def worst_first(found: Iterable[Owned]) -> list[Owned]:
    """By severity, then as they were."""
    return sorted(found, key=lambda each: _ORDER[each.problem.severity])


def sorts(found: Sequence[Owned]) -> Sorts:
    """The counts of all sorts; severities in their order, with those that do not occur."""
    severities = Counter(each.problem.severity.value for each in found)
    return Sorts(
        {each.value: severities[each.value] for each in Severity},
        _most_first(Counter(each.problem.rule for each in found)),
        _most_first(Counter(each.team for each in found)),
    )


def _most_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
