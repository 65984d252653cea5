"""The gate that all tokens come to, and its configuration."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from bridge.access.backstage_tokens import MAX_TOKEN, BackstageTokens, looks_signed
from bridge.access.keys import FETCH_SECONDS, MAX_BYTES, KeySet
from bridge.access.static_tokens import StaticToken, StaticTokens
from bridge.errors import TokenRefused
from bridge.model.access import Principal, Scope
from bridge.neighbours.http_client import HttpClient


@dataclass(frozen=True, slots=True)
class BackstageCallers:
    """Whose tokens are accepted from the Backstage at `url` (its backend's base address)."""

    url: str
    plugins: tuple[str, ...] = ()
    users: bool = False
    audiences: tuple[str, ...] = ()
    scopes: frozenset[Scope] = frozenset({Scope.READ})


class Gate:
    """A `Gatekeeper` of static tokens and, if configured, of Backstage's."""

    def __init__(self, static: StaticTokens, backstage: BackstageTokens | None = None) -> None:
        self._static, self._backstage = static, backstage

    async def recognize(self, token: str) -> Principal:
        """Whose token this is. Raises `TokenRefused`, `KeysUnavailable`."""
        if len(token) > MAX_TOKEN:
            raise TokenRefused(f"the token is longer than {MAX_TOKEN} characters")
        known = self._static.find(token)
        if known is not None:
            return known
        if self._backstage is not None and looks_signed(token):
            return await self._backstage.recognize(token)
        raise TokenRefused("the token is not known here")


@asynccontextmanager
async def open_gate(
    tokens: Sequence[StaticToken],
    callers: BackstageCallers | None,
    clock: Callable[[], datetime],
    *,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Gate]:
    """The gate, with a connection to Backstage while it is open."""
    static = StaticTokens(tokens)
    if callers is None:
        yield Gate(static)
        return
    base = callers.url.rstrip("/")
    # Where a proxy variable points is no business of ours: these keys say who may come in.
    http = HttpClient(base, timeout=FETCH_SECONDS, limit=MAX_BYTES, trust=trust, proxies=False)
    try:
        plugins = {
            plugin: KeySet(f"{base}/api/{plugin}/.backstage/auth/v1/jwks.json", http)
            for plugin in callers.plugins
        }
        users = KeySet(f"{base}/api/auth/.well-known/jwks.json", http) if callers.users else None
        yield Gate(
            static,
            BackstageTokens(plugins, users, callers.audiences, callers.scopes, clock),
        )
    finally:
        await http.close()
