"""What Backstage's plugins for Snyk and PagerDuty look for on an entity, from what was found there.

`snyk.io/org-id` and `snyk.io/project-ids` (with commas), `pagerduty.com/service-id`; and links.
What an entity says itself stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from bridge.model.entities import Body, CatalogEntity, Json, Ref
from bridge.model.facts import Reading, Standing
from bridge.ox.facts.pagerduty import PAGERDUTY, SERVICE_ID, SERVICE_URL
from bridge.ox.facts.snyk import PROJECTS, SNYK, WHERE

Latest: TypeAlias = Mapping[Ref, Mapping[str, Reading]]

ORG: Final = "snyk.io/org-id"
IDS: Final = "snyk.io/project-ids"
SERVICE: Final = "pagerduty.com/service-id"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_WEB: Final = re.compile(r"https?://[^\s<>\"']{1,500}")


def with_tool_annotations(entity: CatalogEntity, readings: Mapping[str, Reading]) -> CatalogEntity:
    """An entity with what its latest `readings` (by retriever) say of it in these tools."""
    metadata: Mapping[str, Json] = entity.body["metadata"]
    given = metadata.get("annotations") or {}
    found = dict(_annotations(readings))
    said = {key: value for key, value in found.items() if key not in given}
    known = metadata.get("links") or []
    there = {link.get("url") for link in known if isinstance(link, Mapping)}
    links = [link for link in _links(readings) if link["url"] not in there]
    if not said and not links:
        return entity
    changed = {**metadata}
    changed |= {"annotations": {**given, **said}} if said else {}
    changed |= {"links": [*known, *links]} if links else {}
    body: Body = {**entity.body, "metadata": changed}
    return replace(entity, body=body)


def changed_tools(before: Latest, now: Latest) -> set[Ref]:
    """The entities of which the latest readings say something else in these tools."""
    if before is now:
        return set()
    pairs = ((ref, before.get(ref, {}), now.get(ref, {})) for ref in before.keys() | now.keys())
    return {ref for ref, old, new in pairs if old is not new and _said(old) != _said(new)}


def _said(readings: Mapping[str, Reading]) -> tuple[object, ...]:
    return dict(_annotations(readings)), list(_links(readings))


def _annotations(readings: Mapping[str, Reading]) -> Iterator[tuple[str, str]]:
    projects = _value(readings, SNYK.id, PROJECTS)
    pairs = [str(each).partition("/") for each in projects] if isinstance(projects, list) else []
    whole = [(org, number) for org, _, number in pairs if _is_word(org) and _is_word(number)]
    if whole:  # the plugin knows one organization an entity
        first = whole[0][0]
        yield ORG, first
        yield IDS, ",".join(number for org, number in whole if org == first)
    service = _value(readings, PAGERDUTY.id, SERVICE_ID)
    if _is_word(service):
        yield SERVICE, str(service)


def _links(readings: Mapping[str, Reading]) -> Iterator[dict[str, str]]:
    for retriever, name, title in (
        (SNYK.id, WHERE, "Snyk"),
        (PAGERDUTY.id, SERVICE_URL, "PagerDuty"),
    ):
        url = _value(readings, retriever, name)
        if isinstance(url, str) and _WEB.fullmatch(url):
            yield {"url": url, "title": title, "type": retriever}


def _is_word(value: Json) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _value(readings: Mapping[str, Reading], retriever: str, name: str) -> Json:
    reading = readings.get(retriever)
    for fact in reading.facts if reading is not None else ():
        if fact.name == name and fact.standing is Standing.KNOWN:
            return fact.value
    return None
