"""Backstage's rules for entities: what breaks one of them is never published.

The rules are those of `@backstage/catalog-model`: `FieldFormatEntityPolicy`, `NoForeignRootFields`,
`SchemaValidEntityPolicy`, the kinds' JSON schemas, and how the catalog's built-in processor reads
references. https://backstage.io/docs/features/software-catalog/descriptor-format
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import ada_url

from bridge.language.names import did_you_mean
from bridge.language.text_faults import clean, shown
from bridge.model.definitions import definition_of, with_definition
from bridge.model.entities import DEFAULT_NAMESPACE, Body, Json

NAME_LIMIT: Final = 63
SUBDOMAIN_LIMIT: Final = 253
REF_LIMIT: Final = 255
DEPTH_LIMIT: Final = 64  # levels; far more than a mapping makes, far fewer than Python's stack
_MOST_BROKEN = 50  # findings worth collecting of one entity

ROOT_KEYS: Final = frozenset(("apiVersion", "kind", "metadata", "spec"))
# The kinds that every Backstage knows; it compares them as they are written.
KINDS: Final = ("API", "Component", "Domain", "Group", "Location", "Resource", "System", "User")
API_VERSIONS: Final = ("backstage.io/v1alpha1", "backstage.io/v1beta1")

_NAME = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_DNS_LABEL = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_KIND = re.compile(r"[a-zA-Z][a-z0-9A-Z]*\Z")
_VERSION = re.compile(r"[a-z0-9A-Z]+\Z")
_TAG = re.compile(r"[a-z0-9:+#]+(?:-[a-z0-9:+#]+)*\Z")
_REF = re.compile(r"([^:/]+:)?([^:/]+/)?([^:/]+)\Z")


@dataclass(frozen=True, slots=True)
class Broken:
    """One rule that an entity breaks: `path` says where in the entity, `message` which rule."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class SpecField:
    """A field of `spec` that Backstage checks.

    `ref` is None for plain text; for a reference it is the kind that Backstage fills in when the
    text names none, "" when the text has to name one itself.
    """

    many: bool = False
    required: bool = False
    ref: str | None = None


_TEXT = SpecField()
_NEEDED = SpecField(required=True)
_OWNER = SpecField(required=True, ref="group")
_SYSTEM = SpecField(ref="system")
_ANY = SpecField(many=True, ref="")
_APIS = SpecField(many=True, ref="api")

# Kind in lower case → its checked fields. Other fields, and other kinds, are free.
SPEC_FIELDS: Final[Mapping[str, Mapping[str, SpecField]]] = {
    "component": {
        "type": _NEEDED,
        "lifecycle": _NEEDED,
        "owner": _OWNER,
        "system": _SYSTEM,
        "subcomponentOf": SpecField(ref="component"),
        "providesApis": _APIS,
        "consumesApis": _APIS,
        "dependsOn": _ANY,
        "dependencyOf": _ANY,
    },
    "api": {
        "type": _NEEDED,
        "lifecycle": _NEEDED,
        "owner": _OWNER,
        "definition": _NEEDED,
        "system": _SYSTEM,
    },
    "resource": {
        "type": _NEEDED,
        "owner": _OWNER,
        "system": _SYSTEM,
        "dependsOn": _ANY,
        "dependencyOf": _ANY,
    },
    "system": {"owner": _OWNER, "domain": SpecField(ref="domain"), "type": _TEXT},
    "domain": {"owner": _OWNER, "subdomainOf": SpecField(ref="domain"), "type": _TEXT},
    "group": {
        "type": _NEEDED,
        "children": SpecField(many=True, required=True, ref="group"),
        "parent": SpecField(ref="group"),
        "members": SpecField(many=True, ref="user"),
    },
    "user": {"memberOf": SpecField(many=True, required=True, ref="group")},
    "location": {
        "type": _TEXT,
        "target": _TEXT,
        "targets": SpecField(many=True),
        "presence": _TEXT,
    },
}

# Fields of `spec` that hold references, whatever the kind.
REFERRING: Final = frozenset(
    name for fields in SPEC_FIELDS.values() for name, each in fields.items() if each.ref is not None
)

# Since catalog-model 1.9 an API of this type has remotes in place of a definition.
_MCP_SERVER: Final = "mcp-server"
_MCP_FIELDS: Final[Mapping[str, SpecField]] = {
    key: each for key, each in SPEC_FIELDS["api"].items() if key != "definition"
}


