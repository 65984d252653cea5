"""Signatures of webhooks as GitLab makes them and as Fester does.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"


def signature(key: bytes, name: str, stamp: str, body: bytes) -> str:
    """`v1,` and base64, of a message's id, its time in whole seconds and its body."""
    signed = f"{name}.{stamp}.".encode("utf-8", "replace") + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}"


def is_signature(given: str, right: str) -> bool:
    """Whether one of the signatures of a header, which spaces separate, is the right one."""
    wanted = right.encode()
    found = [hmac.compare_digest(e.encode("utf-8", "replace"), wanted) for e in given.split()[:10]]
    return any(found)
