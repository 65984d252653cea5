"""One setting says whom to trust, and every library obeys it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests
from aiohttp import web

from bridge.errors import ConfigurationError
from bridge.neighbours.gitlab_rest import Connection, unanswered
from bridge.neighbours.http_client import HttpClient, NoAnswer
from bridge.neighbours.tls import VARIABLES, trust
from tests.neighbours.relay import PrivateCA


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def https(tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """An address that a private CA vouches for, and the CA's file."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response([])

    ca = PrivateCA(tmp_path)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ca.server_context())
    await site.start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}", ca.file
    await runner.cleanup()


async def by_aiohttp(url: str, context: ssl.SSLContext | None) -> str:
    client = HttpClient(url, trust=context)
    try:
        return str((await client.send("GET", "/")).status)
    except NoAnswer as error:
        return str(error)
    finally:
        await client.close()


def by_python_gitlab(url: str, context: ssl.SSLContext | None) -> str:
    connection = Connection(url, None, timeout=5, trust=context)
    try:
        connection.http_list("/x", iterator=True)
    except requests.RequestException as error:
        return unanswered(error)
    finally:
        connection.close()
    return "200"


async def both(url: str, context: ssl.SSLContext | None = None) -> tuple[str, str]:
    import asyncio

    return await by_aiohttp(url, context), await asyncio.to_thread(by_python_gitlab, url, context)


@pytest.mark.real
async def test_a_private_ca_is_refused_in_the_same_words_until_it_is_named(
    https: tuple[str, Path],
) -> None:
    url, ca = https
    for said in await both(url):
        assert "its certificate is not trusted here" in said
        assert "unable to get local issuer certificate" in said
        assert "name its CA's file in `ca_file`" in said
    assert await both(url, trust(ca)) == ("200", "200")


@pytest.mark.real
@pytest.mark.parametrize("name", VARIABLES)
async def test_each_variable_holds_for_every_library(
    https: tuple[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = https
    monkeypatch.setenv(name, str(ca))
    assert await both(url) == ("200", "200")


@pytest.mark.real
async def test_a_name_that_the_certificate_does_not_bear_is_refused(
    https: tuple[str, Path],
) -> None:
    url, ca = https
    for said in await both(url.replace("127.0.0.1", "localhost"), trust(ca)):
        assert "its certificate is not trusted here" in said


@pytest.mark.parametrize("content", [None, "", "no certificate", b"\xff\x00"])
def test_a_file_that_holds_no_certificates_is_named(
    tmp_path: Path, content: str | bytes | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match=r"`ca_file` names .*ca\.pem: it "):
        trust(file, {})
    with pytest.raises(ConfigurationError, match="`SSL_CERT_FILE` names") as both_at_once:
        trust(file, {"SSL_CERT_FILE": str(file), "REQUESTS_CA_BUNDLE": str(file)})
    assert len(both_at_once.value.problems) == 3


def test_public_roots_are_trusted_beside_a_private_ca(tmp_path: Path) -> None:
    """Who names a company's CA still reaches Google, Slack and Snyk."""
    public = {each["serialNumber"] for each in trust(None, {}).get_ca_certs()}
    own = {each["serialNumber"] for each in trust(PrivateCA(tmp_path).file, {}).get_ca_certs()}
    assert len(public) > 50
    assert public < own
