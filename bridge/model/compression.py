"""Many short texts, compressed quickly; `zlib.decompress` gives them back."""

from __future__ import annotations

import zlib
from typing import Final

_WINDOW: Final = 12  # bits: 4 kB, within which a short text is looked through for what recurs
_MEMORY: Final = 5


def compressed(raw: bytes, like: bytes = b"") -> bytes:
    """zlib's compression at its quickest: repetitive text shrinks tenfold even so.

    What recurs of `like` takes next to nothing; who unpacks it has to have that, too.
    """
    if len(raw) > 1 << _WINDOW and not like:
        return zlib.compress(raw, 1)
    # By default, zlib clears a quarter of a megabyte before it begins: nine tenths of the time.
    packer = zlib.compressobj(1, zlib.DEFLATED, _WINDOW, _MEMORY, zdict=like)
    return packer.compress(raw) + packer.flush()
