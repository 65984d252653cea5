"""The command line as a user meets it: what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.errors import StoreError
from bridge.store.facts import SqlFactStore
from tests.published import entities_in

GOOD = """\
version: 1
service:
  name: Payments API
  lifecycle: production
  tier: tier_1
  product: Shop
  system: checkout
  owner: {team: cashiers, channel: '#cash'}
  tools:
    - {name: Grafana, category: dashboard, url: 'https://grafana.example/d/1'}
"""


INFO = """\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: cart}
spec: {type: service, lifecycle: production, owner: payments}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory without settings of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITLAB_TOKEN", "FESTER_FROM", "FESTER_TO", "FESTER_STORE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def fester(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def checkout(home: Path, name: str, text: str, file: str = "qm.yaml") -> Path:
    folder = home / "src" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text, "utf-8")
    return folder / file


@pytest.mark.store
def test_run_publishes_a_folder_of_checkouts_and_reports(home: Path) -> None:
    checkout(home, "payments", GOOD)
    checkout(home, "broken", "version: 1\nservice: {name: X}\n")
    checkout(home, "mq", "apiVersion: mq.ibm.com/v1beta1\nkind: QueueManager\n")
    result = fester("run", "--from", "src", "--to", "out", "--report", "report.json")
    assert result.exit_code == 0, result.output
    report = json.loads((home / "report.json").read_text())
    assert report["outcome"] == "complete"
    assert report["manifests"] == {"valid": 1, "quarantined": 1, "ignored": 1}
    assert report["entities"] == {"Component": 1, "Domain": 1, "Group": 1, "System": 1}
    assert report["published"] == [{"to": "out", "written": 5, "kept": 0, "removed": 0}]
    problem = next(p for p in report["problems"] if p["severity"] == "error")
    assert (problem["project"], problem["file"], problem["line"]) == ("broken", "qm.yaml", 2)
    assert [entry["ref"] for entry in entities_in(home / "out")] == [
        "component:default/payments-api",
        "domain:default/shop",
        "group:default/cashiers",
        "system:default/checkout",
    ]
    assert (
        "payments-api,Payments API,cashiers,tier_1,#cash"
        in (home / "out" / "services.csv").read_text()
    )


@pytest.mark.store
def test_after_a_run_every_service_has_a_score(home: Path) -> None:
    """Who runs Fester from cron has facts and scores too, and not only who serves."""
    checkout(home, "payments", GOOD)
    assert "fester run" in fester("score", "--from", "src").output
    assert "scored" not in fester("run", "--from", "src", "--to", "out", "--dry-run").output
    ran = fester("run", "--from", "src", "--to", "out")
    assert "1 service scored, 1 without enough data" in ran.output
    shown = fester("score", "payments-api", "--from", "src")
    assert shown.exit_code == 0
    assert re.search(r"dashboard-linked +pass", shown.output)


@pytest.mark.store
def test_facts_that_cannot_be_kept_do_not_change_what_a_run_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> None:
        raise StoreError("the disk is full\x1b[31m")

    checkout(home, "payments", GOOD)
    monkeypatch.setattr(SqlFactStore, "record_facts", refused)
    ran = fester("run", "--from", "src", "--to", "out")
    assert ran.exit_code == 0, ran.output
    assert "the pass stands, but its facts and scores are not whole: the disk is full" in ran.output
    assert "\x1b" not in ran.output
    assert (home / "out" / "index.yaml").exists()


@pytest.mark.store
def test_a_second_run_writes_nothing(home: Path) -> None:
    checkout(home, "payments", GOOD)
    fester("run", "--from", "src", "--to", "out")
    result = fester("run", "--from", "src", "--to", "out", "--report", "report.json")
    assert result.exit_code == 0
    published = json.loads((home / "report.json").read_text())["published"]
    assert published == [{"to": "out", "written": 0, "kept": 5, "removed": 0}]


