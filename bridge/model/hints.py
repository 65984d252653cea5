"""Hints: what a webhook says is worth reading again. A hint is never taken for the truth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Hint:
    """A project by its id, or all known projects of a group by its (former) path.

    With neither, something changed that is found by asking for what changed.
    """

    project_id: int = 0
    group: str = ""


SOMETHING = Hint()


def hinted_groups(hints: frozenset[Hint]) -> frozenset[str]:
    """The groups that hints speak of, in lower case."""
    return frozenset(hint.group.lower() for hint in hints if hint.group)


def hinted_projects(hints: frozenset[Hint], grouped: frozenset[int]) -> frozenset[int]:
    """The ids of the projects that hints speak of; `grouped` are those of their groups."""
    return frozenset(hint.project_id for hint in hints if hint.project_id) | grouped
