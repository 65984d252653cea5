"""Static bearer tokens. Settings hold their SHA-256 alone, so a leaked file opens nothing."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from bridge.model.access import Principal, Scope

# A prefix that secret scanners and people know again.
PREFIX = "fester_"
_RANDOM_BYTES = 32  # with so many no salt and no slow hash is needed: there is nothing to guess


@dataclass(frozen=True, slots=True)
class StaticToken:
    """One token as the settings know it: `digest` is the SHA-256 of its text, in hexadecimal."""

    name: str
    digest: str
    scopes: frozenset[Scope]


def new_token() -> str:
    """A new random token."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(token: str) -> str:
    """What the settings keep of a token."""
    # Whatever bytes a header may hold, there is a digest of them.
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class StaticTokens:
    """The configured tokens."""

    def __init__(self, tokens: Iterable[StaticToken]) -> None:
        self._tokens = tuple(tokens)

    def find(self, token: str) -> Principal | None:
        """Whose token this is, None if nobody's. Takes as long for a near miss as for a hit."""
        digest, found = digest_of(token), None
        for known in self._tokens:
            if hmac.compare_digest(digest, known.digest):
                found = Principal(f"token:{known.name}", known.scopes)
        return found
