"""Who may own a project that names nobody: pure. A guess, for a person to read; never published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.numbers import mark_in

SOURCE_NAME: Final = "fester.dev/source-name"  # the name as a person wrote it
GROUP_PATH: Final = "fester.dev/gitlab-group"  # the path of the GitLab group that a team is
_Place: TypeAlias = tuple[int, str]  # the mark of a GitLab, and a group's path in lower case
_FEWEST: Final = 2  # services that speak for their neighbour


@dataclass(frozen=True, slots=True)
class SuggestedOwner:
    """A team, and why it is the likely one, as a sentence's part."""

    ref: Ref
    reason: str

    @property
    def team(self) -> str:
        """As a manifest names it."""
        return self.ref.name if self.ref.namespace == "default" else str(self.ref)


class LikelyOwners:
    """Guesses by a whole catalog: by the groups' members, and by who owns what lies beside."""

    def __init__(self, entities: Iterable[CatalogEntity]) -> None:
        self._entities = tuple(entities)

    @cached_property
    def _teams(self) -> Mapping[_Place, Ref]:
        """The teams that GitLab groups are, by the groups' places."""
        found: dict[_Place, Ref] = {}
        for each in self._entities:
            path = (each.body["metadata"].get("annotations") or {}).get(GROUP_PATH)
            if each.ref.kind == "group" and isinstance(path, str):
                found[_gitlab(each), path.lower()] = each.ref
        return found

    @cached_property
    def _by_name(self) -> Mapping[str, Ref]:
        teams = (each.ref for each in self._entities if each.ref.kind == "group")
        return {ref.name: ref for ref in teams if ref.namespace == "default"}

    @cached_property
    def _with_members(self) -> frozenset[Ref]:
        users = (each.body["spec"] for each in self._entities if each.ref.kind == "user")
        return frozenset(
            Ref.parse(team, kind="group") for spec in users for team in spec.get("memberOf") or ()
        )

    @cached_property
    def _owners(self) -> Mapping[_Place, Counter[Ref]]:
        """How many services of each GitLab group are whose."""
        groups = {each.ref for each in self._entities if each.ref.kind == "group"}
        found: dict[_Place, Counter[Ref]] = {}
        for each in self._entities:
            owner = each.body["spec"].get("owner") if each.ref.kind == "component" else None
            if not isinstance(owner, str) or not each.origins:
                continue
            ref = Ref.parse(owner, kind="group", namespace=each.ref.namespace)
            if ref in groups:
                place = _gitlab(each), each.origins[0].project.rpartition("/")[0].lower()
                found.setdefault(place, Counter())[ref] += 1
        return found

    def of(self, path: str, gitlab: int = 0) -> SuggestedOwner | None:
        """The likely owner of the project with this path; None where nothing tells.

        `gitlab` is the mark of the source in which it lies: only what lies there tells.

        The GitLab group that it lies in, if that has members; else who owns more than half of what
        lies there; else the nearest group above that has members.
        """
        group = path.rpartition("/")[0]
        return (
            self._lies_in(group, gitlab)
            or self._beside(group, gitlab)
            or self._above(group, gitlab)
        )

    def named(self, handles: Iterable[str], file: str, gitlab: int = 0) -> SuggestedOwner | None:
        """The first of CODEOWNERS' handles (`@shop/api`) of everything that is a team we know.

        `file` is the CODEOWNERS file that names them, `gitlab` the mark of its source. None where
        none is known.
        """
        for handle in handles:
            path = handle.removeprefix("@").lower()
            team = self._teams.get((gitlab, path)) or self._by_name.get(path)
            if team is not None:
                return SuggestedOwner(team, f"{file} names {handle} as the owner of everything")
        return None

    def _lies_in(self, group: str, gitlab: int) -> SuggestedOwner | None:
        team = self._teams.get((gitlab, group.lower()))
        if team is None or team not in self._with_members:
            return None
        return SuggestedOwner(team, f"it lies in the GitLab group {group}, whose members they are")

    def _beside(self, group: str, gitlab: int) -> SuggestedOwner | None:
        owners = self._owners.get((gitlab, group.lower()), Counter())
        total = owners.total()
        for team, count in sorted(owners.items(), key=lambda pair: (-pair[1], str(pair[0])))[:1]:
            if count >= _FEWEST and 2 * count > total:
                return SuggestedOwner(team, f"{count} of {total} services in {group} are theirs")
        return None

    def _above(self, group: str, gitlab: int) -> SuggestedOwner | None:
        while group := group.rpartition("/")[0]:
            found = self._lies_in(group, gitlab)
            if found is not None:
                return found
        return None


def _gitlab(entity: CatalogEntity) -> int:
    """The mark of the GitLab from which an entity is."""
    return mark_in(entity.origins[0].project_id) if entity.origins else 0
