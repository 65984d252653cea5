"""`fester convert`: files of other tools as qm.yaml, and what is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli import main
from bridge.cli.convert import short_forms
from bridge.model.manifests import Verdict
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import load_mappings
from tests.processors.test_real_manifests import NAMES, REAL

QM = load_mappings()
FILES = [
    path for format_ in NAMES if format_ != "qm" for path in sorted((REAL / format_).glob("*.yaml"))
]


INFO_HEAD = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: cart"
INFO_SPEC = "spec: {type: service, lifecycle: x, owner: tills}\n"


def convert(path: Path, name: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["convert", str(path), "--as", name], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.skipif(
    not FILES, reason="the folder of real manifests does not lie beside this checkout"
)
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_is_converted_is_a_manifest_without_errors(path: Path) -> None:
    code, text, said = convert(path, NAMES[path.parent.name])
    if code == 1:  # two domains of Port's
        assert path.name == "07.yaml"
        assert "this describes no service" in said
        return
    seen = QM.translate(Project(1, "a/b"), ManifestFile("qm.yaml", "o", len(text), text))
    assert seen.verdict is Verdict.VALID
    assert [str(each) for each in seen.problems if each.severity is Severity.ERROR] == []
    assert [each.message for each in seen.problems if "unknown key" in each.message] == []


CATALOG_INFO = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: fare-engine
  title: Fares
  annotations:
    pagerduty.com/service-id: PABC123
    backstage.io/techdocs-ref: dir:.
    example.com/anything: "yes"
  labels: {zone: shore}
  tags: [rust]
  links:
    - {url: "https://wiki.example.com/run", title: When it is down, type: runbook}
    - {url: "https://grafana.example.com/d/1", title: Fares, type: dashboard}
    - {url: "https://example.com/more"}
spec:
  type: service
  lifecycle: production
  owner: tide-tables
  system: fares
  subcomponentOf: booking
  providesApis: [fares-api]
  dependsOn: [component:menu, resource:default/fares-db]
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: fares-api, description: What a trip costs}
spec: {type: openapi, lifecycle: production, owner: tide-tables, definition: "openapi: 3.1.0"}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: tide-tables, title: Tide Tables}
spec: {type: team, children: []}
"""


def test_a_catalog_info_becomes_the_manifest_that_one_would_write(tmp_path: Path) -> None:
    path = tmp_path / "catalog-info.yaml"
    path.write_text(CATALOG_INFO, "utf-8")
    code, text, said = convert(path, path.name)
    assert code == 0
    body, _, comments = text.partition("\n#")
    assert (
        body
        == """\
version: 1
service:
  name: Fares
  id: fare-engine
  lifecycle: production
  owner:
    team: Tide Tables
  system: fares
  tags:
    - rust
  tools:
    - name: Fares
      category: dashboard
      url: https://grafana.example.com/d/1
  docs:
    - kind: runbook
      title: When it is down
      url: https://wiki.example.com/run
  links:
    - url: https://example.com/more
  dependencies:
    - menu
    - name: fares-db
      kind: resource
  apis:
    provides:
      - name: fares-api
        type: openapi
        description: What a trip costs
        lifecycle: production
  integrations:
    pagerduty:
      service_id: PABC123
  annotations:
    example.com/anything: "yes"
  labels:
    zone: shore
"""
    )
    lost = ["metadata.annotations.backstage.io/techdocs-ref", "spec.subcomponentOf"]
    assert all(key in comments and key in said for key in [*lost, "spec.definition"])
    assert f"{path}:8:32: `metadata.annotations.backstage.io/techdocs-ref` has no place" in said
    assert "spec.owner" not in said


def test_an_owner_that_nobody_names_is_to_be_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "score.yaml"
    path.write_text("apiVersion: score.dev/v1b1\nmetadata: {name: cart}\n", "utf-8")
    code, text, _ = convert(path, path.name)
    assert code == 0
    assert "put yours in the place of `unknown`" in text


