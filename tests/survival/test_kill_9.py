"""SIGKILL at every instant of a publish and of a save, and at many of a whole pass."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from itertools import count, pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.errors import PublishError
from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from bridge.model.memory import Memory
from bridge.store import open_store
from tests.exporters.catalogs import catalog
from tests.exporters.gcs_server import Bucket, Fault, serving
from tests.published import entities_of
from tests.store.saving import save
from tests.store.test_survival import known, outcome_of
from tests.survival.mortal import SOME, Mortal

pytestmark = pytest.mark.real

# Sizes of catalogs that follow each other: shards split, change, merge, and go a publish later.
SIZES = (90, 250, 251, 90, 90)
POINTS = ["entities/", "index", "/catalog.json", "DELETE.*entities", "lease"]
URL, PREFIX = "gs://shop/catalogs/main", "catalogs/main/"


def rendered(size: int) -> dict[str, bytes]:
    return {artifact.path: artifact.body for artifact in render_catalog(catalog(size))}


def agree(found: Mapping[str, bytes], *sizes: int) -> None:
    """The index names only what is there, and every file is whole: of one of these catalogs."""
    wholes = [rendered(size) for size in sizes]
    named_is_there(found)
    for path, body in found.items():
        assert any(whole.get(path) == body for whole in wholes), f"{path} is of no catalog"


def named_is_there(found: Mapping[str, bytes]) -> None:
    """The index names only what is there."""
    for path in re.findall(r"entities/\w+\.yaml", found["index.yaml"].decode()):
        assert path in found, f"the index names {path}, which is not there"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".fester-")
    }


@pytest.mark.parametrize(("old", "new"), sorted(set(pairwise(SIZES))))
def test_a_folder_at_every_instant_of_a_publish(
    tmp_path: Path, worker: Mortal, old: int, new: int
) -> None:
    start, folder = tmp_path / "start", tmp_path / "out"
    worker.does("publish_to_folder", folder=str(start), count=250)
    worker.does("publish_to_folder", folder=str(start), count=old)
    for instant in count(1):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)
        died = worker.does("publish_to_folder", dies_at=instant, folder=str(folder), count=new)
        agree(files(folder), 250, old, new)
        worker.does("publish_to_folder", folder=str(folder), count=new)
        worker.does("publish_to_folder", folder=str(folder), count=new)
        assert files(folder) == rendered(new)
        assert not list(folder.rglob(".fester-tmp-*"))
        if not died:
            break
    assert instant > 10


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with serving(Bucket(page_size=100)) as served:
        yield served


def settled(bucket: Bucket) -> dict[str, bytes]:
    """What lies in the bucket, without a claim that a dead publisher left."""
    return {path: body for path, body in bucket.read(PREFIX).items() if path != ".fester-lease"}


@pytest.mark.parametrize(("old", "new"), sorted(set(pairwise(SIZES))))
def test_a_bucket_at_many_instants_of_a_publish(
    bucket: Bucket, worker: Mortal, old: int, new: int
) -> None:
    """What was sent before the death may still be done after it, as with Google."""
    where: dict[str, Any] = {"url": URL, "host": bucket.host}
    bucket.objects.clear()
    worker.does("publish_to_bucket", **where, count=250)
    worker.does("publish_to_bucket", **where, count=old)
    start = dict(bucket.objects)
    missing: list[str] = []

    def look() -> None:
        index = bucket.objects[f"{PREFIX}index.yaml"].body.decode()
        named = re.findall(r"entities/\w+\.yaml", index)
        missing.extend(path for path in named if f"{PREFIX}{path}" not in bucket.objects)

    deaths = 0
    for instant in range(1, 200, 3):
        with bucket.lock:
            bucket.objects = dict(start)
            bucket.after_change = look
        died = worker.does("publish_to_bucket", dies_at=instant, **where, count=new)
        deaths += died
        agree(settled(bucket), 250, old, new)
        worker.does("publish_to_bucket", **where, count=new)
        worker.does("publish_to_bucket", **where, count=new)
        assert settled(bucket) == rendered(new)
        bucket.after_change = lambda: None
        if not died:
            break
    assert missing == []
    assert deaths > 3


@pytest.mark.parametrize("point", POINTS)
async def test_a_bucket_that_vanishes_in_mid_publish(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The publish fails and says so; once the bucket is back, the next one mends everything."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket.host)
    exporter = GcsExporter(URL, patience=0.5, lease_seconds=0.0, workers=4)
    bucket.objects.clear()
    for size in (250, 90):  # the shards of the larger one lie there still
        await exporter.publish(render_catalog(catalog(size)))
    bucket.faults = [Fault(f"(POST|DELETE).*{point}", 404, times=10**6)]
    new = 260
    if point == "DELETE.*entities":
        new = 91
        await exporter.publish(render_catalog(catalog(new)))  # what was to go is gone: a success
    else:
        with pytest.raises(PublishError, match="the bucket shop does not exist"):
            await exporter.publish(render_catalog(catalog(new)))
    agree(settled(bucket), 250, 90, new)
    bucket.faults = []
    for _ in range(2):
        await exporter.publish(render_catalog(catalog(new)))
    assert settled(bucket) == rendered(new)
    await exporter.close()


async def test_a_store_at_every_statement_of_a_save(url: str, worker: Mortal) -> None:
    """What is known is the old or the new, never a mixture; the report comes last."""
    store = await open_store(url)

    async def look(source: str) -> str:
        memory, record = await store.load(source), await store.latest(source)
        assert record is not None
        generation = memory.projects[0].project.description
        assert memory.projects == known(SOME, generation).projects
        assert memory.manifests == known(SOME, generation).manifests
        assert generation == "g2" or record.report.failure == "g1"
        return record.report.failure

    for instant in count(1):
        source = f"source {instant}"
        await save(store, source, Memory(), known(SOME), outcome_of("g1"))
        died = worker.does("save", dies_at=instant, url=url, source=source)
        found = await look(source)
        if not died:
            assert found == "g2"
            break
        worker.does("save", url=url, source=source)  # the next one goes on from there
        assert await look(source) == "g2"
    assert instant > 5
    await store.close()


def test_a_whole_pass_at_random_instants(tmp_path: Path, worker: Mortal) -> None:
    """After each death the next pass makes everything as it should be."""
    dice = Random(4)
    services: dict[str, int] = {f"s{n}": 0 for n in range(30)}
    deaths = 0
    for turn in range(20):
        for name in dice.sample(sorted(services), 3):
            services[name] += 1
        services.pop(dice.choice(sorted(services)))
        services[f"new{turn}"] = 0
        checkouts(tmp_path / "src", services)
        deaths += worker.does("run", dies_at=dice.randint(1, 90), folder=str(tmp_path))
        if (tmp_path / "out" / "index.yaml").exists():
            named_is_there(files(tmp_path / "out"))
        if turn % 2:
            continue  # another death on top
        worker.does("run", folder=str(tmp_path))
        assert catalogued(tmp_path / "out") == services
    assert deaths > 5


def checkouts(folder: Path, services: Mapping[str, int]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name, revision in services.items():
        (folder / name).mkdir(parents=True)
        described = f"{{name: {name}, owner: {{team: t}}, description: r{revision}}}"
        text = f"version: 1\nservice: {described}\n"
        (folder / name / "qm.yaml").write_text(text)


def catalogued(folder: Path) -> dict[str, int]:
    """The services that the published files hold, by their revisions; all files must agree."""
    found = files(folder)
    entities = entities_of(found)
    services = {
        entry["entity"]["metadata"]["name"]: int(entry["entity"]["metadata"]["description"][1:])
        for entry in entities
        if entry["ref"].startswith("component:")
    }
    index = found["index.yaml"].decode()
    shards = b"".join(found[path] for path in re.findall(r"entities/\w+\.yaml", index)).decode()
    for name, revision in services.items():
        assert f"\n  name: {name}\n" in shards
        assert f"description: r{revision}\n" in shards
    return services
