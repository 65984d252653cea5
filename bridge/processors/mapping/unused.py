"""Mapping files that are never used: another one takes theirs, or nobody looks where they lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path as FilePath
from typing import Final

from bridge.model.problems import Problem, Severity
from bridge.processors.mapping.mapping_file import Mapping

_HEAD: Final = re.compile(r"^mapping:\s*\S", re.MULTILINE)
_MOST_SUBFOLDERS: Final = 100


def rivals(mappings: Sequence[Mapping]) -> Iterator[Problem]:
    """Mappings that want a file which another one always takes before them."""
    for at, mapping in enumerate(mappings):
        for other in mappings[:at]:
            shared = [name for name in mapping.files if name in other.files]
            if shared and (other.when is None or other.condition == mapping.condition):
                message = (
                    f"{other.path.name} takes every {shared[0]} before this mapping sees it, and "
                    "nothing tells the two apart: give each a `when: ${{ … }}`"
                )
                yield Problem(message, "mapping-unused", file=str(mapping.path), line=1, column=1)


def in_subfolders(folder: FilePath) -> Iterator[Problem]:
    """Mapping files in a folder below, where nobody looks."""
    below = sorted(each for each in folder.iterdir() if each.is_dir())[:_MOST_SUBFOLDERS]
    for each in below:
        for path in sorted([*each.glob("*.yaml"), *each.glob("*.yml")]):
            if _HEAD.search(_beginning(path)):
                message = f"this mapping is not read: move it up, into {folder}"
                yield Problem(
                    message, "mapping-unused", Severity.WARNING, file=str(path), line=1, column=1
                )


def _beginning(path: FilePath) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(4_096)
    except OSError:
        return ""
