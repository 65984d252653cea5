"""Patterns of paths, `services/*/qm.yaml`: each part stands for one level of folders."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from posixpath import normpath
from typing import Final

WILD_PARTS: Final = 4  # parts with a * or ?: each one is another round of questions
_LONGEST: Final = 1_024
_UNFIT: Final = re.compile(r"[\x00-\x1f\\]")


def is_pattern(text: str) -> bool:
    """Whether a path has a part that stands for several."""
    return "*" in text or "?" in text


def usable(pattern: str) -> bool:
    """Whether a pattern can be looked for at a bounded cost: `**` cannot."""
    parts = pattern.split("/")
    wild = sum(map(is_pattern, parts))
    return 0 < wild <= WILD_PARTS and "**" not in parts and within("", pattern) == pattern


def fits(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern means; `*` never stands for a `/`."""
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(part_fits, parts, wanted))


def part_fits(name: str, part: str) -> bool:
    """Whether a name is one that a part of a pattern means; only * and ? have a meaning."""
    return fnmatchcase(name, part.replace("[", "[[]"))


def within(folder: str, path: str) -> str | None:
    """A path that is written in a folder, from the repository's root; None when it leads out of
    the repository, or cannot be a path in one.
    """
    if not path or len(path) > _LONGEST or path.startswith("/") or "://" in path:
        return None
    if _UNFIT.search(path):
        return None
    found = normpath(f"{folder}/{path}" if folder else path)
    return None if found in {".", ".."} or found.startswith("../") else found
