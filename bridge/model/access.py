"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a route needs, and what a token gives."""

    PUBLIC = "public"  # nothing: anybody may ask
    READ = "read"
    OPERATE = "operate"  # change something: facts, remediation


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who showed a token that is good; `name` is for logs ("token:ci")."""

    name: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether this scope is among those given."""
        return scope is Scope.PUBLIC or scope in self.scopes
