"""Declared rules by which several manifests' words on one entity become one entity.

The rules stand in `mappings/merge.yaml`. What agrees is kept, what is silent does not vote, and
what disagrees is settled by the field's rule and handed back as a `Conflict`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from bridge.model.entities import Body, Json
from bridge.model.statements import Statement

_MOST_ITEMS: Final = 1000  # a union of more would be a page that nobody can read


class Identity(StrEnum):
    """Whose an entity is."""

    CLAIM = "claim"  # one manifest's; the older claim wins
    SHARED = "shared"  # of all that speak of it; merged


class Rule(StrEnum):
    """How a disagreement about one field is settled. Ties go to the lowest project id."""

    MAJORITY = "majority"  # what most projects say
    UNION = "union"  # lists: everything that anybody says
    FIRST = "first"  # what the lowest project id says
    LONGEST = "longest"  # the longest text
    OLDEST = "oldest"  # what the manifest says that has spoken of it longest


@dataclass(frozen=True, slots=True)
class KindRules:
    """The rules for one kind; `fields` by dotted path, `x.*` for every key below `x`.

    `leave_out` are the values of `spec.type`, in lower case, of which no entity is made.
    """

    identity: Identity
    default: Rule
    fields: Mapping[str, Rule] = field(default_factory=dict)
    leave_out: frozenset[str] = frozenset()

    def rule(self, path: str, above: str) -> Rule:
        """The rule of the field at `path`, whose parent is `above`."""
        return self.fields.get(path) or self.fields.get(f"{above}.*") or self.default


@dataclass(frozen=True, slots=True)
class MergeRules:
    """All of merge.yaml; `kinds` by kind in lower case, `other` for a kind that is not named.

    `yields` are the mappings that give way to others of the same project.
    """

    kinds: Mapping[str, KindRules]
    other: KindRules
    yields: frozenset[str] = frozenset()

    def of(self, kind: str) -> KindRules:
        """The rules for a kind in lower case."""
        return self.kinds.get(kind, self.other)


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field on which projects disagree. `said` has the winning value first.

    Each value comes with its statements; `cut` counts the items that a union had to leave out.
    """

    path: str
    rule: Rule
    said: tuple[tuple[Json, tuple[Statement, ...]], ...]
    cut: int = 0


def merge(statements: Sequence[Statement], rules: KindRules) -> tuple[Body, list[Conflict]]:
    """One body of several, and what they disagree on.

    Takes statements on one entity in the order of `Statement.place`; changes none of them.
    """
    first = statements[0].body
    if all(other.body == first for other in statements[1:]):
        return first, []
    conflicts: list[Conflict] = []
    votes = [(statement, statement.body) for statement in statements]
    return _merged("", votes, rules, conflicts), conflicts


_Vote = tuple[Statement, Any]


def _merged(
    path: str, votes: Sequence[_Vote], rules: KindRules, conflicts: list[Conflict]
) -> dict[str, Json]:
    """Merge objects key by key, in the order in which keys are first met."""
    by_key: dict[str, list[_Vote]] = {}
    for statement, body in votes:
        for key, value in body.items():
            if value is not None:  # silence does not vote
                by_key.setdefault(key, []).append((statement, value))
    merged: dict[str, Json] = {}
    for key, said in by_key.items():
        below = f"{path}.{key}" if path else key
        first = said[0][1]
        if all(value == first for _, value in said):
            merged[key] = first
        elif all(isinstance(value, dict) for _, value in said):
            merged[key] = _merged(below, said, rules, conflicts)
        else:
            merged[key] = _settled(below, rules.rule(below, path), said, conflicts)
    return merged


def _settled(path: str, rule: Rule, votes: Sequence[_Vote], conflicts: list[Conflict]) -> Json:
    if rule is Rule.UNION and all(isinstance(value, list) for _, value in votes):
        return _union(path, votes, conflicts)
    if rule is Rule.OLDEST:
        return min(votes, key=lambda vote: vote[0].age)[1]
    ballots: dict[str, list[_Vote]] = {}
    for vote in votes:
        ballots.setdefault(_key(vote[1]), []).append(vote)
    order = _ORDERS.get(rule, _by_majority)
    ranked = sorted(ballots.values(), key=lambda said: (order(said), said[0][0].place))
    said = tuple((each[0][1], tuple(statement for statement, _ in each)) for each in ranked)
    if len(said) > 1:
        conflicts.append(Conflict(path, rule if rule in _ORDERS else Rule.MAJORITY, said))
    return said[0][0]


def _by_majority(said: Sequence[_Vote]) -> int:
    """Projects count, not manifests: a monorepo has one voice."""
    return -len({statement.manifest.project.id for statement, _ in said})


def _by_length(said: Sequence[_Vote]) -> int:
    value = said[0][1]
    return -len(value if isinstance(value, str) else _key(value))


_ORDERS: Final[Mapping[Rule, Callable[[Sequence[_Vote]], int]]] = {
    Rule.MAJORITY: _by_majority,
    Rule.LONGEST: _by_length,
    Rule.FIRST: lambda _said: 0,
}


def _key(value: Json) -> str:
    """Tells values apart as JSON does: `1`, `true` and `"1"` are three."""
    return json.dumps(value, sort_keys=True)


def _items(path: str, value: Sequence[Json]) -> Iterator[tuple[str, Json]]:
    for item in value:
        if path == "metadata.links" and isinstance(item, dict):
            # Two projects may give one page different icons; it is still one link.
            yield _key([item.get("url"), item.get("title")]), item
        else:
            yield _key(item), item


def _union(path: str, votes: Sequence[_Vote], conflicts: list[Conflict]) -> list[Json]:
    """Every item once, texts sorted, so that a new voice in the middle moves nothing else."""
    met: dict[str, Json] = {}
    for _, value in votes:
        for key, item in _items(path, value):
            met.setdefault(key, item)
    items = list(met.values())
    if all(isinstance(item, str) for item in items):
        items.sort()
    if len(items) > _MOST_ITEMS:
        statements = tuple(statement for statement, _ in votes)
        conflicts.append(
            Conflict(path, Rule.UNION, ((None, statements),), cut=len(items) - _MOST_ITEMS)
        )
    return items[:_MOST_ITEMS]
