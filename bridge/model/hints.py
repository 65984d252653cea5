"""Hints: what a webhook says is worth reading again. A hint is never taken for the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.model.numbers import TooLarge, mark_in, mark_of, number_of, own_id


@dataclass(frozen=True, slots=True, order=True)
class Hint:
    """A project by its number, or all known projects of a group by its (former) path.

    With neither, something changed that is found by asking for what changed. The number tells of
    which source it is, also where it is that of no project.
    """

    project_id: int = 0
    group: str = ""

    @property
    def of_source(self) -> int:
        """The mark of the source that it came from."""
        return mark_in(self.project_id)

    def sent_by(self, source: str) -> Hint | None:
        """The hint of a GitLab's own words; None where its id can be no project's."""
        try:
            return Hint(number_of(source, self.project_id), self.group)
        except TooLarge:
            return None


def something(source: str) -> Hint:
    """That something changed in a source."""
    return Hint(number_of(source, 0))


SOMETHING = Hint()


def by_source(hints: Iterable[Hint], sources: Iterable[str]) -> dict[str, frozenset[Hint]]:
    """The hints of each source; those of a source that is none any more are left out."""
    hints = list(hints)
    return {
        name: frozenset(hint for hint in hints if hint.of_source == mark_of(name))
        for name in sources
    }


def hinted_groups(hints: frozenset[Hint]) -> frozenset[str]:
    """The groups that hints speak of, in lower case."""
    return frozenset(hint.group.lower() for hint in hints if hint.group)


def hinted_projects(hints: frozenset[Hint], grouped: frozenset[int]) -> frozenset[int]:
    """The numbers of the projects that hints speak of; `grouped` are those of their groups."""
    return frozenset(hint.project_id for hint in hints if own_id(hint.project_id)) | grouped
