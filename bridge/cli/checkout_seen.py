"""What a checkout tells of the service in it, for a first manifest: all of it guesses."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from bridge.language.codeowners import PLACES, owners_of_everything
from bridge.language.text_faults import clean

_BYTES: Final = 64 * 1024  # that are read of a file
_FILES: Final = 5_000
_DEEPEST: Final = 4
_SKIPPED: Final = frozenset({".git", "node_modules", "vendor", "target", "dist", "build", ".venv"})
_READMES: Final = ("readme.md", "readme.markdown", "readme.rst", "readme.txt", "readme")
_LANGUAGES: Final = {
    ".py": "Python", ".go": "Go", ".rs": "Rust", ".java": "Java", ".kt": "Kotlin",
    ".ts": "TypeScript", ".tsx": "TypeScript", ".js": "JavaScript", ".jsx": "JavaScript",
    ".rb": "Ruby", ".php": "PHP", ".cs": "C#", ".cpp": "C++", ".cc": "C++", ".c": "C",
    ".scala": "Scala", ".swift": "Swift", ".ex": "Elixir", ".erl": "Erlang", ".hs": "Haskell",
    ".clj": "Clojure", ".dart": "Dart", ".sh": "Shell",
}  # fmt: skip
_DOCUMENTS: Final = ("runbook", "playbook")
_LONGEST_LINE: Final = 300
_SCP: Final = re.compile(r"(?:[^@/:]+@)?([^/:]+):(?!/)(.+)")


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a checkout is from: the host, and the path there; never the user or password."""

    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Guess:
    """A value, and from where it is."""

    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the service; None for what nothing tells. `documents` are (kind, path)."""

    name: Guess
    owner: Guess | None = None
    description: Guess | None = None
    language: Guess | None = None
    documents: tuple[tuple[str, str], ...] = ()


def seen_in(root: Path) -> Seen:
    """What the files of a checkout tell. Links are not followed; never raises."""
    remote = remote_of(root)
    title = _title(root)
    if title is not None:
        name = title
    elif remote is not None:
        name = Guess(remote.path.rpartition("/")[2], "the repository's name")
    else:
        name = Guess(clean(root.name, 100) or "service", "the folder's name")
    return Seen(
        name,
        owner=_code_owner(root) or _group(remote),
        language=_language(root),
        documents=tuple(_documents(root)),
    )


def remote_of(root: Path) -> Remote | None:
    """The remote `origin` of a checkout."""
    address = _origin(root)
    if "://" in address:
        try:
            url = URL(address)
        except ValueError:
            return None
        host, path = url.host or "", url.path
    else:
        parts = _SCP.fullmatch(address)
        host, path = (parts[1], parts[2]) if parts else ("", "")
    path = clean(path.strip("/").removesuffix(".git"), 255)
    return Remote(clean(host, 255), path) if host and path else None


def _origin(root: Path) -> str:
    """The address of `origin` in Git's configuration; "" when there is none."""
    section = ""
    for line in _lines(root / ".git" / "config"):
        if line.startswith("["):
            section = line
        key, is_set, value = line.partition("=")
        if section == '[remote "origin"]' and is_set and key.strip() == "url":
            return value.strip()
    return ""


def _lines(path: Path) -> list[str]:
    """The lines of a file's beginning, none of them long: they are a stranger's."""
    return [line[:_LONGEST_LINE].strip() for line in _text(path).splitlines()]


def _text(path: Path) -> str:
    """The beginning of a file; "" when it cannot be read or is none."""
    try:
        if path.is_symlink() or not path.is_file():
            return ""
        with path.open("rb") as stream:
            return stream.read(_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _title(root: Path) -> Guess | None:
    for path in sorted(_inside(root), key=lambda each: each.name.lower()):
        if path.name.lower() in _READMES:
            titles = (line[2:].strip("# ") for line in _lines(path) if line.startswith("# "))
            # A picture or a link in a title is for those who look at it.
            words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", next(titles, "")).strip()
            if words:
                return Guess(clean(words, 100), path.name)
    return None


def _code_owner(root: Path) -> Guess | None:
    """The first group or user that owns everything by CODEOWNERS: GitLab reads one alone."""
    name = next((each for each in PLACES if (root / each).is_file()), "")
    owners = owners_of_everything(_text(root / name)) if name else ()
    if not owners:
        return None
    handle = clean(owners[0], 200)
    return Guess(handle.lstrip("@").rpartition("/")[2], f"{name} ({handle})")


def _group(remote: Remote | None) -> Guess | None:
    group = remote.path.rpartition("/")[0] if remote else ""
    return Guess(group.rpartition("/")[2], f"the GitLab group {group}") if group else None


def _language(root: Path) -> Guess | None:
    found = Counter(
        _LANGUAGES[path.suffix.lower()]
        for path in _files(root)
        if path.suffix.lower() in _LANGUAGES
    )
    return Guess(found.most_common(1)[0][0], "most of the files") if found else None


def _documents(root: Path) -> Iterator[tuple[str, str]]:
    for folder in (root, root / "docs"):
        for path in sorted(_inside(folder)):
            kinds = [kind for kind in _DOCUMENTS if kind in path.stem.lower()]
            if kinds and path.suffix.lower() == ".md":
                yield kinds[0], path.relative_to(root).as_posix()


def _inside(folder: Path) -> list[Path]:
    """The plain files of a folder."""
    try:
        entries = list(folder.iterdir()) if not folder.is_symlink() else []
        return [each for each in entries if each.is_file() and not each.is_symlink()][:_FILES]
    except OSError:
        return []


def _files(root: Path) -> Iterator[Path]:
    left = _FILES
    folders = [(root, 0)]
    while folders and left > 0:
        folder, depth = folders.pop()
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            continue
        for each in entries:
            if each.is_symlink() or each.name in _SKIPPED:
                continue
            if each.is_dir() and depth < _DEEPEST:
                folders.append((each, depth + 1))
            elif each.is_file():
                left -= 1
                yield each
