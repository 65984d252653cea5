"""Backstage's tokens against real ES256 keys and a real server that lists them."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from bridge.access.backstage_tokens import MAX_TOKEN, BackstageTokens
from bridge.access.gate import Gate
from bridge.access.keys import (
    FETCH_SECONDS,
    MAX_AGE_SECONDS,
    MAX_BYTES,
    REFETCH_SECONDS,
    KeySet,
    parse_keys,
)
from bridge.access.static_tokens import StaticTokens
from bridge.errors import KeysUnavailable, TokenRefused
from bridge.model.access import Principal, Scope
from bridge.neighbours.http_client import HttpClient
from tests.access.backstage_keys import (
    NOW,
    USER,
    USERS_PATH,
    KeyServer,
    new_key,
    plugin_claims,
    plugin_path,
    running,
    signed,
    user_claims,
)
from tests.fakes import NOON

SEARCH, CATALOG = plugin_path("search"), plugin_path("catalog")


@dataclass
class Site:
    """A gate, the Backstage behind it, and the clock of its key sets."""

    server: KeyServer
    key: ECKey
    user_key: ECKey
    elapsed: float = 0.0
    gate: Gate = field(init=False)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    key, user_key = new_key("k1"), new_key("u1")
    server = KeyServer({SEARCH: [key], CATALOG: [new_key("c1")], USERS_PATH: [user_key]})
    async with running(server):
        http = HttpClient(server.url, timeout=FETCH_SECONDS, limit=MAX_BYTES)
        made = Site(server, key, user_key)

        def clock() -> float:
            return made.elapsed

        plugins = {
            name: KeySet(f"{server.url}{plugin_path(name)}", http, clock=clock)
            for name in ("search", "catalog")
        }
        users = KeySet(f"{server.url}{USERS_PATH}", http, clock=clock)
        audiences = ("catalog", "tech-insights")
        tokens = BackstageTokens(
            plugins, users, audiences, frozenset({Scope.READ}), clock=lambda: NOON
        )
        made.gate = Gate(StaticTokens([]), tokens)
        yield made
        await http.close()


@pytest.mark.real
async def test_a_plugin_and_a_user_are_recognized(site: Site) -> None:
    plugin = await site.gate.recognize(signed(site.key, plugin_claims()))
    assert plugin == Principal("plugin:search", frozenset({Scope.READ}))
    user = await site.gate.recognize(signed(site.user_key, user_claims(), USER))
    assert user.name == "user:default/guest"
    for _ in range(5):
        await site.gate.recognize(signed(site.key, plugin_claims(aud="tech-insights")))
    assert site.server.asked == [SEARCH, USERS_PATH], "keys are fetched once"


BAD_CLAIMS = {
    "another audience": {"aud": "scaffolder"},
    "a list of audiences": {"aud": ["catalog", "scaffolder"]},
    "expired": {"exp": NOW - 60},
    "issued in the future": {"iat": NOW + 600},
    "not valid yet": {"nbf": NOW + 600},
    "no expiry": {"exp": None},
    "an expiry of text": {"exp": "never"},
    "no time of issue": {"iat": None},
    "a caller that is not configured": {"sub": "scaffolder"},
    "a caller that names a path": {"sub": "../auth"},
    "a caller that is a number": {"sub": 7},
}


@pytest.mark.real
@pytest.mark.parametrize("claims", BAD_CLAIMS.values(), ids=BAD_CLAIMS)
async def test_claims_that_do_not_hold_are_refused(site: Site, claims: dict[str, Any]) -> None:
    whole = {k: v for k, v in plugin_claims(**claims).items() if v is not None}
    with pytest.raises(TokenRefused):
        await site.gate.recognize(signed(site.key, whole))


BAD_HEADERS: dict[str, dict[str, Any]] = {
    "the type of user tokens": {"typ": USER},
    "no type of Backstage's": {"typ": "JWT"},
    "another's keys": {"jku": "http://127.0.0.1:1/keys"},
    "a certificate's address": {"x5u": "http://127.0.0.1:1/cert"},
    "a key of its own": {"jwk": new_key("k1").as_dict(private=False)},
    "a certificate of its own": {"x5c": ["MIIB"]},
    "a critical extension": {"crit": ["exp"]},
    "a key id that is a path": {"kid": "../../k1"},
    "a key id that is a number": {"kid": 1},
    "an endless key id": {"kid": "k" * 300},
}


@pytest.mark.real
@pytest.mark.parametrize("header", BAD_HEADERS.values(), ids=BAD_HEADERS)
async def test_headers_that_an_attacker_would_choose_are_refused(
    site: Site, header: dict[str, Any]
) -> None:
    token = _raw(site.key, {"alg": "ES256", "kid": "k1", "typ": "vnd.backstage.plugin"} | header)
    with pytest.raises(TokenRefused):
        await site.gate.recognize(token)


def _raw(key: ECKey, header: dict[str, Any], claims: dict[str, Any] | None = None) -> str:
    """A token with a correct ES256 signature over whatever header."""
    from joserfc.jws import JWSRegistry

    good = {"alg": "ES256", "kid": "k1", "typ": "vnd.backstage.plugin"}
    assert jwt.encode(good, claims or plugin_claims(), key)  # the key itself can sign
    first = f"{_part(header)}.{_part(claims or plugin_claims())}"
    signature = JWSRegistry.algorithms["ES256"].sign(first.encode(), key)
    return f"{first}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _part(tree: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(tree).encode()).rstrip(b"=").decode()


@pytest.mark.real
async def test_the_raw_signer_makes_good_tokens_too(site: Site) -> None:
    """Otherwise the tests above would prove nothing."""
    token = _raw(site.key, {"alg": "ES256", "kid": "k1", "typ": "vnd.backstage.plugin"})
    assert (await site.gate.recognize(token)).name == "plugin:search"


@pytest.mark.real
async def test_another_algorithm_is_refused_whatever_it_is_signed_with(site: Site) -> None:
    header = {"kid": "k1", "typ": "vnd.backstage.plugin"}
    public = site.key.as_pem(private=False)
    shared = OctKey.import_key(base64.b64encode(public).decode())
    rsa = RSAKey.generate_key(2048, {"kid": "k1"})
    tokens = [
        f"{_part({**header, 'alg': 'none'})}.{_part(plugin_claims())}.",
        f"{_part({**header, 'alg': 'none'})}.{_part(plugin_claims())}.AA",
        jwt.encode({**header, "alg": "HS256"}, plugin_claims(), shared),
        jwt.encode({**header, "alg": "RS256"}, plugin_claims(), rsa),
    ]
    for token in tokens:
        with pytest.raises(TokenRefused):
            await site.gate.recognize(token)


@pytest.mark.real
async def test_a_key_of_the_same_id_by_somebody_else_is_refused(site: Site) -> None:
    with pytest.raises(TokenRefused):
        await site.gate.recognize(signed(new_key("k1"), plugin_claims()))
    with pytest.raises(TokenRefused, match="does not list"):
        await site.gate.recognize(signed(site.key, plugin_claims(sub="catalog")))
    with pytest.raises(TokenRefused):
        await site.gate.recognize(signed(site.key, user_claims(), USER))


@pytest.mark.real
async def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(site: Site) -> None:
    await site.gate.recognize(signed(site.key, plugin_claims()))
    old, site.server.keys[SEARCH] = site.key, [new_key("k2")]
    site.elapsed += REFETCH_SECONDS
    token = signed(site.server.keys[SEARCH][0], plugin_claims())
    assert (await site.gate.recognize(token)).name == "plugin:search"
    with pytest.raises(TokenRefused):
        await site.gate.recognize(signed(old, plugin_claims()))


@pytest.mark.real
async def test_a_withdrawn_key_is_forgotten_although_nobody_shows_a_new_one(site: Site) -> None:
    await site.gate.recognize(signed(site.key, plugin_claims()))
    site.server.keys[SEARCH] = []
    site.elapsed += MAX_AGE_SECONDS + 1
    with pytest.raises(TokenRefused):
        await site.gate.recognize(signed(site.key, plugin_claims()))


@pytest.mark.real
async def test_made_up_key_ids_cost_backstage_one_request_an_interval(site: Site) -> None:
    for number in range(50):
        with pytest.raises(TokenRefused):
            await site.gate.recognize(signed(new_key(f"spray-{number}"), plugin_claims()))
    assert site.server.asked == [SEARCH]
    site.elapsed += REFETCH_SECONDS
    with pytest.raises(TokenRefused):
        await site.gate.recognize(signed(new_key("again"), plugin_claims()))
    assert site.server.asked == [SEARCH] * 2


BROKEN = {
    "an error": web.Response(status=503),
    "a redirect": web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
    "no JSON": web.Response(text="<html>"),
    "no keys": web.Response(text="{}"),
    "a list": web.Response(text="[]"),
    "too much": web.Response(body=b" " * (MAX_BYTES + 1) + b'{"keys": []}'),
    "too deep": web.Response(body=b"[" * 50_000),
}


@pytest.mark.real
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_a_backstage_that_fails_does_not_forget_keys(
    site: Site, answer: web.Response
) -> None:
    """A known key goes on for as long as it takes; of an unknown one nobody can tell."""
    good = signed(site.key, plugin_claims())
    await site.gate.recognize(good)
    site.server.broken = answer
    site.elapsed += MAX_AGE_SECONDS + 1
    assert (await site.gate.recognize(good)).name == "plugin:search"
    site.elapsed += REFETCH_SECONDS
    with pytest.raises(KeysUnavailable):
        await site.gate.recognize(signed(new_key("k9"), plugin_claims()))
    with pytest.raises(KeysUnavailable):
        await site.gate.recognize(signed(site.user_key, user_claims(), USER))
    site.server.broken = None
    site.elapsed += REFETCH_SECONDS
    with pytest.raises(TokenRefused):
        await site.gate.recognize(signed(new_key("k9"), plugin_claims()))


@pytest.mark.real
async def test_a_backstage_that_hangs_holds_up_one_who_has_a_known_key_and_not_all(
    site: Site,
) -> None:
    good = signed(site.key, plugin_claims())
    await site.gate.recognize(good)
    site.server.hold, site.server.held = asyncio.Event(), asyncio.Event()
    site.elapsed += MAX_AGE_SECONDS + 1
    waiting = asyncio.create_task(site.gate.recognize(good))
    await site.server.held.wait()
    site.elapsed += REFETCH_SECONDS
    assert (await site.gate.recognize(good)).name == "plugin:search"
    assert not waiting.done()
    site.server.hold.set()
    assert (await waiting).name == "plugin:search"


def test_only_es256_keys_of_a_jwks_count() -> None:
    good = new_key("good").as_dict(private=False)
    listed = [
        good,
        RSAKey.generate_key(2048, {"kid": "rsa"}).as_dict(private=False),
        OctKey.generate_key(256, {"kid": "oct"}).as_dict(),
        ECKey.generate_key("P-384", {"kid": "p384"}).as_dict(private=False),
        {**good, "kid": "encryption", "use": "enc"},
        {**good, "kid": "other-alg", "alg": "ES384"},
        {**good, "kid": "off-curve", "y": good["x"]},
        {**good, "kid": 7},
        {"kty": "EC", "crv": "P-256", "kid": "no-point"},
        "text",
        None,
    ]
    assert list(parse_keys(json.dumps({"keys": listed}).encode())) == ["good"]
    with pytest.raises(ValueError, match="up to"):
        parse_keys(json.dumps({"keys": [good] * 500}).encode())


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
PARTS = st.one_of(
    st.builds(_part, TREES),
    st.builds(
        lambda header, more: _part({**header, **more}),
        st.just({"alg": "ES256", "kid": "k1", "typ": "vnd.backstage.plugin"}),
        st.dictionaries(st.sampled_from(["alg", "kid", "typ", "sub", "aud"]), TREES, max_size=2),
    ),
    st.just(_part(plugin_claims())),
    st.text(alphabet="AQgw-_", max_size=40),
)


@pytest.mark.real
@given(st.one_of(st.lists(PARTS, max_size=5).map(".".join), st.text(max_size=200)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_no_malformed_token_is_anything_but_refused(site: Site, token: str) -> None:
    with pytest.raises(TokenRefused):
        await site.gate.recognize(token)


@pytest.mark.real
async def test_a_token_of_any_size_or_depth_is_refused(site: Site) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=").decode()
    good = signed(site.key, plugin_claims())
    for token in (
        "a.b." + "c" * MAX_TOKEN,
        "x" * 10_000_000,
        f"{_part({})}.{deep}.AA",
        f"{good}.x",
    ):
        with pytest.raises(TokenRefused):
            await site.gate.recognize(token)
    assert not site.server.asked
