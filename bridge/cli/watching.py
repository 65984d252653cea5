"""`fester mappings watch`: what a change of a mapping does, as one edits it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bridge.cli.offline import project_of, read_manifest
from bridge.errors import ConfigurationError
from bridge.exporters.yaml_text import document
from bridge.model.memory import KnownManifest
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import Mappings, load_mappings, run_examples
from bridge.processors.placeholders import neutralise
from bridge.store import open_store

_MOST_LINES = 200  # of one difference
_MOST_SHOWN = 20  # differences of one look


@dataclass(frozen=True, slots=True)
class WatchedFile:
    """A manifest whose entities are compared."""

    name: str
    project: Project
    file: ManifestFile


class Watch:
    """Loads the mappings again at each look, and says what differs from the look before.

    `manifests` are those whose entities are compared. A broken mapping is told, and what was good
    before stays what the next look is compared with.
    """

    def __init__(self, folder: Path, manifests: Sequence[WatchedFile]) -> None:
        self._folder = folder
        self._manifests = manifests
        self._made: Mapping[str, str] = {}

    def look(self) -> Iterator[str]:
        """The lines to show now."""
        try:
            loaded = load_mappings(self._folder)
        except ConfigurationError as error:
            yield from (str(problem) for problem in error.problems)
            return
        yield from (str(note) for note in loaded.notes)
        results = run_examples(loaded)
        for result in results:
            if not result.ok:
                yield f"FAIL {result.place} {result.title}"
                yield from result.difference.splitlines()
        made = {case.name: _made(loaded, case) for case in self._manifests}
        differing = [name for name, text in made.items() if text != self._made.get(name, "")]
        for name in differing[:_MOST_SHOWN]:
            yield from _difference(name, self._made.get(name, ""), made[name])
        if self._made and made:
            yield f"{len(differing)} of {len(made)} manifests become something else"
        self._made = made
        passed = sum(result.ok for result in results)
        yield f"{passed} examples pass, {len(results) - passed} fail"


def on_disk(path: Path) -> WatchedFile:
    """A manifest on this machine."""
    return WatchedFile(str(path), project_of(path), read_manifest(path, path.name))


async def last_crawl(store_url: str) -> list[WatchedFile]:
    """Every manifest that the last pass of each source knew, as far as it could be read."""
    store = await open_store(store_url)
    try:
        memories = [await store.load(source) for source in await store.sources()]
    finally:
        await store.close()
    return [
        WatchedFile(f"{project.path} {known.file}", project, _again(known))
        for memory in memories
        for _, known in sorted(memory.manifests.items())
        if known.current.documents and (project := memory.projects[known.project_id].project)
    ]


def _again(known: KnownManifest) -> ManifestFile:
    """A manifest from its parsed documents: JSON is YAML, though its lines are lost."""
    documents = [each for each in known.current.documents if each is not None]
    text = "\n---\n".join(json.dumps(each, ensure_ascii=False) for each in documents)
    return ManifestFile(known.file, known.oid, len(text), text)


def _made(mappings: Mappings, case: WatchedFile) -> str:
    """What a manifest becomes, as text; its problems first."""
    translation = mappings.translate(case.project, case.file)
    said = [f"# {problem}\n" for problem in translation.problems]
    if translation.reason:
        said.append(f"# ignored: {translation.reason}\n")
    return "".join(said) + "---\n".join(
        document(neutralise(draft.body)) for draft in translation.drafts
    )


def _difference(name: str, before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"{name}: before", f"{name}: now", lineterm=""
    )
    shown = list(islice(lines, _MOST_LINES))
    return [*shown, "…"] if len(shown) == _MOST_LINES else shown
