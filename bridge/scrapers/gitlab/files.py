"""What GitLab tells of one path of a repository: a file, something else, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.model.reads import ReadFile, ReadKind
from bridge.model.scrape import ManifestFile
from bridge.scrapers.blobs import READ_LIMIT, SIZE_LIMIT, refusal, refusal_of_text

_FILE, _SYMLINK = "100", "120000"  # how the modes of a file begin, and that of a link
_FOLDER = "40000"  # git itself writes it without a leading zero, and some releases with one
_BOM = "\ufeff".encode()
_A_PART = "it tells only a part of a file"
NOT_UTF_8 = "not UTF-8, of which GitLab gives only a guess"


class Unclear(Exception):
    """A part of the answer is not as it should be."""


def is_file(mode: Any) -> bool:
    """Whether a node of this mode is a file or a link: directories and submodules are neither."""
    return isinstance(mode, str) and (mode == _SYMLINK or mode.startswith(_FILE))


def wanted_file(repository: Mapping[str, Any], key: str, name: str) -> ManifestFile | None:
    """The wanted file; None when GitLab says, by an empty list, that it is not there.

    A directory or a submodule of that name is no file. Raises `Unclear`.
    """
    connection = repository.get(key)
    nodes = connection.get("nodes") if isinstance(connection, dict) else None
    if not isinstance(nodes, list):
        raise Unclear(f"it tells nothing of {name}")
    if not nodes:
        return None
    blob = nodes[0]
    mode = blob.get("mode") if isinstance(blob, dict) else None
    if not isinstance(mode, str):
        raise Unclear(f"{name} has no mode")
    if not is_file(mode):
        return None
    try:
        oid, size = blob["oid"], int(blob["size"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unclear(f"it tells only a part of {name}") from None
    if not isinstance(oid, str) or not oid:
        raise Unclear(f"{name} has no blob id")
    refused = refusal(size, symlink=mode == _SYMLINK, lfs=bool(blob.get("lfsOid")))
    text = None if refused else blob.get("rawTextBlob")
    if not refused:
        if "rawTextBlob" not in blob:
            raise Unclear(f"the text of {name} was not asked for")
        refused = _refusal_of_answer(text, size)
    return ManifestFile(name, oid, size, None if refused else text, refused)


def found_at(blob: Any) -> ReadFile:
    """What a node of a list of blobs tells of its path; with its text if that was asked for.

    Raises `Unclear`.
    """
    found = kind_at(blob)
    if found.kind is not ReadKind.FILE:
        return found
    try:
        size = int(blob["size"] or 0)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unclear(_A_PART) from None
    lfs = bool(blob.get("lfsOid"))
    refused = found.refused or refusal(size, lfs=lfs, limit=READ_LIMIT)
    text = None
    if not refused and "rawTextBlob" in blob:
        refused = _refusal_of_answer(blob["rawTextBlob"], size, READ_LIMIT)
        text = None if refused else blob["rawTextBlob"]
    return replace(found, size=size, text=text, refused=refused)


def kind_at(blob: Any) -> ReadFile:
    """What a node of a list of blobs tells of its path, but for how long a file is.

    Raises `Unclear`.
    """
    told = blob if isinstance(blob, dict) else {}
    path, mode, oid = told.get("path"), told.get("mode"), told.get("oid")
    if not (isinstance(path, str) and isinstance(mode, str) and isinstance(oid, str) and oid):
        raise Unclear(_A_PART)
    if is_file(mode):
        return ReadFile(path, ReadKind.FILE, oid, refused=refusal(0, symlink=mode == _SYMLINK))
    folder = mode.lstrip("0") == _FOLDER
    return ReadFile(path, ReadKind.FOLDER if folder else ReadKind.ABSENT, oid)


def nodes_of(holder: Any, connection: str) -> list[Any] | None:
    """The nodes of a list that a repository or a tree has; None when there is no such list."""
    found = holder.get(connection) if isinstance(holder, dict) else None
    nodes = found.get("nodes") if isinstance(found, dict) else None
    return nodes if isinstance(nodes, list) else None


def _refusal_of_answer(text: Any, size: int, limit: int = SIZE_LIMIT) -> str:
    """Why a file's text as GitLab gives it is refused; "" when it is what is in the file.

    GitLab guesses the encoding of what is not UTF-8: then the text has another length.
    """
    if not isinstance(text, str):
        return "binary"
    refused = refusal_of_text(text, limit)
    length = len(text.encode("utf-8", "surrogatepass"))
    without_bom = length + len(_BOM) == size and not text.startswith("\ufeff")
    return refused or ("" if length == size or without_bom else NOT_UTF_8)
