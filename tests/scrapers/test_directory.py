"""A folder of checkouts as a source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigurationError, SourceError
from bridge.model.scrape import (
    GROUP_FILE,
    Coverage,
    Gap,
    ProjectGone,
    ProjectRead,
    Record,
    ScrapeEnd,
    ScrapeRequest,
)
from bridge.scrapers import DirectoryScraper, GitLabScraper, source
from bridge.scrapers.blobs import SIZE_LIMIT
from bridge.scrapers.directory import project_id, remote_of
from tests.laws import examples

WANTED = ("qm.yaml", "opslevel.yml", GROUP_FILE)


async def scraped(root: Path, only: tuple[int, ...] = ()) -> list[Record]:
    scraper = DirectoryScraper(root)
    return [record async for record in scraper.scrape(ScrapeRequest(WANTED, only=only))]


def reads(records: list[Record]) -> dict[str, ProjectRead]:
    return {r.project.path: r for r in records if isinstance(r, ProjectRead)}


def write(path: Path, content: str | bytes = "version: 1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


async def test_checkouts_are_found_by_git_or_by_a_wanted_file(tmp_path: Path) -> None:
    write(tmp_path / "shop" / "api" / "qm.yaml")
    write(tmp_path / "shop" / "bare" / ".git" / "HEAD", "ref: refs/heads/trunk\n")
    write(tmp_path / "notes" / "readme.md")
    records = await scraped(tmp_path)
    found = reads(records)
    assert sorted(found) == ["shop/api", "shop/bare"]
    assert [f.path for f in found["shop/api"].files] == ["qm.yaml"]
    assert found["shop/bare"].files == ()
    assert found["shop/bare"].project.default_branch == "trunk"
    assert records[-1] == ScrapeEnd(Coverage.FULL)


async def test_it_does_not_look_for_projects_inside_a_project(tmp_path: Path) -> None:
    write(tmp_path / "api" / "qm.yaml")
    write(tmp_path / "api" / "vendor" / "lib" / "qm.yaml")
    assert sorted(reads(await scraped(tmp_path))) == ["api"]


async def test_the_folder_itself_may_be_the_checkout(tmp_path: Path) -> None:
    write(tmp_path / "orders" / "qm.yaml")
    assert sorted(reads(await scraped(tmp_path / "orders"))) == ["orders"]


async def test_blob_ids_are_gits_own(tmp_path: Path) -> None:
    write(tmp_path / "api" / "qm.yaml", "a: 1\n")
    expected = "a8926a52d8dcba5c4386945476ab6a2ad008afd4"  # by `git hash-object`
    assert reads(await scraped(tmp_path))["api"].files[0].oid == expected


async def test_a_file_unfit_for_reading_is_refused_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path / "binary" / "qm.yaml", b"a\0b")
    write(tmp_path / "latin" / "qm.yaml", "name: Bücher".encode("latin-1"))
    write(tmp_path / "large" / "qm.yaml", b"#" * (SIZE_LIMIT + 1))
    write(tmp_path / "lfs" / "qm.yaml", "version https://git-lfs.github.com/spec/v1\noid x\n")
    write(tmp_path / "link" / ".git" / "HEAD", "")
    (tmp_path / "link" / "qm.yaml").symlink_to("/etc/hostname")
    found = reads(await scraped(tmp_path))
    assert {path: read.files[0].refused for path, read in found.items()} == {
        "binary": "binary",
        "latin": "not UTF-8 (at byte 7)",
        "large": "257 kB; the limit is 256 kB",
        "lfs": "an LFS pointer",
        "link": "a symbolic link",
    }
    assert all(read.files[0].text is None for read in found.values())


async def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside" / "api" / "qm.yaml")
    root = tmp_path / "root"
    write(root / "api" / "qm.yaml")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    assert sorted(reads(await scraped(root))) == ["api"]


async def test_what_lies_too_deep_is_a_gap_so_that_nothing_is_taken_for_gone(
    tmp_path: Path,
) -> None:
    write(tmp_path / "1/2/3/4/5/6/7/8/qm.yaml")
    records = await scraped(tmp_path)
    gap = records[0]
    assert isinstance(gap, Gap)
    assert gap.project_id is None
    assert "6 levels" in gap.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_a_gap(tmp_path: Path) -> None:
    write(tmp_path / "api" / "qm.yaml").chmod(0)
    (tmp_path / "closed").mkdir(mode=0)
    try:
        gaps = [r for r in await scraped(tmp_path) if isinstance(r, Gap)]
        assert [(g.path, g.project_id is None) for g in gaps] == [("api", False), ("closed", True)]
    finally:
        (tmp_path / "closed").chmod(0o700)


async def test_only_some_are_read_and_one_that_is_not_there_is_gone(tmp_path: Path) -> None:
    write(tmp_path / "a" / "qm.yaml")
    write(tmp_path / "b" / "qm.yaml")
    write(tmp_path / "c" / "qm.yaml")
    records = await scraped(tmp_path, only=(project_id("b"), 12))
    assert sorted(reads(records)) == ["b"]
    assert [r.project_id for r in records if isinstance(r, ProjectGone)] == [12]
    assert records[-1] == ScrapeEnd(Coverage.SELECTED)
    assert sorted(reads(await scraped(tmp_path, only=(project_id("b"),)))) == ["b"]


async def test_a_folder_that_is_not_there_is_an_error_that_says_what_to_give(
    tmp_path: Path,
) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        await scraped(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("url", "web", "path"),
    [
        ("https://gitlab.example.com/shop/api.git", "https://gitlab.example.com", "shop/api"),
        ("https://oauth2:glpat-s3@git.example.com/a/b/c", "https://git.example.com", "a/b/c"),
        ("git@gitlab.example.com:shop/api.git", "https://gitlab.example.com", "shop/api"),
        ("ssh://git@gitlab.example.com:2222/a/b.git", "https://gitlab.example.com", "a/b"),
    ],
)
def test_the_remote_names_the_project_without_its_secrets(url: str, web: str, path: str) -> None:
    config = f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {url}\n\tfetch = +refs\n'
    assert remote_of(config) == (f"{web}/{path}", path)


@pytest.mark.parametrize("url", ["../other", "/srv/git/x.git", "file:///x/y", "https://[x", ""])
def test_a_remote_that_is_no_gitlab_names_nothing(url: str) -> None:
    assert remote_of(f'[remote "origin"]\n\turl = {url}\n') == ("", "")


@settings(max_examples=examples(50), deadline=None)
@given(st.text(max_size=60))
def test_no_config_of_a_stranger_breaks_the_walk(config: str) -> None:
    web, path = remote_of('[remote "origin"]\n' + config)
    assert (web == "") == (path == "")


def test_a_source_is_a_url_or_a_folder(tmp_path: Path) -> None:
    folder, group = source(str(tmp_path)), source("https://gitlab.example.com/shop/core/", "t")
    assert isinstance(folder, DirectoryScraper)
    assert isinstance(group, GitLabScraper)
    assert group.name == "https://gitlab.example.com/shop/core"


@pytest.mark.parametrize(
    "text", ["", "nowhere/at-all", "ftp://x@y", "https://", "https://u:s3cret@h/g", "https://h:x/"]
)
def test_any_other_source_is_refused_without_repeating_secrets(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"https://gitlab\.example\.com|GITLAB_TOKEN") as e:
        source(text)
    assert "s3cret" not in str(e.value)


async def test_a_file_of_the_name_that_the_crawl_gives_a_groups_manifest_is_not_read(
    tmp_path: Path,
) -> None:
    write(tmp_path / "shop" / "qm.yaml")
    write(tmp_path / "shop" / GROUP_FILE, '{"group": {"path": "admins"}}')
    (read,) = reads(await scraped(tmp_path)).values()
    assert [file.path for file in read.files] == ["qm.yaml"]
