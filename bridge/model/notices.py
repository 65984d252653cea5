"""Notices: what a team hears of once, and how far each is on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from bridge.model.entities import Json


class NoticeKind(StrEnum):
    """What happened."""

    VULNERABILITY = "vulnerability"  # a critical one is new
    OVERDUE = "overdue"  # a critical one is open for longer than it may be
    GATE = "gate"  # a gate that passed fails
    INITIATIVE = "initiative"  # one that waits for services of the team is due soon
    WAIVER = "waiver"  # one that holds ends soon


class DeliveryState(StrEnum):
    """How far a notice is in one channel."""

    WAITING = "waiting"
    SENDING = "sending"  # the intent: written before it is sent
    SENT = "sent"
    NOBODY = "nobody"  # the channel has nobody there who takes it
    UNSURE = "unsure"  # nobody knows whether it arrived, so it is not sent again
    OVER = "over"  # mended before it was sent, or too old by then


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a team should hear of. `key` names the occasion; one is told once.

    `text` is one line that may hold what strangers wrote: each channel makes it harmless. `link`
    is a path below Fester's address.
    """

    key: str
    kind: NoticeKind
    team: str  # the reference of who is told
    text: str
    entity: str = ""  # the reference of what it is about; "" for several
    check: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice on its way by one channel.

    `batch` names the message that it went with; `tries` are how often the receiver refused it.
    """

    notice: Notice
    channel: str
    made: datetime
    at: datetime
    state: DeliveryState = DeliveryState.WAITING
    batch: str = ""
    tries: int = 0

    def as_json(self) -> dict[str, Json]:
        """The delivery with documented keys."""
        notice = self.notice
        return {
            "kind": notice.kind.value,
            "team": notice.team,
            "entity": notice.entity,
            "check": notice.check,
            "text": notice.text,
            "link": notice.link,
            "channel": self.channel,
            "state": self.state.value,
            "made": self.made.isoformat(),
            "at": self.at.isoformat(),
            "refused": self.tries,
        }


@dataclass(frozen=True, slots=True)
class NoticeFilter:
    """Which deliveries are asked for: those of a team, in a state; "" and None: of all."""

    team: str = ""
    state: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class NoticeTally:
    """How many deliveries of a channel are in a state; `tries` were refused, `oldest` was made."""

    channel: str
    state: DeliveryState
    count: int
    tries: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class GateSeen:
    """A gate of a service that was seen passing once.

    `failing` is when the evidence of its first failure since was seen; `told` the day on which the
    team was told last.
    """

    passes: bool = True
    failing: datetime | None = None
    told: date | None = None


@dataclass(frozen=True, slots=True)
class CountSeen:
    """The most that was counted; it falls when less was counted from `less` on for a day."""

    most: int
    less: datetime | None = None


@dataclass(frozen=True, slots=True)
class NoticeMemory:
    """What was seen up to the last look, so that only news are told.

    `gates` by service and check, `counts` by service, `known` the day on which an occasion was
    true last, by its key.
    """

    gates: Mapping[str, Mapping[str, GateSeen]] = field(default_factory=dict)
    counts: Mapping[str, CountSeen] = field(default_factory=dict)
    known: Mapping[str, date] = field(default_factory=dict)
