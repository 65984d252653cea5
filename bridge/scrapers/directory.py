"""`DirectoryScraper`: a folder of checkouts, read as it lies on the disk.

Symbolic links are not followed, neither to folders nor to files. What cannot be read is a gap.
"""

from __future__ import annotations

import asyncio
import configparser
import hashlib
import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bridge.errors import SourceError
from bridge.language.paths import within
from bridge.model.blob_ids import blob_id
from bridge.model.reads import ReadFile
from bridge.model.scrape import (
    Coverage,
    FurtherReads,
    Gap,
    ManifestFile,
    Project,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
    ScrapeRequest,
    in_repositories,
)
from bridge.scrapers import disk_reads
from bridge.scrapers.blobs import SIZE_LIMIT, decode, refusal
from bridge.scrapers.disk_reads import completed

DEPTH_LIMIT = 6  # levels of folders below the one that was given
FOLDER_LIMIT = 200_000  # folders looked at in one scrape
_GIT_FILE_LIMIT = 256 * 1024
_SSH = re.compile(r"(?:[^@/\s:]+@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[^/].*)")


class DirectoryScraper:
    """Reads a folder whose checkouts are projects: each holds `.git`, or a wanted file.

    `exclude` of paths and the like are GitLab's; here everything below `path` counts.
    `on_progress` hears how many projects were seen and done.
    """

    def __init__(
        self, path: Path | str, *, on_progress: Callable[[int, int], None] = lambda seen, read: None
    ) -> None:
        self._root = Path(path)
        self._on_progress = on_progress

    def __repr__(self) -> str:
        return f"DirectoryScraper({str(self._root)!r})"

    @property
    def name(self) -> str:
        """The folder's full path, so that the store knows it from wherever it is called."""
        return str(self._root.absolute())

    async def close(self) -> None:
        """Nothing is held open."""

    async def look(self, project: str, path: str) -> tuple[int, ReadFile]:
        """A `bridge.ports.Browsing`: a checkout is named by its folder's path in this one."""
        root = self._root / project
        if within("", project) != project or not root.is_dir():
            raise SourceError(f"there is no checkout {project} in {self.name}")
        try:
            found = await asyncio.to_thread(disk_reads.look, root, path)
        except OSError as error:
            raise SourceError(f"it cannot be read: {error.strerror}") from None
        return project_id(project), found

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        """Yield a record a project and `ScrapeEnd` as the last; `since` reads everything.

        Raises `SourceError` when the folder itself cannot be read.
        """
        found = _FolderWalk(self._root, in_repositories(request.files), request.further)
        records = found.records()
        asked, missing = set(request.only), set(request.only)
        count = 0
        while (record := await asyncio.to_thread(next, records, None)) is not None:
            project_id = _id_of(record)
            if asked and project_id is not None and project_id not in asked:
                continue
            if project_id is not None:
                missing.discard(project_id)
                count += 1
                self._on_progress(count, count)
            yield record
        for project_id in sorted(missing):
            # A lost folder may hold it: only a whole walk is evidence.
            if found.lost:
                yield Gap("not found, but not every folder could be read", project_id)
            else:
                yield ProjectGone(project_id, f"no such checkout in {self.name}")
        yield ScrapeEnd(Coverage.SELECTED if request.only else Coverage.FULL)


def project_id(relative: str) -> int:
    """A number for a checkout that stays the same as long as its relative path does.

    53 bits, so that JavaScript and JSON keep it exact.
    """
    digest = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def remote_of(config: str) -> tuple[str, str]:
    """The web URL and full path of remote `origin` in a `.git/config`; "" and "" if unclear.

    User names and tokens in the URL are left out.
    """
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    try:
        # git indents its keys, which configparser takes for continued values.
        parser.read_string("\n".join(line.strip() for line in config.splitlines()))
        url = parser.get('remote "origin"', "url", fallback="") or ""
        host, path = _host_and_path(url.strip())
    except (configparser.Error, ValueError):
        return "", ""
    path = path.strip("/").removesuffix(".git")
    if not host or "/" not in path or any(part in ("", ".", "..") for part in path.split("/")):
        return "", ""
    return f"{host}/{path}", path


