"""Turns what another tool's file became into a qm.yaml: the mapping `qm-v1` the other way round.

The entities of any mapping are the input, so every format that Fester reads can be converted. What
of the file found no place in the qm.yaml is given with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.language import naming
from bridge.language.paths import within
from bridge.language.text import Position, YamlDocument
from bridge.model.entities import DEFAULT_NAMESPACE, Body, Json, Ref
from bridge.model.suggested_owner import SOURCE_NAME
from bridge.processors.mapping import ExplainedEntity, MappingExplanation
from bridge.processors.mapping.templates import Path
from bridge.processors.references import reference_fields, referred
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
    fit = [each for each in explanation.entities if not refused(each.body)]
    inverse = _Inverse(fit, integrations, dict(_texts(documents)))
    services = [inverse.service(each) for each in inverse.of("component")[:MOST_SERVICES]]
    lost = tuple(_lost(documents, inverse.carried()))
    if not services:
        return Converted(None, lost)
    nobody = tuple(str(each["name"]) for each in services if each["owner"] == {"team": NOBODY})
    key, value = ("service", services[0]) if len(services) == 1 else ("services", services)
    return Converted({"version": 1, key: value}, lost, nobody)


@dataclass(slots=True)
class _Inverse:
    """The entities of a file on their way back; `used` are the fields that found a place.

    `texts` is what the file says, by where it stands.
    """

    entities: Sequence[ExplainedEntity]
    integrations: Mapping[str, tuple[str, str]]
    texts: Mapping[Position, str]
    used: set[tuple[Ref, str]] = field(default_factory=set)

    def of(self, kind: str) -> list[ExplainedEntity]:
        return [each for each in self.entities if each.ref.kind == kind]

    def known(self, ref: Ref) -> ExplainedEntity | None:
        return next((each for each in self.entities if each.ref == ref), None)

    def carried(self) -> frozenset[Position]:
        """Where the values stand that found a place."""
        return frozenset(
            at
            for each in self.entities
            for one in each.fields
            if any((each.ref, path) in self.used for path in _above(one.path))
            for at in one.sources
        )

    def use(self, entity: ExplainedEntity, path: str) -> Json:
        """The value of a field, which now has a place; None when there is none."""
        value = _at(entity.body, path.split("."))
        if value is not None:
            self.used.add((entity.ref, path))
        return value

    def annotation(self, entity: ExplainedEntity, key: str) -> Json:
        value = entity.body["metadata"].get("annotations", {}).get(key)
        if value is not None:
            self.used.add((entity.ref, f"metadata.annotations.{key}"))
        return value

    def name(self, entity: ExplainedEntity) -> dict[str, Json]:
        """`name`, and `id` where the name alone would become another entity."""
        own = entity.ref.name if _ID.match(str(entity.body["metadata"]["name"])) else None
        title = self.use(entity, "metadata.title")
        source = self.annotation(entity, SOURCE_NAME)
        self.use(entity, "metadata.name")
        name = str(title or source or entity.body["metadata"]["name"])[:120]
        return {"name": name} | (
            {"id": own} if own is not None and naming.slug(name) != own else {}
        )

    def service(self, entity: ExplainedEntity) -> dict[str, Json]:
        """One service of a qm.yaml, without the keys that say nothing."""
        links = self.links(entity)
        lifecycle = self.use(entity, "spec.lifecycle")
        type_ = self.use(entity, "spec.type")
        made: dict[str, Json] = {
            **self.name(entity),
            "description": self.use(entity, "metadata.description"),
            "type": None if type_ == "service" else type_,
            "lifecycle": None if lifecycle == "unknown" else lifecycle,
            "tier": self.tier(entity),
            "owner": self.owner(entity),
            **self.system(entity),
            "language": self.label(entity, "fester.dev/language"),
            "tags": self.use(entity, "metadata.tags"),
            "aliases": _split(self.annotation(entity, "fester.dev/aliases")),
            **links,
            "dependencies": self.dependencies(entity),
            "resources": self.resources(entity),
            "apis": self.apis(entity),
            "integrations": self.short_forms(entity),
            "annotations": self.annotations(entity),
            "labels": self.labels(entity),
        }
        return {key: value for key, value in made.items() if value not in (None, [], {}, "")}

    def label(self, entity: ExplainedEntity, key: str) -> Json:
        value = entity.body["metadata"].get("labels", {}).get(key)
        if value is not None:
            self.used.add((entity.ref, f"metadata.labels.{key}"))
        return value

    def tier(self, entity: ExplainedEntity) -> Json:
        tier = self.label(entity, "fester.dev/tier")
        return tier if isinstance(tier, str) and re.fullmatch("tier_[1-4]", tier) else None

    def owner(self, entity: ExplainedEntity) -> dict[str, Json]:
        ref = self.target(entity, "owner")
        if ref is None or ref.name == NOBODY:
            return {"team": NOBODY}
        group = self.known(ref)
        channel = self.annotation(entity, "fester.dev/owner-channel")
        if group is None:
            team: dict[str, Json] = {"team": ref.name if ref.kind == "group" else str(ref)}
        else:
            named = self.name(group)
            team = {"team": named.pop("name"), **named}
            self.use(group, "spec.profile.displayName")
        return team | ({"channel": channel} if channel else {})

    def system(self, entity: ExplainedEntity) -> dict[str, Json]:
        """`system`, and the `product` that it belongs to."""
        found: dict[str, Json] = {}
        ref = self.target(entity, "system")
        system = self.known(ref) if ref is not None else None
        if ref is not None:
            found["system"] = _short(self.name(system) if system else {"name": ref.name})
        domain = self.target(system, "domain") if system is not None else None
        product = self.annotation(entity, "fester.dev/product")
        if domain is not None:
            described = self.known(domain)
            found["product"] = _short(self.name(described) if described else {"name": domain.name})
        elif product:
            found["product"] = product
        return found

    def target(self, entity: ExplainedEntity, name: str) -> Ref | None:
        """What a field of `spec` refers to, in the namespace that qm.yaml's names are of."""
        for path, ref in self.refs(entity, name):
            if ref.namespace == DEFAULT_NAMESPACE:
                self.used.add((entity.ref, path))
                return ref
        return None

    def refs(self, entity: ExplainedEntity, name: str) -> Iterator[tuple[str, Ref]]:
        """What a field of `spec` refers to, each with its path in the entity."""
        each = dict(reference_fields(entity.body))[name]
        given = entity.body["spec"].get(name)
        many = given if isinstance(given, list) else []
        texts = [(f"spec.{name}[{at}]", text) for at, text in enumerate(many)]
        texts += [(f"spec.{name}", given)] if isinstance(given, str) else []
        for path, text in texts:
            ref = referred(text, each, entity.body)
            if ref is not None:
                yield path, ref

    def links(self, entity: ExplainedEntity) -> dict[str, Json]:
        """`tools`, `docs` and `links`, each link where its type belongs."""
        tools: list[Json] = []
        docs: list[Json] = []
        links: list[Json] = []
        for at, link in enumerate(_at(entity.body, ("metadata", "links")) or []):
            if not (isinstance(link, dict) and isinstance(link.get("url"), str)):
                continue  # Backstage would refuse it, too
            self.used.add((entity.ref, f"metadata.links[{at}]"))
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
        for path, ref in self.refs(entity, "dependsOn"):
            if ref.kind == "component":
                found.append(_named(ref))
            elif ref.kind == "resource" and self.known(ref) is None:
                found.append({"name": _named(ref), "kind": "resource"})
            else:
                continue
            self.used.add((entity.ref, path))
        return found

    def resources(self, entity: ExplainedEntity) -> list[Json]:
        """The resources that the service needs and the file describes."""
        found: list[Json] = []
        for path, ref in self.refs(entity, "dependsOn"):
            resource = self.known(ref) if ref.kind == "resource" else None
            if resource is None:
                continue
            self.used.add((entity.ref, path))
            owner = self.target(resource, "owner")
            found.append(
                _said(
                    **self.name(resource),
                    type=self.use(resource, "spec.type"),
                    description=self.use(resource, "metadata.description"),
                    owner=str(owner) if owner is not None and owner.name != NOBODY else None,
                )
            )
        return found

    def apis(self, entity: ExplainedEntity) -> dict[str, Json]:
        provides: list[Json] = []
        consumes: list[Json] = []
        for path, ref in self.refs(entity, "providesApis"):
            self.used.add((entity.ref, path))
            api = self.known(ref)
            provides.append(self.api(api) if api is not None else _named(ref))
        for path, ref in self.refs(entity, "consumesApis"):
            self.used.add((entity.ref, path))
            consumes.append(_named(ref))
        return {key: each for key, each in (("provides", provides), ("consumes", consumes)) if each}

    def api(self, api: ExplainedEntity) -> Json:
        lifecycle = self.use(api, "spec.lifecycle")
        self.use(api, "spec.owner")
        self.use(api, "spec.system")
        return _said(
            **self.name(api),
            type=self.use(api, "spec.type"),
            description=self.use(api, "metadata.description"),
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
                    self.used.add((api.ref, each.path))
                    return path
        return None

    def short_forms(self, entity: ExplainedEntity) -> dict[str, Json]:
        found: dict[str, dict[str, Json]] = {}
        for key, (tool, name) in self.integrations.items():
            value = self.annotation(entity, key)
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
                kept[key] = self.annotation(entity, key)
        return kept

    def labels(self, entity: ExplainedEntity) -> dict[str, Json]:
        given = entity.body["metadata"].get("labels", {})
        return {key: self.label(entity, key) for key in given if not key.startswith("fester.dev/")}


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


def _at(body: Body, keys: Sequence[str]) -> Json:
    value: Json = body
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _above(path: str) -> Iterator[str]:
    """A field's path and those of what it lies in: `metadata.links[0].url`, `metadata.links`."""
    yield path
    for at in range(len(path) - 1, 0, -1):
        if path[at] in ".[":
            yield path[:at]


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
