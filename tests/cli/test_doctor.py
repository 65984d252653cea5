"""`fester doctor` against a GitLab on loopback, and against things that are broken."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.organization import sample_organization
from bridge.sandbox.world import World


@contextmanager
def gitlab_in_a_thread(change: Callable[[World], None] = lambda world: None) -> Iterator[str]:
    """The sandbox GitLab in a thread of its own, as the command runs its own loop."""
    started = threading.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    async def serve() -> None:
        world = sample_organization(lambda: datetime(2026, 1, 1, tzinfo=UTC))
        change(world)
        async with running(SandboxGitLab(world, token="sandbox-token")) as url:
            found.append(url)
            started.set()
            await stopped.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join()
        loop.close()


def fester(*arguments: str, token: str | None = None) -> Result:
    environment = {"GITLAB_TOKEN": token}
    return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def doctor(*arguments: str, token: str | None = None) -> Result:
    return fester("doctor", *arguments, token=token)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.real
def test_all_is_well_and_the_next_command_is_named(tmp_path: Path) -> None:
    with gitlab_in_a_thread() as url:
        result = doctor("--from", f"{url}/kestrel", "--to", "out", token="sandbox-token")
    assert result.exit_code == 0, result.output
    assert "FAIL" not in result.output
    assert f"fester run --from {url}/kestrel --to out --dry-run" in result.output
    assert "sandbox-token" not in result.output
    assert "ok   store: it opens, and is new" in result.output
    assert list(tmp_path.iterdir()) == [], "who looks makes nothing"


@pytest.mark.real
def test_a_refused_token_is_named_and_never_shown() -> None:
    with gitlab_in_a_thread() as url:
        result = doctor("--from", url, "--to", "out", token="glpat-wrong")
    assert result.exit_code == 1
    assert "read_api" in result.output
    assert "glpat-wrong" not in result.output


@pytest.mark.real
def test_a_group_that_is_not_there_is_named() -> None:
    with gitlab_in_a_thread() as url:
        result = doctor("--from", f"{url}/nobody", "--to", "out", token="sandbox-token")
    assert result.exit_code == 1
    assert "the group nobody is not there" in result.output


@pytest.mark.real
def test_the_groups_of_the_settings_are_looked_at_too(tmp_path: Path) -> None:
    settings = "gitlab:\n  groups: [kestrel, nobody, no/body]\n"
    (tmp_path / "fester.yaml").write_text(settings, encoding="utf-8")
    with gitlab_in_a_thread() as url:
        result = doctor("--from", url, "--to", "out", token="sandbox-token")
    assert result.exit_code == 1
    assert "ok   projects: there are projects to be seen in kestrel" in result.output
    assert "the group nobody is not there" in result.output
    assert "the group no/body is not there" in result.output


@pytest.mark.real
def test_whether_the_members_of_groups_are_shown_is_told(tmp_path: Path) -> None:
    def hide(world: World) -> None:
        world.members.hidden.add("gangway")
        world.members.add("kestrel", "catalog-crawler", 20)

    (tmp_path / "fester.yaml").write_text("gitlab: {people: true}\n", encoding="utf-8")
    with gitlab_in_a_thread(hide) as url:
        one = doctor("--from", f"{url}/kestrel", "--to", "out", token="sandbox-token")
        hidden = doctor("--from", f"{url}/gangway", "--to", "out", token="sandbox-token")
        everything = doctor("--from", url, "--to", "out", token="sandbox-token")
    assert "ok   people: GitLab shows its members; the token's user is reporter of kestrel" in (
        one.output
    )
    for result in (hidden, everything):
        assert result.exit_code == 1
        assert "FAIL people: gangway: GitLab does not show its members to this token" in (
            result.output
        )
        assert "as a guest at least" in result.output


@pytest.mark.store
@pytest.mark.parametrize("below", [".", "not/there/yet"])
def test_a_destination_that_cannot_be_written_is_found_before_a_pass(
    tmp_path: Path, below: str
) -> None:
    """A file in the way of the folder; rights alone would not stop root, who may run the tests."""
    (tmp_path / "taken").write_text("", encoding="utf-8")
    result = doctor("--from", str(tmp_path), "--to", str(tmp_path / "taken" / below))
    assert result.exit_code == 1
    assert f"FAIL destination: {tmp_path}/taken cannot be written" in result.output


@pytest.mark.store
def test_everything_that_is_wrong_is_shown_at_once(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.yaml").write_text("mapping: 1\n")
    arguments = ("--from", "http://127.0.0.1:9", "--to", "ftp://x", "--mappings", "own")
    result = doctor(*arguments, "--store", "sqlite:////nowhere/at/all.db", token="x")
    assert result.exit_code == 1
    failed = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failed] == [
        "GitLab:",
        "mappings:",
        "destination:",
        "store:",
    ]


def test_without_a_source_it_says_how_to_give_one() -> None:
    result = doctor()
    assert result.exit_code == 2
    assert "--from" in result.output


@pytest.mark.real
def test_what_the_sample_organization_leaves_out_has_its_reason_in_the_terminal() -> None:
    """A pass over it, and then the question that somebody asks who misses a project."""
    with gitlab_in_a_thread() as url:
        source = ("--from", f"{url}/kestrel")
        settings = "gitlab:\n  exclude: ['kestrel/booking/*']\n"
        Path("fester.yaml").write_text(settings, encoding="utf-8")
        done = fester("run", *source, "--to", "out", token="sandbox-token")
        assert done.exit_code == 3, done.output  # one of its projects cannot be read
    archived = fester("explain", "kestrel/attic/paper-tickets")
    assert "archived (`gitlab.archived` is off)" in archived.output
    excluded = fester("explain", "kestrel/booking/checkout/booking-api")
    assert "gitlab.exclude" in excluded.output
    assert (archived.exit_code, excluded.exit_code) == (1, 1)
