"""Fixtures for tests of extensions; pytest has them wherever Fester is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every pytest beside Fester loads this module: what it needs is imported late
    from bridge.model.facts import Subject
    from bridge.model.manifests import TranslatedManifest

_MANIFESTS = {
    "shop/payments": (
        "version: 1\nservice:\n  name: Payments\n  owner: {team: cashiers}\n  tier: tier_1\n"
        "  system: checkout\n"
    ),
    "shop/baskets": "version: 1\nservice:\n  name: Baskets\n  owner: {team: shoppers}\n",
    "shop/broken": "version: 1\nservice:\n  name: Broken\n",
}
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class FesterRun:
    """What `fester run` did: its exit code, what it printed, and the files it published by path."""

    code: int
    output: str
    files: Mapping[str, bytes]


@pytest.fixture(scope="session")
def fester_manifests() -> tuple[TranslatedManifest, ...]:
    """Three manifests as processors get them: Payments, Baskets, and one that is broken."""
    from bridge.model.manifests import TranslatedManifest  # noqa: PLC0415
    from bridge.model.scrape import ManifestFile, Project  # noqa: PLC0415
    from bridge.processors.mapping import load_mappings  # noqa: PLC0415

    mappings = load_mappings()
    found = []
    for number, (path, text) in enumerate(_MANIFESTS.items(), 1):
        project = Project(number, path, f"https://gitlab.example.com/{path}", "main")
        file = ManifestFile("qm.yaml", f"{number:040x}", len(text), text)
        translated = mappings.translate(project, file)
        found.append(TranslatedManifest(project, file.path, file.oid, translated))
    return tuple(found)


@pytest.fixture(scope="session")
def fester_subjects(fester_manifests: tuple[TranslatedManifest, ...]) -> tuple[Subject, ...]:
    """The components of those manifests, as collectors get them."""
    from bridge.model.entities import CatalogEntity, Ref  # noqa: PLC0415
    from bridge.model.facts import Subject  # noqa: PLC0415

    found = []
    for manifest in fester_manifests:
        for draft in manifest.translation.drafts:
            if draft.body["kind"] == "Component":
                entity = CatalogEntity(Ref.of(draft.body), draft.body, ())
                (tree, *_) = manifest.translation.documents
                found.append(Subject(entity, manifest.project, tree, manifest.file))
    return tuple(found)


@pytest.fixture
def fester_run(tmp_path: Path) -> Callable[[Mapping[str, str]], FesterRun]:
    """Runs `fester run` on files by path, with every installed extension; gives a `FesterRun`.

    The files are a folder of checkouts: `{"shop/payments/qm.yaml": "version: 1 …"}`.
    """

    def run(files: Mapping[str, str]) -> FesterRun:
        source, catalog = tmp_path / "checkouts", tmp_path / "catalog"
        for path, text in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text, "utf-8")
        ran = subprocess.run(  # noqa: S603 — our own program, with paths that this fixture made
            [
                *(sys.executable, "-c", "from bridge.cli import main; main()"),
                *("run", "--from", str(source), "--to", str(catalog)),
            ],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if "FESTER_" not in name},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        published = {
            path.relative_to(catalog).as_posix(): path.read_bytes()
            for path in sorted(catalog.rglob("*"))
            if path.is_file()
        }
        return FesterRun(ran.returncode, ran.stdout + ran.stderr, published)

    return run
