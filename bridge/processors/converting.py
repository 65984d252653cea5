"""Turns what another tool's file became into a qm.yaml: the mapping `qm-v1` the other way round.

The entities of any mapping are the input, so every format that Fester reads can be converted. What
of the file found no place in the qm.yaml is given with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.language import naming
from bridge.language.paths import within
from bridge.language.text import Position, YamlDocument
from bridge.model.entities import DEFAULT_NAMESPACE, Json, Ref
from bridge.model.suggested_owner import SOURCE_NAME
from bridge.processors.carried_entities import CarriedEntities
from bridge.processors.mapping import ExplainedEntity, MappingExplanation
from bridge.processors.mapping.templates import Path
from bridge.processors.rules import refused

NOBODY: Final = "unknown"
MOST_SERVICES: Final = 100
# Annotations that qm-v1 makes of the project itself.
_OF_THE_PROJECT: Final = frozenset(
    {
        *("gitlab.com/instance", "gitlab.com/project-id", "gitlab.com/project-slug"),
        *("backstage.io/source-location", "backstage.io/view-url", "backstage.io/edit-url"),
    }
)
_DOCUMENTS: Final = {
    "runbook": "runbook",
    "runbooks": "runbook",
    "playbook": "playbook",
    "guide": "guide",
    "golden_path": "golden_path",
    "doc": "guide",
    "docs": "guide",
    "documentation": "guide",
}
_TOOLS: Final = frozenset(
    {
        *("dashboard", "metrics", "logs", "alerts", "slo", "incidents", "errors", "chat", "wiki"),
        *("ci", "build", "continuous_integration", "pipeline", "issue_tracking"),
    }
)
# Keys that say which format a file has, and nothing of the service.
_HEADS: Final = frozenset(
    {"apiVersion", "kind", "version", "schema-version", "configVersion", "openapi"}
)
_DEFINITION: Final = frozenset({"spec.definition", "spec.definition.$text"})
_FILE: Final = re.compile(r"[^\s:{}\"']+\.\w+\Z")  # a path, and no definition itself
_ID: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Lost:
    """A value of the file that has no place in the qm.yaml: its key, and where it stands."""

    key: str
    at: Position


@dataclass(frozen=True, slots=True)
class Converted:
    """A qm.yaml as a tree, its keys in the order of reading; None when there is no service.

    `nobody` are the services whose owner is not known.
    """

    tree: dict[str, Json] | None
    lost: tuple[Lost, ...]
    nobody: tuple[str, ...] = ()


def converted(
    explanation: MappingExplanation,
    documents: Sequence[YamlDocument],
    integrations: Mapping[str, tuple[str, str]],
) -> Converted:
    """The qm.yaml of a file.

    Takes what the file became, its documents, and the annotations for which `integrations` of
    qm.yaml has a short form (annotation → tool and key). Entities that Backstage would refuse are
    passed over. Never raises for what a file says.
    """
    fit = CarriedEntities([each for each in explanation.entities if not refused(each.body)])
    inverse = _Inverse(fit, integrations, dict(_texts(documents)))
    services = [inverse.service(each) for each in fit.of("component")[:MOST_SERVICES]]
    lost = tuple(_lost(documents, fit.places()))
    if not services:
        return Converted(None, lost)
    nobody = tuple(str(each["name"]) for each in services if each["owner"] == {"team": NOBODY})
    key, value = ("service", services[0]) if len(services) == 1 else ("services", services)
    return Converted({"version": 1, key: value}, lost, nobody)


@dataclass(slots=True)
class _Inverse:
    """The entities of a file on their way back.

    `texts` is what the file says, by where it stands.
    """

    entities: CarriedEntities
    integrations: Mapping[str, tuple[str, str]]
    texts: Mapping[Position, str]

    def name(self, entity: ExplainedEntity) -> dict[str, Json]:
        """`name`, and `id` where the name alone would become another entity."""
        own = entity.ref.name if _ID.match(str(entity.body["metadata"]["name"])) else None
        title = self.entities.use(entity, "metadata.title")
        source = self.entities.annotation(entity, SOURCE_NAME)
        self.entities.use(entity, "metadata.name")
        name = str(title or source or entity.body["metadata"]["name"])[:120]
        return {"name": name} | (
            {"id": own} if own is not None and naming.slug(name) != own else {}
        )

    def service(self, entity: ExplainedEntity) -> dict[str, Json]:
        """One service of a qm.yaml, without the keys that say nothing."""
        links = self.links(entity)
        lifecycle = self.entities.use(entity, "spec.lifecycle")
        type_ = self.entities.use(entity, "spec.type")
        made: dict[str, Json] = {
            **self.name(entity),
            "description": self.entities.use(entity, "metadata.description"),
            "type": None if type_ == "service" else type_,
            "lifecycle": None if lifecycle == "unknown" else lifecycle,
            "tier": self.tier(entity),
            "owner": self.owner(entity),
            **self.system(entity),
            "language": self.entities.label(entity, "fester.dev/language"),
            "tags": self.entities.use(entity, "metadata.tags"),
            "aliases": _split(self.entities.annotation(entity, "fester.dev/aliases")),
            **links,
            "dependencies": self.dependencies(entity),
            "resources": self.resources(entity),
            "apis": self.apis(entity),
            "integrations": self.short_forms(entity),
            "annotations": self.annotations(entity),
            "labels": self.labels(entity),
        }
        return {key: value for key, value in made.items() if value not in (None, [], {}, "")}

    def tier(self, entity: ExplainedEntity) -> Json:
        tier = self.entities.label(entity, "fester.dev/tier")
        return tier if isinstance(tier, str) and re.fullmatch("tier_[1-4]", tier) else None

    def owner(self, entity: ExplainedEntity) -> dict[str, Json]:
        ref = self.entities.target(entity, "owner")
        if ref is None or ref.name == NOBODY:
            return {"team": NOBODY}
        group = self.entities.known(ref)
        channel = self.entities.annotation(entity, "fester.dev/owner-channel")
        if group is None:
            team: dict[str, Json] = {"team": ref.name if ref.kind == "group" else str(ref)}
        else:
            named = self.name(group)
            team = {"team": named.pop("name"), **named}
            self.entities.use(group, "spec.profile.displayName")
        return team | ({"channel": channel} if channel else {})

    def system(self, entity: ExplainedEntity) -> dict[str, Json]:
        """`system`, and the `product` that it belongs to."""
        found: dict[str, Json] = {}
        ref = self.entities.target(entity, "system")
        system = self.entities.known(ref) if ref is not None else None
        if ref is not None:
            found["system"] = _short(self.name(system) if system else {"name": ref.name})
        domain = self.entities.target(system, "domain") if system is not None else None
        product = self.entities.annotation(entity, "fester.dev/product")
        if domain is not None:
            described = self.entities.known(domain)
            found["product"] = _short(self.name(described) if described else {"name": domain.name})
        elif product:
            found["product"] = product
        return found

    def links(self, entity: ExplainedEntity) -> dict[str, Json]:
        """`tools`, `docs` and `links`, each link where its type belongs."""
        tools: list[Json] = []
        docs: list[Json] = []
        links: list[Json] = []
        for at, link in enumerate(entity.body["metadata"].get("links") or []):
            if not (isinstance(link, dict) and isinstance(link.get("url"), str)):
                continue  # Backstage would refuse it, too
            self.entities.mark(entity, f"metadata.links[{at}]")
            said = {key: str(link[key]) for key in ("title", "icon", "type") if link.get(key)}
            type_ = said.get("type", "").lower()
            title = said.get("title")
            if type_ in _DOCUMENTS:
                docs.append(_said(kind=_DOCUMENTS[type_], title=title, url=link["url"]))
            elif type_ in _TOOLS and title:
                tools.append({"name": title, "category": type_, "url": link["url"]})
            else:
                links.append({"url": link["url"], **said})
        return {"tools": tools, "docs": docs, "links": links}

    def dependencies(self, entity: ExplainedEntity) -> list[Json]:
        found: list[Json] = []
        for path, ref in self.entities.refs(entity, "dependsOn"):
            if ref.kind == "component":
                found.append(_named(ref))
            elif ref.kind == "resource" and self.entities.known(ref) is None:
                found.append({"name": _named(ref), "kind": "resource"})
            else:
                continue
            self.entities.mark(entity, path)
        return found

    def resources(self, entity: ExplainedEntity) -> list[Json]:
        """The resources that the service needs and the file describes."""
        found: list[Json] = []
        for path, ref in self.entities.refs(entity, "dependsOn"):
            resource = self.entities.known(ref) if ref.kind == "resource" else None
            if resource is None:
                continue
            self.entities.mark(entity, path)
            owner = self.entities.target(resource, "owner")
            found.append(
                _said(
                    **self.name(resource),
                    type=self.entities.use(resource, "spec.type"),
                    description=self.entities.use(resource, "metadata.description"),
                    owner=str(owner) if owner is not None and owner.name != NOBODY else None,
                )
            )
        return found

    def apis(self, entity: ExplainedEntity) -> dict[str, Json]:
        provides: list[Json] = []
        consumes: list[Json] = []
        for path, ref in self.entities.refs(entity, "providesApis"):
            self.entities.mark(entity, path)
            api = self.entities.known(ref)
            provides.append(self.api(api) if api is not None else _named(ref))
        for path, ref in self.entities.refs(entity, "consumesApis"):
            self.entities.mark(entity, path)
            consumes.append(_named(ref))
        return {key: each for key, each in (("provides", provides), ("consumes", consumes)) if each}

    def api(self, api: ExplainedEntity) -> Json:
        lifecycle = self.entities.use(api, "spec.lifecycle")
        self.entities.use(api, "spec.owner")
        self.entities.use(api, "spec.system")
        return _said(
            **self.name(api),
            type=self.entities.use(api, "spec.type"),
            description=self.entities.use(api, "metadata.description"),
            lifecycle=None if lifecycle == "unknown" else lifecycle,
            definition=self.definition(api),
        )

    def definition(self, api: ExplainedEntity) -> Json:
        """The path that the file names for an API's definition; None for one that stands in it."""
        made = [each for each in api.fields if each.path in _DEFINITION]
        for each in made:
            for text in filter(None, map(self.texts.get, each.sources)):
                path = within("", text)
                if path is not None and _FILE.match(path):
                    self.entities.mark(api, each.path)
                    return path
        return None

    def short_forms(self, entity: ExplainedEntity) -> dict[str, Json]:
        found: dict[str, dict[str, Json]] = {}
        for key, (tool, name) in self.integrations.items():
            value = self.entities.annotation(entity, key)
            if value is not None:
                found.setdefault(tool, {})[name] = value
        return dict(found)

    def annotations(self, entity: ExplainedEntity) -> dict[str, Json]:
        """Those of other plugins; Backstage's and our own are made of something else."""
        kept = {}
        for key in entity.body["metadata"].get("annotations", {}):
            prefix = key.partition("/")[0]
            reserved = prefix == "backstage.io" or prefix.endswith((".backstage.io", "fester.dev"))
            if key not in _OF_THE_PROJECT and key not in self.integrations and not reserved:
                kept[key] = self.entities.annotation(entity, key)
        return kept

    def labels(self, entity: ExplainedEntity) -> dict[str, Json]:
        given = entity.body["metadata"].get("labels", {})
        return {
            key: self.entities.label(entity, key)
            for key in given
            if not key.startswith("fester.dev/")
        }