@pytest.mark.store
def test_a_dry_run_writes_neither_catalog_nor_memory(home: Path) -> None:
    checkout(home, "payments", GOOD)
    result = fester("run", "--from", "src", "--to", "out", "--dry-run")
    assert result.exit_code == 0
    assert "dry run" in result.output
    assert [path.name for path in home.iterdir()] == ["src"]
    assert "knows of no pass" in fester("explain", "payments-api").output


@pytest.mark.store
def test_a_dry_run_needs_no_destination_and_looks_at_a_store_that_is_there(home: Path) -> None:
    checkout(home, "payments", GOOD)
    result = fester("run", "--from", "src", "--dry-run")
    assert result.exit_code == 0, result.output
    assert [path.name for path in home.iterdir()] == ["src"]
    fester("run", "--from", "src", "--to", "out")
    (home / "src/payments/qm.yaml").write_text("version: 1\nservice: {name: X}\n")
    kept = fester("run", "--from", "src", "--dry-run", "--report", "report.json")
    assert kept.exit_code == 0, kept.output
    assert json.loads((home / "report.json").read_text())["entities"]["Component"] == 1
    assert fester("run", "--from", "src").exit_code == 2


@pytest.mark.store
def test_a_manifest_that_breaks_keeps_its_entities_and_explain_says_why(home: Path) -> None:
    checkout(home, "payments", GOOD)
    fester("run", "--from", "src", "--to", "out")
    checkout(home, "payments", GOOD.replace("tier_1", "tier_one"))
    assert fester("run", "--from", "src", "--to", "out").exit_code == 0
    assert "fester.dev/kept-since" in json.dumps(entities_in(home / "out"))
    result = fester("explain", "component:default/payments-api")
    assert result.exit_code == 0
    assert "payments qm.yaml" in result.output
    assert "kept since" in result.output
    assert "tier_one" in result.output


@pytest.mark.store
def test_explain_says_why_a_service_is_missing(home: Path) -> None:
    checkout(home, "fares", "version: 1\nservice:\n  name: Fares\n")
    fester("run", "--from", "src", "--to", "out")
    result = fester("explain", "fares")
    assert result.exit_code == 1
    assert "never valid" in result.output
    assert "service.owner" in result.output
    as_json = json.loads(fester("explain", "fares", "--json").output)
    assert as_json["found"] == []
    assert as_json["problems"][0]["line"] == 2


@pytest.mark.store
def test_explain_suggests_what_may_have_been_meant(home: Path) -> None:
    checkout(home, "payments", GOOD)
    fester("run", "--from", "src", "--to", "out")
    result = fester("explain", "paiments-api")
    assert result.exit_code == 1
    assert "component:default/payments-api" in result.output


@pytest.mark.store
def test_explain_answers_once_whatever_the_number_of_sources(home: Path) -> None:
    checkout(home, "payments", GOOD)
    other = home / "other" / "cart"
    other.mkdir(parents=True)
    (other / "qm.yaml").write_text(GOOD.replace("Payments API", "Cart"))
    for source in ("src", "other"):
        fester("run", "--from", source, "--to", f"out-{source}")
    one = json.loads(fester("explain", "cart", "--json").output)
    assert (one["found"][0]["ref"], Path(one["source"]).name) == ("component:default/cart", "other")
    nobody = fester("explain", "nobody")
    assert nobody.exit_code == 1
    assert nobody.output.count("nobody is not in the catalog.") == 1
    assert json.loads(fester("explain", "nobody", "--json").output)["known"] is False
    both = fester("explain", "group:default/cashiers")
    assert both.exit_code == 0
    assert [
        line.strip(":") for line in both.output.splitlines() if line.endswith(("src:", "other:"))
    ] == [str(home / "other"), str(home / "src")]
    assert len(json.loads(fester("explain", "cashiers", "--json").output)) == 2


