"""What changed, as an Atom feed (RFC 4287), with the next sheet as RFC 5005 has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5
from xml.etree import ElementTree as ET

from bridge.answers.changed import field_lines, headline, page_of, places
from bridge.model.entity_changes import EntityChange

TYPE: Final = "application/atom+xml; charset=utf-8"
_ATOM: Final = "http://www.w3.org/2005/Atom"
_XHTML: Final = "http://www.w3.org/1999/xhtml"
# What XML 1.0 cannot hold, not even escaped: https://www.w3.org/TR/xml/#charsets
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # of a feed without entries: it is always the same


def atom_feed(
    changes: Sequence[EntityChange], *, source: str, base: str, query: str, following: str
) -> bytes:
    """The feed. `base` is Fester's address, `query` the filters, `following` that of the next page.

    Ids are made of `source` and of what was asked, so that Fester may move to another address.
    """
    feed = ET.Element("feed", {"xmlns": _ATOM})
    _text(feed, "id", _id(f"{source} changes?{query}"))
    _text(feed, "title", "What changed in the catalog")
    _text(feed, "updated", _moment(changes[0].at if changes else _NEVER))
    _text(ET.SubElement(feed, "author"), "name", "Fester")
    asked = f"?{query}" if query else ""
    _link(feed, "self", f"{base}/changes.atom{asked}")
    _link(feed, "alternate", f"{base}/changes{asked}", type="text/html")
    if following:
        _link(feed, "next", f"{base}/changes.atom?{following}")
    for change in changes:
        _entry(ET.SubElement(feed, "entry"), change, source, base)
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


def _entry(entry: ET.Element, change: EntityChange, source: str, base: str) -> None:
    path, ref = page_of(change)
    _text(entry, "id", _id(f"{source} change {change.number} of {change.ref}"))
    _text(entry, "title", headline(change))
    _text(entry, "updated", _moment(change.at))
    _link(entry, "alternate", f"{base}{path}{quote(ref, safe='/:')}", type="text/html")
    ET.SubElement(entry, "category", {"term": change.kind.value})
    content = ET.SubElement(entry, "content", {"type": "xhtml"})
    body = ET.SubElement(content, "div", {"xmlns": _XHTML})
    owner = f", owned by {change.owner}" if change.owner else ""
    _text(body, "p", f"{change.ref} {change.kind.value}{owner}")
    _listed(body, field_lines(change))
    if change.manifests:
        _text(body, "p", f"In {places(change)}")


def _listed(body: ET.Element, lines: Iterable[str]) -> None:
    items = list(lines)
    if items:  # an empty list is no XHTML
        listed = ET.SubElement(body, "ul")
        for line in items:
            _text(listed, "li", line)


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = _NO_XML.sub("�", text)


def _link(parent: ET.Element, rel: str, href: str, **more: str) -> None:
    ET.SubElement(parent, "link", {"rel": rel, "href": _NO_XML.sub("", href), **more})


def _id(name: str) -> str:
    return uuid5(NAMESPACE_URL, _NO_XML.sub("�", name)).urn


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
