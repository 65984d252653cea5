"""A second opinion on the Cloud Storage exporter: `gcp-storage-emulator` from PyPI, over HTTP.

The emulator was written by others, so it catches what our own look-alike misunderstands alike with
our exporter. It ignores generation preconditions (it answers 200 always), so it cannot say anything
about two publishers; `test_gcs.py` does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gcp_storage_emulator.server import create_server
from google.cloud.storage import Client

from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from tests.exporters.catalogs import catalog

pytestmark = pytest.mark.real


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="shop")
    server.start()
    while server._api._httpd is None:
        server._api.is_running.wait()
    port = server._api._httpd.server_address[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    yield
    server.stop()


def held() -> dict[str, bytes]:
    client = Client(project="x")  # anonymous: STORAGE_EMULATOR_HOST is set
    blobs = list(client.list_blobs("shop", prefix="main/"))
    found = {blob.name.removeprefix("main/"): blob.download_as_bytes() for blob in blobs}
    client.close()
    return found


@pytest.mark.usefixtures("emulator")
async def test_publish_republish_shrink() -> None:
    """Everything arrives whole; a second publish writes nothing; stale shards go late."""
    exporter = GcsExporter("gs://shop/main", workers=2)
    artifacts = render_catalog(catalog(150))
    first = await exporter.publish(artifacts)
    assert first.written == len(artifacts)
    assert held() == {artifact.path: artifact.body for artifact in artifacts}
    assert (await exporter.publish(artifacts)).written == 0
    small = render_catalog(catalog(2))
    assert (await exporter.publish(small)).removed == 0
    assert (await exporter.publish(small)).removed == 4
    assert held() == {artifact.path: artifact.body for artifact in small}
    await exporter.close()
