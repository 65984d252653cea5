"""The gate that all tokens come to, and its configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from aiohttp import ClientSession, DummyCookieJar

from bridge.access.backstage_tokens import MAX_TOKEN, BackstageTokens, looks_signed
from bridge.access.keys import KeySet
from bridge.access.static_tokens import StaticToken, StaticTokens
from bridge.errors import TokenRefused
from bridge.model.access import Principal, Scope


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
) -> AsyncIterator[Gate]:
    """The gate, with a connection to Backstage while it is open."""
    static = StaticTokens(tokens)
    if callers is None:
        yield Gate(static)
        return
    # What Backstage's key endpoint sets or where a proxy variable points is no business of ours.
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        base = callers.url.rstrip("/")
        plugins = {
            plugin: KeySet(f"{base}/api/{plugin}/.backstage/auth/v1/jwks.json", session)
            for plugin in callers.plugins
        }
        users = KeySet(f"{base}/api/auth/.well-known/jwks.json", session) if callers.users else None
        yield Gate(
            static,
            BackstageTokens(plugins, users, callers.audiences, callers.scopes, clock),
        )
