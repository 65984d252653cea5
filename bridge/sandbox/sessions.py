"""Who asks the sandbox: a token's user and its roles, and what this GitLab is licensed for."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum
from typing import Final

from bridge.sandbox.tracker import BOT, SandboxUser


class Role(IntEnum):
    """A member's role, by GitLab's own numbers."""

    NONE = 0
    GUEST = 10
    PLANNER = 15
    REPORTER = 20
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


class Edition(IntEnum):
    """What is installed, and its licence. FREE is the usual package (EE) without a licence."""

    CE = 0
    FREE = 1
    PREMIUM = 2
    ULTIMATE = 3

    @property
    def enterprise(self) -> bool:
        """Whether the code of paid features is there at all."""
        return self is not Edition.CE


@dataclass(frozen=True)
class Session:
    """One token's user on this GitLab. `groups` are roles by a group's path, else `role` holds.

    `token_expires` is what GitLab says of the token's end; it is no reason to refuse it here.
    """

    user: SandboxUser = BOT
    role: Role = Role.MAINTAINER
    groups: Mapping[str, Role] = field(default_factory=dict)
    edition: Edition = Edition.PREMIUM
    token_expires: date | None = None

    def role_in(self, path: str) -> Role:
        """The role in a project or group; that of the nearest group above it."""
        parts = path.lower().split("/")
        above = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
        named = {group.lower(): role for group, role in self.groups.items()}
        return next((named[group] for group in above if group in named), self.role)


# A context variable for the same reason as `rest.AUTHENTICATED`.
SESSION: Final[ContextVar[Session]] = ContextVar("session", default=Session())  # noqa: B039