def test_every_configuration_problem_comes_at_once_with_exit_code_2(home: Path) -> None:
    (home / "fester.yaml").write_text("from: src\nfrm: x\ngitlab: {page_size: 1000}\n")
    result = fester("run")
    assert result.exit_code == 2
    assert "fester.yaml:2:1" in result.output
    assert "fester.yaml:3:10" in result.output
    assert "2 problems to fix" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run",), "--from"),
        (("run", "--from", "nowhere", "--to", "out"), "nowhere"),
        (("run", "--from", ".", "--to", "ftp://x"), "ftp://x"),
        (("run", "--from", ".", "--to", "out", "--store", "mysql://x"), "sqlite"),
        (("serve", "--from", ".", "--host", "0.0.0.0"), "--open"),
        (("check", "nowhere.yaml"), "no such file"),
        (("map", "nowhere.txt"), "no mapping wants"),
        (("map", "qm.yaml"), "cannot be read"),
    ],
)
def test_what_must_be_fixed_exits_with_2_and_says_how(
    home: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = fester(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.real("it waits between its tries")
def test_a_gitlab_that_is_not_there_fails_with_1_and_publishes_nothing(home: Path) -> None:
    (home / "fester.yaml").write_text("gitlab: {timeout: 1s}\n")
    result = fester("run", "--from", "http://127.0.0.1:9", "--to", "out")
    assert result.exit_code == 1
    assert "127.0.0.1:9" in result.output
    assert not (home / "out").exists()


def test_check_accepts_a_good_manifest(home: Path) -> None:
    path = checkout(home, "payments", GOOD)
    result = fester("check", str(path))
    assert result.exit_code == 0
    assert "1 manifest checked, 0 errors" in result.output


def test_check_finds_manifests_in_folders_and_names_the_line(home: Path) -> None:
    checkout(home, "payments", GOOD)
    checkout(home, "fares", GOOD.replace("tier: tier_1", "tier: tier_11"))
    result = fester("check", "src")
    assert result.exit_code == 1
    assert "src/fares/qm.yaml:5:9" in result.output
    assert "tier_1" in result.output


def test_check_warns_of_unknown_keys_without_failing(home: Path) -> None:
    checkout(home, "payments", GOOD + "  teir: x\n")
    result = fester("check", "src")
    assert result.exit_code == 0
    assert "did you mean `tier`" in result.output


def test_check_writes_gitlabs_code_quality_report(home: Path) -> None:
    checkout(home, "fares", GOOD.replace("tier: tier_1", "tier: tier_11"))
    issues = json.loads(fester("check", "src", "--format", "gitlab").output)
    (issue,) = issues
    assert issue["severity"] == "major"
    assert issue["check_name"] == "manifest-invalid"
    assert issue["location"] == {"path": "src/fares/qm.yaml", "lines": {"begin": 5}}
    moved = "# a comment\n" + GOOD.replace("tier: tier_1", "tier: tier_11")
    checkout(home, "fares", moved)
    (again,) = json.loads(fester("check", "src", "--format", "gitlab").output)
    assert again["fingerprint"] == issue["fingerprint"]


def test_check_prints_json(home: Path) -> None:
    checkout(home, "payments", GOOD)
    assert json.loads(fester("check", "src", "--format", "json").output) == {
        "checked": 1,
        "problems": [],
    }


def test_check_says_of_a_file_that_a_preset_alone_wants_that_it_is_not_read(home: Path) -> None:
    info = checkout(home, "cart", INFO, file="catalog-info.yaml")
    alone = fester("check", str(info))
    assert alone.exit_code == 2
    assert "the preset `catalog-info` alone wants a file of this name" in alone.output
    checkout(home, "cart", GOOD)
    beside = fester("check", "src")
    assert beside.exit_code == 0
    assert "catalog-info.yaml: is not read: the preset `catalog-info`" in beside.output
    assert "1 manifest checked, 0 errors, 1 other notes" in beside.output
    (home / "own").mkdir()
    (home / "own" / "presets.yaml").write_text("presets: [catalog-info]\n")
    used = fester("check", "src", "--mappings", "own")
    assert "2 manifests checked, 0 errors, 0 other notes" in used.output


def test_check_cannot_be_made_to_move_the_terminals_cursor(home: Path) -> None:
    checkout(home, "evil", GOOD.replace("tier_1", '"\\e[2Jtier"'))
    result = fester("check", "src")
    assert result.exit_code == 1
    assert "\x1b" not in result.output


def test_map_prints_the_entities(home: Path) -> None:
    path = checkout(home, "payments", GOOD)
    result = fester("map", str(path), "--project", "shop/payments", "--web-url", "https://gl/s/p")
    assert result.exit_code == 0
    assert "kind: Component" in result.output
    assert "name: payments-api" in result.output
    assert "gitlab.com/project-slug: shop/payments" in result.output


def test_map_reads_what_a_manifest_names_from_its_checkout(home: Path) -> None:
    text = GOOD + "  apis: {provides: [{name: Pay, type: openapi, definition: api/pay.yaml}]}\n"
    path = checkout(home, "payments", text)
    (path.parent / "api").mkdir()
    (path.parent / "api/pay.yaml").write_text("openapi: 3.1.0\ninfo: {}\npaths: {}\n")
    assert "../definitions/" not in fester("map", str(path)).output
    (path.parent / ".git").mkdir()
    result = fester("map", str(path))
    assert result.exit_code == 0
    assert re.search(r"\"\$text\": \"\.\./definitions/[0-9a-f]{40}\.yaml", result.output)


def test_map_names_no_file_that_no_repository_has(home: Path) -> None:
    path = checkout(home, "payments", GOOD, "example.txt")
    result = fester("map", str(path))
    assert result.exit_code == 2
    assert "qm.yaml" in result.output
    assert "gitlab:group" not in result.output


def test_map_explains_where_every_field_came_from(home: Path) -> None:
    path = checkout(home, "payments", GOOD)
    result = fester("map", str(path), "--explain")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    title = next(n for n, line in enumerate(lines) if 'metadata.title = "Payments API"' in line)
    assert "qm-v1.yaml:" in lines[title + 1]
    assert "payments/qm.yaml:3:9" in lines[title + 1]


def test_map_reads_a_file_by_another_name(home: Path) -> None:
    path = checkout(home, "payments", GOOD, "example.txt")
    assert fester("map", str(path), "--as", "qm.yaml").exit_code == 0


def test_map_says_why_a_manifest_gives_nothing(home: Path) -> None:
    broken = checkout(home, "a", "version: 1\nservice: {}\n")
    assert fester("map", str(broken)).exit_code == 1
    foreign = checkout(home, "b", "apiVersion: mq.ibm.com/v1beta1\nkind: QueueManager\n")
    result = fester("map", str(foreign))
    assert result.exit_code == 1
    assert "IBM MQ" in result.output


def test_the_shipped_mappings_are_good_and_their_examples_pass() -> None:
    assert fester("mappings", "check").exit_code == 0
    result = fester("mappings", "test")
    assert result.exit_code == 0
    assert " 0 fail" in result.output


def test_a_broken_mapping_is_shown_with_its_place(home: Path) -> None:
    (home / "own").mkdir()
    (home / "own" / "mine.yaml").write_text("mapping: mine\nfiels: [a.yaml]\n")
    result = fester("mappings", "check", "own")
    assert result.exit_code == 2
    assert "mine.yaml:2:1" in result.output
    assert "files" in result.output


@pytest.mark.real
def test_demo_once_ends_with_a_published_catalog_and_says_where(home: Path) -> None:
    result = fester("demo", "--once")
    assert result.exit_code == 0, result.output
    assert "fester-demo/index.yaml" in result.output
    assert (home / "fester-demo" / "index.yaml").exists()
    missing = fester("explain", "--store", "sqlite:///fester-demo/.fester.db", "crown-jewels")
    assert "permission" in missing.output
    assert "39 services scored" in result.output
    (shown,) = re.findall(r"fester (score --store .+)", result.output)
    assert "engine-room" in fester(*shown.split()).output


def test_version_and_help() -> None:
    assert fester("--version").output.startswith("fester, version")
    for command in ("run", "serve", "demo", "check", "map", "mappings", "explain"):
        assert command in fester("--help").output
        assert fester(command, "--help").exit_code == 0


def test_a_manifest_that_no_crawl_reads_does_not_pass(home: Path) -> None:
    checkout(home, "payments/docs", GOOD)
    (home / "src/payments/.git").mkdir()
    result = fester("check", "src/payments")
    assert result.exit_code == 1
    assert "src/payments/docs/qm.yaml:1:1: is not read" in result.output
    assert "move it there" in result.output
    checkout(home, "payments", GOOD)
    beside = fester("check", "src/payments")
    assert beside.exit_code == 0
    assert "src/payments/docs/qm.yaml:1:1: is not read" in beside.output
    assert "qm.yaml at the root is, and does not include it" in beside.output
    checkout(home, "payments", f"{GOOD}include: ['*/qm.yaml']\n")
    included = fester("check", "src/payments")
    assert included.exit_code == 0
    assert "is not read" not in included.output


def test_what_a_manifest_names_is_looked_for_in_its_checkout(home: Path) -> None:
    (home / "src/payments/.git").mkdir(parents=True)
    docs = "  docs: [{kind: runbook, path: docs/runbok.md}]\n"
    checkout(home, "payments", f"version: 1\nservice:\n  name: a\n  owner: {{team: b}}\n{docs}")
    (home / "src/payments/docs").mkdir()
    (home / "src/payments/docs/runbook.md").write_text("# Stay calm")
    result = fester("check", "src/payments")
    assert result.exit_code == 0
    assert "did you mean `docs/runbook.md`?" in result.output


def test_shipped_mappings_are_shown_to_be_copied(home: Path) -> None:
    listed = fester("mappings", "show").output.split()
    assert {"qm-v1.yaml", "rubric.yaml", "remediation/gate.md"} <= set(listed)
    for name in listed:
        (home / "mappings" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "mappings" / name).write_text(fester("mappings", "show", name).output, "utf-8")
    assert fester("mappings", "check", "mappings").exit_code == 0
    missed = fester("mappings", "show", "qm-v2.yaml")
    assert (missed.exit_code, "did you mean `qm-v1.yaml`?" in missed.output) == (2, True)


def test_what_to_write_is_said_with_the_value_that_was_given(home: Path) -> None:
    text = GOOD.replace("tier_1", "1").replace("{team: cashiers, channel: '#cash'}", "cashiers")
    (home / "qm.yaml").write_text(text)
    said = json.loads(fester("check", "--format", "json", "qm.yaml").output)["problems"]
    assert [problem["message"] for problem in said] == [
        "service.tier must be one of tier_1, tier_2, tier_3, tier_4, not the number 1 "
        "— did you mean tier_1?",
        'service.owner must be an object or a list, not the text "cashiers": '
        "write `owner: {team: cashiers}`",
    ]


@pytest.mark.parametrize("command", ["map", "check", "convert"])
def test_what_backstage_refuses_is_refused_in_the_same_words(home: Path, command: str) -> None:
    (home / "toy.schema.json").write_text('{"type": "object"}')
    (home / "toy.yaml").write_text(
        "mapping: toy\ntitle: a toy\nfiles: [toy.yml]\nschema: toy.schema.json\nentities:\n"
        "  - {apiVersion: backstage.io/v1alpha1, kind: '${{ manifest.kind }}', "
        "metadata: {name: x}}\n"
    )
    (home / "toy.yml").write_text("kind: Datastore\n")
    (home / "mine").mkdir()
    for name in ("toy.schema.json", "toy.yaml"):
        (home / name).rename(home / "mine" / name)
    result = fester(command, "toy.yml", "--mappings", "mine")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "error toy.yml:1:1: Backstage refuses the Datastore" in said
    assert "no kind that Backstage knows" in said
