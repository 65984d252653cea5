"""How everything stood at the end of a full pass: its figures, and what was wrong, counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from bridge.model.runs import Outcome

# Problems by severity ("error", "warning", "info"); a severity without any may be left out.
Counts: TypeAlias = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Census:
    """The figures of a full pass, and the problems as they stood when it had ended.

    `at` is when the pass began, `looked_at` how many projects it saw itself; `projects`,
    `manifests` and `entities` count as in a `Report`. `by_rule` and `by_team` have the problems of
    each rule and each team's ("" is nobody's).
    """

    at: datetime
    outcome: Outcome
    seconds: float = 0.0
    requests: int = 0
    looked_at: int = 0
    source: str = ""  # of several sources the name of the one that was read
    projects: Mapping[str, int] = field(default_factory=dict)
    manifests: Mapping[str, int] = field(default_factory=dict)
    entities: Mapping[str, int] = field(default_factory=dict)
    problems: Counts = field(default_factory=dict)
    by_rule: Mapping[str, Counts] = field(default_factory=dict)
    by_team: Mapping[str, Counts] = field(default_factory=dict)

    def count(self, *, rule: str = "", team: str | None = None, severity: str = "") -> int | None:
        """How many problems of a rule or of a team there were, by severity if one is named.

        None where both are named: they are not counted together.
        """
        if rule and team is not None:
            return None
        counts = self.problems
        if rule:
            counts = self.by_rule.get(rule, {})
        elif team is not None:
            counts = self.by_team.get(team, {})
        return counts.get(severity, 0) if severity else sum(counts.values())
