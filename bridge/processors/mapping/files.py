"""`files` in expressions: what was read of a repository besides the manifest, and `reads`."""

from __future__ import annotations

from posixpath import relpath
from typing import Final

from bridge.language.paths import fits, is_pattern, usable, within
from bridge.model.entities import Json
from bridge.model.reads import ReadFile, ReadKind, Reads, Wanted
from bridge.processors.mapping.templates import Constant, Element, MapNode

NESTED_LIMIT: Final = 20  # patterns that one manifest may name


class Files(dict[str, Json]):
    """What `files[path]` gives: looked up by the path as it is written in the manifest's folder."""

    __slots__ = ("_folder", "_reads")

    def __init__(self, reads: Reads, folder: str) -> None:
        super().__init__()
        self._reads = reads
        self._folder = folder

    def get(self, key: str, default: Json = None) -> Json:
        """What was found at a path or for a pattern; null when it was not looked for."""
        path = within(self._folder, key)
        if path is None or not self._reads.files:
            return default
        if is_pattern(path):
            return self._fitting(path)
        found = self._reads.files.get(path)
        return default if found is None else told(found, self._folder)

    def _fitting(self, pattern: str) -> Json:
        files = self._reads.files
        looked = files.get(pattern)
        if looked is None:
            return None
        found = [
            told(files[path], self._folder)
            for path in sorted(files)
            if _is_file(files[path], pattern)
        ]
        return {"exists": bool(found), "found": found, "refused": looked.refused or None}


def _is_file(file: ReadFile, pattern: str) -> bool:
    return file.kind is ReadKind.FILE and fits(file.path, pattern)


def told(file: ReadFile, folder: str) -> dict[str, Json]:
    """A file as expressions see it; what is nearest as a manifest in this folder would name it."""
    return {
        "path": file.path,
        "exists": file.kind in (ReadKind.FILE, ReadKind.FOLDER),
        "folder": file.kind is ReadKind.FOLDER,
        "oid": file.oid or None,
        "size": file.size,
        "text": file.text,
        "refused": file.refused or None,
        "nearest": relpath(file.nearest, folder or ".") if file.nearest else None,
    }


def wish(item: Json, element: Element, folder: str) -> Wanted:
    """What one item of `reads` asks for; nothing for a path that leads out of the repository."""
    text = item.get("text", True) is not False
    if isinstance(pattern := item.get("glob"), str):
        path = within(folder, pattern)
        return Wanted(globs=frozenset({path})) if path and usable(path) else Wanted()
    given = item.get("path")
    path = within(folder, given) if isinstance(given, str) else None
    if path is None or is_pattern(path):
        return Wanted()
    paths = frozenset({path})
    named = frozenset() if written_path(element) is not None else paths
    return Wanted(texts=paths, named=named) if text else Wanted(there=paths, named=named)


def written_path(element: Element) -> str | None:
    """The path that the mapping itself writes out; None where a manifest names it."""
    entries = dict(element.body.entries) if isinstance(element.body, MapNode) else {}
    path = entries.get("path")
    return path.value if isinstance(path, Constant) and isinstance(path.value, str) else None
