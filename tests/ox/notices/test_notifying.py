"""Notices on their way: stored before they are sent, and sent once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge.model.notices import DeliveryState, Notice
from bridge.ox.notices.channels import WebhookChannel
from bridge.ox.notices.notifying import DEAD, STALE, Notifier
from bridge.ox.notices.quiet_hours import QuietHours
from bridge.ox.remediation.posting import Webhook
from bridge.store import SqlStore, open_store
from tests.ox.notices.receiver import receiving
from tests.ox.notices.sightings import DAY, NOW, TEAM, F, P, seen, snyk
from tests.ox.remediation.fleets import service
from tests.ox.test_collecting import Clock

pytestmark = pytest.mark.store

SENT, WAITING, UNSURE = DeliveryState.SENT, DeliveryState.WAITING, DeliveryState.UNSURE


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Channel:
    """Answers as it is told to, or dies before or after it sent."""

    name: str = "webhook"
    repeatable: bool = False
    answers: list[DeliveryState | str] = field(default_factory=list)
    sent: list[tuple[str, int, str]] = field(default_factory=list)

    def reaches(self, team: str) -> bool:
        return bool(team)

    async def send(self, team: str, notices: Sequence[Notice], batch: str) -> DeliveryState:
        answer = self.answers.pop(0) if self.answers else SENT
        if answer == "die before":
            raise Killed
        if answer != WAITING:
            self.sent.append((team, len(notices), batch))
        if answer == "die after":
            raise Killed
        assert isinstance(answer, DeliveryState)
        return answer

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = await open_store(f"sqlite:///{tmp_path}/s.db")
    yield made
    await made.close()


def notifier(store: SqlStore, channel: Channel, clock: Clock) -> Notifier:
    return Notifier("corp", store.notices, [channel], clock)


async def broken(made: Notifier, clock: Clock, *numbers: int) -> None:
    """Three looks: these gates pass, then fail, and fail."""
    every = dict.fromkeys(range(1, 41), P)
    for state in (P, F, F):
        await made.run(seen(clock.now, every | dict.fromkeys(numbers, state)))
        clock.now += DAY


async def states(store: SqlStore) -> list[str]:
    return sorted(each.state.value for each in await store.notices.latest("corp", 100))


async def test_several_at_once_are_one_message_and_none_is_sent_twice(store: SqlStore) -> None:
    clock, channel = Clock(NOW), Channel()
    made = notifier(store, channel, clock)
    await broken(made, clock, 1, 2, 3)
    assert [(team, count) for team, count, _ in channel.sent] == [(TEAM, 3)]
    for _ in range(3):
        await made.run(seen(clock.now, {1: F, 2: F, 3: F}))
        clock.now += DAY
    assert len(channel.sent) == 1
    assert await states(store) == ["sent"] * 3


@pytest.mark.parametrize("death", ["die before", "die after"])
@pytest.mark.parametrize("repeatable", [False, True])
async def test_after_a_kill_between_intent_and_write(
    store: SqlStore, death: str, repeatable: bool
) -> None:
    """A webhook may miss one and gets none twice; what takes the first's place is sent again."""
    clock, channel = Clock(NOW), Channel(repeatable=repeatable, answers=[death])
    made = notifier(store, channel, clock)
    with pytest.raises(Killed):
        await broken(made, clock, 1)
    (intent,) = await store.notices.latest("corp", 9)
    assert intent.state is DeliveryState.SENDING
    restarted = notifier(store, channel, clock)
    clock.now += DEAD / 2
    await restarted.run(seen(clock.now, {1: F}))
    assert await states(store) == ["sending"], "the other may be at it still"
    clock.now += DEAD
    for _ in range(3):
        await restarted.run(seen(clock.now, {1: F}))
        clock.now += DAY
    assert await states(store) == (["sent"] if repeatable else ["unsure"])
    expected = int(death == "die after") + int(repeatable)
    assert [batch for _, _, batch in channel.sent] == [intent.batch] * expected


async def test_a_lost_answer_is_not_asked_for_again_and_a_refusal_is(store: SqlStore) -> None:
    clock, channel = Clock(NOW), Channel(answers=[WAITING, WAITING, UNSURE])
    made = notifier(store, channel, clock)
    await broken(made, clock, 1)
    for _ in range(4):
        await made.run(seen(clock.now, {1: F}))
        clock.now += timedelta(minutes=10)
    assert len(channel.sent) == 1
    (one,) = await store.notices.latest("corp", 9)
    assert (one.state, one.tries) == (UNSURE, 2)
    (tally,) = await store.notices.tallies("corp")
    assert (tally.channel, tally.count, tally.tries) == ("webhook", 1, 2)


