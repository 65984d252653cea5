"""What one GitLab does not know of the GraphQL that is asked of it, learned from its refusals.

A GitLab names the fields that it does not know, a few at a time, and answers nothing else. Each
refusal costs a request, so what was learned is kept for as long as the scraper lives.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

LEAST: Final = "16.3"  # the oldest GitLab whose answers are enough for a catalog
_UNDEFINED: Final = re.compile(r"Field '(\w+)' doesn't exist on type '(\w+)'")

# What a crawl can do without, "Type.field". Without the others there is nothing to be read.
OPTIONAL: Final = frozenset(
    {
        *(
            f"Project.{name}"
            for name in (
                "ciConfigPathOrDefault",
                "createdAt",
                "description",
                "isForked",
                "languages",
                "lastActivityAt",
                "markedForDeletion",
                "markedForDeletionOn",
                "onlyAllowMergeIfPipelineSucceeds",
                "openIssuesCount",
                "openMergeRequestsCount",
                "pipeline",
                "releases",
                "topics",
                "updatedAt",
                "visibility",
            )
        ),
        "Release.upcomingRelease",
    }
)


class Dialect:
    """The fields that a GitLab lacks, as far as it has said so: "Project.updatedAt"."""

    def __init__(self) -> None:
        self.lacks: frozenset[str] = frozenset()

    async def spoken(self, ask: Callable[[frozenset[str]], Awaitable[Any]]) -> Any:
        """The answer to what `ask` asks, without what this GitLab turns out not to know."""
        answer = await ask(self.lacks)
        for _ in OPTIONAL:
            if not self.learned(answer):
                break
            answer = await ask(self.lacks)
        return answer

    def learned(self, answer: Any) -> bool:
        """Whether an answer is a refusal that taught something: then ask again without it."""
        if not isinstance(answer, dict) or isinstance(answer.get("data"), dict):
            return False
        named = frozenset(_undefined(answer.get("errors")))
        self.lacks |= named & OPTIONAL
        return bool(named) and named <= OPTIONAL


def _undefined(errors: Any) -> Iterator[str]:
    for error in errors if isinstance(errors, list) else ():
        message = error.get("message") if isinstance(error, dict) else None
        if isinstance(message, str) and (found := _UNDEFINED.search(message)):
            yield f"{found[2]}.{found[1]}"
