"""Backstage's npm packages, installed once into a cache outside the repository's tree."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from time import monotonic

HERE = Path(__file__).parent
PACKAGE = HERE / "package.json"
OLDEST_NODE = 20
INSTALL_SECONDS = 900
_DONE = ".complete"


class NoBackstage(Exception):
    """A real Backstage cannot be had here; the text says what is missing and what to do."""


@dataclass(frozen=True)
class Installation:
    """Node's program and a folder with `node_modules`; `seconds` is what the install took now."""

    node: Path
    folder: Path
    seconds: float


def installed() -> Installation:
    """The pinned packages, from the cache or installed now. Raises `NoBackstage`."""
    node = _node()
    package = wanted(PACKAGE.read_text("utf-8"), os.environ)
    key = package + (date.today().isoformat() if package != PACKAGE.read_text("utf-8") else "")
    folder = _cache() / f"backstage-{sha256(key.encode()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    begun = monotonic()
    with _alone(folder):
        if not (folder / _DONE).exists():
            _install(node, folder, package)
    return Installation(node, folder, monotonic() - begun)


def wanted(pinned: str, environment: Mapping[str, str]) -> str:
    """The text of package.json: as it is pinned, or by `FESTER_BACKSTAGE=newest` of today.

    Only Backstage's own packages move; what is compiled here stays as it is pinned.
    """
    if environment.get("FESTER_BACKSTAGE") != "newest":
        return pinned
    tree = json.loads(pinned)
    for name in tree["dependencies"]:
        if name.startswith("@backstage"):
            tree["dependencies"][name] = "latest"
    return json.dumps(tree, indent=2)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "fester-tests"


def _node() -> Path:
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        raise NoBackstage(f"node and npm are not on PATH; install Node.js {OLDEST_NODE} or newer")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    if int(version.stdout.strip().lstrip("v").split(".")[0]) < OLDEST_NODE:
        raise NoBackstage(
            f"Node.js is {version.stdout.strip()}; Backstage wants {OLDEST_NODE} or newer"
        )
    return Path(found).resolve()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder, so that two test runs do not install into it at once."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(node: Path, folder: Path, package: str) -> None:
    # What an install that was cut off has left looks to npm as if it were whole.
    shutil.rmtree(folder / "node_modules", ignore_errors=True)
    (folder / PACKAGE.name).write_text(package, encoding="utf-8")
    environment = dict(os.environ)
    prefix = node.parent.parent
    if (prefix / "include/node/node.h").exists():
        # better-sqlite3 is compiled where its ready-made binary cannot be downloaded; the headers
        # of this very Node save another download.
        environment.setdefault("npm_config_nodedir", str(prefix))
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NoBackstage(f"npm install did not end within {INSTALL_SECONDS} seconds") from None
    if done.returncode:
        raise NoBackstage(
            f"npm install failed in {folder} (is the npm registry reachable, and a C++ compiler "
            f"with make and python3 for better-sqlite3?):\n{done.stderr[-1500:]}"
        )
    (folder / _DONE).touch()
