"""What changed: asked for by filters, or around something, and told in words or as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bridge.answers.around import HOPS, ITSELF, MOST_HOPS, About, about, gone, path_in
from bridge.answers.changed import field_lines, headline, places
from bridge.answers.identify import LONGEST
from bridge.answers.knowledge import Knowledge
from bridge.answers.lately import Find
from bridge.answers.wording import age
from bridge.errors import BadQuestion
from bridge.model.entities import Json, Ref
from bridge.model.entity_changes import ChangeKind, ChangeQuery, EntityChange
from bridge.passes.explain import Explanation

PAGE: Final = 100
LAST: Final = 10  # that an explanation shows
# What may be asked, by the names of the parameters.
ASKED: Final = (
    *("around", "hops", "ref", "entity_kind", "owner", "project", "kind", "since", "until"),
)
_SPAN: Final = re.compile(r"(\d{1,5})(m|h|d)")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class Told:
    """A sheet of changes, newest first. `following` is the `below` of the next; None: no more.

    `about` says around what; None: it was not asked so.
    """

    at: datetime
    changes: tuple[EntityChange, ...] = ()
    following: int | None = None
    about: About | None = None

    @property
    def clear(self) -> bool:
        """Whether it is clear around what."""
        return self.about is None or self.about.clear

    def as_json(self) -> dict[str, Json]:
        """The sheet as data."""
        return {
            "items": [each.as_json() for each in self.changes],
            "nextBelow": self.following,
            "around": self.about.as_json() if self.about is not None else None,
        }

    def role(self, change: EntityChange) -> str:
        """How what changed stands to what was asked for, in words; "" for itself."""
        role = self.about.roles.get(str(change.ref)) if self.about is not None else None
        return "" if role is None or role == ITSELF else str(role)


async def told(asked: Mapping[str, str], known: Knowledge, find: Find, now: datetime) -> Told:
    """The changes that parameters ask for. Raises `BadQuestion`, `StoreError`."""
    query = question(asked, now)
    text = asked.get("around", "").strip()[:LONGEST]
    if not text:
        return await _sheet(query, find, now)
    meant = about(text, known, _hops(asked.get("hops", "")))
    if not meant.clear:
        return Told(now, about=meant)
    if query.refs:
        raise BadQuestion("`ref` and `around` exclude each other: leave one out")
    query = replace(query, refs=tuple(meant.roles), project=meant.project or query.project)
    return replace(await _sheet(query, find, now), about=meant)


async def _sheet(query: ChangeQuery, find: Find, now: datetime) -> Told:
    found = await find(replace(query, limit=PAGE + 1))
    shown = tuple(found[:PAGE])
    return Told(now, shown, shown[-1].number if len(found) > PAGE else None)


def question(asked: Mapping[str, str], now: datetime) -> ChangeQuery:
    """The filters that parameters mean, besides `around`; raises `BadQuestion`."""
    for name, text in asked.items():
        _printable(text, name)
    kind = asked.get("kind", "")
    if kind and kind not in [each.value for each in ChangeKind]:
        raise BadQuestion(f"`kind` is one of {', '.join(ChangeKind)}")
    ref = asked_ref(asked.get("ref", ""), "component", "ref")
    return ChangeQuery(
        refs=(ref,) if ref else (),
        entity_kind=_entity_kind(asked.get("entity_kind", "")),
        owner=asked_ref(asked.get("owner", ""), "group", "owner"),
        project=asked.get("project", "").strip("/ ")[:LONGEST],
        kind=kind,
        since=_moment(asked.get("since", ""), now, "since"),
        until=_moment(asked.get("until", ""), now, "until"),
        below=_number(asked.get("below", "")),
    )


def _entity_kind(text: str) -> str:
    if text.strip() and not re.fullmatch(r"[A-Za-z]{1,63}", text.strip()):
        raise BadQuestion("`entity_kind` is a kind such as component")
    return text.strip().lower()


def _printable(text: str, name: str) -> None:
    """Refuse what a PostgreSQL cannot be asked for. Raises `BadQuestion`."""
    if not text.strip().isprintable():
        raise BadQuestion(f"`{name}` holds characters that cannot be printed; leave them out")


def asked_ref(text: str, kind: str, name: str) -> str:
    """The reference that the parameter `name` means, "" for none. Raises `BadQuestion`."""
    _printable(text, name)
    if not text.strip():
        return ""
    try:
        return str(Ref.parse(text.strip()[:LONGEST], kind=kind))
    except ValueError:
        raise BadQuestion(f"`{name}` is a reference like {kind}:default/name, or a name") from None


def _moment(text: str, now: datetime, name: str) -> datetime | None:
    """An ISO date-time with its zone, or how long ago: 2h."""
    if not text:
        return None
    span = _SPAN.fullmatch(text)
    try:
        if span:
            return now - int(span[1]) * _UNITS[span[2]]
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is not None:
            return moment
    except (ValueError, OverflowError):
        pass
    raise BadQuestion(f"`{name}` is a time like 2026-01-31T12:00:00Z, or a span like 30m, 2h, 7d")


def _hops(text: str) -> int:
    if text and text not in map(str, range(MOST_HOPS + 1)):
        raise BadQuestion(f"`hops` is a number from 0, the thing itself, to {MOST_HOPS}")
    return int(text) if text else HOPS


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadQuestion("`below` is the `nextBelow` of an earlier answer")
    return int(text)


def as_lines(found: Told) -> Iterator[str]:
    """A sheet for a terminal: a line a change, and below it a line a field."""
    if not found.clear:
        yield from _unclear(found)
    if found.about is not None and found.about.cut:
        yield "More belongs to it, or lies near it, than was looked at."
    for change in found.changes:
        role = found.role(change)
        where = f", in {places(change)}" if change.manifests else ""
        head = f"{headline(change)}{f' ({role})' if role else ''}"
        yield f"{change.at:%Y-%m-%d %H:%M}  {head}  {age(change.at, found.at)}{where}"
        yield from (f"    {line}" for line in field_lines(change))
    if found.clear and not found.changes:
        if found.about is not None and found.about.found.near:
            yield f"Nothing is called so. Did you mean {', '.join(found.about.found.near)}?"
        yield "Nothing that fits changed. What a first pass finds is no change."


def _unclear(found: Told) -> Iterator[str]:
    asked = found.about
    if asked is None or not asked.found.total:
        yield "Nothing known is called so."
        return
    yield f"{asked.found.total} entities have this {asked.found.matches[0].key}; which one is it?"
    yield from (f"    {match.ref}" for match in asked.found.matches)


async def with_history(explained: Explanation, find: Find) -> Explanation:
    """An explanation with the last changes of what it is about, also of what is gone.

    Raises `StoreError`.
    """
    refs = [str(each.ref) for each in explained.found] or list(gone(explained.asked))
    project = "" if refs else path_in(explained.asked)
    if not (refs or project):
        return explained
    last = await find(ChangeQuery(refs=tuple(refs), project=project, limit=LAST))
    return replace(explained, changes=tuple(last))


def history_lines(explained: Explanation, now: datetime) -> Iterator[str]:
    """The last changes of an explanation, for a terminal."""
    if explained.changes:
        yield "Last changes:"
        yield from (f"  {line}" for line in as_lines(Told(now, explained.changes)))
