"""Packages of other people add scrapers, processors and exporters without touching ours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.organization import sample_organization
from bridge.scrapers import DirectoryScraper, GitLabScraper
from bridge.testing import Nonconformance, scraper_conforms
from tests.fakes import ListScraper, project, read

FILES = ("qm.yaml", "opslevel.yml", "service.datadog.yaml")

EXTENSION = """
from bridge.model.runs import Artifact, Processed, Receipt
from bridge.model.scrape import Coverage, ManifestFile, Project, ProjectRead, ScrapeEnd

TEXT = "version: 1\\nservice: {name: Far away, owner: {team: moon}}\\n"


class MoonScraper:
    name = "moon://base"

    async def scrape(self, request):
        file = ManifestFile("qm.yaml", "0" * 40, len(TEXT), TEXT)
        yield ProjectRead(Project(1, "moon/base"), (file,))
        yield ScrapeEnd(Coverage.FULL)

    async def close(self):
        pass


class Names:
    name = "names"

    def process(self, manifests):
        names = "\\n".join(m.project.path for m in manifests.manifests)
        return Processed((Artifact("names.txt", names.encode(), "text/plain"),))


class Printer:
    name = "print://here"

    async def publish(self, artifacts, *, dry_run=False, fence=None):
        print("PRINTED", *sorted(a.path for a in artifacts))
        return Receipt(self.name, len(artifacts), 0, 0)

    async def close(self):
        pass


def scraper(source):
    return MoonScraper() if source.startswith("moon://") else None


def exporter(destination):
    return Printer() if destination.startswith("print://") else None
"""

ENTRY_POINTS = """\
[fester.scrapers]
moon = moon_extension:scraper
[fester.processors]
names = moon_extension:Names
[fester.exporters]
printer = moon_extension:exporter
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as pip leaves it: a module, and metadata with entry points."""
    site = tmp_path / "site"
    metadata = site / "moon_extension-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "moon_extension.py").write_text(EXTENSION)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: moon-extension\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    return metadata


@pytest.mark.store
@pytest.mark.usefixtures("installed")
def test_an_installed_package_adds_all_three() -> None:
    arguments = ["run", "--from", "moon://base", "--to", "print://here"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    printed = "catalog.json entities/all.yaml index.yaml names.txt provenance/all.json services.csv"
    assert f"PRINTED {printed}" in result.output
    assert "1 Component" in result.output


@pytest.mark.store
def test_a_broken_package_is_named(installed: Path) -> None:
    (installed / "entry_points.txt").write_text("[fester.processors]\nx = moon_extension:Missing\n")
    arguments = ["run", "--from", ".", "--to", "out"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 2
    assert "moon_extension:Missing" in result.output


@pytest.mark.real
async def test_the_gitlab_scraper_conforms() -> None:
    """Every project of the sample is accounted for; archived ones are not asked for."""
    world = sample_organization(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    wanted = [found.path for found in world if not world.is_archived(found) and not found.hidden]
    async with running(SandboxGitLab(world, token="sandbox-token")) as url:
        await scraper_conforms(GitLabScraper(url, "sandbox-token"), FILES, projects=wanted)


async def test_the_directory_scraper_conforms(tmp_path: Path) -> None:
    for name in ("a", "b/c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "qm.yaml").write_text("version: 1\n")
    await scraper_conforms(DirectoryScraper(str(tmp_path)), FILES, projects=["a", "b/c"])


async def test_the_suite_catches_a_scraper_that_loses_a_project() -> None:
    scraper = ListScraper([read(1, "x")])
    with pytest.raises(Nonconformance, match="group/p2"):
        await scraper_conforms(scraper, ["qm.yaml"], projects=[project(1).path, project(2).path])


async def test_the_suite_catches_a_scraper_that_yields_a_project_twice() -> None:
    with pytest.raises(Nonconformance, match="once"):
        await scraper_conforms(ListScraper([read(1, "x"), read(1, "x")]), ["qm.yaml"], projects=[])