def broken_rules(body: Body) -> list[Broken]:
    """Every rule that an entity breaks (at most 50), in the order of its fields; [] when it is fit.

    Takes any JSON object and never raises. A kind that Backstage does not know by itself is held
    to the rules of names, labels and the like only.
    """
    found: list[Broken] = []
    if definition_of(body) is not None:
        body = with_definition(body, "-")  # Backstage reads it before it looks at the entity
    for key in body:
        if key not in ROOT_KEYS:
            message = "only apiVersion, kind, metadata and spec may stand at an entity's top"
            found.append(Broken(clean(str(key)), message))
    kind = body.get("kind")
    known = _kind(body, kind, found)
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        _metadata(metadata, kind, found)
    else:
        found.append(_must("metadata", "an object with a name", metadata))
    spec = body.get("spec")
    if isinstance(spec, dict):
        if known is SPEC_FIELDS["api"] and spec.get("type") == _MCP_SERVER:
            _spec(_MCP_FIELDS, spec, found)
            _remotes(spec.get("remotes"), found)
        elif known is not None:
            _spec(known, spec, found)
    elif known is not None or "spec" in body:
        found.append(_must("spec", "an object", spec))
    return found[:_MOST_BROKEN]


def refused(body: Body) -> list[Broken]:
    """Why a Backstage as it is installed would refuse an entity: `broken_rules`, and its kind."""
    found = broken_rules(body)
    kind = body.get("kind")
    if kind not in KINDS and not any(each.path == "kind" for each in found):
        near = did_you_mean(str(kind), KINDS) or f"; there are {', '.join(KINDS)}"
        found.insert(0, Broken("kind", f"{shown(kind)} is no kind that Backstage knows{near}"))
    return found


def _must(path: str, rule: str, value: Json) -> Broken:
    return Broken(path, f"must be {rule}, not {shown(value)}")


def _kind(body: Body, kind: Json, found: list[Broken]) -> Mapping[str, SpecField] | None:
    """Check apiVersion and kind; gives the kind's fields if Backstage knows it."""
    version = body.get("apiVersion")
    known = None
    if not isinstance(kind, str) or len(kind) > NAME_LIMIT or not _KIND.match(kind):
        found.append(_must("kind", "letters and digits, a letter first, at most 63", kind))
    else:
        known = SPEC_FIELDS.get(kind.lower())
    if version in API_VERSIONS:
        return known
    if known is not None:
        found.append(_must("apiVersion", f"{' or '.join(API_VERSIONS)} for a {kind}", version))
    elif not _is_version(version):
        found.append(_must("apiVersion", "like backstage.io/v1alpha1", version))
    return known


def _is_version(value: Json) -> bool:
    if not isinstance(value, str):
        return False
    prefix, slash, suffix = value.rpartition("/")
    fits = len(suffix) <= NAME_LIMIT and _VERSION.match(suffix) is not None
    return fits and (not slash or _is_subdomain(prefix))


def is_name(value: Json) -> bool:
    """Whether Backstage takes this as an entity's name (`isValidObjectName`)."""
    return isinstance(value, str) and len(value) <= NAME_LIMIT and _NAME.match(value) is not None


def _is_label(value: Json) -> bool:
    short = isinstance(value, str) and len(value) <= NAME_LIMIT
    return short and _DNS_LABEL.match(value) is not None


def _is_subdomain(value: str) -> bool:
    return len(value) <= SUBDOMAIN_LIMIT and all(_is_label(part) for part in value.split("."))


@lru_cache(maxsize=1024)
def _short_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    return is_name(name) and (not slash or _is_subdomain(prefix))


def _is_key(key: Json) -> bool:
    longest = SUBDOMAIN_LIMIT + 1 + NAME_LIMIT
    return isinstance(key, str) and len(key) <= longest and _short_key(key)


_NAME_RULE = "1 to 63 of [A-Za-z0-9] with -_. between them"
_KEY_RULE = "the key must be [dns-subdomain/]name, the name 1 to 63 of [A-Za-z0-9] with -_. between"
_NAMESPACE_RULE = "1 to 63 of [a-z0-9] with single - between them"
_TAG_RULE = "groups of [a-z0-9:+#] joined by -, at most 63 characters"


def _metadata(metadata: Mapping[str, Json], kind: Json, found: list[Broken]) -> None:
    name = metadata.get("name")
    namespace = metadata.get("namespace", DEFAULT_NAMESPACE)
    if not is_name(name):
        found.append(_must("metadata.name", _NAME_RULE, name))
    if not _is_label(namespace):
        found.append(_must("metadata.namespace", _NAMESPACE_RULE, namespace))
    if len(f"{kind}:{namespace}/{name}") > REF_LIMIT:
        found.append(Broken("metadata.name", "kind:namespace/name must be at most 255 characters"))
    if "title" in metadata and not _is_text(metadata["title"]):
        found.append(_must("metadata.title", "text that is not empty", metadata["title"]))
    if "description" in metadata and not isinstance(metadata["description"], str):
        found.append(_must("metadata.description", "text", metadata["description"]))
    if "labels" in metadata:
        label = _is_label_value
        _pairs("metadata.labels", metadata["labels"], label, f"empty or {_NAME_RULE}", found)
    if "annotations" in metadata:
        _pairs("metadata.annotations", metadata["annotations"], _is_any_text, "text", found)
    if "tags" in metadata:
        _tags(metadata["tags"], found)
    if "links" in metadata:
        _links(metadata["links"], found)


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and value != ""


