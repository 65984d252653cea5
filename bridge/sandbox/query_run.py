"""A query under way, and what its fields are made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge.sandbox.complexity import LIMIT_ANONYMOUS, LIMIT_AUTHENTICATED
from bridge.sandbox.project import SandboxProject
from bridge.sandbox.world import World


class ArgumentsRefused(Exception):
    """The arguments ask for what GitLab refuses; the message is its answer for this field."""


class Poisoned(Exception):
    """A project or group on the page breaks the server: the whole answer becomes a 500."""


class FieldTimeout(Exception):
    """A field took too long: it becomes null and the errors say so."""


LOST = object()
"""Stands in a list of nodes for one that timed out altogether."""


@dataclass
class QueryRun:
    """One query under way: the world, who asks, and which projects a fault takes away."""

    world: World
    authenticated: bool
    base_url: str
    score: int = 0
    loses: Callable[[list[int]], set[int]] | None = None
    touched: int = 0
    lost: set[int] = field(default_factory=set)

    def may_see(self, project: SandboxProject) -> bool:
        """Whether the token behind this query is allowed to read the project."""
        return sees(project, self.authenticated)

    @property
    def limit(self) -> int:
        """How complex a query may be for whoever asks."""
        return LIMIT_AUTHENTICATED if self.authenticated else LIMIT_ANONYMOUS


def sees(project: SandboxProject, authenticated: bool) -> bool:
    """Whether a reader, known or not, may see a project."""
    return not project.hidden and (authenticated or project.visibility == "public")


Resolver = Callable[[Any, Mapping[str, Any], QueryRun], Any]


Rows = dict[str, Resolver]


def stamp(moment: datetime) -> str:
    """A time as GraphQL writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def value(read: Callable[[Any], Any]) -> Resolver:
    """A field that is read off the thing alone."""
    return lambda source, _, __: read(source)


def constant(value: Any) -> Resolver:
    """A field that is the same everywhere."""
    return lambda *_: value


def may_time_out(name: str, resolver: Resolver) -> Resolver:
    """A field of a project that may be among its slow ones."""

    def resolve(project: Any, arguments: Mapping[str, Any], reading: QueryRun) -> Any:
        if name in project.facts.slow:
            raise FieldTimeout
        return resolver(project, arguments, reading)

    return resolve


PAGE: Rows = {
    "nodes": value(lambda page: list(page.rows)),
    "pageInfo": value(lambda page: page),
    "count": value(lambda page: page.total),
}