def _host_and_path(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ssh") and parts.hostname:
        # An ssh port says nothing of the web's.
        port = f":{parts.port}" if parts.port and parts.scheme != "ssh" else ""
        scheme = "http" if parts.scheme == "http" else "https"
        return f"{scheme}://{parts.hostname}{port}", parts.path
    ssh = _SSH.fullmatch(url)
    return (f"https://{ssh['host']}", ssh["path"]) if ssh else ("", "")


class _FolderWalk:
    """One walk through the folder; blocking, meant for a thread. `lost`: a folder was not read."""

    def __init__(
        self, root: Path, files: tuple[str, ...], further: FurtherReads | None = None
    ) -> None:
        self.lost = False
        self._further = further
        self._root = root
        self._files = files
        self._folders = 0

    def records(self) -> Iterator[Record]:
        """A record a project, sorted by path."""
        try:
            names = _names(self._root)
        except OSError as error:
            raise SourceError(
                f"the folder {self._root} cannot be read: {error.strerror}; give a folder that "
                "holds checkouts, and the right to read it"
            ) from None
        yield from self._below(self._root, names, 0)

    def _below(self, folder: Path, names: dict[str, bool], depth: int) -> Iterator[Record]:
        """What lies in a folder, whose names are known (and whether each is a folder)."""
        self._folders += 1
        if ".git" in names or any(name in names and not names[name] for name in self._files):
            yield self._read(folder)
            return
        folders = sorted(name for name, is_folder in names.items() if is_folder)
        if folders and depth >= DEPTH_LIMIT:
            yield self._lose(folder, f"lies deeper than {DEPTH_LIMIT} levels; start nearer to it")
            return
        for name in folders:
            if self._folders >= FOLDER_LIMIT:
                yield self._lose(folder, f"not all read: more than {FOLDER_LIMIT} folders")
                return
            below = folder / name
            try:
                inside = _names(below)
            except OSError as error:
                yield self._lose(below, f"the folder cannot be read: {error.strerror}")
                continue
            yield from self._below(below, inside, depth + 1)

    def _lose(self, folder: Path, reason: str) -> Gap:
        """A part of the enumeration is lost: any project may be in it, so the gap names none."""
        self.lost = True
        return Gap(f"{self._relative(folder)}: {reason}", None, self._relative(folder))

    def _relative(self, folder: Path) -> str:
        relative = folder.relative_to(self._root).as_posix()
        name = self._root.absolute().name if relative == "." else relative
        return os.fsencode(name).decode("utf-8", "replace")

    def _read(self, folder: Path) -> Record:
        raw_path = folder.relative_to(self._root).as_posix()
        identity = project_id(self._root.absolute().name if raw_path == "." else raw_path)
        path = self._relative(folder)
        web_url, full_path = remote_of(_small_text(folder / ".git" / "config"))
        head = _small_text(folder / ".git" / "HEAD").strip()
        branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: ") else ""
        project = Project(identity, full_path or path, web_url, branch)
        files: list[ManifestFile] = []
        for name in self._files:
            try:
                file = _file(folder / name, name)
            except OSError as error:
                return Gap(f"{name} cannot be read: {error.strerror}", identity, project.path)
            if file is not None:
                files.append(file)
        try:
            return completed(folder, ProjectRead(project, tuple(files)), self._further)
        except OSError as error:
            reason = f"its further files: {error.filename} cannot be read: {error.strerror}"
            return Gap(reason, identity, project.path)


def _names(folder: Path) -> dict[str, bool]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}


def _file(path: Path, name: str) -> ManifestFile | None:
    """A wanted file; None when it is not there. Raises OSError when it cannot be read."""
    try:
        state = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(state.st_mode):
        target = os.fsencode(os.readlink(path))  # git's blob of a link is its target
        return ManifestFile(name, blob_id(target), len(target), None, refusal(0, symlink=True))
    if not stat.S_ISREG(state.st_mode):
        return None
    refused = refusal(state.st_size)
    if refused:
        return ManifestFile(name, "", state.st_size, None, refused)
    raw = _bytes(path, SIZE_LIMIT + 1)
    refused = refusal(len(raw))  # it may have grown meanwhile
    text, refused = (None, refused) if refused else decode(raw)
    return ManifestFile(name, blob_id(raw), len(raw), text, refused)


def _bytes(path: Path, limit: int) -> bytes:
    # A link or a pipe put there meanwhile is neither followed nor waited for.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        return file.read(limit)


def _small_text(path: Path) -> str:
    """A file of git's own; "" when it is not there or not readable: it only adds facts."""
    try:
        return _bytes(path, _GIT_FILE_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""


def _id_of(record: Record) -> int | None:
    match record:
        case ProjectRead(project) | ProjectSkipped(project, _):
            return project.id
        case Gap() | ProjectGone():
            return record.project_id
        case _:
            return None
