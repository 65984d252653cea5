"""The count of everything at the end of a full pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from bridge.answers.owners import Owners
from bridge.model.census import Census
from bridge.model.problems import Problem
from bridge.model.runs import Report


def census_of(full: Report, began: datetime, problems: Iterable[Problem], owners: Owners) -> Census:
    """The census after a full pass that began then, of its report and everything that is wrong."""
    standing = list(dict.fromkeys((*full.problems, *problems)))
    return Census(
        at=began.astimezone(UTC),
        outcome=full.outcome,
        seconds=full.seconds,
        requests=full.gitlab_requests,
        looked_at=full.this_pass.get("seen", 0),
        source=full.source,
        projects=dict(full.projects),
        manifests=dict(full.manifests),
        entities=dict(full.entities),
        problems=dict(Counter(each.severity.value for each in standing)),
        by_rule=_counted((each.rule, each) for each in standing),
        by_team=_counted((owners.team(each), each) for each in standing),
    )


def _counted(found: Iterable[tuple[str, Problem]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for name, problem in found:
        counts.setdefault(name, Counter())[problem.severity.value] += 1
    return {name: dict(counted) for name, counted in sorted(counts.items())}
