"""Reads a `catalog.json` back: what `render` wrote, this Fester's or an older one's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime

import orjson

from bridge.errors import PublishError
from bridge.exporters.plan import is_shard
from bridge.model.destinations import PublishedCatalog
from bridge.model.entities import CatalogEntity, Json, Origin, Ref
from bridge.model.moments import moment_in

_ORIGIN_FIELDS = tuple(each.name for each in fields(Origin))


def read_catalog(
    body: bytes, at: datetime, place: str, shard: Callable[[str], bytes | None]
) -> PublishedCatalog:
    """The entities of a published catalog, with where each came from.

    `shard` reads a file that it names. Raises `PublishError` for what cannot be understood: to go
    on without it would look as if nothing had been published. `place` says where it lies.
    """
    try:
        tree = orjson.loads(body)
        if tree["format"] == 1:
            return PublishedCatalog(tuple(_entity(each, at) for each in tree["entities"]), at)
        if tree["format"] != 2:
            raise ValueError(f"format {str(tree['format'])[:20]}")
        parts = [_part(path, shard) for path in tree["shards"]]
        return PublishedCatalog(tuple(_entity(each, at) for part in parts for each in part), at)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise PublishError(
            f"{place}: the catalog.json that lies there cannot be understood "
            f"({type(error).__name__}), so nobody can tell what publishing would remove: restore "
            "it, publish to an empty place, or run once with --take-over to replace what is there"
        ) from error


def _part(path: Json, shard: Callable[[str], bytes | None]) -> list[Json]:
    if not isinstance(path, str) or not is_shard(path):
        raise ValueError("it names a file that is no shard")
    body = shard(path)
    if body is None:
        raise ValueError(f"{path} is missing")
    entities = orjson.loads(body)["entities"]
    if not isinstance(entities, list):
        raise TypeError(f"{path} is of another shape")
    return entities


def _entity(tree: Json, at: datetime) -> CatalogEntity:
    body = tree["entity"]
    origins = tuple(_origin(each, at) for each in tree["origins"])
    return CatalogEntity(Ref.of(body), body, origins)


def _origin(tree: Json, at: datetime) -> Origin:
    """An origin; of moments that are none, as others may write them, the one of publishing."""
    values = {name: tree[name] for name in _ORIGIN_FIELDS if name in tree}
    texts = (value for name, value in values.items() if name != "project_id")
    if type(values["project_id"]) is not int or not all(isinstance(text, str) for text in texts):
        raise TypeError("an origin is of another shape")
    kept, held = (_since(values.pop(name, ""), at) for name in ("kept_since", "held_since"))
    # Which blob it was is not published.
    return Origin(**{"oid": "", **values}, kept_since=kept, held_since=held)


def _since(text: str, at: datetime) -> datetime | None:
    return (moment_in(text) or at.replace(microsecond=0)) if text else None
