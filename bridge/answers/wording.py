"""What an answer says, in sections: every face (text, Slack, page) shows these and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bridge.answers.changed import headline, places
from bridge.answers.dependencies import Reached, Walk
from bridge.answers.identify import Match
from bridge.answers.incident import (
    READ_FIRST,
    ChangedLately,
    Datum,
    Incident,
    IncidentAnswer,
    Link,
    Owner,
)
from bridge.language.links import LinkKind
from bridge.model.entity_changes import ChangeKind

SHOWN: Final = 10  # dependencies and matches that a face names; the JSON names them all
CHANGES_SHOWN: Final = 5  # that a face names, each with a manifest; a phone has room for no more
_LONGEST: Final = 200
_LONGEST_URL: Final = 2_000  # of a link without a title: half an address leads nowhere
_BY_NAME: Final = ("component", "group", "system")
_OLD: Final = 3600.0  # seconds: who is on call changes by the hour


@dataclass(frozen=True, slots=True)
class Item:
    """One thing said: a text, where it leads ("" nowhere), and a remark such as its age."""

    text: str
    url: str = ""
    note: str = ""
    ref: str = ""  # the entity that it is about, so that a page can lead there


@dataclass(frozen=True, slots=True)
class AnswerSection:
    """A label with what stands under it. `urgent` ones are what a responder acts on first."""

    label: str
    items: tuple[Item, ...]
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """The whole answer in words: a headline, a line below it, and sections in order."""

    headline: str
    subtitle: str
    sections: tuple[AnswerSection, ...] = ()


def said(text: object, longest: int = _LONGEST) -> str:
    """One printable line: what manifests say moves no cursor, hides nothing and is bounded."""
    line = "".join(char if char.isprintable() else " " for char in str(text))
    line = " ".join(line.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def in_words(answer: IncidentAnswer) -> Said:
    """An answer as it is said to a person."""
    incident = answer.incident
    if incident is not None:
        return _incident(incident, answer)
    if answer.found.total:
        return _several(answer)
    near = tuple(Item(_short(ref), ref=ref) for ref in answer.found.near)
    advice = (
        "Ask by name, alias, GitLab project (path, address or id), PagerDuty id, "
        "or an address or host that a service links to."
    )
    sections = (AnswerSection("Did you mean", near),) if near else ()
    return Said(f"Nothing known is called {said(answer.asked) or 'that'}", advice, sections)


def _several(answer: IncidentAnswer) -> Said:
    found = answer.found
    items = tuple(_match(match) for match in found.matches[: 2 * SHOWN])
    left = found.total - len(items)
    if left > 0:
        items = (*items, Item(f"… and {left} more; ask for one of them by its name"))
    key = found.matches[0].key
    headline = f"{found.total} entities have this {key}: {said(answer.asked)}"
    return Said(headline, "Which one is it?", (AnswerSection("Matches", items),))


def _match(match: Match) -> Item:
    owner = f"owned by {_short(match.owner)}" if match.owner else ""
    return Item(f"{said(match.title)} ({match.kind})", ref=match.ref, note=owner)


def _incident(incident: Incident, answer: IncidentAnswer) -> Said:
    match = incident.match
    what = (
        f"tier {incident.tier}" if incident.tier else "no tier",
        said(incident.lifecycle),
        f"part of {_short(incident.system)}" if incident.system else "",
    )
    about = said(incident.description)
    subtitle = " · ".join(filter(None, (match.kind, *what, about)))
    headline = f"{said(match.title)} (found by its {match.key})"
    return Said(headline, subtitle, tuple(_sections(incident, answer)))


def _sections(incident: Incident, answer: IncidentAnswer) -> Iterator[AnswerSection]:
    yield AnswerSection("Owner", tuple(_owner(incident.owner)), urgent=True)
    yield AnswerSection("On call", tuple(_on_call(incident, answer.at)), urgent=True)
    yield AnswerSection("Read first", tuple(_links(incident, first=True)), urgent=True)
    yield from _walked("Hit by this", incident.needed_by, urgent=True)
    yield from _walked("Needs", incident.needs)
    yield from _walked("Holds", incident.parts)
    if incident.changed is not None:
        yield AnswerSection("Changed", tuple(_changed(incident.changed, answer.at)))
    state = tuple(_state(incident, answer.at))
    if state:
        yield AnswerSection("State", state)
    if incident.gates_failed:
        gates = (Item(said(gate)) for gate in incident.gates_failed)
        yield AnswerSection("Failed gates", tuple(gates))
    other = tuple(_links(incident, first=False))
    if other:
        yield AnswerSection("Links", other)
    yield AnswerSection("Known as of", (Item(_whole(answer)),))


def _whole(answer: IncidentAnswer) -> str:
    read = f"read {age(answer.read_at, answer.at)}" if answer.read_at else "not read yet"
    if answer.complete_at is None:
        return f"GitLab was {read}, never without a gap: what could not be read may be missing"
    return f"GitLab was {read}, and last without a gap {age(answer.complete_at, answer.at)}"


def _owner(owner: Owner | None) -> Iterator[Item]:
    if owner is None:
        yield Item("nobody is named as its owner")
        return
    note = said(owner.channel)
    if not owner.known:
        note = ", ".join(filter(None, (note, "no such team is in the catalog")))
    yield Item(said(owner.title), ref=owner.ref if owner.known else "", note=note)
    if owner.email:
        yield Item(said(owner.email), f"mailto:{owner.email}")
    for link in owner.links:
        yield _link(link)


def _link(link: Link, note: str = "") -> Item:
    """A link that leads somewhere only if a browser opens it without running anything."""
    safe = link.url.lower().startswith(("https://", "http://"))
    title = said(link.title, _LONGEST_URL if link.title == link.url else _LONGEST)
    return Item(title, link.url if safe else "", note)


def _on_call(incident: Incident, now: datetime) -> Iterator[Item]:
    datum = incident.data.get("on_call")
    if datum is None:
        yield Item("not known: nothing was read from PagerDuty, Opsgenie or Jira")
    elif not isinstance(datum.value, list):
        yield Item(f"not known: {said(datum.reason or 'nobody could tell')}")
    elif not datum.value:
        yield Item("nobody", note=_seen(datum, now))
    else:
        old = datum.seen_at is not None and (now - datum.seen_at).total_seconds() > _OLD
        note = f"{_seen(datum, now)}{'; may have changed since' if old else ''}"
        yield Item(", ".join(said(name) for name in datum.value[:SHOWN]), note=note)
    for link in incident.links:
        if link.kind is LinkKind.ON_CALL:
            yield _link(link)


def _links(incident: Incident, *, first: bool) -> Iterator[Item]:
    wanted = [each for each in incident.links if (each.kind in READ_FIRST) is first]
    for link in wanted:
        if link.kind is not LinkKind.ON_CALL:
            yield _link(link, "" if link.kind is LinkKind.OTHER else link.kind)
    if first and not any(link.kind is LinkKind.RUNBOOK for link in incident.links):
        yield Item("no runbook is linked")


def _walked(label: str, walked: Walk, *, urgent: bool = False) -> Iterator[AnswerSection]:
    if not walked.reached:
        return
    items = tuple(_reached(each) for each in walked.reached[:SHOWN])
    left = len(walked.reached) - len(items)
    if left > 0 or walked.cut:
        more = f"… and {left} more" if left > 0 else "…"
        items = (*items, Item(f"{more}{', and beyond what was followed' if walked.cut else ''}"))
    yield AnswerSection(
        f"{label} ({len(walked.reached)}{'+' if walked.cut else ''})", items, urgent
    )


def _reached(each: Reached) -> Item:
    notes = (
        f"tier {each.tier}" if each.tier else "",
        "" if each.hops == 1 else f"{each.hops} hops, by {_named(each.via)}",
        _short(each.owner) if each.owner else "",
        "" if each.known else "not in the catalog",
    )
    note = ", ".join(filter(None, notes))
    text = _named(each.ref, each.title)
    return Item(text, ref=each.ref if each.known else "", note=note)


def _changed(changed: ChangedLately, now: datetime) -> Iterator[Item]:
    """What changed lately nearby: what, how near, when, and in which manifest."""
    for each in changed.nearby[:CHANGES_SHOWN]:
        change = each.change
        note = f"{each.role}, {age(change.at, now)}"
        where = f", in {places(change)}" if change.manifests else ""
        ref = "" if change.kind is ChangeKind.REMOVED else str(change.ref)
        yield Item(said(headline(change)), ref=ref, note=said(f"{note}{where}"))
    left = len(changed.nearby) - CHANGES_SHOWN
    if left > 0:
        yield Item(f"… and {left} more")
    if changed.missed:
        begin = max(filter(None, (changed.read_at, changed.since)))
        yield Item(
            f"what changed since {begin:%H:%M} {begin:%Z} is not at hand: the store did not tell"
        )
    elif not changed.nearby:
        yield Item("nothing of it or near it in the last 24 hours")
    if changed.beyond:
        yield Item("more lies near it than was followed: what changed there is not told here")
    if changed.cut:
        yield Item("so much changed in the whole catalog that not all of it is looked at here")


def _state(incident: Incident, now: datetime) -> Iterator[Item]:
    data = incident.data
    for name, label in (("pipeline", "pipeline"), ("last_release", "release")):
        datum = data.get(name)
        if datum is not None and datum.value:
            when = data.get("last_release_at") if name == "last_release" else None
            made = _moment(when.value) if when is not None else None
            made_text = f", made {age(made, now)}" if made is not None else ""
            yield Item(f"{label} {said(datum.value)}{made_text}", note=_seen(datum, now))
    vulnerable = data.get("open_vulnerabilities")
    if vulnerable is not None and isinstance(vulnerable.value, dict):
        counts = [f"{said(n)} {said(s)}" for s, n in vulnerable.value.items() if n]
        text = f"open vulnerabilities: {', '.join(counts) or 'none'}"
        yield Item(text, note=_seen(vulnerable, now))


def _seen(datum: Datum, now: datetime) -> str:
    return f"seen {age(datum.seen_at, now)}" if datum.seen_at is not None else ""


def _moment(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def age(moment: datetime, now: datetime) -> str:
    """How long ago, as a person says it."""
    seconds = (now - moment).total_seconds()
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _short(ref: str) -> str:
    """A reference as people say it: components by name, other kinds with theirs."""
    kind, _, rest = ref.partition(":")
    name = said(rest.removeprefix("default/"))
    return name if kind in _BY_NAME and name else said(ref)


def _named(ref: str, title: str = "") -> str:
    """What people call an entity: a component by name, others by title (or name) and kind."""
    kind, _, rest = ref.partition(":")
    if kind in _BY_NAME:
        return _short(ref)
    return f"{said(title or rest.removeprefix('default/'))} ({'API' if kind == 'api' else kind})"