def _is_any_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_label_value(value: Json) -> bool:
    return value == "" or is_name(value)


def _pairs(
    path: str, pairs: Json, fits: Callable[[Json], bool], rule: str, found: list[Broken]
) -> None:
    if not isinstance(pairs, dict):
        found.append(_must(path, "an object of texts", pairs))
        return
    for key, value in pairs.items():
        if not _is_key(key):
            found.append(Broken(f"{path}.{clean(str(key))}", _KEY_RULE))
        if not fits(value):
            found.append(_must(f"{path}.{clean(str(key))}", rule, value))


def _tags(tags: Json, found: list[Broken]) -> None:
    if not isinstance(tags, list):
        found.append(_must("metadata.tags", "a list of texts", tags))
        return
    for index, tag in enumerate(tags):
        if not (isinstance(tag, str) and len(tag) <= NAME_LIMIT and _TAG.match(tag)):
            found.append(_must(f"metadata.tags[{index}]", _TAG_RULE, tag))


def _links(links: Json, found: list[Broken]) -> None:
    if not isinstance(links, list):
        found.append(_must("metadata.links", "a list of objects with a url", links))
        return
    for index, link in enumerate(links):
        path = f"metadata.links[{index}]"
        if not isinstance(link, dict):
            found.append(_must(path, "an object with a url", link))
            continue
        url = link.get("url")
        if not (isinstance(url, str) and ada_url.check_url(url)):
            found.append(_must(f"{path}.url", "a URL such as https://example.com/x", url))
        if "title" in link and not (isinstance(link["title"], str) and link["title"].strip()):
            found.append(_must(f"{path}.title", "text that is not empty", link["title"]))
        if "icon" in link and not is_name(link["icon"]):
            found.append(_must(f"{path}.icon", _NAME_RULE, link["icon"]))
        if "type" in link and not _is_text(link["type"]):
            found.append(_must(f"{path}.type", "text that is not empty", link["type"]))


def _spec(fields: Mapping[str, SpecField], spec: Mapping[str, Json], found: list[Broken]) -> None:
    for key, field in fields.items():
        if key not in spec:
            if field.required:
                found.append(Broken(f"spec.{key}", "is required and is missing"))
            continue
        value = spec[key]
        if not field.many:
            _value(f"spec.{key}", value, field, found)
        elif not isinstance(value, list):
            found.append(_must(f"spec.{key}", "a list", value))
        else:
            for index, item in enumerate(value):
                _value(f"spec.{key}[{index}]", item, field, found)
    if "profile" in spec and ("children" in fields or "memberOf" in fields):
        _profile(spec["profile"], found)
    if "presence" in fields and spec.get("presence", "optional") not in ("required", "optional"):
        found.append(_must("spec.presence", "required or optional", spec["presence"]))


def _value(path: str, value: Json, field: SpecField, found: list[Broken]) -> None:
    if not isinstance(value, str) or not value:
        found.append(_must(path, "text that is not empty", value))
    elif field.ref is not None:
        parts = _REF.match(value.strip())
        if parts is None:
            found.append(_must(path, "a reference like [kind:][namespace/]name", value))
        elif not field.ref and not parts[1]:
            found.append(_must(path, "a reference with its kind, like component:name", value))


def _remotes(remotes: Json, found: list[Broken]) -> None:
    """`API.v1alpha1.mcp-server.schema.json`: the url may be a command, so it is any text."""
    if not isinstance(remotes, list) or not remotes:
        rule = "a list of objects with type and url, at least one, for an mcp-server"
        found.append(_must("spec.remotes", rule, remotes))
        return
    for index, remote in enumerate(remotes):
        path = f"spec.remotes[{index}]"
        if not isinstance(remote, dict):
            found.append(_must(path, "an object with type and url", remote))
            continue
        for key in ("type", "url"):
            if not _is_text(remote.get(key)):
                found.append(_must(f"{path}.{key}", "text that is not empty", remote.get(key)))


def _profile(profile: Json, found: list[Broken]) -> None:
    if not isinstance(profile, dict):
        found.append(_must("spec.profile", "an object", profile))
        return
    for key in ("displayName", "email", "picture"):
        if key in profile and not _is_text(profile[key]):
            found.append(_must(f"spec.profile.{key}", "text that is not empty", profile[key]))