def _said(**values: Json) -> dict[str, Json]:
    return {key: value for key, value in values.items() if value not in (None, "")}


def _named(ref: Ref) -> str:
    """A reference as qm.yaml has it: the name alone, unless it is of another namespace."""
    return ref.name if ref.namespace == DEFAULT_NAMESPACE else str(ref)


def _short(named: dict[str, Json]) -> Json:
    """A system or product: its name alone where that is enough."""
    return named if "id" in named else named["name"]


def _split(text: Json) -> list[Json]:
    return [each for each in str(text).split(", ") if each] if text else []


def _lost(documents: Sequence[YamlDocument], carried: frozenset[Position]) -> Iterator[Lost]:
    """The values of a file that are not carried, nor a list that they lie in."""
    for document in documents:
        for path, lists in _leaves(document.tree, (), ()):
            places = {document.positions.value(each) for each in (path, *lists)}
            if path[0] not in _HEADS and not carried & places:
                yield Lost(".".join(str(step) for step in path), document.positions.value(path))


def _texts(documents: Sequence[YamlDocument]) -> Iterator[tuple[Position, str]]:
    for document in documents:
        for path, _ in _leaves(document.tree, (), ()):
            value = document.tree
            for step in path:
                value = value[step]
            if isinstance(value, str):
                yield document.positions.value(path), value


def _leaves(
    tree: Json, path: Path, lists: tuple[Path, ...]
) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """The paths of the values that say something, each with those of the lists that it lies in."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, key), lists)
    elif isinstance(tree, list):
        for at, value in enumerate(tree):
            yield from _leaves(value, (*path, at), (*lists, path))
    elif tree is not None and tree != "" and path:
        yield path, lists
