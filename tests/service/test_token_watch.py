"""When a token's end is said, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from bridge.errors import SourceError
from bridge.model.token_expiry import end_of, warning
from bridge.service.token_watch import TokenWatch

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (31.0, ""),
        (30.0, "the GitLab token expires in 30 days, on 2026-07-10"),
        (7.0, "the GitLab token expires already in 7 days, on 2026-06-17"),
        (3.5, "the GitLab token expires already in 3 days, on 2026-06-14"),
        (0.5, "the GitLab token expires within a day, on 2026-06-11 at 00:00 UTC"),
        (0.0, "the GitLab token expired on 2026-06-10"),
        (-6.0, "the GitLab token expired on 2026-06-04"),
    ],
)
def test_the_nearer_the_end_the_plainer_the_words(days: float, said: str) -> None:
    found = warning(NOON + timedelta(days=days), NOON)
    assert found.partition(": ")[0] == said
    assert not said or "make a new one" in found


def test_gitlab_names_the_day_at_whose_beginning_a_token_ends() -> None:
    assert end_of("2026-06-11") == datetime(2026, 6, 11, tzinfo=UTC)
    assert [end_of(each) for each in (None, "", "never", 5, "2026-02-30")] == [None] * 5
    assert warning(None, NOON) == ""


async def test_the_log_says_it_once_a_day_and_a_new_token_ends_it() -> None:
    now = NOON
    ends: Iterator[datetime | None] = iter([NOON + timedelta(days=3)] * 3 + [None])
    heard: list[datetime | None] = []

    async def end() -> datetime | None:
        return next(ends)

    watch = TokenWatch(end, heard.append, lambda: now)
    with capture_logs() as logs:
        await watch.look()
        now += timedelta(hours=6)
        await watch.look()
        now += timedelta(hours=18)
        await watch.look()
        await watch.look()
    assert [log["action"] for log in logs] == ["token_expires"] * 2
    assert heard[-1] is None


async def test_a_gitlab_that_is_away_changes_nothing() -> None:
    heard: list[datetime | None] = []

    async def end() -> datetime | None:
        raise SourceError("away")

    rounds = 0

    async def sleep(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            raise StopAsyncIteration

    with pytest.raises((StopAsyncIteration, RuntimeError)):
        await TokenWatch(end, heard.append, lambda: NOON).run(sleep)
    assert (rounds, heard) == (3, [])
