"""An entity as a reader gets it: what was published, with uid, etag, annotations and relations."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha1
from typing import Final
from urllib.parse import urljoin
from uuid import uuid5

from bridge.catalog.jsontext import dumped
from bridge.catalog.locations import NAMESPACE, LocatedEntity
from bridge.catalog.relations import Relation
from bridge.model.definitions import definition_of, published
from bridge.model.entities import DEFAULT_NAMESPACE, Json

# Lists that Backstage sorts when it takes an entity in.
_SORTED: Final = (
    "providesApis",
    "consumesApis",
    "dependsOn",
    "dependencyOf",
    "memberOf",
    "children",
    "members",
)
# As Backstage refuses to show them: a browser reads past spaces and line ends.
_SCRIPT: Final = re.compile(r"[\x00-\x1f ]*" + r"[\r\n\t]*".join("javascript:"), re.IGNORECASE)
_REJECTED: Final = "https://backstage.io/annotation-rejected-for-security-reasons"


def uid_of(ref: str) -> str:
    """The uid of a reference: the same on every machine and after every restart."""
    return str(uuid5(NAMESPACE, ref))


def is_script(url: str) -> bool:
    """Whether a browser would run this address."""
    return _SCRIPT.match(url) is not None


def entity_as_read(
    ref: str, found: LocatedEntity, relations: Iterable[Relation]
) -> dict[str, Json]:
    """The entity as Backstage's API would give it."""
    body = found.body
    annotations = {
        "backstage.io/managed-by-location": f"url:{found.address}",
        "backstage.io/managed-by-origin-location": f"url:{found.origin}",
        "backstage.io/view-url": found.address,
        **(body["metadata"].get("annotations") or {}),
    }
    for name in ("backstage.io/view-url", "backstage.io/edit-url"):
        if is_script(str(annotations.get(name, ""))):
            annotations[name] = _REJECTED
    entity: dict[str, Json] = {
        **body,
        "metadata": {
            "namespace": DEFAULT_NAMESPACE,
            **body["metadata"],
            "annotations": annotations,
        },
        "relations": [{"type": each.type, "targetRef": each.target} for each in sorted(relations)],
    }
    if body.get("spec"):
        entity["spec"] = {key: _tidy(key, value) for key, value in body["spec"].items()}
    if (path := definition_of(body)) is not None:
        # Backstage reads the file; whoever asks here is told where it is.
        where = urljoin(found.address, f"../{path}")
        entity["spec"]["definition"] = published(where)
    return _named(ref, entity)


def with_relations(entity: dict[str, Json], relations: Iterable[Relation]) -> dict[str, Json]:
    """An entity as it was read, with other relations."""
    metadata = entity["metadata"]
    ref = f"{entity['kind']}:{metadata['namespace']}/{metadata['name']}".lower()
    del metadata["uid"], metadata["etag"]
    entity["relations"] = [
        {"type": each.type, "targetRef": each.target} for each in sorted(relations)
    ]
    return _named(ref, entity)


def _named(ref: str, entity: dict[str, Json]) -> dict[str, Json]:
    digest = sha1(dumped(entity), usedforsecurity=False).hexdigest()
    entity["metadata"].update(uid=uid_of(ref), etag=digest)
    return entity


def _tidy(key: str, value: Json) -> Json:
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    # JavaScript sorts by UTF-16 units.
    return sorted(value, key=_utf16) if texts and key in _SORTED else value


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
