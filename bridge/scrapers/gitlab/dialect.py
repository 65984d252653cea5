"""What one GitLab does not know of the GraphQL that is asked of it, learned from its refusals.

A GitLab names the fields that it does not know, a few at a time, and answers nothing else. Each
refusal costs a request, so what was learned is kept for as long as the scraper lives.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

LEAST: Final = (16, 3)  # the oldest GitLab whose answers are enough for a catalog
# What a GitLab before a version does not tell, as the end of a sentence.
_BEFORE: Final = {
    (16, 9): "which projects of a group are forks (they are asked for one by one)",
    (17, 0): "when a project's settings changed, and perhaps the fact open_merge_requests",
    (18, 1): "that a group above a project is scheduled for deletion, but by the group's path",
}
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


def not_told(version: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a GitLab of this version ("16.3.1-ee") is new enough, and what it does not tell.

    A version that cannot be read is taken for a new one.
    """
    found = re.match(r"(\d{1,4})\.(\d{1,4})", version)
    if found is None:
        return True, ()
    own = (int(found[1]), int(found[2]))
    return own >= LEAST, tuple(what for since, what in _BEFORE.items() if own < since)


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
