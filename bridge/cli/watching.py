"""`fester mappings watch`: what a change of a mapping does, as one edits it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from bridge.cli.offline import project_of, read_manifest
from bridge.errors import ConfigurationError
from bridge.exporters.yaml_text import document
from bridge.processors.mapping import Mappings, load_mappings, run_examples
from bridge.processors.rules import neutralise

_MOST_LINES = 200  # of one difference


class Watch:
    """Loads the mappings again at each look, and says what differs from the look before.

    `manifests` are files whose entities are compared. A broken mapping is told, and what was good
    before stays what the next look is compared with.
    """

    def __init__(self, folder: Path, manifests: Sequence[Path]) -> None:
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
        made = {str(path): _made(loaded, path) for path in self._manifests}
        for name, text in made.items():
            yield from _difference(name, self._made.get(name, ""), text)
        self._made = made
        passed = sum(result.ok for result in results)
        yield f"{passed} examples pass, {len(results) - passed} fail"


def _made(mappings: Mappings, path: Path) -> str:
    """What a manifest becomes, as text; its problems first."""
    translation = mappings.translate(project_of(path), read_manifest(path, path.name))
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
