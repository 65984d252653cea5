"""Real files from public repositories, where they lie beside the checkout."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from bridge.model.manifests import TranslatedManifest, Verdict
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings
from bridge.processors.rules import broken_rules
from bridge.wiring.mappings import mappings_and_rules
from tests.whole import processed

REAL = Path(__file__).parents[3] / "shared" / "real-manifests"
NAMES = {
    "compass": "compass.yml",
    "cortex": "cortex.yaml",
    "datadog": "service.datadog.yaml",
    "opslevel": "opslevel.yml",
    "port": "port.yml",
    "qm": "qm.yaml",
    "score": "score.yaml",
}
FILES = [path for format_ in NAMES for path in sorted((REAL / format_).glob("*.yaml"))]

pytestmark = pytest.mark.skipif(
    not FILES, reason="the folder of real manifests does not lie beside this checkout"
)


@cache
def every_mapping() -> Mappings:
    return load_mappings(everything=True)


def translated(path: Path, number: int = 1) -> TranslatedManifest:
    text = path.read_text("utf-8")
    name = NAMES[path.parent.name]
    project = Project(number, f"real/{path.parent.name}-{path.stem}", "https://gitlab.test/real")
    file = ManifestFile(name, "0" * 40, len(text), text)
    return TranslatedManifest(project, name, file.oid, every_mapping().translate(project, file))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_gives_entities_that_backstage_takes_or_a_problem_with_a_line(path: Path) -> None:
    translation = translated(path).translation
    if path.parent.name == "qm":
        assert translation.verdict is Verdict.IGNORED
        assert "IBM MQ" in translation.reason
    elif translation.verdict is Verdict.VALID:
        assert translation.drafts
        assert [
            broken_rules(draft.body) for draft in translation.drafts if broken_rules(draft.body)
        ] == []
    else:
        errors = [p for p in translation.problems if p.severity is Severity.ERROR]
        assert errors
        assert all(problem.line >= 1 and problem.message for problem in errors)


def test_together_they_make_a_catalog() -> None:
    manifests = tuple(translated(path, number) for number, path in enumerate(FILES, 1))
    _, rules = mappings_and_rules(None)
    catalog, _ = processed(manifests, BackstageProcessor(rules))
    refs = {str(entity.ref) for entity in catalog.entities}
    assert {
        "component:default/datadog-operator",
        "component:default/shopping-cart-service",
        "system:default/cart",
        "domain:default/retail-website",
    } <= refs


def test_of_each_format_as_many_are_read_as_there_are() -> None:
    """A file that is newly refused, or newly read, is looked at."""
    verdicts = Counter((path.parent.name, translated(path).translation.verdict) for path in FILES)
    assert verdicts == {
        ("compass", Verdict.VALID): 5,
        ("cortex", Verdict.VALID): 8,
        ("datadog", Verdict.VALID): 13,
        ("opslevel", Verdict.VALID): 7,
        ("port", Verdict.VALID): 5,
        ("qm", Verdict.IGNORED): 2,
        ("score", Verdict.VALID): 7,
    }
