"""One file of one project: what is not told is never taken for absent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import SourceError
from bridge.model.reads import ReadFile, ReadKind
from bridge.ports import Browsing
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.project import lfs_file, symlink
from bridge.sandbox.world import World
from bridge.scrapers import DirectoryScraper, GitLabOptions, GitLabScraper
from bridge.scrapers.directory import project_id
from bridge.scrapers.numbered import Numbered
from tests.scrapers.crawling import TOKEN, Time

PATH, TEXT = "qm.defaults.yaml", "version: 1\n"


class Seen:
    """A GitLab with one project, and whoever looks at it."""

    def __init__(self, sandbox: SandboxGitLab, world: World, url: str, time: Time) -> None:
        self.sandbox, self.world = sandbox, world
        options = GitLabOptions(max_retries=1, timeout=2.0, branches=(("old/*", "release"),))
        self.scraper = GitLabScraper(
            url, TOKEN, options=options, clock=time.clock, sleep=time.sleep
        )

    async def look(self, project: str, path: str = PATH) -> tuple[int, ReadFile]:
        return await self.scraper.look(project, path)

    async def fails(self, project: str, path: str = PATH) -> str:
        with pytest.raises(SourceError) as caught:
            await self.look(project, path)
        return str(caught.value)


@pytest.fixture
async def seen() -> AsyncIterator[Seen]:
    time = Time()
    world = World(time.moment)
    sandbox = SandboxGitLab(world, token=TOKEN)
    async with running(sandbox) as url:
        found = Seen(sandbox, world, url, time)
        try:
            yield found
        finally:
            await found.scraper.close()


@pytest.mark.real
async def test_a_file_comes_with_its_text_and_its_projects_id(seen: Seen) -> None:
    project = seen.world.add_project("platform/defaults", files={PATH: TEXT, "a/b.yaml": "x: 1\n"})
    number, file = await seen.look("Platform/Defaults")
    assert (number, file.kind, file.text) == (project.id, ReadKind.FILE, TEXT)
    assert (await seen.look("platform/defaults", "a/b.yaml"))[1].text == "x: 1\n"
    assert (await seen.look("platform/defaults", "b.yaml"))[1].kind is ReadKind.ABSENT
    assert (await seen.look("platform/defaults", "a"))[1].kind is ReadKind.FOLDER


@pytest.mark.real
async def test_it_is_read_from_the_branch_that_the_settings_name(seen: Seen) -> None:
    project = seen.world.add_project("old/defaults", files={PATH: TEXT})
    assert (await seen.look("old/defaults"))[1].kind is ReadKind.ABSENT
    seen.world.commit_to_branch(project.id, "release", PATH, "version: 1\ndefaults: {}\n")
    assert (await seen.look("old/defaults"))[1].text == "version: 1\ndefaults: {}\n"


@pytest.mark.real
async def test_what_cannot_be_used_as_text_says_so(seen: Seen) -> None:
    files: dict[str, Any] = {PATH: symlink("other"), "lfs": lfs_file(b"x" * 9), "bin": b"\0\1"}
    seen.world.add_project("platform/defaults", files=files)
    for path in files:
        _, file = await seen.look("platform/defaults", path)
        assert (file.kind, file.text, bool(file.refused)) == (ReadKind.FILE, None, True)


@pytest.mark.real
async def test_what_gitlab_does_not_show_is_not_absent(seen: Seen) -> None:
    seen.world.add_project("platform/hidden", files={PATH: TEXT}, repository="disabled")
    assert "no such project" in await seen.fails("platform/none")
    assert "no permission to read its code" in await seen.fails("platform/hidden")


@pytest.mark.real
@pytest.mark.parametrize("fault", list(Fault))
async def test_no_fault_of_gitlab_looks_like_a_file_that_is_not_there(
    seen: Seen, fault: Fault
) -> None:
    seen.world.add_project("platform/defaults", files={PATH: TEXT})
    seen.sandbox.use_faults(FaultPlan((FaultRule(fault, "graphql"),), partial_share=1.0))
    try:
        _, file = await seen.look("platform/defaults")
    except SourceError:
        return
    assert file.text == TEXT


@pytest.mark.real
async def test_a_further_gitlab_is_asked_by_its_own_ids(seen: Seen) -> None:
    project = seen.world.add_project("platform/defaults", files={PATH: TEXT})
    numbered = Numbered(seen.scraper, "lab")
    assert isinstance(numbered, Browsing)
    assert (await numbered.look("platform/defaults", PATH))[0] == project.id


async def test_a_folder_of_checkouts_is_asked_by_the_folders_path(tmp_path: Path) -> None:
    folder = tmp_path / "platform" / "defaults"
    folder.mkdir(parents=True)
    (folder / PATH).write_text(TEXT, "utf-8")
    scraper = DirectoryScraper(tmp_path)
    number, file = await scraper.look("platform/defaults", PATH)
    assert (number, file.text) == (project_id("platform/defaults"), TEXT)
    assert (await scraper.look("platform/defaults", "none"))[1].kind is ReadKind.ABSENT
    for strange in ("platform/none", "../platform", "/etc"):
        with pytest.raises(SourceError, match="no checkout"):
            await scraper.look(strange, PATH)
