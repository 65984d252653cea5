"""A suite an extension point: derive from it, say how yours is made, and pytest runs the rest.

class TestMoon(ScraperSuite):
    entry_point = "moon"
    projects = ("moon/base",)

    def make(self) -> Scraper:
        return MoonScraper()
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

from bridge.model.facts import Subject
from bridge.model.manifests import TranslatedManifest
from bridge.ports import Exporter, FactCollector, Processor, Scraper
from bridge.testing.conformance import (
    collector_conforms,
    exporter_conforms,
    processor_conforms,
    scraper_conforms,
)


class _Suite:
    """What all suites have: the name by which Fester finds the extension."""

    group: ClassVar[str]
    entry_point: ClassVar[str]  # the name in your package's metadata

    def test_fester_finds_it(self) -> None:
        """The package is installed with its entry point, and what that names can be called."""
        found = entry_points(group=self.group, name=self.entry_point)
        names = sorted(each.name for each in entry_points(group=self.group))
        assert found, (
            f"no installed package has {self.entry_point!r} in {self.group!r} (there: {names}); "
            "install yours (`pip install -e .`) after each change of its entry points"
        )
        assert len(found) == 1, f"several packages have {self.entry_point!r}: give yours a new name"
        (entry,) = found
        assert callable(entry.load()), f"{entry.value} is no factory: it cannot be called"


class ScraperSuite(_Suite, ABC):
    """For a `Scraper`. `projects` are the paths of all projects that `make`'s source holds."""

    group = "fester.scrapers"
    files: ClassVar[Sequence[str]] = ("qm.yaml",)
    projects: ClassVar[Sequence[str]]

    @abstractmethod
    def make(self) -> Scraper:
        """A scraper of a source that has `projects`."""

    def test_it_conforms(self) -> None:
        """Every project is accounted for, once; files are those that were asked for."""
        asyncio.run(scraper_conforms(self.make(), self.files, projects=self.projects))


class ProcessorSuite(_Suite, ABC):
    """For a `Processor`, tried on the plugin's sample manifests."""

    group = "fester.processors"

    @abstractmethod
    def make(self) -> Processor:
        """A new processor."""

    def test_it_conforms(self, fester_manifests: Sequence[TranslatedManifest]) -> None:
        """The same manifests in any order give the same bytes; paths are plain."""
        processor_conforms(self.make, fester_manifests)


class ExporterSuite(_Suite, ABC):
    """For an `Exporter`. Each test has a folder of its own to publish to or to keep notes in."""

    group = "fester.exporters"

    @abstractmethod
    def make(self, folder: Path) -> Exporter:
        """A new exporter to the same destination for the same folder."""

    @abstractmethod
    async def read(self, folder: Path) -> Mapping[str, bytes]:
        """What that destination holds now, by path."""

    def test_it_conforms(self, tmp_path: Path) -> None:
        """Writes what changed, keeps what did not, removes late, and nothing in a dry run."""
        asyncio.run(
            exporter_conforms(lambda: self.make(tmp_path), read=lambda: self.read(tmp_path))
        )


class CollectorSuite(_Suite, ABC):
    """For a `FactCollector`, tried on the plugin's sample components."""

    group = "fester.collectors"

    @abstractmethod
    def make(self) -> FactCollector:
        """A new collector."""

    def test_it_conforms(self, fester_subjects: Sequence[Subject]) -> None:
        """Readings hold every fact of the schema; what could not be read says why."""
        asyncio.run(collector_conforms(self.make(), fester_subjects))
