"""Fester beside Backstage's own GitLab discovery: the same GitLab, the same latencies, one run.

    python -m tests.benchmarks.peer [--projects 1000] [--failing 0.05] [--peer-retries 0]

The peer is `@backstage/plugin-catalog-backend-module-gitlab` in a real backend, from npm. The
sandbox GitLab answers REST after 60 ms and GraphQL after 60 ms and 8 ms for each project read.
Every service has a `qm.yaml` for Fester and, saying the same, a `catalog-info.yaml` for the peer,
with the APIs that it provides, their definitions among them; the figures count only when both end
with the same components and APIs. Then a share of the requests fails
(half with 429, half with 502), and both go over the same GitLab again, in which nothing changed.

The peer's time is measured twice: until its discovery has ended (it then knows which files there
are, and has read none) and until its catalog holds every component and API. Fester's is a whole
pass, from an empty store to published files. `--peer-retries` gives the peer the retries that it
has in its configuration and leaves off unless told.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import structlog
from ruamel.yaml import YAML

from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.passes.view import Known
from bridge.sandbox.faults import FaultPlan
from bridge.sandbox.world import World
from bridge.wiring import wired
from tests.backstage.installation import NoBackstage, installed
from tests.backstage.server import Backstage, started
from tests.benchmarks.crawl import settings
from tests.benchmarks.gitlab import FAR_AWAY, TOKEN, GitLab, gitlab

SCRIPT = Path(__file__).with_name("peer.cjs")
TASK = "GitlabDiscoveryEntityProvider:bench:refresh"
STEP = 0.05  # seconds between two looks at the peer's log
PATIENCE = 900.0
ATTEMPTS = 8  # the peer's discovery breaks off when a page of its list fails: it is started anew
SWEEP = 40.0  # Backstage removes what nobody lists any more every 30 s
AIM = 30
KINDS = ("component", "api")
_COMPARED = "&".join(f"filter=kind={kind}" for kind in KINDS)
_ENDED = re.compile(r"Processed \d+ locations")


@dataclass(frozen=True)
class Figures:
    """What one of the two took, and which components and APIs it ended with."""

    requests: Counter[str]
    seconds: float
    entities: frozenset[str]


def twice(world: World) -> None:
    """Say again for the peer, in Backstage's words, what each manifest says."""
    yaml = YAML(typ="safe")
    for project in world:
        manifest = project.files.get("qm.yaml")
        if manifest is None:
            continue
        service = yaml.load(manifest.content)["service"]
        documents = "\n---\n".join(json.dumps(each) for each in in_backstages_words(service))
        world.commit_file(project.id, "catalog-info.yaml", documents)


def in_backstages_words(service: dict[str, Any]) -> list[dict[str, Any]]:
    """The entities that a service owner would have written for a service and its APIs."""
    provided = [each if isinstance(each, dict) else {"name": each} for each in _provided(service)]
    common = {
        "lifecycle": service["lifecycle"],
        "owner": service["owner"]["team"],
        "system": service["system"],
    }
    apis = [each["name"] for each in provided]
    component = {"type": service["type"], "providesApis": apis, **common}
    words = {"name": service["name"], "description": service["description"]}
    return [_entity("Component", words, component), *(_api(each, common) for each in provided)]


def _provided(service: dict[str, Any]) -> list[Any]:
    found: list[Any] = service["apis"]["provides"]
    return found


