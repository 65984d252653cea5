"""Who may own something: the teams that are known, and every name that each goes by.

A manifest names its owner as people do: by a reference, by the path of a GitLab group
(`@shop/payments`), by a title, by an alias. Mappings fold all of these into one spelling
(`language.naming.slug`), and so are the names of teams here: what folds into the same is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Final

from bridge.language.names import Spellings
from bridge.language.naming import slug
from bridge.model.entities import Body, Json, Ref
from bridge.model.moments import AFTER_ALL
from bridge.model.suggested_owner import GROUP_PATH, SOURCE_NAME
from bridge.processors.aliases import ALIASES

_PATH_ENDING: Final = "/team-path"  # Backstage's own GitLab provider: `<host>/team-path`
_TEAM_WORDS: Final = frozenset({"team", "squad", "group", "crew", "guild", "the"})
_LIKENESS: Final = 0.7
_MOST_NEAR: Final = 2
_MOST_SEARCHES: Final = 500  # owners for which a nearest team is looked up at all


@dataclass(frozen=True, slots=True)
class Team:
    """A Group or User that may own something. `names` are folded; `type` is its `spec.type`.

    `elsewhere`: another source puts it into Backstage, so we publish none of that name. `path` is
    that of the GitLab group which the crawl read, or the username of a person that it met there,
    "" for any other team, and `gitlab` the mark of its GitLab (`model.numbers`); `age` sorts these
    by how long they have had the name. `within` is the path of the group that a person is met in.
    """

    ref: Ref
    names: tuple[str, ...] = ()
    type: str = "team"
    elsewhere: bool = False
    path: str = ""
    gitlab: int = 0
    age: tuple[datetime, int] = (AFTER_ALL, 0)
    within: str = ""


@dataclass(frozen=True, slots=True)
class OwnerRules:
    """How owners are resolved, as the settings have it.

    `known` are teams that another source puts into Backstage; `table` leads from a folded name, or
    a whole reference, to the owner that is meant. `people`: GitLab's groups are read. `invent` says
    whether a Group is made of every name that a manifest gives; None: only where no teams are
    known.
    """

    known: tuple[Team, ...] = ()
    table: Mapping[str, Ref] = field(default_factory=lambda: MappingProxyType({}))
    people: bool = False
    invent: bool | None = None


@dataclass(frozen=True, slots=True)
class TeamMatch:
    """What an owner's name leads to: one reference, several that it may mean, or none.

    `near` are the names of teams that look like it.
    """

    refs: tuple[Ref, ...] = ()
    near: tuple[Ref, ...] = ()


class Teams:
    """All teams that are known in one pass. `strict`: a name that is none of them is a mistake."""

    def __init__(self, teams: Sequence[Team], rules: OwnerRules) -> None:
        read = sorted((each for each in teams if each.path), key=lambda each: each.age)
        self.by_ref: dict[Ref, Team] = {}
        for team in rules.known:
            self.by_ref.setdefault(team.ref, team)
        self._beaten = self._named([each for each in read if each.ref.kind == "group"])
        # Who is met in a group that is left out alone is left out with it, and holds no name.
        users = [each for each in read if each.ref.kind == "user"]
        met = [each for each in users if not self.holder(each.gitlab, each.within)]
        self._met_in: dict[Ref, set[str]] = {}
        self._beaten_users = self._named(met)
        for each in met:
            if self.user_holder(each.gitlab, each.path) is None:
                self._met_in.setdefault(each.ref, set()).add(each.within)
        for team in teams:
            if not team.path:
                self.by_ref.setdefault(team.ref, team)
        groups = [team for team in self.by_ref.values() if team.ref.kind == "group"]
        self._by_name: dict[str, list[Ref]] = {}
        for team in groups:
            for name in dict.fromkeys((team.ref.name, *team.names)):
                self._by_name.setdefault(name, []).append(team.ref)
        self._table = rules.table
        self._people_known = any(ref.kind == "user" for ref in self.by_ref)
        self._near: dict[str, tuple[Ref, ...]] = {}
        sourced = bool(groups) and (rules.people or bool(rules.known))
        self.strict = not rules.invent if rules.invent is not None else sourced

    def judges(self, kind: str) -> bool:
        """Whether it can be said of an owner of this kind that it is unknown."""
        return self.strict and (kind == "group" or self._people_known)

    def _named(self, read: Sequence[Team]) -> dict[tuple[int, str], Team]:
        """Give each name to the first that has it; for all others by GitLab and path, who it is."""
        for team in read:
            self.by_ref.setdefault(team.ref, team)
        return {
            (each.gitlab, each.path): holder
            for each in read
            if (holder := self.by_ref[each.ref]).path
            and (holder.gitlab, holder.path) != (each.gitlab, each.path)
        }

    def is_read(self, ref: Ref) -> bool:
        """Whether GitLab itself tells of this team: the crawl read the group, or met the person."""
        team = self.by_ref.get(ref)
        return team is not None and bool(team.path)

    def is_met_above(self, ref: Ref, gitlab: int, project: str) -> bool:
        """Whether a person is in a group that a project of a GitLab lies in, or it is their own."""
        team = self.by_ref.get(ref)
        if team is None or team.gitlab != gitlab:
            return False
        above = project.split("/")[:-1]
        groups = {"/".join(above[:n]) for n in range(1, len(above) + 1)}
        return not groups.isdisjoint({*self._met_in.get(ref, ()), team.path})

    def user_holder(self, gitlab: int, username: str) -> Team | None:
        """The person who has the name which a user of GitLab would have, if it is another one."""
        return self._beaten_users.get((gitlab, username))

    def holder(self, gitlab: int, path: str) -> Team | None:
        """The team that has the name which a GitLab group would have, if it is another group."""
        return self._beaten.get((gitlab, path))

    def find(self, ref: Ref) -> TeamMatch:
        """Who is meant: as the table has it, by the reference itself, or by another name."""
        ref = self._table.get(str(ref)) or self._table.get(ref.name) or ref
        if ref in self.by_ref:
            return TeamMatch((ref,))
        if ref.kind != "group":
            return TeamMatch()
        others = self._by_name.get(ref.name, ()) if ref.namespace == "default" else ()
        return TeamMatch(tuple(others)) if others else TeamMatch(near=self._nearest(ref.name))

    @cached_property
    def _spellings(self) -> Spellings:
        return Spellings(self._by_name)

    def _nearest(self, name: str) -> tuple[Ref, ...]:
        if name not in self._near and len(self._near) < _MOST_SEARCHES:
            bare = "-".join(word for word in name.split("-") if word not in _TEAM_WORDS)
            close = [bare] if bare in self._by_name else []
            close += self._spellings.nearest(name, _MOST_NEAR, _LIKENESS)
            refs = (ref for each in close for ref in self._by_name[each])
            self._near[name] = tuple(dict.fromkeys(refs))[:_MOST_NEAR]
        return self._near.get(name, ())


def team_of(body: Body, *, elsewhere: bool = False) -> Team | None:
    """The team that a Group or User entity is; None for any other, or for what is no entity."""
    try:
        ref = Ref.of(body)
    except (KeyError, AttributeError, TypeError):
        return None
    if ref.kind not in ("group", "user"):
        return None
    spec = body.get("spec")
    kind = str(spec.get("type") or "team") if isinstance(spec, Mapping) else "team"
    folded = (slug(text) for text in _texts(body) if text.strip())
    names = dict.fromkeys(name for name in folded if name and name != ref.name)
    return Team(ref, tuple(names), kind, elsewhere)


def _texts(body: Body) -> Iterator[str]:
    metadata = body["metadata"]
    spec = body.get("spec")
    profile = spec.get("profile") if isinstance(spec, Mapping) else None
    annotations = metadata.get("annotations")
    annotations = annotations if isinstance(annotations, Mapping) else {}
    yield _text(metadata.get("title"))
    yield _text(profile.get("displayName")) if isinstance(profile, Mapping) else ""
    yield _text(annotations.get(SOURCE_NAME))
    yield from _text(annotations.get(ALIASES)).split(",")[:100]
    for key, value in annotations.items():
        if key == GROUP_PATH or str(key).endswith(_PATH_ENDING):
            yield _text(value)
            # As people write it: a long name is cut, and its hash is that of the whole text.
            yield f"@{_text(value)}"


def _text(value: Json) -> str:
    return value[:1000] if isinstance(value, str) else ""
