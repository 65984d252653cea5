"""Further files of a checkout on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.model.reads import ReadKind
from bridge.model.scrape import ProjectRead, Record, ScrapeRequest
from bridge.passes.further import cut_short, further
from bridge.processors.mapping import load_mappings
from bridge.scrapers.directory import DirectoryScraper
from bridge.scrapers.disk_reads import look
from bridge.store import open_store

MANIFEST = """
version: 1
include: ['services/*/qm.yaml']
service:
  name: cart
  owner: {team: crew}
  apis: {provides: [{name: Cart, type: openapi, definition: api/opanapi.yaml}]}
  docs: [{kind: guide, path: docs/a.md}]
"""


async def scraped(folder: Path) -> list[Record]:
    mappings = load_mappings()
    store = await open_store(f"sqlite:///{folder}/s.db")
    more = further("x", store.model.reads, mappings, ())
    request = ScrapeRequest(mappings.files, further=more)
    found = [each async for each in DirectoryScraper(folder / "src").scrape(request)]
    await store.close()
    return found


def put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.store
async def test_a_checkout_is_read_like_a_project_of_gitlab(tmp_path: Path) -> None:
    shop = tmp_path / "src" / "shop"
    put(shop / "qm.yaml", MANIFEST)
    put(shop / "services/pay/qm.yaml", "version: 1\nservice: {name: pay, owner: {team: crew}}\n")
    put(shop / "api/openapi.yaml", "openapi: 3.1.0\n")
    put(shop / "docs/a.md", "# A")
    (shop / "services/linked").symlink_to(shop / "services/pay")
    read = (await scraped(tmp_path))[0]
    assert isinstance(read, ProjectRead)
    assert [file.path for file in read.files] == ["qm.yaml", "services/pay/qm.yaml"]
    assert read.reads is not None
    found = read.reads.files
    assert found["api/opanapi.yaml"].nearest == "api/openapi.yaml"
    assert found["docs"].kind is ReadKind.FOLDER
    assert (found["docs/a.md"].kind, found["docs/a.md"].text) == (ReadKind.FILE, None)
    assert found["mkdocs.yml"].kind is ReadKind.ABSENT
    assert found["services/pay/docs"].kind is ReadKind.ABSENT


def test_links_are_not_followed_and_long_files_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "real/a.yaml", "a: 1\n")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "real/a.yaml")
    put(tmp_path / "long.yaml", "#" * 2_000_000)
    assert look(tmp_path, "real/a.yaml").text == "a: 1\n"
    assert look(tmp_path, "link/a.yaml").kind is ReadKind.ABSENT
    assert look(tmp_path, "b.yaml").refused == "a symbolic link"
    assert look(tmp_path, "long.yaml").refused == "1.9 MB; the limit is 1.0 MB"


@pytest.mark.store
@pytest.mark.parametrize("pattern", ["**/qm.yaml", "../*/qm.yaml", "*/*/*/*/*/qm.yaml"])
async def test_a_pattern_that_would_cost_too_much_is_not_looked_for(
    tmp_path: Path, pattern: str
) -> None:
    put(tmp_path / "src/shop/qm.yaml", MANIFEST.replace("services/*/qm.yaml", pattern))
    put(tmp_path / "src/shop/a/b/c/d/e/qm.yaml", "version: 1\n")
    read = (await scraped(tmp_path))[0]
    assert isinstance(read, ProjectRead)
    assert [file.path for file in read.files] == ["qm.yaml"]


@pytest.mark.store
async def test_more_nested_manifests_than_are_read_are_told(tmp_path: Path) -> None:
    shop = tmp_path / "src" / "shop"
    put(shop / "qm.yaml", MANIFEST)
    for n in range(201):
        put(shop / f"services/s{n:03}/qm.yaml", "version: 1\n")
    read = (await scraped(tmp_path))[0]
    assert isinstance(read, ProjectRead)
    assert read.reads is not None
    assert len(read.reads.manifests) == 200
    assert read.reads.manifests_cut == "nested manifests: there are more than 200"
    assert [each.rule for each in cut_short(read)] == ["reads-cut"]


@pytest.mark.store
async def test_a_folder_of_too_many_entries_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.scrapers.disk_reads.ENTRIES_LIMIT", 1)
    shop = tmp_path / "src" / "shop"
    put(shop / "qm.yaml", MANIFEST)
    for name in ("cart", "pay"):
        put(shop / f"services/{name}/qm.yaml", "version: 1\n")
    read = (await scraped(tmp_path))[0]
    assert isinstance(read, ProjectRead)
    assert read.reads is not None
    assert read.reads.manifests_cut.endswith("only 1 entries of services were looked at")


@pytest.mark.store
async def test_likely_names_are_looked_for_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.scrapers.disk_reads.NAMED_LIMIT", 3)
    monkeypatch.setattr("bridge.scrapers.disk_reads.NEAREST_LIMIT", 2)
    monkeypatch.setattr("bridge.scrapers.disk_reads.LISTED_LIMIT", 1)
    shop = tmp_path / "src" / "shop"
    named = ["a/stert.md", "b/stert.md", "c/stert.md", "d/stert.md"]
    docs = ", ".join(f"{{kind: guide, path: {path}}}" for path in ["docs/a.md", *named])
    put(shop / "qm.yaml", MANIFEST.replace("{kind: guide, path: docs/a.md}", docs))
    for path in ("a/start.md", "b/a.md", "b/start.md", "c/start.md", "d/start.md", "docs/a.md"):
        put(shop / path, "#")
    read = (await scraped(tmp_path))[0]
    assert isinstance(read, ProjectRead)
    assert read.reads is not None
    found = {path: read.reads.files[path].nearest for path in named}
    # Of b one entry is looked at; c is the third folder, and d the fourth path.
    assert found == {**dict.fromkeys(named, ""), "a/stert.md": "a/start.md"}
