"""Backstage's own tokens: of its plugins, and of its users.

A plugin's token is signed by the calling plugin (claim `sub`) for one target (`aud`), and that
caller's keys lie below its own address; a user's token is signed by the auth backend. Callers and
targets are configured, so `sub` only chooses among addresses that an admin wrote down. The rules
are those of `@backstage/backend-defaults`, PluginTokenHandler and UserTokenHandler, made stricter:
ES256 alone, and no header but `alg`, `kid` and `typ`.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jws import JWSRegistry

from bridge.access.keys import KeySet
from bridge.errors import TokenRefused
from bridge.model.access import Principal, Scope

PLUGIN = "vnd.backstage.plugin"
USER = "vnd.backstage.user"
USER_AUDIENCE = "backstage"

MAX_TOKEN = 33_000  # Backstage itself issues none beyond 32,768 characters
MAX_HEADER = 1_000
MAX_KID = 200
LEEWAY = 30  # seconds that two clocks may differ
_ALGORITHM = "ES256"
_HEADERS = {"alg", "kid", "typ"}
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_SUBJECT = re.compile(r"[!-~]{1,255}")  # printable, without spaces: it goes into logs


class _Registry(JWSRegistry):
    max_header_length = MAX_HEADER
    max_payload_length = MAX_TOKEN


@dataclass(frozen=True, slots=True)
class BackstageTokens:
    """Judges tokens. `plugins` are the keys of each calling plugin, `users` those of users."""

    plugins: Mapping[str, KeySet]
    users: KeySet | None
    audiences: tuple[str, ...]
    scopes: frozenset[Scope]
    clock: Callable[[], datetime]

    async def recognize(self, token: str) -> Principal:
        """Whose token this is. Raises `TokenRefused`, `KeysUnavailable`."""
        kind, kid, subject = _peek(token)
        if kind == USER:
            claims = await self._verified(token, kid, self.users, (USER_AUDIENCE,))
            return Principal(claims["sub"], self.scopes)
        claims = await self._verified(token, kid, self.plugins.get(subject), self.audiences)
        return Principal(f"plugin:{claims['sub']}", self.scopes)

    async def _verified(
        self, token: str, kid: str, keys: KeySet | None, audiences: tuple[str, ...]
    ) -> dict[str, Any]:
        if keys is None:
            raise TokenRefused("tokens of this caller are not accepted here")
        key = await keys.find(kid)
        if key is None:
            raise TokenRefused("the token is signed with a key that Backstage does not list")
        rules = jwt.JWTClaimsRegistry(
            now=int(self.clock().timestamp()),
            leeway=LEEWAY,
            iat={"essential": True},
            exp={"essential": True},
            sub={"essential": True},
            aud={"essential": True, "values": list(audiences)},
        )
        try:
            read = jwt.decode(token, key, [_ALGORITHM], _Registry(algorithms=[_ALGORITHM]))
            rules.validate(read.claims)
        except ExpiredTokenError:
            raise TokenRefused("the token has expired") from None
        except (JoseError, ValueError, RecursionError):
            raise TokenRefused("the token is not valid here") from None
        if not isinstance(read.claims["aud"], str) or not _SUBJECT.fullmatch(read.claims["sub"]):
            raise TokenRefused("the token is not one that Backstage makes")
        return read.claims


def looks_signed(token: str) -> bool:
    """Whether a token has the three parts of a signed one, and is no longer than one may be."""
    return len(token) <= MAX_TOKEN and _SHAPE.fullmatch(token) is not None


def _peek(token: str) -> tuple[str, str, str]:
    """(typ, kid, sub) as the token claims them, before anything is known to be true."""
    found = _SHAPE.fullmatch(token) if len(token) <= MAX_TOKEN else None
    if found is None or len(found[1]) > MAX_HEADER:
        raise TokenRefused("the token is no signed token")
    header, claims = _tree(found[1]), _tree(found[2])
    if header.keys() != _HEADERS or header["alg"] != _ALGORITHM:
        raise TokenRefused(f"the token's header must hold alg {_ALGORITHM}, kid and typ alone")
    kind, kid, subject = header["typ"], header["kid"], claims.get("sub")
    if kind not in (PLUGIN, USER):
        raise TokenRefused(f"the token's typ must be {PLUGIN} or {USER}")
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID or not isinstance(subject, str):
        raise TokenRefused("the token has no key id or no subject")
    return kind, kid, subject


def _tree(part: str) -> dict[str, Any]:
    try:
        tree = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise TokenRefused("the token cannot be decoded") from None
    if not isinstance(tree, dict):
        raise TokenRefused("the token cannot be decoded")
    return tree
