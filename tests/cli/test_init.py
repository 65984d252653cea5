"""`fester init`: a first manifest from what a checkout, and a GitLab, tell."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.cli.checkout_seen import Remote, remote_of
from bridge.model.manifests import Verdict
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import load_mappings
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.project import ProjectFacts
from bridge.sandbox.world import World

QM = load_mappings()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "fare-engine"
    (root / ".git").mkdir(parents=True)
    (root / "docs").mkdir()
    (root / "src").mkdir()
    (root / "README.md").write_text("[![ok](x.svg)](y)\n\n# Fare Engine #\n\nText.\n", "utf-8")
    (root / "CODEOWNERS").write_text("# all\n* jo@example.com @shop/tide-tables\n", "utf-8")
    (root / "docs" / "Runbook.md").write_text("# When it is down\n", "utf-8")
    (root / "src" / "main.rs").write_text("", "utf-8")
    (root / "src" / "lib.rs").write_text("", "utf-8")
    (root / "run.sh").write_text("", "utf-8")
    remote(root, "git@gitlab.example.com:shop/fares/fare-engine.git")
    return root


def remote(root: Path, url: str) -> None:
    text = f'[core]\n\tbare = false\n[remote "origin"]\n\tfetch = +refs\n\turl = {url}\n'
    (root / ".git" / "config").write_text(text, "utf-8")


def init(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["init", *arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_a_first_manifest_says_from_where_each_guess_is(checkout: Path) -> None:
    code, said = init(str(checkout / "src"))  # from anywhere in the repository
    assert (code, "qm.yaml is written" in said) == (0, True)
    text = (checkout / "qm.yaml").read_text("utf-8")
    assert text.startswith("""\
version: 1
service:
  name: Fare Engine  # from README.md
  owner:
    team: tide-tables  # from CODEOWNERS (@shop/tide-tables)
  language: Rust  # from most of the files
  docs:
    - kind: runbook
      path: docs/Runbook.md
  # What else is worth saying""")
    seen = QM.translate(Project(1, "a/b"), ManifestFile("qm.yaml", "o", len(text), text))
    assert (seen.verdict, seen.problems) == (Verdict.VALID, ())
    more = re.sub(r"^  # (?=(tier|lifecycle|system|tools):)", "  ", text, flags=re.MULTILINE)
    more = more.replace("  #   -", "    -")
    seen = QM.translate(Project(1, "a/b"), ManifestFile("qm.yaml", "o", len(more), more))
    assert (seen.verdict, seen.problems) == (Verdict.VALID, ())


def test_what_is_there_is_never_overwritten(checkout: Path) -> None:
    (checkout / "qm.yml").write_text("mine\n", "utf-8")
    code, said = init(str(checkout))
    assert (code, "never overwritten" in said) == (2, True)
    assert init("--print", str(checkout))[1].startswith("version: 1\n")
    assert [each.name for each in checkout.glob("qm.*")] == ["qm.yml"]


def test_the_group_is_the_guess_where_nobody_owns_the_code(checkout: Path) -> None:
    (checkout / "CODEOWNERS").unlink()
    assert "team: fares  # from the GitLab group shop/fares" in init("--print", str(checkout))[1]


def test_an_empty_folder_gives_a_manifest_to_fill_in(tmp_path: Path) -> None:
    (tmp_path / "new thing").mkdir()
    _, text = init("--print", str(tmp_path / "new thing"))
    assert "name: new thing  # from the folder" in text
    assert "team: unknown  # from nobody: name your team" in text


@pytest.mark.parametrize("owner", ["@決済", "@", "jo@example.com"])
def test_a_team_that_can_be_none_is_left_to_be_named(checkout: Path, owner: str) -> None:
    (checkout / "CODEOWNERS").write_text(f"* {owner}\n", "utf-8")
    (checkout / ".git" / "config").unlink()
    assert "team: unknown" in init("--print", str(checkout))[1]


def test_a_title_of_a_stranger_stays_one_value(checkout: Path) -> None:
    title = '# a: "b" # c\x1b[31m {x} [t](https://evil.example)\n'
    (checkout / "README.md").write_text(title, "utf-8")
    _, text = init("--print", str(checkout))
    assert "\x1b" not in text
    seen = QM.translate(Project(1, "a/b"), ManifestFile("qm.yaml", "o", len(text), text))
    assert seen.verdict is Verdict.VALID
    assert len(seen.drafts) == 3


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@gitlab.example.com:a/b/c.git", Remote("gitlab.example.com", "a/b/c")),
        ("https://jo:secret@gitlab.example.com/a/b.git", Remote("gitlab.example.com", "a/b")),
        ("ssh://git@gitlab.example.com:2222/a/b.git", Remote("gitlab.example.com", "a/b")),
        ("/srv/git/a.git", None),
        ("https://[broken/a", None),
    ],
)
def test_where_a_checkout_is_from(checkout: Path, url: str, expected: Remote | None) -> None:
    remote(checkout, url)
    assert remote_of(checkout) == expected


@pytest.fixture
def gitlab() -> Iterator[tuple[asyncio.Runner, str]]:
    world = World(lambda: datetime(2026, 11, 1, tzinfo=UTC))
    facts = ProjectFacts(languages={"Go": 80.0, "Shell": 20.0})
    world.add_project("shop/cart", description="Sells: #1 things", files={}, facts=facts)
    sandbox = SandboxGitLab(world, token="the-token")
    with asyncio.Runner() as runner:
        serving = running(sandbox)
        url = runner.run(serving.__aenter__())
        yield runner, url
        runner.run(serving.__aexit__(None, None, None))


@pytest.mark.real
def test_a_gitlab_that_is_named_is_asked(
    checkout: Path,
    gitlab: tuple[asyncio.Runner, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner, url = gitlab
    monkeypatch.setenv("GITLAB_TOKEN", "the-token")

    def asked() -> str:
        invoked = asyncio.to_thread(init, "--print", "--from", url, str(checkout))
        return runner.run(invoked)[1]

    assert "the checkout is from gitlab.example.com, so 127.0.0.1 was not asked" in asked()
    remote(checkout, f"{url}/shop/cart.git")
    said = asked()
    assert 'description: "Sells: #1 things"  # from GitLab' in said
    assert "language: Go  # from GitLab" in said
    remote(checkout, f"{url}/shop/gone.git")
    assert "GitLab answered 404 for shop/gone: check the token; the rest is from" in asked()


def test_no_line_of_a_stranger_makes_it_hang(checkout: Path) -> None:
    """Each took minutes by a pattern that backtracks; the test's own limit would end it."""
    (checkout / "README.md").write_text(f"# a{' ' * 60_000}\x85b\n# {'![' * 20_000}\n", "utf-8")
    blank = "\n" * 60_000
    (checkout / ".git" / "config").write_text(f'[remote "origin"]{blank}', "utf-8")
    code, text = init("--print", str(checkout))
    assert (code, "name: a " in text) == (0, True)
