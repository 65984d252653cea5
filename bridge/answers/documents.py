"""Every guide, playbook, runbook and golden path that the catalog knows, and whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.answers.knowledge import Knowledge, ref_of, title_of
from bridge.catalog.index import Index

# A document's kind, by the words that manifests use for it.
KINDS: Final = {
    "runbook": "Runbooks",
    "playbook": "Playbooks",
    "golden-path": "Golden paths",
    "guide": "Guides",
}
URGENT: Final = ("runbook", "playbook")  # the kinds that one looks for in an incident
_KIND_OF: Final = {
    "runbook": "runbook",
    "runbooks": "runbook",
    "playbook": "playbook",
    "playbooks": "playbook",
    "golden-path": "golden-path",
    "golden-paths": "golden-path",
    "guide": "guide",
    "guides": "guide",
    "doc": "guide",
    "docs": "guide",
    "documentation": "guide",
    "handbook": "guide",
    "wiki": "guide",
}


@dataclass(frozen=True, slots=True)
class Document:
    """One document. `ref` is the entity that it is, or the one that links to it; `service` is
    what it is about, "" when that is not known.
    """

    kind: str  # a key of `KINDS`
    title: str
    url: str
    ref: str
    about: str
    owner: str
    system: str
    service: str = ""


def documents(known: Knowledge) -> list[Document]:
    """All of them, by kind, then title; entities that are documents and links that lead to some."""
    index = known.index
    mask = index.having("metadata.links.url") | _of_their_types(index)
    found = _once([list(_of(entity)) for entity in known.picked(mask)])
    order = {kind: rank for rank, kind in enumerate(KINDS)}
    return sorted(found, key=lambda each: (order[each.kind], each.title.lower(), each.ref))


def _once(by_entity: list[list[Document]]) -> list[Document]:
    """Without links to what is an entity itself: a service's runbook is often both."""
    found = [each for documents in by_entity for each in documents]
    entities = {(each.url, each.kind) for each in found if each.url and _is_itself(each)}
    return [each for each in found if _is_itself(each) or (each.url, each.kind) not in entities]


def _is_itself(document: Document) -> bool:
    """Whether a document is an entity, and no link of one."""
    return document.title == document.about


def kind_of(text: str) -> str:
    """The kind of document that a word stands for; "" when it is none."""
    return _KIND_OF.get(re.sub(r"[^a-z]+", "-", text.lower()).strip("-"), "")


def is_document(entity: Mapping[str, Any]) -> bool:
    """Whether a resource is a document: who depends on it is described by it, and needs it not."""
    kind = str((entity.get("spec") or {}).get("type") or "")
    return bool(entity["kind"] == "Resource" and kind_of(kind))


def documents_of(entity: Mapping[str, Any], known: Knowledge) -> Iterator[Document]:
    """The documents about an entity that are entities of their own."""
    for relation in entity.get("relations") or ():
        ref = str(relation["targetRef"])
        if relation["type"] == "dependsOn" and ref.startswith("resource:"):
            other = known.entity(ref)
            if other is not None and is_document(other):
                yield from _of(other)


def documents_in(index: Index) -> int:
    """A mask of the resources that are documents."""
    return index.equal("kind", ("resource",)) & _of_their_types(index)


def _of_their_types(index: Index) -> int:
    """A mask of the entities whose type is a kind of document, however it is written."""
    types = (value.lower() for value, _ in index.facet("spec.type", None) if kind_of(value))
    return index.equal("spec.type", types)


def _of(entity: Mapping[str, Any]) -> Iterator[Document]:
    spec = entity.get("spec") or {}
    owner, system = str(spec.get("owner") or ""), str(spec.get("system") or "")
    ref, title = ref_of(entity), title_of(entity)
    kind = kind_of(str(spec.get("type") or "")) if entity["kind"] != "Group" else ""
    links = [link for link in entity["metadata"].get("links") or () if isinstance(link, dict)]
    if kind:
        url = next((str(link.get("url") or "") for link in links), "")
        url = url or str(
            (entity["metadata"].get("annotations") or {}).get("backstage.io/view-url", "")
        )
        yield Document(kind, title, _http(url), ref, title, owner, system, _service(entity))
        return
    for link in links:
        linked = kind_of(str(link.get("type") or ""))
        if linked:
            said = str(link.get("title") or link.get("url") or "")
            yield Document(
                linked, said, _http(str(link.get("url") or "")), ref, title, owner, system, ref
            )


def _service(entity: Mapping[str, Any]) -> str:
    """The first entity that a document is about."""
    relations = entity.get("relations") or ()
    found = (str(each["targetRef"]) for each in relations if each["type"] == "dependencyOf")
    return next(found, "")


def _http(url: str) -> str:
    return url if url.lower().startswith(("https://", "http://")) else ""
