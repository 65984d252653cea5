"""The package in the guide is built, installed, tested by its own tests, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.model.facts import Subject
from bridge.model.manifests import AggregatedManifests, TranslatedManifest, Verdict
from bridge.model.runs import Artifact, Processed
from bridge.testing import Nonconformance, ProcessorSuite
from tests.guide import block, blocks

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's files in a folder, and beside it `site`, where pip installed them."""
    folder = tmp_path_factory.mktemp("fester-deploys")
    files = {each.marker[6:]: each.text for each in blocks() if each.marker.startswith("file: ")}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--disable-pip-version-check", "--target", "site", "."),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def ran(package: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A Python with the package installed, elsewhere than in the sources."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=package,
        env=os.environ | {"PYTHONPATH": str(package / "site")} | more,
        capture_output=True,
        text=True,
        check=False,
    )


def test_its_own_tests_pass_by_our_plugin(package: Path) -> None:
    done = ran(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_fester_deploys.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


def test_its_code_is_typed_as_our_protocols_want_it(package: Path) -> None:
    check = (
        "from bridge.ports import FactCollector, Processor\n"
        "from fester_deploys.collector import collector\n"
        "from fester_deploys.owners import Owners\n"
        "one: FactCollector = collector()\ntwo: Processor = Owners()\n"
    )
    (package / "check.py").write_text(check)
    done = ran(package, "-m", "mypy", "--strict", "check.py", MYPYPATH=str(package))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rubric_can_ask_for_its_fact_and_a_score_tells_it(package: Path) -> None:
    rubric = block("extend", "yaml", "rubric with an extension's fact")
    (package / "ours").mkdir()
    (package / "ours/rubric.yaml").write_text(rubric)
    (package / "src/shop/payments").mkdir(parents=True)
    manifest = "version: 1\nservice: {name: Payments, owner: {team: cashiers}}\n"
    (package / "src/shop/payments/qm.yaml").write_text(manifest)
    (package / "deploys.json").write_text(
        json.dumps({"shop/payments": (datetime.now(UTC) - timedelta(days=3)).isoformat()})
    )
    fester = ("-c", "from bridge.cli import main; main()")
    checked = ran(package, *fester, "mappings", "check", "ours")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    published = ran(package, *fester, "run", "--from", "src", "--to", "out", "--mappings", "ours")
    assert published.returncode == 0, published.stdout + published.stderr
    scored = ran(package, *fester, "score", "payments", "--from", "src", "--mappings", "ours")
    assert scored.returncode == 0, scored.stdout + scored.stderr
    assert "100" in scored.stdout


def test_the_plugins_samples_are_what_it_says(
    fester_manifests: tuple[TranslatedManifest, ...], fester_subjects: tuple[Subject, ...]
) -> None:
    verdicts = [each.translation.verdict for each in fester_manifests]
    assert verdicts == [Verdict.VALID, Verdict.VALID, Verdict.QUARANTINED]
    assert [each.ref.name for each in fester_subjects] == ["payments", "baskets"]


class OfManifests(ProcessorSuite):
    """A processor whose bytes depend on the order in which manifests come."""

    entry_point = "there-is-none"

    def make(self) -> Ordered:
        return Ordered()


class Ordered:
    """See above."""

    name = "ordered"

    def process(self, manifests: AggregatedManifests) -> Processed:
        body = "".join(each.file + each.oid for each in manifests.manifests)
        return Processed((Artifact("x.txt", body.encode(), "text/plain"),))


def test_the_suites_find_what_is_wrong(fester_manifests: tuple[TranslatedManifest, ...]) -> None:
    with pytest.raises(Nonconformance, match="another order"):
        OfManifests().test_it_conforms(fester_manifests)
    with pytest.raises(AssertionError, match="install yours"):
        OfManifests().test_fester_finds_it()


def test_the_plugin_brings_nothing_heavy_into_every_pytest() -> None:
    """Whoever has Fester installed for another reason does not wait for it."""
    code = "import sys, bridge.testing.plugin; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "jsonschema", "pydantic", "ruamel.yaml", "sqlalchemy"} & set(
        done.stdout.split()
    )
