"""A Backstage of keys alone: real ES256 key pairs, and a server that lists their public halves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.fakes import NOON

NOW = int(NOON.timestamp())
PLUGIN = "vnd.backstage.plugin"
USER = "vnd.backstage.user"
USERS_PATH = "/api/auth/.well-known/jwks.json"


def plugin_path(plugin: str) -> str:
    return f"/api/{plugin}/.backstage/auth/v1/jwks.json"


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "alg": "ES256"}, private=True)


def plugin_claims(**more: Any) -> dict[str, Any]:
    return {"sub": "search", "aud": "catalog", "iat": NOW - 10, "exp": NOW + 3600} | more


def user_claims(**more: Any) -> dict[str, Any]:
    claims = {"sub": "user:default/guest", "ent": [], "iss": "http://backstage/api/auth"}
    return claims | {"aud": "backstage", "iat": NOW - 10, "exp": NOW + 3600} | more


def signed(key: ECKey, claims: dict[str, Any], typ: str = PLUGIN, **header: Any) -> str:
    whole = {"alg": "ES256", "kid": key.kid, "typ": typ} | header
    from joserfc.jws import JWSRegistry

    registry = JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jwt.encode(whole, dict(claims), key, registry=registry)


@dataclass
class KeyServer:
    """Lists `keys` by path; `broken` answers instead. `asked` holds the paths of all requests."""

    keys: dict[str, list[ECKey]] = field(default_factory=dict)
    broken: web.Response | None = None
    asked: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None  # answers wait for it, and set `held` before
    held: asyncio.Event | None = None
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if self.hold is not None and self.held is not None:
            self.held.set()
            await self.hold.wait()
        if self.broken is not None:
            return web.Response(
                body=self.broken.body, status=self.broken.status, headers=self.broken.headers
            )
        if request.path not in self.keys:
            raise web.HTTPNotFound
        listed = [key.as_dict(private=False) for key in self.keys[request.path]]
        return web.json_response({"keys": listed})


@asynccontextmanager
async def running(server: KeyServer) -> AsyncIterator[KeyServer]:
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
