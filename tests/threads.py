"""Threads that meet as often as they can."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Threads are changed at every chance while the test runs."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
