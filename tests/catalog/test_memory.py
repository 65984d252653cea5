"""What an index takes: texts that keys share are kept once, and no empty room is kept."""

from __future__ import annotations

import gc
import tracemalloc

from bridge.catalog.reader import Reader
from bridge.exporters.render import shards
from tests.backstage.serving import catalog_of
from tests.benchmarks.catalog_api import entities

COUNT = 300
MOST = 4_800  # bytes an entity: 48 MB for 10,000


def test_an_index_takes_no_more_memory_than_it_may() -> None:
    catalog = catalog_of(entities(COUNT))
    reader = Reader(shards)
    gc.collect()
    tracemalloc.start()
    try:
        reader.read(catalog)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(reader.index) >= COUNT
    assert taken / len(reader.index) <= MOST
