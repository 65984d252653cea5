"""The faces of an answer that are no page: plain text, Slack's blocks, a JSON tree."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Final
from urllib.parse import quote

from bridge.answers.dependencies import Walk
from bridge.answers.incident import ChangedLately, Datum, Incident, IncidentAnswer
from bridge.answers.wording import Item, Said, said
from bridge.model.entities import Json

_LABEL: Final = 14
# https://docs.slack.dev/reference/block-kit/blocks: texts and blocks that Slack takes.
_SLACK_TEXT: Final = 3000
_SLACK_MORE: Final = 50  # of them for a line that says what is left out
_SLACK_HEADER: Final = 150
_SLACK_BLOCKS: Final = 50
_URL_SAFE: Final = "!#$&'()*+,/:;=?@[]%~-._"


def as_text(answer: Said) -> str:
    """Lines for a terminal or a log; no line holds anything that is not printable."""
    lines = [answer.headline, answer.subtitle, ""]
    for section in answer.sections:
        label = section.label
        for item in section.items:
            lines.append(f"{label:<{_LABEL}} {_line(item)}".rstrip())
            label = ""
    return "\n".join(lines).strip() + "\n"


def _line(item: Item) -> str:
    note = f" ({item.note})" if item.note else ""
    if item.text == item.url:
        return f"{address(item.url)}{note}"
    return f"{item.text}{note}{'  ' + address(item.url) if item.url else ''}"


def address(url: str) -> str:
    """A URL with everything quoted that no URL holds: it can end no link and no line."""
    return quote(url, safe=_URL_SAFE)


def as_slack(answer: Said) -> dict[str, Json]:
    """A message of Block Kit, seen by the asker alone; nothing in it mentions or formats."""
    blocks: list[Json] = [
        {"type": "header", "text": {"type": "plain_text", "text": answer.headline[:_SLACK_HEADER]}}
    ]
    if answer.subtitle:
        blocks.append(_mrkdwn(escaped(answer.subtitle)))
    for section in answer.sections:
        lines = [f"*{escaped(section.label)}*", *(f"• {_slack_line(i)}" for i in section.items)]
        blocks.append(_mrkdwn(_bounded(lines)))
    return {
        "response_type": "ephemeral",
        "text": escaped(answer.headline),
        "blocks": blocks[:_SLACK_BLOCKS],
    }


def _mrkdwn(text: str) -> dict[str, Json]:
    body = {"type": "mrkdwn", "text": text, "verbatim": True}
    return {"type": "section", "text": body}


def _bounded(lines: list[str]) -> str:
    """As many whole lines as Slack takes: half a link would lead elsewhere. The rest is counted."""
    kept, length, left = [], 0, 0
    for line in lines:
        if length + len(line) + 1 > _SLACK_TEXT - _SLACK_MORE:
            left += 1
            continue
        length += len(line) + 1
        kept.append(line)
    return "\n".join([*kept, f"• … and {left} more, too long for Slack"] if left else kept)


def _slack_line(item: Item) -> str:
    text = escaped(said(item.text))  # an address of a link is whole, its text need not be
    if item.url.startswith(("https://", "http://", "mailto:")):
        text = f"<{address(item.url).replace('&', '&amp;')}|{text.replace('|', '¦')}>"
    return f"{text} ({escaped(item.note)})" if item.note else text


def escaped(text: str) -> str:
    """Text that Slack shows as it is: no mention, no link, no bold."""
    for char, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(char, safe)
    # A format character counts only at a word's edge; an invisible word joiner takes the edge away.
    return "".join(f"\u2060{char}\u2060" if char in "*_~`" else char for char in text)


def as_json(answer: IncidentAnswer) -> dict[str, Json]:
    """The answer as data: every match, every dependency, every datum with source and moment."""
    found = answer.found
    return {
        "asked": said(answer.asked),
        "at": answer.at.isoformat(timespec="seconds"),
        "readAt": _iso(answer.read_at),
        "completeAt": _iso(answer.complete_at),
        "total": found.total,
        "matches": [asdict(match) for match in found.matches],
        "near": list(found.near),
        "incident": _incident_json(answer.incident) if answer.incident is not None else None,
    }


def _incident_json(incident: Incident) -> dict[str, Json]:
    return {
        "ref": incident.match.ref,
        "title": incident.match.title,
        "foundBy": incident.match.key,
        "description": incident.description,
        "lifecycle": incident.lifecycle,
        "system": incident.system or None,
        "tier": incident.tier,
        "owner": asdict(incident.owner) if incident.owner is not None else None,
        "links": [asdict(link) for link in incident.links],
        "needs": _walk_json(incident.needs),
        "neededBy": _walk_json(incident.needed_by),
        "parts": _walk_json(incident.parts),
        "data": {name: _datum_json(datum) for name, datum in incident.data.items()},
        "gatesFailed": list(incident.gates_failed),
        "changed": _changed_json(incident.changed) if incident.changed is not None else None,
    }


def _changed_json(changed: ChangedLately) -> dict[str, Json]:
    items: list[Json] = [
        {"role": each.role.word, "hops": each.role.hops, **each.change.as_json()}
        for each in changed.nearby
    ]
    return {
        "since": _iso(changed.since),
        "cut": changed.cut,
        "beyond": changed.beyond,
        "missed": changed.missed,
        "readAt": _iso(changed.read_at),
        "items": items,
    }


def _walk_json(walk: Walk) -> dict[str, Json]:
    return {"cut": walk.cut, "reached": [asdict(each) for each in walk.reached]}


def _datum_json(datum: Datum) -> dict[str, Json]:
    return {
        "value": datum.value,
        "source": datum.source,
        "seenAt": _iso(datum.seen_at),
        "reason": datum.reason,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None