@pytest.mark.parametrize(
    ("name", "text", "code", "message"),
    [
        ("thing.yaml", "a: 1\n", 2, "no mapping wants the name 'thing.yaml'"),
        ("cortex.yaml", "a: [\n", 1, "cortex.yaml:2:1"),
        (
            "catalog-info.yaml",
            f"{INFO_HEAD}, links: [x]}}\n{INFO_SPEC}",
            1,
            "left out: metadata.links[0]",
        ),
        (
            "catalog-info.yaml",
            f"{INFO_HEAD}, links: [{{type: 3}}]}}\n{INFO_SPEC}",
            1,
            "links[0].url",
        ),
        ("qm.yaml", "apiVersion: v1\nkind: Pod\n", 1, "ignored: a Kubernetes object"),
    ],
)
def test_what_cannot_be_converted_is_told(
    tmp_path: Path, name: str, text: str, code: int, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    result = CliRunner().invoke(main, ["convert", str(path)], catch_exceptions=False)
    assert result.exit_code == code
    assert message in " ".join(result.output.split())


def test_a_key_of_a_stranger_ends_no_comment(tmp_path: Path) -> None:
    path = tmp_path / "compass.yml"
    key = '"a\\nversion: 2\\x1b[31m"'
    path.write_text(f"name: cart\nconfigVersion: 1\nfields: {{{key}: 1}}\n", "utf-8")
    _, text, said = convert(path, path.name)
    assert "\nversion: 2" not in text
    assert "\x1b" not in text + said


def test_the_short_forms_are_those_of_the_mapping() -> None:
    found = short_forms()
    assert found["pagerduty.com/service-id"] == ("pagerduty", "service_id")
    assert found["grafana/overview-dashboard"] == ("grafana", "overview_dashboard")
    assert len(found) > 20


def test_what_is_of_another_namespace_stays_so_or_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "catalog-info.yaml"
    refs = "dependsOn: ['component:bank/ledger', 'api:rates'], consumesApis: [bank/pay]"
    spec = INFO_SPEC.replace("}", f", system: bank/core, {refs}}}")
    path.write_text(f"{INFO_HEAD}}}\n{spec}", "utf-8")
    code, text, said = convert(path, path.name)
    assert code == 0
    assert "- component:bank/ledger" in text
    assert "- api:bank/pay" in text
    assert "`spec.system` has no place" in said
    assert "`spec.dependsOn.1` has no place" in said
    assert "spec.dependsOn.0" not in said
    seen = QM.translate(Project(1, "a/b"), ManifestFile("qm.yaml", "o", len(text), text))
    body = next(draft.body for draft in seen.drafts if draft.body["kind"] == "Component")
    assert body["spec"]["dependsOn"] == ["component:bank/ledger"]
    assert body["spec"]["consumesApis"] == ["api:bank/pay"]


API_INFO = """\
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: cart-api}
spec: {type: openapi, lifecycle: x, owner: tills, definition: %s}
"""


@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ("{$text: ./api/cart.yaml}", "api/cart.yaml"),
        ("{$openapi: api/cart.yaml}", "api/cart.yaml"),
        ("{$text: 'https://example.com/cart.yaml'}", ""),
        ("{$text: ../cart.yaml}", ""),
        ("'openapi: 3.1.0'", ""),
    ],
)
@pytest.mark.parametrize("checkout", [True, False])
def test_the_file_of_a_definition_is_carried_and_its_text_is_not(
    tmp_path: Path, definition: str, path: str, checkout: bool
) -> None:
    if checkout:
        (tmp_path / ".git").mkdir()
        (tmp_path / "api").mkdir()
        (tmp_path / "api/cart.yaml").write_text("openapi: 3.1.0\ninfo: {}\npaths: {}\n")
    info = f"{INFO_HEAD}}}\n{INFO_SPEC[:-2]}, providesApis: [cart-api]}}\n"
    file = tmp_path / "catalog-info.yaml"
    file.write_text(info + API_INFO % definition)
    code, text, said = convert(file, "catalog-info.yaml")
    assert code == 0
    (api,) = yaml.safe_load(text)["service"]["apis"]["provides"]
    assert api.get("definition", "") == path
    assert ("spec.definition" in said) == (not path)