async def test_what_comes_within_the_hour_goes_together(store: SqlStore) -> None:
    clock, channel = Clock(NOW), Channel()
    made = notifier(store, channel, clock)
    old = NOW - DAY
    for keys in ([], ["a"], ["a", "b"], ["a", "b", "c"]):
        facts = snyk(clock.now, 1, **dict.fromkeys(keys, old))
        await made.run(seen(clock.now, {1: P}, facts=facts))
        clock.now += timedelta(minutes=10)
    assert [count for _, count, _ in channel.sent] == [1]
    clock.now += timedelta(hours=1)
    await made.run(seen(clock.now, {1: P}))
    assert [count for _, count, _ in channel.sent] == [1, 2]


async def test_in_quiet_hours_nothing_is_sent_and_what_was_mended_never(store: SqlStore) -> None:
    clock, channel = Clock(NOW), Channel()
    quiet = QuietHours.of("11:00-13:00", "UTC")
    made = replace(notifier(store, channel, clock), quiet=quiet)
    await broken(made, clock, 1, 2)
    assert (channel.sent, await states(store)) == ([], ["waiting", "waiting"])
    clock.now += timedelta(hours=1)
    await made.run(seen(clock.now, {1: F, 2: P}))
    assert [count for _, count, _ in channel.sent] == [1]
    assert await states(store) == ["over", "sent"]


async def test_old_news_are_dropped(store: SqlStore) -> None:
    clock, channel = Clock(NOW), Channel(answers=[WAITING] * 20)
    made = notifier(store, channel, clock)
    await broken(made, clock, 1)
    clock.now += STALE
    await made.run(seen(clock.now, {1: F}))
    assert (channel.sent, await states(store)) == ([], ["over"])


async def test_two_replicas_send_each_once(store: SqlStore, tmp_path: Path) -> None:
    clock, channel = Clock(NOW), Channel()
    other = await open_store(f"sqlite:///{tmp_path}/s.db")
    both = [notifier(one, channel, clock) for one in (store, other)]
    every = dict.fromkeys(range(1, 41), P)
    for state in (P, F, F, F):
        look = seen(clock.now, every | {1: state, 2: state})
        await asyncio.gather(*(one.run(look) for one in both))
        clock.now += DAY
    assert [count for _, count, _ in channel.sent] == [2]
    await other.close()


@pytest.mark.real
async def test_on_the_wire(store: SqlStore, capsys: pytest.CaptureFixture[str]) -> None:
    """A receiver that refuses is asked again; one that hangs up or is behind a gateway is not."""
    clock = Clock(NOW)
    async with receiving() as receiver:
        receiver.statuses = [500]
        webhook = Webhook(receiver.url)
        channel = WebhookChannel({TEAM: webhook}, url="https://fester.example")
        made = Notifier("corp", store.notices, [channel], clock)
        facts = snyk(NOW, 1, KEY=NOW - DAY)
        for each in (snyk(NOW, 1), facts, facts, facts):
            await made.run(seen(clock.now, {1: P}, facts=each))
            clock.now += timedelta(hours=2)
        (line,) = receiver.lines()
        assert line == (
            f"• {service(1)}: a new critical vulnerability: Bad *\u200bKEY*\u200b (KEY in Snyk)"
            f" <https://fester.example/scores/entity/{service(1)}|more>"
        )
        receiver.statuses = [0, 502]
        for keys in (["KEY", "A"], ["KEY", "A"], ["KEY", "A", "B"], ["KEY", "A", "B"]):
            facts = snyk(NOW, 1, **dict.fromkeys(keys, NOW - DAY))
            await made.run(seen(clock.now, {1: P}, facts=facts))
            clock.now += timedelta(hours=2)
        assert len(receiver.lines()) == 3
    gone = WebhookChannel({}, webhook)
    assert gone.reaches("anybody")
    assert not channel.reaches("group:default/other")
    assert await gone.send("x", [], "b") is WAITING, "nobody listens there any more"
    assert await states(store) == ["sent", "unsure", "unsure"]
    assert "secret-path" not in capsys.readouterr().out
