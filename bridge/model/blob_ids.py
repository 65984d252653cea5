"""How git names a blob."""

from __future__ import annotations

import hashlib


def blob_id(raw: bytes, *, sha256: bool = False) -> str:
    """The id that git gives these bytes; `sha256` in a repository of that object format."""
    # By these because git says so, not for security.
    made = hashlib.sha256 if sha256 else hashlib.sha1
    return made(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
