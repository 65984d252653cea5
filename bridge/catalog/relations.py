"""Relations, both ways, by the rules of Backstage's `BuiltinKindsEntityProcessor`.

https://backstage.io/docs/features/software-catalog/well-known-relations
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from bridge.model.entities import DEFAULT_NAMESPACE, Body, Json


class Relation(NamedTuple):
    """What an entity says of itself: "I am `type` of `target`" (a reference)."""

    type: str
    target: str


class RelationRule(NamedTuple):
    """A field of `spec` that makes relations; `kind` stands in when a reference names none."""

    field: str
    kind: str
    outgoing: str
    incoming: str


_OWNER: Final = RelationRule("owner", "group", "ownedBy", "ownerOf")
_SYSTEM: Final = RelationRule("system", "system", "partOf", "hasPart")
_DEPENDS_ON: Final = RelationRule("dependsOn", "", "dependsOn", "dependencyOf")
_DEPENDENCY_OF: Final = RelationRule("dependencyOf", "", "dependencyOf", "dependsOn")

# Backstage compares the kind as it is written: a "component" has no relations.
RULES: Final[Mapping[str, tuple[RelationRule, ...]]] = {
    "Component": (
        _OWNER,
        RelationRule("subcomponentOf", "component", "partOf", "hasPart"),
        RelationRule("providesApis", "api", "providesApi", "apiProvidedBy"),
        RelationRule("consumesApis", "api", "consumesApi", "apiConsumedBy"),
        _DEPENDS_ON,
        _DEPENDENCY_OF,
        _SYSTEM,
    ),
    "API": (_OWNER, _SYSTEM),
    "Resource": (_OWNER, _DEPENDS_ON, _DEPENDENCY_OF, _SYSTEM),
    "User": (RelationRule("memberOf", "group", "memberOf", "hasMember"),),
    "Group": (
        RelationRule("parent", "group", "childOf", "parentOf"),
        RelationRule("children", "group", "parentOf", "childOf"),
        RelationRule("members", "user", "hasMember", "memberOf"),
    ),
    "System": (_OWNER, RelationRule("domain", "domain", "partOf", "hasPart")),
    "Domain": (_OWNER, RelationRule("subdomainOf", "domain", "partOf", "hasPart")),
}


def emitted(ref: str, body: Body) -> Iterator[tuple[str, Relation]]:
    """Every (source, relation) that the entity `ref` gives rise to, at itself and at others."""
    spec = body.get("spec") or {}
    namespace = body["metadata"].get("namespace") or DEFAULT_NAMESPACE
    for rule in RULES.get(body["kind"], ()):
        for text in _texts(spec.get(rule.field)):
            target = parsed(text, rule.kind, namespace)
            if target:
                yield ref, Relation(rule.outgoing, target)
                yield target, Relation(rule.incoming, ref)


def _texts(value: Json) -> Iterator[str]:
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, str) and item:
            yield item


def parsed(text: str, kind: str, namespace: str) -> str:
    """`[kind:][namespace/]name` as a whole reference in lower case; "" when it is none.

    As Backstage's `parseEntityRef`: a colon after the first slash belongs to the name.
    """
    slash = text.find("/")
    colon = text.find(":")
    if 0 <= slash < colon:
        colon = -1
    found = text[:colon] if colon >= 0 else kind
    space = text[colon + 1 : slash] if slash >= 0 else namespace
    name = text[max(colon, slash) + 1 :]
    return f"{found}:{space}/{name}".lower() if found and space and name else ""
