"""Stores of both kinds, as the tests of the store have them."""

from __future__ import annotations

from tests.store.conftest import server, url

__all__ = ["server", "url"]
