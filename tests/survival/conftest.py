from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.conftest import drivers_threads_end, server, url
from tests.survival.mortal import Mortal, mortal

__all__ = ["drivers_threads_end", "server", "url", "worker"]


@pytest.fixture(scope="session")
def worker() -> Iterator[Mortal]:
    """A process whose children die when they are told to."""
    with mortal() as made:
        yield made
