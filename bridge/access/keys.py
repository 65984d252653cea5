"""Backstage's public keys: fetched from configured addresses, remembered, fetched anew on rotation.

The address never comes from a token. A key that is not known is looked for at most once an
interval, whoever asks and however often, so that made-up key ids cost Backstage nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from yarl import URL

from bridge.errors import KeysUnavailable
from bridge.neighbours.http_client import HttpClient, NoAnswer

log = structlog.get_logger()

MAX_BYTES = 100_000
MAX_KEYS = 200
FETCH_SECONDS = 5.0
REFETCH_SECONDS = 5.0  # at most one fetch in so long, be it good or bad
MAX_AGE_SECONDS = 3600.0  # after this keys are read anew, so that withdrawn ones are forgotten


class KeySet:
    """The ES256 keys behind one address."""

    def __init__(
        self, url: str, http: HttpClient, *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._url, self._http, self._clock = url, http, clock
        self._keys: Mapping[str, ECKey] = {}
        self._alone = asyncio.Lock()
        self._tried: float | None = None
        self._read: float | None = None
        self._failing = False

    async def find(self, kid: str) -> ECKey | None:
        """The key of this id, None when there is none.

        A Backstage that is down does not forget keys that were read before. Raises
        `KeysUnavailable` when it is down and the key is not among those.
        """
        if kid not in self._keys:
            async with self._alone:
                if kid not in self._keys and self._may_try():
                    await self._fetch()
        elif self._old() and self._may_try() and not self._alone.locked():
            async with self._alone:  # one asks, and the others go on with what is known
                await self._fetch()
        found = self._keys.get(kid)
        if found is None and (self._failing or self._read is None):
            raise KeysUnavailable("Backstage's keys cannot be read now; try again in a moment")
        return found

    def _old(self) -> bool:
        return self._read is None or self._clock() - self._read > MAX_AGE_SECONDS

    def _may_try(self) -> bool:
        return self._tried is None or self._clock() - self._tried >= REFETCH_SECONDS

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            keys = parse_keys(await self._body())
        except (NoAnswer, ValueError) as error:
            self._failing = True
            log.warning(
                "Backstage's keys could not be read",
                action="keys_unread",
                url=self._url,
                error=str(error) or type(error).__name__,
            )
            return
        self._failing, self._read, self._keys = False, self._clock(), keys

    async def _body(self) -> bytes:
        answer = await self._http.send("GET", URL(self._url))
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}, expected 200")
        return answer.body


def parse_keys(body: bytes) -> dict[str, ECKey]:
    """The usable keys of a JWKS by id; others are passed over. ValueError if it is none."""
    try:
        listed = json.loads(body)["keys"]
    except (KeyError, TypeError, RecursionError):
        raise ValueError("is not a JWKS: expected an object with `keys`") from None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise ValueError(f"is not a JWKS: `keys` must list up to {MAX_KEYS} keys")
    keys = (_key(item) for item in listed)
    return {key.kid: key for key in keys if key is not None and key.kid}


def _key(item: Any) -> ECKey | None:
    """An ES256 verification key; None for any other, so that RSA or a shared secret never count."""
    if not isinstance(item, dict) or not isinstance(item.get("kid"), str):
        return None
    if (item.get("kty"), item.get("crv"), item.get("alg", "ES256")) != ("EC", "P-256", "ES256"):
        return None
    if item.get("use", "sig") != "sig":
        return None
    public = {name: item[name] for name in ("kty", "crv", "x", "y", "kid") if name in item}
    try:
        key = ECKey.import_key(public)
        key.public_key  # noqa: B018 — reading it is what checks that the point is on the curve
    except (JoseError, ValueError, TypeError):
        return None
    return key
