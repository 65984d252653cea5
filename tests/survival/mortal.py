"""Work in a process that kills itself (SIGKILL) at an instant of the test's choice.

`python -m tests.survival.mortal` imports everything once, then forks a child for each line that it
reads: `{"work": name, "arguments": {…}, "dies_at": n}`. The child dies at the n-th thing that it
does to the world: a file opened, renamed or removed below a folder, something sent to a server, an
SQL statement or a commit. The answer is the child's status.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from bridge.cli import main as fester
from bridge.exporters.filesystem import FolderExporter
from bridge.exporters.gcs import GcsExporter
from bridge.exporters.render import render_catalog
from bridge.store import open_store
from tests.exporters.catalogs import catalog
from tests.store.saving import save as save_in
from tests.store.test_survival import known, outcome_of

ROOT = Path(__file__).parents[2]
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}
KILLED = -signal.SIGKILL
SOME = 250  # projects: enough for several statements of each kind


def publish_to_folder(folder: str, count: int, **changed: str) -> None:
    """A catalog of so many components into a folder."""
    asyncio.run(FolderExporter(Path(folder)).publish(render_catalog(catalog(count, **changed))))


def publish_to_bucket(url: str, host: str, count: int, **changed: str) -> None:
    """The same into a bucket; claims of the dead are taken over at once."""
    os.environ["STORAGE_EMULATOR_HOST"] = host

    async def publish() -> None:
        exporter = GcsExporter(url, patience=5.0, lease_seconds=0.0, workers=4)
        try:
            await exporter.publish(render_catalog(catalog(count, **changed)))
        finally:
            await exporter.close()

    asyncio.run(publish())


def save(url: str, source: str) -> None:
    """A second save of a source, on top of its first."""

    async def saved() -> None:
        store = await open_store(url)
        before = await store.load(source)
        after = known(SOME, "g2")
        await save_in(store, source, before, after, outcome_of("g2"))
        await store.close()

    asyncio.run(saved())


def run(folder: str) -> None:
    """`fester run` in a folder of checkouts."""
    os.chdir(folder)
    fester(["run", "--from", "src", "--to", "out"], standalone_mode=False)


def command_line(
    arguments: list[str], folder: str, environment: dict[str, str], output: str, limit: int
) -> None:
    """`fester …` as a shell would start it; no file may grow beyond `limit` bytes, 0: any size."""
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("FESTER_")]:
        del os.environ[name]
    os.environ.update(environment)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(written, 1)
    os.dup2(written, 2)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    fester(arguments)


WORK: dict[str, Callable[..., None]] = {
    work.__name__: work for work in (publish_to_folder, publish_to_bucket, save, run, command_line)
}


class Mortal:
    """The parent of the children, from the test's side."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def does(self, work: str, *, dies_at: int = 0, **arguments: object) -> bool:
        """Do it; whether it died on the way. `dies_at` 0: never. Any other end is an error."""
        status = self.ends(work, dies_at=dies_at, **arguments)
        assert status in (0, KILLED), f"{work} ended with {status}"
        return status == KILLED

    def ends(self, work: str, *, dies_at: int = 0, **arguments: object) -> int:
        """Do it; its exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"work": work, "arguments": arguments, "dies_at": dies_at})
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def mortal() -> Iterator[Mortal]:
    """A process to do work in; ends when left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.survival.mortal"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Mortal(process)
        assert process.stdin is not None
        process.stdin.close()


def die_at(instant: int, folder: str) -> None:
    """Kill this process at the `instant`-th thing that it does to the world."""
    left = instant

    def happened() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        below = name in FILE_EVENTS and folder and folder in str(arguments[0])
        if below or name == "http.client.send":
            happened()

    sys.addaudithook(hear)
    event.listen(Engine, "after_cursor_execute", lambda *_: happened())
    event.listen(Engine, "commit", lambda *_: happened())


def main() -> None:
    """Fork a child for each line of the input."""
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            live(job)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def live(job: dict[str, Any]) -> None:
    """A child's whole life."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        if job["dies_at"]:
            die_at(job["dies_at"], job["arguments"].get("folder", ""))
        WORK[job["work"]](**job["arguments"])
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
