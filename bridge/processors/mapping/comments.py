"""Values that are comments to YAML: `channel: #x` has none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.language.text import Position, YamlDocument
from bridge.language.text_faults import shown
from bridge.language.text_positions import Path
from bridge.model.entities import Json

# A `#` right before a word is hardly meant as a comment.
_COMMENT: Final = re.compile(r":[ \t]+(#[^\s#]\S*)")


def commented(text: str, document: YamlDocument) -> Iterator[tuple[str, Position]]:
    """What to say of each key of a document whose value is a comment, and where in its text."""
    if not _COMMENT.search(text):
        return
    lines = text.splitlines()
    for path in _nulls(document.tree, ()):
        at = document.positions.key(path)
        line = lines[at.line - 1] if at.line <= len(lines) else ""
        comment = _COMMENT.search(line, at.column - 1)
        if comment:
            message = (
                f"`{path[-1]}` has no value here: `{shown(comment[1])[1:-1]}` is a comment to "
                "YAML. Put text that begins with # in quotes"
            )
            yield message, Position(at.line, comment.start(1) + 1)


def _nulls(tree: Json, path: Path) -> Iterator[Path]:
    """The paths of the keys that have no value."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if value is None:
                yield (*path, key)
            else:
                yield from _nulls(value, (*path, key))
    elif isinstance(tree, list):
        for at, item in enumerate(tree):
            yield from _nulls(item, (*path, at))
