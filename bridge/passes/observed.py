"""What a scrape's own pages told of projects, packed: of 100,000 projects it is told at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime

import orjson

from bridge.model.compression import compressed
from bridge.model.scrape import Observation


class Observations(Mapping[int, Observation]):
    """Observations by project id. What is asked for is made anew each time."""

    def __init__(self) -> None:
        self._packed: dict[int, tuple[datetime, bytes, str, str]] = {}
        self._like = b""  # the first one: the others say the same of other projects

    def put(self, seen: Observation) -> None:
        """Add one; a later one of the same project counts."""
        tree = orjson.dumps([seen.values, seen.unknown], default=dict)
        self._like = self._like or tree
        packed = compressed(tree, self._like)
        self._packed[seen.project_id] = seen.seen_at, packed, seen.unreadable, seen.catalog_info

    def __getitem__(self, project_id: int) -> Observation:
        seen_at, packed, *rest = self._packed[project_id]
        values, unknown = orjson.loads(zlib.decompressobj(zdict=self._like).decompress(packed))
        return Observation(project_id, seen_at, values, unknown, *rest)

    def __iter__(self) -> Iterator[int]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
