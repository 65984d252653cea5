"""`manifest`: how complete a service's own description is. Pure but for the clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from bridge.language import links
from bridge.language.links import LinkKind
from bridge.model.entities import DEFAULT_NAMESPACE, Json, Ref
from bridge.model.facts import Reading, Subject
from bridge.ox.facts.offline import OfflineCollector
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import MANIFEST

TIER_LABEL: Final = "fester.dev/tier"
CHANNEL: Final = "fester.dev/owner-channel"
MISSING: Final = "fester.dev/missing-dependencies"  # with commas between them
_ON_CALL: Final = (
    *("pagerduty.com/service-id", "pagerduty.com/integration-key"),
    *("opsgenie.com/team", "fester.dev/opsgenie-schedule"),
    *("fester.dev/jsm-team", "fester.dev/jsm-schedule"),
)
_DOCS: Final = ("backstage.io/techdocs-ref", "backstage.io/techdocs-entity")
# Backstage's own three, and what the formats that we read call theirs.
LIFECYCLES: Final = frozenset(
    {
        *("planned", "development", "experimental", "alpha", "beta", "pre_alpha", "pre_release"),
        *("pre_production", "production", "generally_available", "ga"),
        *("deprecated", "sunset", "end_of_life", "retired", "decommissioned"),
    }
)
_GAP: Final = re.compile(r"[\s-]+")


class ManifestCollector(OfflineCollector):
    """How complete what the manifests say is."""

    def __init__(
        self, clock: Callable[[], datetime], known: Callable[[], frozenset[Ref]] = frozenset
    ) -> None:
        super().__init__(MANIFEST, read, clock, known)


def read(subject: Subject, now: datetime, known: frozenset[Ref] = frozenset()) -> Reading:
    """The facts of one entity."""
    project = subject.project.path if subject.project else ""
    where = f"{subject.manifest_file} of {project}" if project else "the catalog"
    notes = ReadingBuilder(MANIFEST, subject.ref, now, where)
    metadata = _mapping(subject.body.get("metadata"))
    spec = _mapping(subject.body.get("spec"))
    _ownership(notes, subject, metadata, spec, known)
    _links(notes, subject, metadata)
    description = str(metadata.get("description") or "").strip()
    # What leads nowhere is not published as a relation, and still a dependency.
    missing = str(_mapping(metadata.get("annotations")).get(MISSING) or "").split(", ")
    texts = [*_list(spec.get("dependsOn")), *filter(None, missing)]
    needed = _refs(texts, "component", subject.ref.namespace)
    notes.all_known(
        {
            "description_length": len(description),
            "tags": sorted({str(tag) for tag in _list(metadata.get("tags"))}),
            "dependencies": len(needed),
            "dependencies_unknown": sum(ref not in subject.catalog for ref in needed),
            "provides_apis": len(_list(spec.get("providesApis"))),
            "consumes_apis": len(_list(spec.get("consumesApis"))),
        }
    )
    reading = notes.reading()
    notes.known("completeness", _completeness(reading.values()))
    return notes.reading()


def _ownership(
    notes: ReadingBuilder,
    subject: Subject,
    metadata: Mapping[str, Any],
    spec: Mapping[str, Any],
    known: frozenset[Ref],
) -> None:
    owners = _refs([spec.get("owner")], "group", subject.ref.namespace)
    systems = _refs([spec.get("system")], "system", subject.ref.namespace)
    lifecycle = str(spec.get("lifecycle") or "").strip()
    tier = tier_of(metadata)
    notes.all_known(
        {
            "owner_given": bool(owners),
            "owner_known": any(
                (ref in subject.catalog or ref in known) and ref.kind in ("group", "user")
                for ref in owners
            ),
            "channel_given": bool(_mapping(metadata.get("annotations")).get(CHANNEL)),
            "tier_valid": tier is not None,
            "lifecycle_valid": _GAP.sub("_", lifecycle.lower()) in LIFECYCLES,
            "system_given": bool(systems),
            "system_known": any(ref in subject.catalog for ref in systems),
        }
    )
    if tier is None:
        notes.not_applicable("no tier from tier_1 to tier_4 is given", "tier")
    else:
        notes.known("tier", tier)
    if lifecycle:
        notes.known("lifecycle", lifecycle)
    else:
        notes.not_applicable("no lifecycle is given", "lifecycle")


def _links(notes: ReadingBuilder, subject: Subject, metadata: Mapping[str, Any]) -> None:
    counts = Counter(kind for kind, _ in links.links_of(subject.body))
    annotations = _mapping(metadata.get("annotations"))
    counts[LinkKind.ON_CALL] += any(annotations.get(key) for key in _ON_CALL)
    counts[LinkKind.DOCS] += any(annotations.get(key) for key in _DOCS)
    notes.known("links", len(_list(metadata.get("links"))))
    notes.known("links_by_kind", {kind.value: counts[kind] for kind in LinkKind})
    for kind in LinkKind:
        if kind not in (LinkKind.REPOSITORY, LinkKind.OTHER):
            notes.known(f"{kind}_linked", counts[kind] > 0)


def _completeness(values: Mapping[str, Json]) -> float:
    there = (
        values["owner_given"],
        values["channel_given"],
        values["tier_valid"],
        values["lifecycle_valid"],
        values["system_given"],
        values["description_length"] > 0,
        bool(values["tags"]),
        values["runbook_linked"],
        values["dashboard_linked"],
        values["docs_linked"],
    )
    return sum(map(bool, there)) / len(there)


def tier_of(metadata: Mapping[str, Any]) -> int | None:
    """The tier by the entity's label, 1 to 4; None when there is none of these."""
    text = str(_mapping(metadata.get("labels")).get(TIER_LABEL) or "")
    found = re.fullmatch(r"tier_([1-4])", text)
    return int(found[1]) if found else None


def _refs(texts: Json, kind: str, namespace: str) -> list[Ref]:
    found = []
    for text in _list(texts):
        try:
            found.append(
                Ref.parse(str(text or ""), kind=kind, namespace=namespace or DEFAULT_NAMESPACE)
            )
        except ValueError:
            continue  # no reference: the entity rules report it
    return found


def _mapping(value: Json) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
