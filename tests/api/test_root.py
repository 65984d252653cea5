"""Fester under a path, behind a proxy that takes the path off and behind one that does not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
from aiohttp import web

from bridge.api.root import own_path, rooted
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.world import World
from bridge.settings import Settings
from bridge.wiring import wired
from bridge.wiring.clock import utc_now
from bridge.wiring.serving import serving

ROOT = "/tools/fester"
TOKEN = "glpat-only-for-tests"
MANIFEST = """\
version: 1
service:
  name: {name}
  product: Harbour
  system: pier
  description: A "quoted href="/entities" <b>service</b>
  owner: {{team: crew}}
  dependencies: [missing]
"""


@asynccontextmanager
async def proxied(backend: str, *, strips: bool) -> AsyncIterator[str]:
    """A proxy that offers `backend` under a path, and nothing else of its host."""

    async def forward(request: web.Request) -> web.Response:
        path = request.rel_url.raw_path_qs
        if not (path == ROOT or path.startswith((f"{ROOT}/", f"{ROOT}?"))):
            return web.Response(status=404, text="another application")
        target = (path.removeprefix(ROOT) or "/") if strips else path
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"{backend.rstrip('/')}{target}",
                data=await request.read(),
                headers={"Host": request.host, "Content-Type": request.content_type},
                allow_redirects=False,
            ) as answer,
        ):
            kept = ("Content-Type", "Location", "Link")
            headers = {name: answer.headers[name] for name in kept if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}{ROOT}"
    await runner.cleanup()


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[str]:
    """`fester serve` after a pass, its facts and its scores."""
    world = World(utc_now)
    for name in ("quay", "lock"):
        world.add_project(f"corp/{name}", files={"qm.yaml": MANIFEST.format(name=name)})
    world.add_project("corp/broken", files={"qm.yaml": "version: 1\nservice: {name: x}\n"})
    async with running(SandboxGitLab(world, token=TOKEN)) as gitlab:
        settings = Settings.model_validate(
            {
                "from": gitlab,
                "store": f"sqlite:///{tmp_path}/store.db",
                "port": 0,
                "every": 3600,
                "token": TOKEN,
                "public_url": f"http://127.0.0.1{ROOT}/",
            }
        )
        async with wired(settings) as parts:
            done = await Passes(parts.stages).run(PassOptions())
            known = await done.known()
            await parts.after_pass.facts_and_scores(
                known.catalog, known.memory, done.observations, all_batches=True
            )
        async with wired(settings) as parts, serving(parts, settings, PassOptions()) as url:
            yield url


def links(page: str) -> set[str]:
    found = re.findall(r'\s(?:href|action|src)="([^"]*)"', page)
    return {unescape(link) for link in found}


async def walked(start: str) -> dict[str, int]:
    """Every page that can be reached by links, forms and redirects at this host, and its status."""
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(start))
    statuses: dict[str, int] = {}
    waiting = [start]
    async with aiohttp.ClientSession() as session:
        while waiting:
            url = waiting.pop()
            if url in statuses:
                continue
            async with session.get(url, allow_redirects=False) as answer:
                statuses[url] = answer.status
                found = set()
                if answer.content_type == "text/html":
                    found = links(await answer.text())
                if "Location" in answer.headers:
                    found.add(answer.headers["Location"])
            joined = {urljoin(url, link).partition("#")[0] for link in found}
            waiting += [link for link in joined if link.startswith(f"{origin}/")]
    return statuses


@pytest.mark.real
@pytest.mark.parametrize("strips", [True, False])
async def test_every_link_form_and_redirect_stays_below_the_path_and_leads_somewhere(
    backend: str, strips: bool
) -> None:
    async with proxied(backend, strips=strips) as url:
        statuses = await walked(f"{url}/")
        paths = {urlsplit(page).path.removeprefix(ROOT) for page in statuses}
        assert {page for page, status in statuses.items() if status >= 400} == set()
        assert all(urlsplit(page).path.startswith(ROOT) for page in statuses)
        assert {"/", "/entities", "/explain", "/scores", "/docs", "/incident"} <= paths
        assert "/scores/entity/component:default/quay" in paths
        assert "/scores/team/group:default/crew" in paths
        assert "/api/ox/rubric" in paths
        async with aiohttp.ClientSession() as session:
            for path, status in {
                "": 200,
                "/catalog/": 302,
                "/catalog/index.yaml": 200,
                "/schemas/": 200,
                "/openapi.json": 200,
                "/api/nothing": 404,
                "/metrics": 200,
                "/healthz": 200,
            }.items():
                async with session.get(f"{url}{path}", allow_redirects=False) as answer:
                    assert (path, answer.status) == (path, status)
                    where = answer.headers.get("Location", ROOT)
                    assert where.startswith(ROOT)
            async with session.get(f"{url}/schemas/") as answer:
                (first, *_) = (await answer.json())["schemas"]
            async with session.get(urljoin(url, first)) as answer:
                assert answer.status == 200
            async with session.get(f"{url}/openapi.json") as answer:
                assert (await answer.json())["servers"] == [{"url": ROOT}]
            query = f"{url}/api/catalog/entities?limit=1"
            async with session.get(query) as answer:
                assert answer.headers["Link"].startswith("</entities?")
            async with session.get(f"{url}/api/catalog/nothing") as answer:
                assert (await answer.json())["request"]["url"] == "/nothing"
            body = {"entityRefs": ["component:default/quay"]}
            async with session.post(f"{url}/api/catalog/entities/by-refs", json=body) as answer:
                assert answer.status == 200


@pytest.mark.real
async def test_without_a_proxy_the_same_pages_answer_at_the_address_itself(backend: str) -> None:
    statuses = await walked(backend)
    assert {page for page, status in statuses.items() if status >= 400} == set()


def test_what_a_manifest_says_is_no_link() -> None:
    """Quotes of others are escaped before; addresses elsewhere and of the page itself stay."""
    page = '<a href="/x">a</a> &#34; href=&#34;/x <a href="//evil/">b</a> <a href="?days=1">c</a>'
    assert rooted(page, "/f").count("/f/") == 1
    assert rooted(page, "") == page


def test_a_requests_own_path_is_without_the_root() -> None:
    from aiohttp.test_utils import make_mocked_request

    from bridge.api.app import make_app
    from bridge.api.live import Live
    from bridge.api.parts import AppParts

    app = make_app(Live(), AppParts(root="/f"))
    for path, own in {"/f/x": "/x", "/fx": "/fx", "/x": "/x", "/f/f/x": "/f/x"}.items():
        assert own_path(make_mocked_request("GET", path, app=app)) == own
