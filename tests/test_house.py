"""What the repository promises beside its code: packaging, pipelines, and skips that are told."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import bridge
from bridge.docs import TOPICS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", bridge.__version__)
    assert version("fester") == bridge.__version__


def test_the_changelog_has_this_version_and_what_comes_next() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert releases[0] == "Unreleased"
    assert releases[1].startswith(f"{bridge.__version__} - ")
    sections = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert sections <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.real
def test_the_wheel_holds_the_guide_the_mappings_and_the_types(tmp_path: Path) -> None:
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert {f"bridge/docs/{topic}.md" for topic in TOPICS} <= names
    assert {"bridge/py.typed", "bridge/shipped_mappings/qm-v1.yaml"} <= names
    assert {"bridge/cli/templates/kubernetes.yaml", "bridge/api/templates/guide.html"} <= names


def test_the_pipeline_does_what_ci_run_does_and_no_more() -> None:
    whole = YAML(typ="safe").load((ROOT / ".gitlab-ci.yml").read_text("utf-8"))
    assert whole["check"]["script"] == ".ci/run"
    tried = whole["check"]["parallel"]["matrix"][0]["PYTHON"]
    told = [c for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert {f"Programming Language :: Python :: {each}" for each in tried} <= set(told)


def test_the_hooks_for_who_works_here_call_what_ci_run_calls() -> None:
    whole = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    run = (ROOT / ".ci/run").read_text("utf-8")
    for hook in whole["repos"][0]["hooks"]:
        program = " ".join(hook["entry"].split()[:2]).removesuffix(" --force-exclude")
        assert program in run, hook["id"]


CONFTEST = """\
from tests.conftest import pytest_runtest_makereport  # noqa: F401
"""
SKIPPED = """\
import pytest

def test_needs_node():
    pytest.skip("Node is not installed")

@pytest.mark.skipif(True, reason="root may read everything")
def test_as_root():
    pass
"""


@pytest.mark.real
@pytest.mark.parametrize(("ci", "failed"), [("", 0), ("true", 1)])
def test_in_ci_a_skip_for_want_of_a_program_is_a_failure(
    ci: str, failed: int, tmp_path: Path
) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_it.py").write_text(SKIPPED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == failed, done.stdout
    assert ("not run, and CI is to run everything" in done.stdout) == bool(failed)
    assert "1 skipped" in done.stdout if failed else "2 skipped" in done.stdout


STARTING = """\
import sqlite3
import subprocess
import sys

import pytest

@pytest.fixture
def opened():
    sqlite3.connect(":memory:").close()

@pytest.fixture
def store():
    sqlite3.connect(":memory:").close()

def test_opens():
    sqlite3.connect(":memory:").close()

def test_uses_what_opens(opened):
    pass

@pytest.mark.store
def test_marked_too_little():
    sqlite3.connect(":memory:").close()
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_marked_by_its_fixture(store):
    pass

@pytest.mark.store
def test_marked(opened):
    sqlite3.connect(":memory:").close()

@pytest.mark.real
def test_real(opened):
    subprocess.run([sys.executable, "-c", ""], check=True)

def test_starts_nothing():
    pass
"""


@pytest.mark.real
def test_who_starts_something_and_has_not_its_mark_fails(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(STARTING)
    arguments = ["-q", "-rf", "-p", "no:cacheprovider", "-p", "no:schemathesis"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "-p", "tests.starting", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = "it opens a database: mark it with pytest.mark.store"
    more = "it opens a database and starts a process: mark it with pytest.mark.real"
    found = re.findall(r"^FAILED \S+::(\S+) - Failed: (.*)$", done.stdout, re.MULTILINE)
    assert found == [
        ("test_opens", told),
        ("test_uses_what_opens", told),
        ("test_marked_too_little", more),
    ], done.stdout


CONTAINERFILE = (ROOT / ".ci/Containerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions with their arguments, lines joined, comments left out."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE))
    return [(word, rest) for word, _, rest in (x.partition(" ") for x in joined.splitlines() if x)]


def test_the_image_is_small_and_runs_as_nobody_special() -> None:
    found = instructions()
    (user,) = [rest for word, rest in found if word == "USER"]
    assert user == "10001:10001"
    assert found.index(("USER", user)) > max(
        at for at, (word, _) in enumerate(found) if word in {"RUN", "COPY"}
    )
    assert all(
        rest.partition(" ")[0].endswith("-slim-bookworm") for w, rest in found if w == "FROM"
    )
    assert ("ENTRYPOINT", '["fester"]') in found
    ignored = (ROOT / ".ci/Containerfile.dockerignore").read_text("utf-8").split()
    assert ignored[0] == "*"  # what is not named does not come near the image
    copied = " ".join(rest for word, rest in found if word == "COPY" and "--from" not in rest)
    for name in ignored[1:]:
        assert name.removeprefix("!") in copied


@pytest.mark.real
def test_the_commands_of_the_image_make_a_fester_that_runs(tmp_path: Path) -> None:
    """Each RUN in a folder that holds what COPY copies; `/opt/fester` is a folder here, too.

    pip takes our dependencies from this environment: what is tried is our wheel and its place.
    """
    work, target = tmp_path / "src", tmp_path / "opt"
    work.mkdir()
    dependencies = os.pathsep.join(path for path in sys.path if "site-packages" in path)
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            *sources, _ = rest.split()
            for source in sources:
                there = ROOT / source
                copy = shutil.copytree if there.is_dir() else shutil.copy
                copy(there, work / there.name)
        elif word == "RUN" and "useradd" not in rest:
            command = rest.replace("/opt/fester", str(target))
            ran = subprocess.run(
                ["bash", "-euc", command],
                cwd=work,
                env={
                    **{"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
                    **{"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"},
                    "PYTHONPATH": dependencies,
                },
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
    placed = target.glob("lib/python*/site-packages/bridge/shipped_mappings/qm-v1.yaml")
    assert list(placed)
    for program, expected in (
        (("fester", "--version"), f"fester, version {bridge.__version__}\n"),
        (("python", "-c", "import bridge; print(bridge.__file__)"), str(target)),
        (("fester", "mappings", "test"), " 0 fail"),
        (("fester", "help", "manifest"), "# The manifest"),
    ):
        ran = subprocess.run(
            [str(target / "bin" / program[0]), *program[1:]],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": dependencies},
            capture_output=True,
            text=True,
            check=False,
        )
        assert expected in ran.stdout, ran.stdout + ran.stderr


def test_the_rooms_and_files_that_the_programs_map_names_are_there() -> None:
    """`bridge/README.md` says where things are and where the next one goes."""
    text = (ROOT / "bridge" / "README.md").read_text("utf-8")
    rooms, places = text.split("## Where does")
    named = re.findall(r"^\| `(\w+)/`", rooms, re.M)
    there = {path.parent.name for path in (ROOT / "bridge").glob("*/__init__.py")}
    assert there - {*named, "secret"} == set()  # it shares a line
    for row in re.findall(r"^\| [^|]+ \| `([\w/]+)/` \| (.+) \|$", places, re.M):
        room = ROOT / row[0] if row[0] == "mappings" else ROOT / "bridge" / row[0]
        assert room.is_dir(), row
        for file in re.findall(r"`([^`]+)`", row[1]):
            assert any((base / file).exists() for base in (room, ROOT)), (row[0], file)
