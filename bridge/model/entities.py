"""Entities as Backstage knows them, and where each came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any, TypeAlias

# A JSON tree: dict, list, str, int, float, bool, None. Entity bodies are such trees.
Json: TypeAlias = Any
Body: TypeAlias = Mapping[str, Json]

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """An entity reference. Backstage compares them lower-cased, so `parse` and `of` lower-case.

    `str(ref)` gives "kind:namespace/name".
    """

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.namespace}/{self.name}"

    @classmethod
    def parse(
        cls, text: str, *, kind: str | None = None, namespace: str = DEFAULT_NAMESPACE
    ) -> Ref:
        """Read `[kind:][namespace/]name`; `kind` and `namespace` fill in what the text leaves out.

        Raises ValueError when the text is no reference, or names no kind and none is given.
        """
        head, colon, rest = text.partition(":")
        if not colon:
            head, rest = "", text
        space, slash, name = rest.partition("/")
        if not slash:
            space, name = namespace, rest
        found = head or kind or ""
        whole = f"{found}{space}{name}"
        if not (found and space and name) or "/" in whole or ":" in whole:
            raise ValueError(f"{text!r} is not a reference like [kind:][namespace/]name")
        return cls(intern(found.lower()), intern(space.lower()), name.lower())

    @classmethod
    def of(cls, body: Body) -> Ref:
        """The reference of an entity's body; raises KeyError when kind or name is missing."""
        metadata = body["metadata"]
        namespace = metadata.get("namespace") or DEFAULT_NAMESPACE
        # Few kinds and namespaces, many references: each text is kept once.
        return cls(
            intern(str(body["kind"]).lower()),
            intern(namespace.lower()),
            str(metadata["name"]).lower(),
        )


def ref_of(text: str) -> Ref:
    """The reference of its own text, `str(ref)`: quicker than `Ref.parse`, and checks nothing."""
    kind, _, rest = text.partition(":")
    namespace, _, name = rest.partition("/")
    return Ref(intern(kind), intern(namespace), name)


@dataclass(frozen=True, slots=True)
class Origin:
    """The manifest that an entity (or a part of it) came from."""

    project_id: int
    project: str  # full path, e.g. "shop/payments/api"
    file: str  # path in the repository, e.g. "qm.yaml"
    oid: str  # blob id of the text it was made from
    mapping: str  # the mapping's id, e.g. "qm-v1"
    kept_since: datetime | None = None  # when this stands only because something newer is broken
    held_since: datetime | None = None  # when this file was first seen valid: its claim's age

    @property
    def place(self) -> tuple[int, str, str, str, str]:
        """Sorts origins by their projects and files."""
        return self.project_id, self.project, self.file, self.oid, self.mapping


@dataclass(frozen=True, slots=True)
class Draft:
    """One entity, or one manifest's contribution to a shared one, before aggregation.

    `places` are where the manifest writes what became a reference: (reference, line, column).
    `document` is the number of the file's document that it was made from, counted from 0.
    """

    body: Body
    line: int = 1  # where the manifest speaks of it, 1-based
    column: int = 1
    places: tuple[tuple[str, int, int], ...] = ()
    document: int = 0


@dataclass(frozen=True, slots=True)
class CatalogEntity:
    """One entity that is fit to publish."""

    ref: Ref
    body: Body
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All entities of one pass, sorted by reference, each reference once."""

    entities: tuple[CatalogEntity, ...] = ()

    def counts(self) -> dict[str, int]:
        """How many entities there are of each kind, by the kind's own spelling."""
        counts: dict[str, int] = {}
        for entity in self.entities:
            kind = str(entity.body["kind"])
            counts[kind] = counts.get(kind, 0) + 1
        return dict(sorted(counts.items()))


@dataclass(frozen=True, slots=True)
class Shard:
    """One published file of entities, and the Location entity of the index that names it."""

    path: str  # relative to the index
    location: Body
    refs: tuple[Ref, ...]
