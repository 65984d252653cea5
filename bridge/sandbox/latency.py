"""How long the sandbox takes to answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Seconds that answers take: by kind of request, for each project of a GraphQL page, jitter."""

    rest: float = 0.0
    graphql: float = 0.0
    raw: float = 0.0
    per_project: float = 0.0
    jitter: float = 0.0
