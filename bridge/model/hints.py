"""Hints: what a webhook says is worth reading again. A hint is never taken for the truth."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model.memory import Memory


@dataclass(frozen=True, slots=True, order=True)
class Hint:
    """A project by its id, or all known projects of a group by its (former) path.

    With neither, something changed that is found by asking for what changed.
    """

    project_id: int = 0
    group: str = ""


SOMETHING = Hint()


def hinted_projects(hints: frozenset[Hint], memory: Memory) -> frozenset[int]:
    """The ids of the projects that hints speak of, those of groups as they are known."""
    ids = {hint.project_id for hint in hints if hint.project_id}
    groups = tuple(f"{hint.group.lower()}/" for hint in hints if hint.group)
    if groups:
        ids |= {
            project_id
            for project_id, known in memory.projects.items()
            if known.project.path.lower().startswith(groups)
        }
    return frozenset(ids)
