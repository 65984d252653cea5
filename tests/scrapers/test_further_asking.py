"""Many questions at once, put to a GitLab that cannot answer as much as it is asked."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.further_asking import Asking
from bridge.scrapers.gitlab.further_queries import PATHS_AT_ONCE, Asked, Question
from bridge.scrapers.gitlab.pacing import PATIENCE
from bridge.scrapers.gitlab.queries import ANONYMOUS_COMPLEXITY_LIMIT
from bridge.scrapers.gitlab.trouble import Cause, Trouble

PATHS = tuple(f"p{n}" for n in range(PATHS_AT_ONCE))


class Weak:
    """Answers of at most `most` projects at once, in the order in which it was asked."""

    def __init__(self, most: int) -> None:
        self.most = most

    async def graphql(self, _query: str, variables: dict[str, Any], *, patient: bool) -> Any:
        await asyncio.sleep(0)
        asked = {name: ids for name, ids in variables.items() if name.startswith("i")}
        if sum(map(len, asked.values())) > self.most:
            raise Trouble(Cause.HEAVY, "the query took it too long")
        return {
            "data": {
                f"u{name[1:]}": {"nodes": [{"id": each, "repository": {}} for each in ids]}
                for name, ids in asked.items()
            }
        }


async def test_each_of_many_requests_that_are_too_heavy_is_made_smaller() -> None:
    """All of them fail before any is small enough: that says nothing of the smaller ones."""
    asking = Asking(cast(GitLabClient, Weak(25)), ANONYMOUS_COMPLEXITY_LIMIT)

    def questions(batch: int) -> list[Question]:
        return [
            Question(Asked.BLOBS, PATHS, tuple(range(100)), branch=f"{batch}-{n}")
            for n in range(PATIENCE // 4)
        ]

    found = await asyncio.gather(*(asking.ask(questions(batch)) for batch in range(8)))
    assert [(len(answers), failed) for answers, failed in found] == [
        (100 * (PATIENCE // 4), {}) for _ in range(8)
    ]
