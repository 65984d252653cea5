"""Publishing to a folder: whole files, in order, alone."""

from __future__ import annotations

import fcntl
import os
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.errors import PublishConflict, PublishError
from bridge.exporters.filesystem import FolderExporter
from bridge.exporters.render import render_catalog
from bridge.model.destinations import Mark
from bridge.model.runs import Artifact, Stage
from bridge.testing import exporter_conforms
from tests.exporters.catalogs import catalog

INDEX = Artifact("index.yaml", b"./entities/all.yaml", "application/yaml", Stage.INDEX)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".fester-lock"
    }


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.yaml")}


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".fester-tmp-*"))


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """The lock as another publisher would hold it."""
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield


async def test_it_conforms(tmp_path: Path) -> None:
    async def read() -> Mapping[str, bytes]:
        return tree(tmp_path / "out") if (tmp_path / "out").exists() else {}

    await exporter_conforms(lambda: FolderExporter(tmp_path / "out"), read)


async def test_a_second_publish_writes_nothing(tmp_path: Path) -> None:
    artifacts = render_catalog(catalog(300))
    first = await FolderExporter(tmp_path).publish(artifacts)
    before = stamps(tmp_path)
    second = await FolderExporter(tmp_path).publish(artifacts)
    assert (first.written, second.written, second.kept) == (len(artifacts), 0, len(artifacts))
    assert stamps(tmp_path) == before


async def test_removals_come_a_publish_later_and_touch_only_our_shards(tmp_path: Path) -> None:
    exporter = FolderExporter(tmp_path)
    await exporter.publish(render_catalog(catalog(300)))
    (tmp_path / "entities/notes.yaml").write_text("mine")
    (tmp_path / "README.md").write_text("mine")
    stale = {path.name for path in (tmp_path / "entities").iterdir()} - {"notes.yaml"}
    small = render_catalog(catalog(3))
    first = await exporter.publish(small)
    assert first.removed == 0
    assert stale <= {path.name for path in (tmp_path / "entities").iterdir()}
    second = await exporter.publish(small)
    assert second.removed == 2 * len(stale)  # and the same ones for programs
    assert {path.name for path in (tmp_path / "entities").iterdir()} == {"all.yaml", "notes.yaml"}
    assert (tmp_path / "README.md").read_text() == "mine"


async def test_two_publishers_do_not_interleave(tmp_path: Path) -> None:
    with held(tmp_path / ".fester-lock"), pytest.raises(PublishConflict, match="another Fester"):
        await FolderExporter(tmp_path).publish([INDEX])
    await FolderExporter(tmp_path).publish([INDEX])


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../b", "a//b", "", "a b", "ü.yaml", ".", "a/."]
)
async def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(PublishError, match="cannot be published"):
        await FolderExporter(tmp_path / "out").publish([Artifact(path, b"", "text/plain")])
    assert tree(tmp_path) == {}


async def test_a_symbolic_link_below_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "entities").symlink_to(outside)
    with pytest.raises(PublishError, match="symbolic link"):
        await FolderExporter(folder).publish(render_catalog(catalog(1)))
    assert list(outside.iterdir()) == []


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError, match="check that the folder can be written"):
        await FolderExporter(tmp_path / "file" / "below").publish([INDEX])


async def test_leftovers_of_a_killed_publish_are_swept(tmp_path: Path) -> None:
    (tmp_path / "entities").mkdir()
    (tmp_path / "entities" / ".fester-tmp-1").write_text("half")
    await FolderExporter(tmp_path).publish(render_catalog(catalog(1)))
    assert leftovers(tmp_path) == []


PUBLISHER = """
import asyncio, sys
from pathlib import Path
from bridge.exporters.filesystem import FolderExporter
from bridge.exporters.render import render_catalog
from tests.exporters.catalogs import catalog
exporter = FolderExporter(Path(sys.argv[1]))
print("ready", flush=True)
for round in range(10_000):
    asyncio.run(exporter.publish(render_catalog(catalog(50 + round * 171 % 900))))
    print(round, flush=True)
"""


@pytest.mark.real
def test_kill_9_at_any_instant_leaves_index_and_files_in_agreement(tmp_path: Path) -> None:
    """The index never names a file that is not there, and no file is half written."""
    dice = random.Random(1)
    root = Path(__file__).parents[2]
    for _ in range(6):
        publisher = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PUBLISHER), str(tmp_path)],
            stdout=subprocess.PIPE,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert publisher.stdout is not None
        publisher.stdout.readline()
        publisher.stdout.read(dice.randrange(1, 30))  # the instant: after so much output
        publisher.kill()
        publisher.wait()
        publisher.stdout.close()
        agree(tmp_path)


def agree(folder: Path) -> None:
    index = (folder / "index.yaml").read_text()
    named = re.findall(r"entities/\w+\.yaml", index)
    assert named
    for name in named:
        text = (folder / name).read_text()
        assert text.startswith("# Written by Fester")
        assert text.endswith("\n")
        assert text.count("kind: Component") == text.count("\n---\n")


async def test_what_is_amended_is_written_and_no_other_file_is_touched(tmp_path: Path) -> None:
    made = FolderExporter(tmp_path)
    await made.publish(render_catalog(catalog(300)))
    before = {each.path: each.body for each in render_catalog(catalog(300))}
    after = render_catalog(catalog(300, c7="other"))
    changed = [each for each in after if each.body != before[each.path]]
    untouched = {
        path: (tmp_path / path).stat().st_ino
        for path in before
        if path not in {each.path for each in changed}
    }
    assert await made.amend(changed, dry_run=True) == len(changed) == 2
    assert all((tmp_path / path).read_bytes() == body for path, body in before.items())
    assert await made.amend(changed) == 2
    assert await made.amend(changed) == 0
    assert {each.path: (tmp_path / each.path).read_bytes() for each in after} == {
        each.path: each.body for each in after
    }
    assert {path: (tmp_path / path).stat().st_ino for path in untouched} == untouched


async def test_an_older_pass_amends_nothing(tmp_path: Path) -> None:
    async def now() -> Mark:
        return Mark("a", "s", 5)

    async def late() -> Mark:
        return Mark("a", "s", 4)

    made = FolderExporter(tmp_path)
    await made.publish(render_catalog(catalog(3)), fence=now)
    before = (tmp_path / "entities/all.yaml").read_bytes()
    changed = [e for e in render_catalog(catalog(4)) if e.path == "entities/all.yaml"]
    with pytest.raises(PublishConflict, match="a newer pass"):
        await made.amend(changed, fence=late)
    assert (tmp_path / "entities/all.yaml").read_bytes() == before
