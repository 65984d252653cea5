"""GitLab's price of a query, counted before it runs (`app/graphql/types/base_field.rb`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.sandbox.plan import PlannedField, PreparedQuery, Variables
from bridge.sandbox.schema import FIXED, GITALY, RESOLVED, TEXT

PAGE_LIMIT = 100
LIMIT_AUTHENTICATED = 250
LIMIT_ANONYMOUS = 200
DEPTH_AUTHENTICATED = 20
DEPTH_ANONYMOUS = 15
GROUP_PROJECTS_EXTRA = 10
SEARCH_EXTRA = 5


def score(prepared: PreparedQuery, *, text_tenfold: bool = False) -> int:
    """What a query costs; `text_tenfold` prices texts of several paths as near release 18.4.2."""
    return _sum(prepared.fields, prepared.variables, text_tenfold)


def page_size(arguments: Mapping[str, Any]) -> int:
    """How many rows a connection gives: silently at most a hundred."""
    asked = [arguments[key] for key in ("first", "last") if arguments.get(key) is not None]
    return max(0, min([PAGE_LIMIT, *map(int, asked)]))


def _sum(fields: Sequence[PlannedField], variables: Variables, tenfold: bool) -> int:
    return sum(_field(field, variables, tenfold) for field in fields)


def _field(field: PlannedField, variables: Variables, tenfold: bool) -> int:
    children = _sum(field.below, variables, tenfold) if field.below else 0
    if field.coordinate in FIXED:
        return FIXED[field.coordinate] + children
    gitaly = 1 if field.coordinate in GITALY else 0
    if field.coordinate not in RESOLVED:
        return 1 + children + gitaly
    arguments = field.arguments(variables)
    cost = children + _resolver(field, arguments) + gitaly
    if tenfold and _texts_of_many(field, arguments):
        cost *= 10
    if _is_connection(field):
        return int(cost * (1 + page_size(arguments) * 0.01))
    return cost


def _resolver(field: PlannedField, arguments: Mapping[str, Any]) -> int:
    cost = 1
    if _sorted(field, arguments):
        cost += 1
    if arguments.get("search"):
        cost += SEARCH_EXTRA
    if field.name == "blobs":
        cost += len(arguments["paths"])
    if field.coordinate == "Group.projects":
        cost += GROUP_PROJECTS_EXTRA
    return cost


def _sorted(field: PlannedField, arguments: Mapping[str, Any]) -> bool:
    """A default counts as sorting for releases, whose resolver always has one."""
    if field.coordinate == "Query.projects":
        return any(argument.name.value == "sort" for argument in field.node.arguments)
    return bool(arguments.get("sort"))


def _is_connection(field: PlannedField) -> bool:
    return field.definition is not None and "first" in field.definition.args


def _texts_of_many(field: PlannedField, arguments: Mapping[str, Any]) -> bool:
    if field.name != "blobs" or len(arguments["paths"]) < 2:
        return False
    nodes = [child for child in field.below or () if child.name == "nodes"]
    return any(leaf.name in TEXT for node in nodes for leaf in node.below or ())
