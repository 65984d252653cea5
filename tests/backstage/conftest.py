"""One real Backstage for the whole session, reading three Festers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from gcp_storage_emulator.server import create_server

from bridge.sandbox.organization import generate, sample_organization
from bridge.sandbox.world import World
from bridge.wiring.clock import utc_now
from tests.backstage import server, site
from tests.backstage.installation import Installation, NoBackstage, installed
from tests.backstage.server import Backstage
from tests.backstage.site import Site

BUCKET = "shop"
GENERATED = 120  # projects: enough for several shards


@dataclass(frozen=True)
class Town:
    """Backstage and the Festers that it reads.

    `company` is the sample organization over HTTP, with its people; `young` begins with no
    manifest at all, and `bucket` is a made-up organization that is published to a bucket.
    """

    backstage: Backstage
    company: Site
    young: Site
    bucket: Site


@pytest.fixture(scope="session")
def installation(pytestconfig: pytest.Config) -> Installation:
    try:
        return installed()
    except NoBackstage as missing:
        terminal = pytestconfig.pluginmanager.get_plugin("terminalreporter")
        message = f"NO REAL BACKSTAGE HERE, its tests are skipped: {missing}"
        if terminal is not None:
            terminal.write_line(f"\n{message}", red=True, bold=True)
        pytest.skip(message)


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Google Cloud Storage's emulator with an empty bucket; gives its URL."""
    running = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    running.start()
    while running._api._httpd is None:
        running._api.is_running.wait()
    yield f"http://127.0.0.1:{running._api._httpd.server_address[1]}"
    running.stop()


@pytest.fixture(scope="session")
def town(
    installation: Installation, emulator: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("backstage")
    with ExitStack() as stack:
        company = _open(stack, Site(sample_organization(utc_now), folder, "fester", people=True))
        young = _open(stack, Site(_no_manifest(), folder, "young"))
        with pytest.MonkeyPatch.context() as patch:
            # Google's clients read this when they are made, which is in the first pass.
            patch.setenv("STORAGE_EMULATOR_HOST", emulator)
            world = generate(GENERATED, 7, utc_now)
            bucket = _open(stack, Site(world, folder, "bucket", (f"gs://{BUCKET}/backstage",)))
        stored = f"https://storage.cloud.google.com/{BUCKET}/backstage/index.yaml"
        backstage = server.running(
            installation,
            folder,
            targets=[company.index, young.index, stored],
            hosts=[company.host, young.host],
            # Google's client for Node wants the API's path in it, the one for Python does not.
            environment={"STORAGE_EMULATOR_HOST": f"{emulator}/storage/v1"},
        )
        yield Town(stack.enter_context(backstage), company, young, bucket)


def _open(stack: ExitStack, made: Site) -> Site:
    return stack.enter_context(site.running(made))


def _no_manifest() -> World:
    world = World(utc_now)
    world.add_project("young/idea", files={"README.md": "Soon.\n"})
    return world


@pytest.fixture(scope="session")
def backstage(town: Town) -> Backstage:
    return town.backstage


@pytest.fixture(scope="session")
def company(town: Town) -> Site:
    return town.company
