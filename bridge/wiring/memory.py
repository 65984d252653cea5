"""How a process that makes passes goes about its memory."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from typing import Final

_ARENA_MAX: Final = -8  # M_ARENA_MAX of glibc's malloc.h
_ARENAS: Final = 1


def spare_memory() -> None:
    """Set how memory is taken from now on. What the C library does not offer stays as it is."""
    # Rows by the thousand come and go without cycles: Python looks for these more seldom.
    gc.set_threshold(20_000, 20, 20)
    # Threads take turns, and glibc would keep for each what only it gets again: a tenth of all.
    # https://sourceware.org/glibc/manual/latest/html_node/Malloc-Tunable-Parameters.html
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)
