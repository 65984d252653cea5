"""A catalog as files. Pure: equal catalogs give equal bytes.

Entities lie in shards, placed by a hash of their reference. All start in one group; a group of more
than `SHARD_LIMIT` splits by the next bit of the hash. So the placement depends on the catalog
alone, and growth moves only the entities of the group that splits: addresses stay. Backstage
re-reads a changed shard of 50-100 entities in seconds where one large file takes many.

The index holds one `Location` a shard, because a Location is all-or-nothing in Backstage: what goes
wrong with one shard freezes that shard alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from io import BytesIO

import orjson

from bridge.caching.memo import PassMemo
from bridge.exporters.yaml_text import document
from bridge.model.entities import Catalog, CatalogEntity, Json, Ref, Shard
from bridge.model.runs import Artifact, Stage

SHARD_LIMIT = 100
INDEX = "index.yaml"
CATALOG = "catalog.json"
SHARDS = "entities/"
YAML_TYPE = "application/yaml; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_HEADER = "# Written by Fester from manifests in GitLab. Edit those: this file is overwritten.\n"
_HASH_BITS = 40
# A name in Backstage has 63 characters at most; "-" and the bits come after the prefix.
_PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,20}[A-Za-z0-9])?")


class Earlier:
    """What was rendered in the pass before."""

    def __init__(self) -> None:
        self.bits: PassMemo[Ref, str] = PassMemo()
        self.shards: PassMemo[str, Artifact] = PassMemo()
        self.json: PassMemo[str, Artifact] = PassMemo()


def render_catalog(
    catalog: Catalog, *, prefix: str = "fester", earlier: Earlier | None = None
) -> tuple[Artifact, ...]:
    """The shards, the index and `catalog.json`. `prefix` begins the Locations' names.

    With `earlier` only what changed is rendered anew. Raises ValueError for a prefix that
    Backstage would not take, or of more than 22 characters.
    """
    earlier = earlier or Earlier()
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} cannot begin a Location's name: use 1-22 of A-Z a-z 0-9 ._-")
    with earlier.shards.round() as known:
        shards = [
            (bits, known.get(bits, entities, lambda b=bits, e=entities: _shard(b, e)))  # type: ignore[misc]
            for bits, entities in _placed(catalog.entities, earlier)
        ]
    index = _index([bits for bits, _ in shards], prefix)
    return (*(artifact for _, artifact in shards), index, _catalog_json(catalog, earlier))


def shards(
    catalog: Catalog, *, prefix: str = "fester", earlier: Earlier | None = None
) -> tuple[Shard, ...]:
    """How `render_catalog` lays a catalog out: each shard with its Location in the index."""
    return tuple(
        Shard(
            shard_path(bits),
            _location(bits, prefix, [f"./{shard_path(bits)}"]),
            tuple(entity.ref for entity in entities),
        )
        for bits, entities in _placed(catalog.entities, earlier or Earlier())
    )


def shard_path(bits: str) -> str:
    """Where the shard of these leading hash bits lies; "" is the only shard of a small catalog."""
    return f"{SHARDS}{bits or 'all'}.yaml"


def location_of(path: str, prefix: str) -> str | None:
    """The reference of the Location that leads to a shard; None for any other path."""
    if not path.startswith(SHARDS):
        return None
    return f"location:default/{prefix}-{path.removeprefix(SHARDS).removesuffix('.yaml')}"


def _placed(
    entities: Sequence[CatalogEntity], earlier: Earlier
) -> Iterator[tuple[str, Sequence[CatalogEntity]]]:
    """(leading bits, entities) of each shard that is not empty, sorted by bits."""
    with earlier.bits.round() as known:
        hashed = [
            (known.get(entity.ref, (), lambda ref=entity.ref: _bits(str(ref))), entity)  # type: ignore[misc]
            for entity in entities
        ]
    hashed.sort(key=lambda pair: pair[0])
    yield from _split(hashed, 0)


def _split(
    hashed: Sequence[tuple[str, CatalogEntity]], depth: int
) -> Iterator[tuple[str, Sequence[CatalogEntity]]]:
    if not hashed:
        return
    if len(hashed) <= SHARD_LIMIT or depth == _HASH_BITS:
        found = sorted((entity for _, entity in hashed), key=lambda entity: str(entity.ref))
        yield hashed[0][0][:depth], found
        return
    middle = next((i for i, (bits, _) in enumerate(hashed) if bits[depth] == "1"), len(hashed))
    yield from _split(hashed[:middle], depth + 1)
    yield from _split(hashed[middle:], depth + 1)


def _bits(ref: str) -> str:
    number = int.from_bytes(sha256(ref.encode()).digest()[: _HASH_BITS // 8], "big")
    return f"{number:0{_HASH_BITS}b}"


def _shard(bits: str, entities: Sequence[CatalogEntity]) -> Artifact:
    body = _HEADER + "".join(f"---\n{document(entity.body)}" for entity in entities)
    return Artifact(shard_path(bits), body.encode(), YAML_TYPE, Stage.ENTITIES)


def _index(shards: Sequence[str], prefix: str) -> Artifact:
    # An index without a document would be an error to Backstage, and freeze what it knows.
    locations = [_location(bits, prefix, [f"./{shard_path(bits)}"]) for bits in shards] or [
        _location("", prefix, [])
    ]
    body = _HEADER + "".join(f"---\n{document(location)}" for location in locations)
    return Artifact(INDEX, body.encode(), YAML_TYPE, Stage.INDEX)


def _location(bits: str, prefix: str, targets: list[str]) -> Json:
    # No `spec.type`: it then is that of the location that led here (url), and targets that begin
    # with "./" resolve against the index's own address, wherever it is served.
    return {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Location",
        "metadata": {
            "name": f"{prefix}-{bits or 'all'}",
            "description": "A part of the catalog that Fester keeps",
        },
        "spec": {"targets": targets},
    }


_HEAD, _BETWEEN, _TAIL = b'{"format": 1, "entities": [\n', b",\n", b"\n]}\n"
_slow_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def _catalog_json(catalog: Catalog, earlier: Earlier) -> Artifact:
    """Every entity on a line of its own; the artifact of the pass before if none has changed."""
    entities = sorted(catalog.entities, key=lambda entity: str(entity.ref))
    with earlier.json.round() as known:
        return known.get(CATALOG, entities, lambda: _joined(entities))


def _joined(entities: Sequence[CatalogEntity]) -> Artifact:
    # Of a large catalog this is the largest thing that Fester makes: it grows line by line, so that
    # the lines and the whole never stand side by side in memory.
    body = BytesIO()
    body.write(_HEAD)
    for number, entity in enumerate(entities):
        body.write(_BETWEEN if number else b"")
        body.write(_json_line(entity))
    body.write(_TAIL)
    return Artifact(CATALOG, body.getvalue(), _JSON, Stage.DATA)


def _json_line(entity: CatalogEntity) -> bytes:
    tree = _with_origins(entity)
    try:
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # A number of more than 64 bits, or a lone surrogate: that cannot be UTF-8, and a reader
        # gets it as the escape that JSON has for it.
        return _slow_json(tree).encode("utf-8", "backslashreplace")


def _with_origins(entity: CatalogEntity) -> Json:
    return {
        "ref": str(entity.ref),
        "entity": entity.body,
        "origins": [
            {
                "project_id": origin.project_id,
                "project": origin.project,
                "file": origin.file,
                "oid": origin.oid,
                "mapping": origin.mapping,
                "kept_since": origin.kept_since,
                "held_since": origin.held_since,
            }
            for origin in sorted(entity.origins)
        ],
    }
