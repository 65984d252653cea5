"""Further files of a checkout, as they lie on the disk. Symbolic links are not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bridge.language.names import nearest
from bridge.language.paths import is_pattern, part_fits
from bridge.model.blob_ids import blob_id
from bridge.model.reads import ReadFile, ReadKind, Reads
from bridge.model.scrape import FurtherReads, ManifestFile, ProjectRead
from bridge.scrapers.blobs import READ_LIMIT, decode, refusal
from bridge.scrapers.bounds import (
    LISTED_LIMIT,
    MANIFESTS_LIMIT,
    NAMED_LIMIT,
    NEAREST_LIMIT,
    PATHS_LIMIT,
)

ENTRIES_LIMIT: Final = 10_000  # of one folder


def completed(root: Path, read: ProjectRead, further: FurtherReads | None) -> ProjectRead:
    """The record of a checkout in `root`, with its further files.

    Raises OSError for what is there and cannot be read.
    """
    key = further.key(read.project, read.files) if further is not None else ""
    if further is None or not key:
        return read
    found: dict[str, ReadFile] = {}
    wanted = further.wanted(read.project, read.files)
    roots = {file.path for file in read.files}
    paths = _expanded(root, wanted.manifests, found, manifests=True)
    manifests = [path for path in paths if further.is_manifest(path) and path not in roots]
    nested = _nested(root, manifests, found)
    if nested:
        wanted |= further.wanted(read.project, nested)
    fitting = _expanded(root, sorted(wanted.globs), found, manifests=False)
    for at, path in enumerate(sorted({*wanted.texts, *wanted.there, *fitting})):
        if at >= PATHS_LIMIT:
            reason = f"more than {PATHS_LIMIT} paths are wanted of one project"
            found.setdefault(path, ReadFile(path, ReadKind.FILE, refused=reason))
            continue
        text = path in wanted.texts or path in fitting
        found[path] = found.get(path) or look(root, path, text=text)
    found |= _with_nearest(root, [found[path] for path in sorted(wanted.named) if path in found])
    reads = Reads(found)
    files = tuple(replace(each, reads=reads) for each in (*read.files, *nested))
    return replace(read, files=files, reads=reads, reads_key=key)


def _nested(root: Path, manifests: Sequence[str], found: dict[str, ReadFile]) -> list[ManifestFile]:
    """The nested manifests at these paths, as far as they are files; they are added to `found`."""
    if len(manifests) > MANIFESTS_LIMIT:
        reason = f"there are more than {MANIFESTS_LIMIT}"
        found["nested manifests"] = _cut("nested manifests", reason, manifests=True)
    nested = []
    for path in manifests[:MANIFESTS_LIMIT]:
        file = look(root, path)
        if file.kind is ReadKind.FILE:
            found[path] = replace(file, manifest=True)
            nested.append(_as_manifest(file))
    return nested


def look(root: Path, path: str, *, text: bool = True) -> ReadFile:
    """What a checkout has at a path. Raises OSError when it cannot be read."""
    state = _state(root, path)
    if state is None:
        return ReadFile(path, ReadKind.ABSENT)
    if stat.S_ISDIR(state.st_mode):
        return ReadFile(path, ReadKind.FOLDER)
    refused = refusal(state.st_size, symlink=stat.S_ISLNK(state.st_mode), limit=READ_LIMIT)
    if refused or not text:
        return ReadFile(path, ReadKind.FILE, size=state.st_size, refused=refused)
    handle = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as stream:
        raw = stream.read(READ_LIMIT + 1)
    refused = refusal(len(raw), limit=READ_LIMIT)
    found, refused = (None, refused) if refused else decode(raw)
    return ReadFile(path, ReadKind.FILE, blob_id(raw), len(raw), found, refused)


def _state(root: Path, path: str) -> os.stat_result | None:
    """A file, a folder or a link; None for anything else, and behind a link to a folder."""
    place = root
    for part in path.split("/"):
        if place != root and place.is_symlink():
            return None
        place = place / part
    try:
        state = place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    kinds = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)
    return state if any(kind(state.st_mode) for kind in kinds) else None


def _as_manifest(file: ReadFile) -> ManifestFile:
    refused = file.refused or refusal(file.size)
    return ManifestFile(file.path, file.oid, file.size, None if refused else file.text, refused)


def _expanded(
    root: Path, patterns: Iterable[str], found: dict[str, ReadFile], *, manifests: bool
) -> list[str]:
    """The paths that patterns mean, each once; which were looked for is noted in `found`."""
    paths: dict[str, None] = {}
    for pattern in patterns:
        full: list[str] = []
        paths |= dict.fromkeys(_fitting(root, "", pattern.split("/"), full))
        before = found.get(pattern)
        if is_pattern(pattern) and (before is None or not before.refused):
            reason = f"only {ENTRIES_LIMIT} entries of {full[0]} were looked at" if full else ""
            found[pattern] = _cut(pattern, reason, manifests=manifests)
    return list(paths)


def _cut(pattern: str, reason: str, *, manifests: bool) -> ReadFile:
    """What is kept of a pattern, with why it may mean more than was looked at."""
    cut = bool(reason) and manifests
    return ReadFile(pattern, ReadKind.GLOB, refused=reason, manifest=cut)


def _fitting(root: Path, folder: str, parts: Sequence[str], full: list[str]) -> Iterator[str]:
    """The paths below a folder that fit; `full` takes the folders that hold too much."""
    if not parts:
        yield folder
        return
    head, rest = parts[0], parts[1:]
    names = _names(root, folder, folders=bool(rest)) if is_pattern(head) else [head]
    if len(names) > ENTRIES_LIMIT:
        full.append(folder or "the root")
        names = names[:ENTRIES_LIMIT]
    for name in names:
        if name == head or part_fits(name, head):
            yield from _fitting(root, f"{folder}/{name}" if folder else name, rest, full)


def _names(root: Path, folder: str, *, folders: bool) -> list[str]:
    """What lies in a folder of a checkout: its folders, or its files."""
    if folder and look(root, folder, text=False).kind is not ReadKind.FOLDER:
        return []
    with os.scandir(root / folder) as entries:
        found = [
            entry.name
            for entry in entries
            if entry.name != ".git" and entry.is_dir(follow_symlinks=False) == folders
        ]
    return sorted(found)


def _with_nearest(root: Path, named: Iterable[ReadFile]) -> dict[str, ReadFile]:
    """Those of the named paths that are not there, with what is spelt most like them."""
    absent = [file for file in named if file.kind is ReadKind.ABSENT][:NAMED_LIMIT]
    folders = sorted({file.path.rpartition("/")[0] for file in absent})[:NEAREST_LIMIT]
    there = {each: _names(root, each, folders=False)[:LISTED_LIMIT] for each in folders}
    found = {}
    for file in absent:
        folder, slash, _ = file.path.rpartition("/")
        names = [f"{folder}{slash}{name}" for name in there.get(folder, ())]
        found[file.path] = replace(file, nearest=next(iter(nearest(file.path, names)), ""))
    return found
