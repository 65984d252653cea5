"""Manifests a second of a core, through parse → map → validate → render.

    python -m tests.benchmarks.manifests [--count 2000]

Beside it, in the same run: a bare `ruamel.yaml` safe load of the same texts, and a second pass
over the same blobs, which must translate nothing.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import process_time

from ruamel.yaml import YAML

from bridge.exporters.render import render_catalog
from bridge.model.memory import Memory
from bridge.model.scrape import Coverage, ManifestFile, Project, ProjectRead, ScrapeEnd
from bridge.passes.reconcile import Reconciliation, translated_manifests
from bridge.processors.backstage import BackstageProcessor
from bridge.sandbox.organization import generate
from bridge.wiring.mappings import mappings_and_rules
from tests.whole import processed


def texts(count: int) -> list[str]:
    """The qm.yaml files of a generated organization."""
    world = generate(count * 2, seed=7, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    found = [
        project.files["qm.yaml"].content.decode()
        for project in world.projects
        if "qm.yaml" in project.files
    ]
    return found[:count]


def timed(label: str, count: int, work: Callable[[], object]) -> float:
    begun = process_time()
    work()
    took = process_time() - begun
    sys.stdout.write(f"{label:<44} {took:7.2f} s  {count / took:9.0f} manifests/s\n")
    return took


def main() -> None:
    """Print the figures and their ratios."""
    gc.set_threshold(20_000, 20, 20)  # as it is where passes run
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    manifests = texts(parser.parse_args().count)
    count = len(manifests)
    lines = sum(text.count("\n") for text in manifests) / count
    sys.stdout.write(f"{count} manifests of {lines:.0f} lines on average\n")
    mappings, rules = mappings_and_rules(None)
    reads = [
        ProjectRead(
            Project(i, f"group/p{i}", f"https://gitlab.test/group/p{i}", "main"),
            (ManifestFile("qm.yaml", f"{i:040x}", len(text), text),),
        )
        for i, text in enumerate(manifests, 1)
    ]
    memory = Memory()
    translated = 0

    def scrape() -> None:
        nonlocal memory, translated
        recollection = Reconciliation(memory, mappings, datetime(2026, 1, 1, tzinfo=UTC))
        for record in reads:
            recollection.take(record)
        recollection.take(ScrapeEnd(Coverage.FULL))
        memory = recollection.finish()
        translated = recollection.translated

    def publish() -> None:
        catalog, _ = processed(translated_manifests(memory), BackstageProcessor(rules))
        render_catalog(catalog)

    bare = timed(
        "bare ruamel.yaml safe load",
        count,
        lambda: [YAML(typ="safe").load(text) for text in manifests],
    )
    mapped = timed("parse → map → validate each manifest", count, scrape)
    made = timed("aggregate → validate → render the catalog", count, publish)
    whole = mapped + made
    sys.stdout.write(f"{'all of it':<44} {whole:7.2f} s  {count / whole:9.0f} manifests/s\n")
    sys.stdout.write(f"ratio to the bare load: {whole / bare:.2f}\n")
    timed("the same blobs again", count, scrape)
    sys.stdout.write(f"translated the second time: {translated}\n")


if __name__ == "__main__":
    main()
