"""Whose a problem is: the team of the manifest, the project or the entity that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import unquote

from bridge.answers.whereabouts import gitlab_of
from bridge.catalog.index import Index
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem

_OWNER: Final = "relations.ownedby"
_PROJECT: Final = "metadata.annotations.gitlab.com/project-slug"
_FILE: Final = "metadata.annotations.backstage.io/view-url"
_NOBODY: Final[frozenset[str]] = frozenset()
_Project: TypeAlias = tuple[str, str]  # the name of its GitLab, and its path in lower case


@dataclass(frozen=True, slots=True)
class OwnedProject:
    """The teams of a project's entities; `places` are theirs by "branch/file" of the manifest."""

    teams: frozenset[str]
    places: Mapping[str, frozenset[str]]

    def of_file(self, file: str) -> frozenset[str]:
        """The teams of what a manifest makes; nobody where it makes nothing.

        An address does not tell where the branch ends. Branches are of one word mostly; a longer
        one begins the addresses of all manifests of a project.
        """
        for place, teams in self.places.items():
            if place.partition("/")[2] == file:
                return teams
        for place, teams in self.places.items():
            branch = place.removesuffix(file)
            if branch.endswith("/") and place != branch and self._all_under(branch):
                return teams
        return _NOBODY

    def _all_under(self, branch: str) -> bool:
        return all(place.startswith(branch) for place in self.places)

    def at_the_root(self) -> frozenset[str]:
        """The teams of the manifest that lies highest."""
        highest = min(self.places, key=lambda place: (place.count("/"), place), default="")
        return self.places.get(highest, _NOBODY)


@dataclass(frozen=True, slots=True)
class Owners:
    """Teams by what they own, as an index has them; entities go by their slots in it.

    Of most projects nothing is wrong: what is to be known of one is made when it is asked for.
    """

    refs: Mapping[str, int] = field(default_factory=dict)
    teams: Mapping[int, str] = field(default_factory=dict)
    projects: Mapping[_Project, Sequence[int]] = field(default_factory=dict)
    urls: Mapping[int, str] = field(default_factory=dict)
    _made: dict[_Project, OwnedProject] = field(default_factory=dict)
    _said: dict[tuple[_Project, str], frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, index: Index, gitlabs: Mapping[str, str] | None = None) -> Owners:
        """What an index tells, without reading a single entity.

        `gitlabs` are the addresses of several GitLabs by name; None where there is but one.
        """
        teams, urls = dict(index.column(_OWNER)), dict(index.column(_FILE))
        projects: dict[_Project, list[int]] = {}
        for slot, path in index.column(_PROJECT):
            if slot in teams:
                source = gitlab_of(urls.get(slot, ""), gitlabs) if gitlabs else FIRST
                projects.setdefault((source, path.lower()), []).append(slot)
        return cls(index.slots, teams, projects, urls)

    def team(self, problem: Problem) -> str:
        """The reference of the team whose a problem is; "" when nobody is known.

        What a manifest says is its own team's, also where it speaks of another's entity. What is
        not of a manifest that we know is its project's: of several teams there the one whose the
        entity is, or else that of the manifest at the root.
        """
        project = self._project((problem.source, problem.project.lower()))
        found = self._saying(problem, project) if project is not None else _NOBODY
        if len(found) == 1:
            return min(found)
        if problem.ref.startswith("group:"):
            return problem.ref
        team = self.teams.get(self.refs.get(problem.ref, -1), "")
        if project is None or team in found:
            return team
        return min(project.at_the_root() or found)

    def _saying(self, problem: Problem, project: OwnedProject) -> frozenset[str]:
        """The teams of the manifest that a problem is about, or else of all its project."""
        if len(project.teams) == 1 or not problem.file:
            return project.teams
        key = (problem.source, problem.project.lower()), problem.file
        if key not in self._said:
            self._said[key] = project.of_file(problem.file)
        return self._said[key] or project.teams

    def _project(self, place: _Project) -> OwnedProject | None:
        slots = self.projects.get(place)
        if slots is None:
            return None
        if place not in self._made:
            files: dict[str, set[str]] = {}
            for slot in slots:
                file = unquote(self.urls.get(slot, "").partition("/-/blob/")[2])
                if file:
                    files.setdefault(file, set()).add(self.teams[slot])
            self._made[place] = OwnedProject(
                frozenset(self.teams[slot] for slot in slots),
                {file: frozenset(found) for file, found in files.items()},
            )
        return self._made[place]
