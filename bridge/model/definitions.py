"""Definitions of APIs: files beside the shards, which Backstage reads where an entity names them.

They are named after their blobs. So an entity never stands beside another text than it was made
with, and a definition that changes gets another address.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from bridge.model.blob_ids import blob_id
from bridge.model.entities import Body, Json

FOLDER: Final = "definitions/"
PLACEHOLDER: Final = "$text"
# Backstage wants a definition of every API. What is written where there is none begins or ends so,
# in the shipped mappings, too.
ELSEWHERE: Final = "The definition of this API is "
UNDEFINED: Final = "gives no definition of it."
_PATH: Final = re.compile(r"definitions/(?P<oid>[0-9a-f]{40}(?:[0-9a-f]{24})?)\.(?P<ending>[a-z]+)")
_SHA1: Final = 40  # digits
# By the ending of the file in its repository; anything else is published as plain text.
_TYPES: Final = {
    "yaml": "application/yaml; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "graphql": "text/plain; charset=utf-8",
    "proto": "text/plain; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
_ENDINGS: Final = {"yml": "yaml", "gql": "graphql", "graphqls": "graphql"}


class Beside(str):
    """The path of a file beside the shards, where an expression gives one."""

    __slots__ = ()

    @property
    def placeholder(self) -> dict[str, Json]:
        """What stands for it in an entity: shards lie one folder deep."""
        return {PLACEHOLDER: f"../{self}"}


def beside(oid: str, path: str) -> Beside:
    """Where the file of a repository is published; `path` is its path there."""
    ending = path.rpartition(".")[2].lower()
    ending = _ENDINGS.get(ending, ending)
    return Beside(f"{FOLDER}{oid}.{ending if ending in _TYPES else 'txt'}")


def stands_in(text: str) -> bool:
    """Whether the text in an API's `spec.definition` is a sentence in place of a definition."""
    text = text.strip()
    of_one_line = "\n" not in text
    return of_one_line and (text.startswith(ELSEWHERE) or text.endswith(UNDEFINED))


def published(address: str) -> str:
    """The sentence that stands in for a definition where it is read: its address."""
    return f"{ELSEWHERE}published at {address}"


def published_at(text: str) -> str:
    """The path of a definition by the sentence that `published` gives; "" for another text."""
    begin = published("")
    path = text.rpartition(f"/{FOLDER}")[2] if text.startswith(begin) else ""
    return f"{FOLDER}{path}" if is_definition(f"{FOLDER}{path}") else ""


def is_definition(path: str) -> bool:
    """Whether a published file is a definition."""
    return _PATH.fullmatch(path) is not None


def blob_of(path: str) -> tuple[str, str]:
    """The object id and the media type of a definition's path. Raises ValueError."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise ValueError(f"{path!r} is not the path of a definition")
    return found["oid"], _TYPES.get(found["ending"], _TYPES["txt"])


def is_named_after(path: str, body: bytes) -> bool:
    """Whether a definition is the blob that it is named after. Raises ValueError.

    GitLab leaves out the mark at the beginning of a text that has one.
    """
    oid, _ = blob_of(path)
    marked = codecs.BOM_UTF8 + body
    return oid in (blob_id(each, sha256=len(oid) > _SHA1) for each in (body, marked))


def definition_of(body: Body) -> str | None:
    """The path of the definition that an API names; None for any other entity, or a plain text."""
    if str(body.get("kind", "")).lower() != "api":
        return None
    spec = body.get("spec")
    given = spec.get("definition") if isinstance(spec, dict) else None
    if not isinstance(given, dict) or given.keys() != {PLACEHOLDER}:
        return None
    text = given[PLACEHOLDER]
    path = text.removeprefix("../") if isinstance(text, str) else ""
    return path if path != text and is_definition(path) else None


def with_definition(body: Body, definition: Json) -> Body:
    """The same API with another definition."""
    return {**body, "spec": {**body["spec"], "definition": definition}}
