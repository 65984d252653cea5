"""Tests for authors of extensions: what a scraper, processor, exporter or collector must do.

The suites are classes to derive from; the functions below them do the same without pytest. Where
Fester is installed pytest has the fixtures of `bridge.testing.plugin`. `fester help extend` shows
a whole package.
"""

from bridge.testing.conformance import (
    Nonconformance,
    Read,
    collector_conforms,
    exporter_conforms,
    processor_conforms,
    scraper_conforms,
)
from bridge.testing.suites import CollectorSuite, ExporterSuite, ProcessorSuite, ScraperSuite

__all__ = [
    "CollectorSuite",
    "ExporterSuite",
    "Nonconformance",
    "ProcessorSuite",
    "Read",
    "ScraperSuite",
    "collector_conforms",
    "exporter_conforms",
    "processor_conforms",
    "scraper_conforms",
]
