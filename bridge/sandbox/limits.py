"""GitLab's application limits: on by default, also where no other limit of requests is set.

They count one kind of request each, and their answer does not look like that of other limits.
https://docs.gitlab.com/administration/settings/rate_limits_on_projects_api/
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Limit:
    """At most `requests` in so many `seconds` of those that `method` and `path` fit."""

    name: str
    method: str
    path: re.Pattern[str]
    requests: int
    seconds: int


def _limit(name: str, method: str, path: str, requests: int, seconds: int = 60) -> Limit:
    return Limit(name, method, re.compile(f"/api/v4{path}/?$"), requests, seconds)


DEFAULTS: Final = (
    _limit("projects", "GET", "/projects", 2000, 600),
    _limit("project", "GET", "/projects/[^/]+", 400),
    _limit("group-projects", "GET", "/groups/[^/]+/projects", 600),
    _limit("members", "GET", "/(projects|groups)/[^/]+/members(/all)?", 200),
    _limit("issues-create", "POST", "/projects/[^/]+/issues", 300),
)


class LimitCounter:
    """Counts requests by limit and window of time."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._seen: Counter[tuple[str, int]] = Counter()

    def exceeded(self, method: str, path: str, now: float) -> int:
        """Count one request; gives the seconds until its window ends, 0 when it may be served."""
        for limit in self._limits:
            if limit.method != method or not limit.path.match(path):
                continue
            window, passed = divmod(int(now), limit.seconds)
            self._seen[limit.name, window] += 1
            if self._seen[limit.name, window] > limit.requests:
                return limit.seconds - passed
        return 0
