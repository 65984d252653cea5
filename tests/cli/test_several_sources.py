"""`fester run`, `doctor` and `explain` over two GitLabs, as a user types them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.world import World
from tests.published import entities_in
from tests.service.site import manifest

pytestmark = pytest.mark.real


@pytest.fixture
def gitlabs() -> Iterator[tuple[str, str]]:
    """Two look-alikes in a thread, as a command runs its own loop; each takes its own token."""
    started = threading.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    def world(prefix: str) -> World:
        made = World(lambda: datetime(2026, 1, 1, tzinfo=UTC))
        for number in (1, 2):
            files = {"qm.yaml": manifest(f"{prefix}{number}")}
            made.add_project(f"shop/p{number}", files=files)
        return made

    async def serve() -> None:
        first, lab = (
            SandboxGitLab(world("s"), token="one"),
            SandboxGitLab(world("lab"), token="two"),
        )
        async with running(first) as a, running(lab) as b:
            found.extend((a, b))
            started.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield found[0], found[1]
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()


def fester(*arguments: str, lab_token: str = "two") -> Result:
    environment = {"GITLAB_TOKEN": "one", "GITLAB_TOKEN_LAB": lab_token}
    return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def names(folder: Path) -> set[str]:
    refs = [each["ref"] for each in entities_in(folder)]
    return {ref.rpartition("/")[2] for ref in refs if ref.startswith("component:")}


def test_two_gitlabs_in_one_catalog_as_a_user_meets_them(
    gitlabs: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, lab = gitlabs
    listed = f"from:\n  - {first}\n  - {{name: lab, url: '{lab}'}}\nto: [out]\n"
    (tmp_path / "fester.yaml").write_text(listed)
    ran = fester("run", "--report", "r.json")
    assert ran.exit_code == 0, ran.output
    assert names(tmp_path / "out") == {"s1", "s2", "lab1", "lab2"}
    report = json.loads((tmp_path / "r.json").read_text())
    assert (report["projects"]["seen"], report["this_pass"]["seen"]) == (4, 4)

    # A token that is refused: the other goes on, nothing is removed, and the right one is named.
    refused = fester("run", "--report", "r.json", lab_token="three")
    assert refused.exit_code == 3, refused.output
    problems = json.loads((tmp_path / "r.json").read_text())["problems"]
    (told,) = [each["message"] for each in problems if each["rule"] == "source-unread"]
    assert told.startswith(lab)
    assert "check GITLAB_TOKEN_LAB," in told
    assert "three" not in refused.output
    assert names(tmp_path / "out") == {"s1", "s2", "lab1", "lab2"}

    assert fester("run", "--incremental").exit_code == 0
    tried = fester("run", "--dry-run", lab_token="three")
    assert tried.exit_code == 3

    looked = fester("doctor", lab_token="three")
    assert looked.exit_code == 1
    assert "FAIL lab: token" in looked.output
    assert "set GITLAB_TOKEN_LAB to it" in looked.output
    assert "ok   lab: GitLab" in fester("doctor").output

    explained = fester("explain", "lab1")
    assert explained.exit_code == 0
    assert f"{lab}/shop/p1" in explained.output

    # The lab leaves the list: much would go, so the guard asks first.
    (tmp_path / "fester.yaml").write_text(f"from: {first}\nto: [out]\n")
    assert fester("run").exit_code == 0
    assert names(tmp_path / "out") == {"s1", "s2"}

    (tmp_path / "fester.yaml").write_text(f"from:\n  - {lab}\n  - {{name: a, url: '{first}'}}\n")
    turned = fester("run", "--dry-run")
    assert turned.exit_code == 2
    assert f"put {first} first" in turned.output.replace("\n", " ")
