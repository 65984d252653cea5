"""The hidden marker by which an issue of ours is known again, even if the store is lost."""

from __future__ import annotations

import hashlib
import re

from bridge.model.remediation import IssueKey

BEGIN = re.compile(r"<!-- ox:v1 ([0-9a-f]{24}) ([0-9a-f]{16}) -->")
END = "<!-- /ox:v1 -->"
_OURS = re.compile(r"<!--(?=\s*/?ox:v1)")


def key_hash(key: IssueKey) -> str:
    """The key as the marker carries it: it says nothing to a reader and needs no escaping."""
    return hashlib.sha256(f"ox:v1 {key}".encode()).hexdigest()[:24]


def digest_of(*parts: str) -> str:
    """A digest of texts in their order."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def marked(key: IssueKey, digest: str, text: str) -> str:
    """Our text between its markers; what looks like one inside of it is none any more."""
    inside = _OURS.sub("<!\u200b--", text.strip())
    return f"<!-- ox:v1 {key_hash(key)} {digest} -->\n{inside}\n{END}"


def read_marker(description: str) -> tuple[str, str] | None:
    """The key's hash and the digest that a description carries."""
    found = BEGIN.search(description)
    return (found[1], found[2]) if found else None


def replaced(description: str, ours: str) -> str | None:
    """`description` with our part anew and everything that people wrote around it as it was.

    None when there is no part of ours any more: somebody rewrote the description, it is theirs.
    """
    found = BEGIN.search(description)
    if found is None:
        return None
    end = description.find(END, found.end())
    if end < 0:
        return None
    return description[: found.start()] + ours + description[end + len(END) :]
