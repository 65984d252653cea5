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
from dataclasses import dataclass, replace
from hashlib import sha256

import orjson

from bridge.exporters.yaml_text import document
from bridge.model.entities import Catalog, CatalogEntity, Json, Ref, Shard
from bridge.model.moments import iso
from bridge.model.runs import Artifact, Stage

SHARD_LIMIT = 100
INDEX = "index.yaml"
CATALOG = "catalog.json"
SHARDS = "entities/"
PROVENANCE = "provenance/"  # the same shards for programs, with where each entity is from
YAML_TYPE = "application/yaml; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_HEADER = "# Written by Fester from manifests in GitLab. Edit those: this file is overwritten.\n"
_HASH_BITS = 40
# A name in Backstage has 63 characters at most; "-" and the bits come after the prefix.
_SHARD_PATH = re.compile(rf"(?:{SHARDS}(all|[01]+)\.yaml|{PROVENANCE}(all|[01]+)\.json)")
_PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,20}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class ShardRenderer:
    """Renders shards and the files that lead to them. `prefix` begins the Locations' names.

    Raises ValueError for a prefix that Backstage would not take, or of more than 22 characters.
    """

    prefix: str = "fester"

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(
                f"{self.prefix!r} cannot begin a Location's name: use 1-22 of A-Z a-z 0-9 ._-"
            )

    @property
    def limit(self) -> int:
        """How many entities a shard may have before it splits."""
        return SHARD_LIMIT

    @property
    def depth(self) -> int:
        """How often a shard can split at most: the length of a place."""
        return _HASH_BITS

    def place(self, ref: Ref) -> str:
        """Where an entity belongs: bits, as text."""
        return place_of(str(ref))

    def shard(self, bits: str, entities: Sequence[CatalogEntity]) -> tuple[Artifact, ...]:
        """The files of one shard. Its entities are sorted by reference."""
        return _shard(bits, entities), _json_shard(bits, entities)

    def bits(self, path: str) -> str | None:
        """Which shard a path belongs to; None for any other file."""
        return bits_of(path)

    def index(self, shards: Sequence[str]) -> tuple[Artifact, ...]:
        """The files that lead to the shards of these bits, sorted."""
        return _index(shards, self.prefix), _json_index(shards)

    def location(self, bits: str) -> Shard:
        """A shard as the index names it."""
        path = shard_path(bits)
        return Shard(path, _location(bits, self.prefix, [f"./{path}"]), ())


def render_catalog(catalog: Catalog, *, prefix: str = "fester") -> tuple[Artifact, ...]:
    """All files of a catalog that is at hand as a whole."""
    renderer = ShardRenderer(prefix)
    placed = list(_placed(catalog.entities))
    shards = (file for bits, entities in placed for file in renderer.shard(bits, entities))
    return (*shards, *renderer.index([bits for bits, _ in placed]))


def shards(catalog: Catalog, *, prefix: str = "fester") -> tuple[Shard, ...]:
    """How `render_catalog` lays a catalog out: each shard with its Location in the index."""
    return tuple(
        replace(ShardRenderer(prefix).location(bits), refs=tuple(entity.ref for entity in entities))
        for bits, entities in _placed(catalog.entities)
    )


def shard_path(bits: str) -> str:
    """Where the shard of these leading hash bits lies; "" is the only shard of a small catalog."""
    return f"{SHARDS}{bits or 'all'}.yaml"


def provenance_path(bits: str) -> str:
    """Where the same shard lies for programs, as JSON."""
    return f"{PROVENANCE}{bits or 'all'}.json"


def bits_of(path: str) -> str | None:
    """The bits of the shard that lies at a path; None for any other file."""
    found = _SHARD_PATH.fullmatch(path)
    return None if found is None else (found[1] or found[2]).removeprefix("all")


def location_of(path: str, prefix: str) -> str | None:
    """The reference of the Location that leads to a shard; None for any other path."""
    bits = bits_of(path)
    if bits is None or not path.endswith(".yaml"):
        return None
    return f"location:default/{prefix}-{bits or 'all'}"


def _placed(
    entities: Sequence[CatalogEntity],
) -> Iterator[tuple[str, Sequence[CatalogEntity]]]:
    """(leading bits, entities) of each shard that is not empty, sorted by bits."""
    hashed = [(place_of(str(entity.ref)), entity) for entity in entities]
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


def place_of(ref: str) -> str:
    """The bits that place an entity in a shard: all that begin alike lie together."""
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


_HEAD, _BETWEEN, _TAIL = b'{"format": 2, "entities": [\n', b",\n", b"\n]}\n"
_slow_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def _json_shard(bits: str, entities: Sequence[CatalogEntity]) -> Artifact:
    """The same entities with their provenance, each on a line of its own."""
    body = _HEAD + _BETWEEN.join(_json_line(entity) for entity in entities) + _TAIL
    return Artifact(provenance_path(bits), body, _JSON, Stage.ENTITIES)


def _json_index(shards: Sequence[str]) -> Artifact:
    """Where the entities with their provenance lie. Changes only when shards split or join."""
    tree = {"format": 2, "shards": [provenance_path(bits) for bits in shards]}
    body = json.dumps(tree, indent=0)
    return Artifact(CATALOG, body.encode() + b"\n", _JSON, Stage.DATA)


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
                "mapping": origin.mapping,
                "kept_since": iso(origin.kept_since),
                "held_since": iso(origin.held_since),
            }
            for origin in sorted(entity.origins, key=lambda each: each.place)
        ],
    }