def _api(api: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    path = api.get("definition")
    definition = {"$text": f"./{path}"} if path else "Nobody has written one."
    spec = {"type": api.get("type", "openapi"), "definition": definition, **common}
    return _entity("API", {"name": api["name"]}, spec)


def _entity(kind: str, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    version = "backstage.io/v1alpha1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def app_config(port: int, token: str, host: str, retries: int) -> dict[str, Any]:
    """The peer's configuration: its own defaults, but for what the benchmark must name."""
    gitlab_at: dict[str, Any] = {
        "host": host,
        "token": TOKEN,
        "baseUrl": f"http://{host}",
        "apiBaseUrl": f"http://{host}/api/v4",
    }
    if retries:
        gitlab_at["retry"] = {"maxRetries": retries, "retryStatusCodes": [429, 502]}
    url = f"http://127.0.0.1:{port}"
    # Started by hand, again and again: the schedule itself must not start one in between.
    day = {"hours": 24}
    schedule = {"frequency": day, "initialDelay": day, "timeout": day, "scope": "local"}
    provider = {"host": host, "fallbackBranch": "main", "schedule": schedule}
    access = {"type": "static", "options": {"token": token, "subject": "fester-tests"}}
    return {
        "app": {"title": "The peer", "baseUrl": url},
        "backend": {
            "baseUrl": url,
            "listen": {"host": "127.0.0.1", "port": port},
            "database": {"client": "better-sqlite3", "connection": ":memory:"},
            "auth": {"externalAccess": [access]},
        },
        "integrations": {"gitlab": [gitlab_at]},
        "catalog": {
            "providers": {"gitlab": {"bench": provider}},
            # Each file is read once for each cycle; one cycle is what is measured.
            "processingInterval": {"minutes": 60},
        },
    }


@dataclass(frozen=True)
class Peer:
    """The peer's discovery, started by hand and watched."""

    backstage: Backstage

    def discover(self) -> bool:
        """One discovery from beginning to end; False when it broke off."""
        done, failed = self._said()
        self._wait(self._triggered, "the peer's discovery cannot be started")
        self._wait(lambda: self._said() != (done, failed), "the peer's discovery did not end")
        return self._said()[1] == failed

    def settle(self, expected: frozenset[str]) -> None:
        """Wait until its catalog holds all of these."""
        wanted = len(expected)
        self._wait(lambda: self._count() >= wanted, f"the peer never had {wanted} entities", 0.5)

    def swept(self) -> frozenset[str]:
        """What its catalog holds once nothing has changed for longer than it lets orphans be."""
        self._wait(_Steady(self._count, SWEEP), "the peer's catalog does not settle", 1.0)
        return self.entities()

    def entities(self) -> frozenset[str]:
        """What its catalog holds now."""
        return compared(self.backstage.entities())

    def _triggered(self) -> bool:
        """Start a discovery; False while the one before is not quite over."""
        task = f"{self.backstage.url}/api/catalog/.backstage/scheduler/v1/tasks/{TASK}/trigger"
        request = Request(task, data=b"", method="POST")
        request.add_header("Authorization", f"Bearer {self.backstage.token}")
        try:
            with urlopen(request, timeout=30):
                return True
        except HTTPError as error:
            with error:
                if error.code != 409:
                    raise
            return False

    def _said(self) -> tuple[int, int]:
        """How often its log says that a discovery has ended, and that one has failed."""
        text = self.backstage.log.read_text("utf-8", "replace")
        return len(_ENDED.findall(text)), text.count("refresh failed")

    def _count(self) -> int:
        found = self.backstage.get(f"entities/by-query?{_COMPARED}&limit=0")
        return int(found["totalItems"])

    def _wait(self, reached: Callable[[], bool], otherwise: str, step: float = STEP) -> None:
        deadline = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > deadline:
                raise SystemExit(f"{otherwise}:\n{self.backstage.tail()}")
            time.sleep(step)


class _Steady:
    """Whether a number has not changed for so many seconds."""

    def __init__(self, number: Callable[[], int], seconds: float) -> None:
        self._number, self._seconds = number, seconds
        self._last, self._since = number(), time.monotonic()

    def __call__(self) -> bool:
        now = self._number()
        if now != self._last:
            self._last, self._since = now, time.monotonic()
        return time.monotonic() - self._since >= self._seconds


def compared(refs: Iterable[str]) -> frozenset[str]:
    """Those that both can have: Fester's catalog holds systems, teams and domains besides."""
    return frozenset(ref for ref in refs if ref.partition(":")[0] in KINDS)


def published(done: Known) -> frozenset[str]:
    """What a pass of Fester's published."""
    return compared(str(entity.ref) for entity in done.catalog.entities)


async def fester(server: GitLab, folder: Path, failing: float) -> tuple[Figures, frozenset[str]]:
    """A whole pass from nothing, and what is published after one in which requests failed."""
    async with wired(settings(server.url, folder)) as parts:
        server.counts()
        begun = perf_counter()
        done = await Passes(parts.stages).run(PassOptions())
        took = perf_counter() - begun
        figures = Figures(server.counts(), took, published(await done.known()))
        server.use_faults(faults(failing))
        begun = perf_counter()
        again = await Passes(parts.stages).run(PassOptions())
        show("Fester, failing", server.counts(), perf_counter() - begun)
        server.use_faults(FaultPlan())
        held = published(await again.known())
    return figures, held


def peer(
    server: GitLab, folder: Path, expected: frozenset[str], failing: float, retries: int
) -> tuple[Figures, Figures, frozenset[str]]:
    """The discovery alone, up to a whole catalog, and what is left when requests failed."""

    def tree(port: int, token: str) -> dict[str, Any]:
        return app_config(port, token, urlsplit(server.url).netloc, retries)

    with started(installed(), SCRIPT, tree, folder, {}) as backstage:
        it = Peer(backstage)
        server.counts()
        begun = perf_counter()
        if not it.discover():
            raise SystemExit(f"the peer's first discovery failed:\n{backstage.tail()}")
        found = perf_counter() - begun
        it.settle(expected)
        whole = perf_counter() - begun
        counted = server.counts()
        alone = Counter({kind: n for kind, n in counted.items() if kind != "GET raw"})
        held = it.entities()
        server.use_faults(faults(failing))
        begun = perf_counter()
        attempts = next((n for n in range(1, ATTEMPTS + 1) if it.discover()), 0)
        label = f"peer, failing ({attempts or ATTEMPTS} discoveries, {bool(attempts):d} ended)"
        show(label, server.counts(), perf_counter() - begun)
        left = it.swept()
        server.use_faults(FaultPlan())
    return Figures(alone, found, held), Figures(counted, whole, held), left


def faults(share: float) -> FaultPlan:
    """So many of all requests fail, half with 429 and half with 502."""
    first = share / 2
    return FaultPlan.rates(seed=7, rate_limited=first, bad_gateway=first / (1 - first))


def show(label: str, requests: Counter[str], seconds: float) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(requests.items()))
    say(f"{label:<46} {requests.total():6d} requests  {seconds:7.2f} s   ({kinds})")


def compare(what: str, theirs: Figures, ours: Figures) -> None:
    say(
        f"{what:<46} {theirs.requests.total() / ours.requests.total():6.1f} times fewer requests, "
        f"{theirs.seconds / ours.seconds:.1f} times faster (aim: {AIM} and {AIM})"
    )


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Print the figures; exit code 1 when the two do not end with the same entities."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=1000)
    parser.add_argument("--failing", type=float, default=0.05)
    parser.add_argument("--peer-retries", type=int, default=0)
    arguments = parser.parse_args()
    try:
        installed()
    except NoBackstage as missing:
        raise SystemExit(f"there is no peer here to measure: {missing}") from None
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with gitlab(arguments.projects, FAR_AWAY, twice) as server, TemporaryDirectory() as folder:
        failing, retries = arguments.failing, arguments.peer_retries
        ours, ours_left = asyncio.run(fester(server, Path(folder), failing))
        alone, whole, left = peer(server, Path(folder), ours.entities, failing, retries)
    show("Fester, from nothing to published files", ours.requests, ours.seconds)
    show("peer, until its discovery has ended", alone.requests, alone.seconds)
    show("peer, until its catalog is whole", whole.requests, whole.seconds)
    compare("against the discovery alone", alone, ours)
    compare("against a whole catalog", whole, ours)
    say(
        f"components and APIs: Fester {len(ours.entities)}, peer {len(whole.entities)}; after "
        f"{failing:.0%} of requests failed Fester has lost "
        f"{len(ours.entities - ours_left)}, the peer {len(whole.entities - left)}"
    )
    if ours.entities != whole.entities:
        raise SystemExit(
            f"NOT COMPARABLE, only one of the two has {sorted(ours.entities ^ whole.entities)}"
        )


if __name__ == "__main__":
    main()
