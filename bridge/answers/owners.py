"""Whose a problem is: the team of the manifest, the project or the entity that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.catalog.index import Index
from bridge.catalog.keys import slots_of
from bridge.model.problems import Problem

_OWNER: Final = "relations.ownedby"
_PROJECT: Final = "metadata.annotations.gitlab.com/project-slug"
_FILE: Final = "metadata.annotations.backstage.io/view-url"


@dataclass(frozen=True, slots=True)
class Owners:
    """Teams by what they own, as an index has them; entities go by their slots in it."""

    refs: Mapping[str, int] = field(default_factory=dict)
    teams: Mapping[int, str] = field(default_factory=dict)
    projects: Mapping[str, Sequence[int]] = field(default_factory=dict)
    files: Mapping[int, str] = field(default_factory=dict)  # addresses of manifests

    @classmethod
    def of(cls, index: Index) -> Owners:
        """What an index tells, without reading a single entity."""
        projects: dict[str, list[int]] = {}
        teams = _by_slot(index, _OWNER)
        for slot, path in _by_slot(index, _PROJECT).items():
            if slot in teams:
                projects.setdefault(path.lower(), []).append(slot)
        return cls(index.slots, teams, projects, _by_slot(index, _FILE))

    def team(self, problem: Problem) -> str:
        """The reference of the team whose a problem is; "" when nobody is known.

        What a manifest says is its own team's, also where it speaks of another's entity.
        """
        here = self.projects.get(problem.project.lower(), ())
        found = {self.teams[slot] for slot in here}
        if len(found) > 1 and problem.file:
            found = {self.teams[slot] for slot in self._made_from(problem.file, here)} or found
        if len(found) == 1:
            return found.pop()
        if problem.ref.startswith("group:"):
            return problem.ref
        return self.teams.get(self.refs.get(problem.ref, -1), "") or min(found, default="")

    def _made_from(self, file: str, slots: Sequence[int]) -> list[int]:
        """Those of a project's entities that a file makes: the shortest address that ends so."""
        found = {
            slot: url for slot in slots if (url := self.files.get(slot, "")).endswith(f"/{file}")
        }
        shortest = min(map(len, found.values()), default=0)
        return [slot for slot, url in found.items() if len(url) == shortest]


def _by_slot(index: Index, name: str) -> dict[int, str]:
    key = index.keys.get(name)
    if key is None:
        return {}
    return {
        slot: value
        for value, posting in key.values.items()
        if value is not None
        for slot in slots_of(posting)
    }
