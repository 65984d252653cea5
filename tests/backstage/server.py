"""A real Backstage backend as a process: started, asked, and ended by its own id."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from ruamel.yaml import YAML

from tests.backstage.installation import HERE, Installation

Found = TypeVar("Found")

EXAMPLE = HERE.parent.parent / "bridge" / "cli" / "templates" / "backstage.yaml"
START_SECONDS = 120.0
# An entity that nobody lists any more goes at the next sweep, and Backstage sweeps every 30 s.
PATIENCE = 75.0
POLL_SECONDS = 0.1
# The static token that Fester tells Backstage of changes with.
REFRESH_TOKEN = secrets.token_hex(16)


@dataclass(frozen=True)
class Backstage:
    """A running backend; `token` opens its API."""

    url: str
    token: str
    log: Path

    def get(self, path: str) -> Any:
        """The JSON at a path of `/api/catalog`; None for 404."""
        try:
            return self._ask(Request(f"{self.url}/api/catalog/{path}"))
        except HTTPError as error:
            with error:
                if error.code == 404:
                    return None
            raise

    def refresh(self, ref: str) -> None:
        """Ask Backstage to read an entity's source, and the index that leads to it, again now."""
        body = json.dumps({"entityRef": ref}).encode()
        headers = {"Content-Type": "application/json"}
        self._ask(Request(f"{self.url}/api/catalog/refresh", data=body, headers=headers))

    def register(self, target: str) -> None:
        """Add a location, as a user does on the page "Register existing component"."""
        body = json.dumps({"type": "url", "target": target}).encode()
        headers = {"Content-Type": "application/json"}
        self._ask(Request(f"{self.url}/api/catalog/locations", data=body, headers=headers))

    def entity(self, ref: str) -> dict[str, Any] | None:
        """An entity by its reference, None when Backstage does not have it."""
        kind, _, rest = ref.partition(":")
        found: dict[str, Any] | None = self.get(f"entities/by-name/{kind}/{rest}")
        return found

    def entities(self) -> dict[str, dict[str, Any]]:
        """Everything that Backstage holds, by reference."""
        return {
            f"{e['kind']}:{e['metadata']['namespace']}/{e['metadata']['name']}".lower(): e
            for e in self.get("entities")
        }

    def eventually(self, look: Callable[[], Found | None], what: str) -> Found:
        """What `look` gives once it gives something; fails the test when it never does."""
        deadline = time.monotonic() + PATIENCE
        while not (found := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE:.0f} s: {what}\n{self.tail()}")
            time.sleep(POLL_SECONDS)
        return found

    def tail(self) -> str:
        """The end of Backstage's log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])

    def _ask(self, request: Request) -> Any:
        request.add_header("Authorization", f"Bearer {self.token}")
        with urlopen(request, timeout=30) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None


def example_lines(first: str = "catalog") -> dict[str, Any]:
    """The lines that `fester deploy backstage` tells an admin to paste, as a tree.

    They come in two steps, before a third that is not recommended: what reads the catalog, and
    (`first` is "backend") the token for refreshes.
    """
    lines, _, _ = EXAMPLE.read_text("utf-8").partition("\n#\n# 3. ")
    reading, _, refreshing = lines.partition("\n#\n# 2. ")
    step = reading if first == "catalog" else refreshing
    _, _, pasted = step.partition(f"\n#\n# {first}:\n")
    text = "\n".join(line.removeprefix("# ") for line in f"# {first}:\n{pasted}".splitlines())
    tree: dict[str, Any] = YAML(typ="safe").load(text)
    return tree


def config(
    port: int, token: str, targets: list[str], hosts: list[str], kinds: list[str]
) -> dict[str, Any]:
    """An adopter's app-config with the example's lines, once for each target and each host.

    `kinds` are allowed in locations that are registered later.
    """
    text = (HERE / "app-config.yaml").read_text("utf-8")
    tree: dict[str, Any] = YAML(typ="safe").load(
        text.replace("PORT", str(port)).replace("TOKEN", token)
    )
    pasted = example_lines()
    (location,) = pasted["catalog"]["locations"]
    (reading,) = pasted["backend"]["reading"]["allow"]
    tree["catalog"]["locations"] = [{**location, "target": target} for target in targets]
    tree["backend"]["reading"] = {"allow": [{**reading, "host": host} for host in hosts]}
    tree["integrations"] = pasted["integrations"]
    (access,) = example_lines("backend")["backend"]["auth"]["externalAccess"]
    tree["backend"]["auth"]["externalAccess"].append(access)
    if kinds:
        tree["catalog"]["rules"] = [{"allow": kinds}]
    return tree


@contextmanager
def running(
    installation: Installation,
    folder: Path,
    targets: list[str],
    hosts: list[str],
    environment: Mapping[str, str],
    *,
    kinds: Sequence[str] = (),
) -> Iterator[Backstage]:
    """A backend that reads these locations; ended, and waited for, at the end."""

    def tree(port: int, token: str) -> dict[str, Any]:
        return config(port, token, targets, hosts, list(kinds))

    with started(installation, HERE / "index.cjs", tree, folder, environment) as backstage:
        yield backstage


@contextmanager
def started(
    installation: Installation,
    script: Path,
    tree: Callable[[int, str], dict[str, Any]],
    folder: Path,
    environment: Mapping[str, str],
    *,
    port: int | None = None,
) -> Iterator[Backstage]:
    """The backend that `script` starts, with the app-config that `tree` makes of port and token."""
    port, token = port or free_port(), secrets.token_hex(16)
    config_file = folder / "app-config.json"  # Backstage reads JSON as the YAML that it is
    config_file.write_text(json.dumps(tree(port, token)))
    log = folder / "backstage.log"
    modules = {"NODE_PATH": str(installation.folder / "node_modules"), "NO_COLOR": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [installation.node, script, "--config", config_file],
            cwd=installation.folder,
            env={**os.environ, "FESTER_BACKSTAGE_TOKEN": REFRESH_TOKEN, **environment, **modules},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    backstage = Backstage(f"http://127.0.0.1:{port}", token, log)
    try:
        _wait_until_ready(backstage, process)
        yield backstage
    finally:
        _end(process)


def _wait_until_ready(backstage: Backstage, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _ready(backstage.url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"Backstage did not start:\n{backstage.tail()}")
        time.sleep(POLL_SECONDS)


def _ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/.backstage/health/v1/readiness", timeout=5) as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        error.close()
        return False
    except (URLError, OSError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
