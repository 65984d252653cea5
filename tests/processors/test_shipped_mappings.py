"""The mappings that come with Fester, on their own examples and on files from the wild."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.model.manifests import Translation, Verdict
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.mapping import Mappings, load_mappings, run_examples

WILD = Path(__file__).parents[3] / "shared" / "real-manifests"
NAMES = {"datadog": "service.datadog.yaml", "opslevel": "opslevel.yml", "qm": "qm.yaml"}
PROJECT = Project(1, "shop/cart", "https://gitlab.example.com/shop/cart", "main")


@pytest.fixture(scope="module")
def shipped() -> Mappings:
    return load_mappings()


def translate(mappings: Mappings, name: str, text: str) -> Translation:
    return mappings.translate(PROJECT, ManifestFile(name, "o", len(text), text))


def component(translation: Translation) -> Any:
    return next(d.body for d in translation.drafts if d.body["kind"] == "Component")


def test_every_example_comes_out_as_the_mapping_says(shipped: Mappings) -> None:
    results = run_examples(shipped)
    assert {result.mapping for result in results} >= {"qm-v1", "datadog-v2", "opslevel-v1"}
    assert [(r.place, r.difference) for r in results if not r.ok] == []


def test_the_crawl_asks_for_every_name(shipped: Mappings) -> None:
    assert set(shipped.files) >= {"qm.yaml", "qm.yml", "service.datadog.yaml", "opslevel.yml"}


@pytest.mark.skipif(not WILD.is_dir(), reason="the folder of real manifests is not beside us")
@pytest.mark.parametrize("format_", ["datadog", "opslevel", "qm"])
def test_real_files_give_entities_or_a_problem_with_a_line(shipped: Mappings, format_: str) -> None:
    """Foreign qm.yaml files are ignored with a reason."""
    paths = sorted((WILD / format_).glob("*.yaml"))
    assert paths
    for path in paths:
        seen = translate(shipped, NAMES[format_], path.read_text("utf-8"))
        if format_ == "qm":
            assert (seen.verdict, bool(seen.reason)) == (Verdict.IGNORED, True), path
        elif seen.verdict is Verdict.VALID:
            assert seen.drafts, path
            assert all(draft.line > 1 or format_ != "datadog" for draft in seen.drafts), path
        else:
            assert seen.problems, path
        assert all(problem.line >= 1 for problem in seen.problems), path


def test_a_qm_owners_typo_is_told_with_the_manifests_line(shipped: Mappings) -> None:
    text = "version: 1\nservice:\n  nmae: Cart\n  owner: {team: a}\n"
    seen = translate(shipped, "qm.yaml", text)
    assert seen.verdict is Verdict.QUARANTINED
    assert any(
        "name" in p.message and p.file == "qm.yaml" and p.line in (2, 3) for p in seen.problems
    )


def test_an_unknown_key_in_qm_is_a_warning_and_entities_come(shipped: Mappings) -> None:
    text = "version: 1\nservice:\n  name: Cart\n  colour: red\n  owner: {team: a}\n"
    seen = translate(shipped, "qm.yaml", text)
    assert seen.verdict is Verdict.VALID
    assert [(p.severity, p.line) for p in seen.problems] == [(Severity.WARNING, 4)]


@pytest.mark.parametrize("text", ["service: {name: a}\n", "version: 2\nservice: {name: a}\n"])
def test_another_version_of_qm_is_told_what_to_write(shipped: Mappings, text: str) -> None:
    seen = translate(shipped, "qm.yaml", text)
    assert seen.verdict is Verdict.QUARANTINED
    assert "`version: 1`" in seen.problems[0].message


def test_a_qm_in_a_checkout_without_a_remote_has_no_urls(shipped: Mappings) -> None:
    text = "version: 1\nservice:\n  name: Cart\n  owner: {team: a}\n  docs: [{path: a.md}]\n"
    seen = shipped.translate(Project(1, "cart"), ManifestFile("qm.yaml", "o", 1, text))
    metadata = component(seen)["metadata"]
    assert metadata["annotations"] == {
        "gitlab.com/project-slug": "cart",
        "fester.dev/source-name": "Cart",
    }
    assert "links" not in metadata


def test_nulls_everywhere_in_opslevel_are_fine_and_no_owner_is_a_warning(shipped: Mappings) -> None:
    keys = ("owner", "tier", "system", "product", "tags", "tools", "aliases", "dependencies")
    text = "version: 1\nservice:\n  name: Cart\n" + "".join(f"  {key}:\n" for key in keys)
    seen = translate(shipped, "opslevel.yml", text)
    assert component(seen)["spec"]["owner"] == "group:default/unknown"
    assert [(p.rule, p.severity, p.line) for p in seen.problems] == [
        ("owner-missing", Severity.WARNING, 3)
    ]


def test_a_repeated_opslevel_tag_key_loses_nothing(shipped: Mappings) -> None:
    text = (
        "version: 1\nservice:\n  name: a\n  owner: b\n"
        "  tags: [{key: db, value: MySQL}, {key: db, value: Snow Flake}]\n"
    )
    tags = component(translate(shipped, "opslevel.yml", text))["metadata"]["tags"]
    assert tags == ["db:mysql", "db:snow-flake"]


def datadog(*names: str) -> str:
    return "---\n".join(f"schema-version: v2.1\ndd-service: {name}\nteam: b\n" for name in names)


@pytest.mark.parametrize(
    ("bad", "rule", "line"),
    [
        ("schema-version: v1\n", "version-unknown", 9),
        ("schema-version: v2\ndd-service: 7\n", "manifest-invalid", 10),
        ("schema-version: v2\ndd-service: x\nteam: 'open\n", "yaml-syntax", 11),
        ("schema-version: v2\na: 1\na: 2\n", "yaml-duplicate-key", 11),
        ("schema-version: v2\ndd-service: 決済 2024\nteam: b\n", "name-unusable", 10),
    ],
)
def test_one_bad_document_does_not_take_its_neighbours_down(
    shipped: Mappings, bad: str, rule: str, line: int
) -> None:
    text = f"{datadog('a', 'b')}---\n{bad}---\n{datadog('c')}"
    seen = translate(shipped, "service.datadog.yaml", text)
    assert seen.verdict is Verdict.VALID
    assert seen.partial
    names = [d.body["metadata"]["name"] for d in seen.drafts if d.body["kind"] == "Component"]
    assert names == ["a", "b", "c"]
    (problem,) = seen.problems
    assert (problem.rule, problem.line, problem.severity) == (rule, line, Severity.ERROR)
    assert seen.documents[2] is None or isinstance(seen.documents[2], dict)


def test_a_file_of_bad_documents_only_is_quarantined(shipped: Mappings) -> None:
    text = "schema-version: v1\n---\n'open\n"
    seen = translate(shipped, "service.datadog.yaml", text)
    assert (seen.verdict, seen.drafts, seen.partial) == (Verdict.QUARANTINED, (), False)
    assert [problem.rule for problem in seen.problems] == ["yaml-syntax", "version-unknown"]


def test_sixty_services_in_one_file_are_sixty_services(shipped: Mappings) -> None:
    seen = translate(shipped, "service.datadog.yaml", datadog(*(f"s{n}" for n in range(120))))
    assert (seen.verdict, len(seen.drafts)) == (Verdict.VALID, 121)


def test_opslevel_calls_a_service_a_component_now(shipped: Mappings) -> None:
    text = (
        "version: 1\ncomponent:\n  name: x\n  type: service\n  owner: t\n"
        "  dependencies: [{alias: catalog_service}]\n"
    )
    seen = translate(shipped, "opslevel.yml", text)
    assert (seen.verdict, seen.problems) == (Verdict.VALID, ())
    body = component(seen)
    assert (body["metadata"]["name"], body["spec"]["type"]) == ("x", "service")
    assert body["spec"]["dependsOn"] == ["component:default/catalog_service"]


QM = "version: 1\nservice:\n  name: Cart\n  owner: {team: shop}\n"


def test_a_name_that_keeps_nearly_nothing_is_refused_at_its_value(shipped: Mappings) -> None:
    for name in ("決済 2024", "キャンペーン2024"):
        seen = translate(shipped, "qm.yaml", QM.replace("Cart", name))
        assert seen.verdict is Verdict.QUARANTINED
        (problem,) = seen.problems
        assert (problem.rule, problem.line, problem.column) == ("name-unusable", 3, 9)
        assert name in problem.message
        assert "`id`" in problem.message
    seen = translate(shipped, "qm.yaml", QM.replace("shop", "Команда 7"))
    (problem,) = seen.problems
    assert (problem.rule, problem.line, problem.column) == ("name-unusable", 4, 17)


def test_an_id_beside_the_name_is_the_way_out(shipped: Mappings) -> None:
    text = (
        "version: 1\nservice:\n  name: 決済 2024\n  id: payments-2024\n"
        "  owner: {team: Команда 7, id: team-7}\n  system: {name: 決済, id: payments}\n"
        "  product: {name: 店, id: shop}\n"
    )
    seen = translate(shipped, "qm.yaml", text)
    assert seen.problems == ()
    refs = {(d.body["kind"], d.body["metadata"]["name"]) for d in seen.drafts}
    assert refs == {
        ("Component", "payments-2024"),
        ("System", "payments"),
        ("Group", "team-7"),
        ("Domain", "shop"),
    }
    body = component(seen)
    assert body["metadata"]["title"] == "決済 2024"
    assert body["spec"]["owner"] == "group:default/team-7"
    assert body["spec"]["system"] == "system:default/payments"


def test_what_no_relation_can_be_made_of_is_left_out_with_a_warning(shipped: Mappings) -> None:
    seen = translate(shipped, "qm.yaml", QM + "  dependencies: [決済, cart-db]\n")
    assert component(seen)["spec"]["dependsOn"] == ["component:default/cart-db"]
    (problem,) = seen.problems
    assert (problem.rule, problem.severity) == ("name-unusable", Severity.WARNING)
    assert (problem.line, problem.column) == (5, 18)


def test_a_dependency_by_alias_is_read_and_its_place_is_known(shipped: Mappings) -> None:
    text = QM + "  dependencies:\n    - {alias: products}\n    - pay\n"
    (draft,) = (d for d in translate(shipped, "qm.yaml", text).drafts if d.line == 3)
    assert draft.body["spec"]["dependsOn"] == [
        "component:default/products",
        "component:default/pay",
    ]
    assert draft.places == (
        ("group:default/shop", 4, 17),
        ("component:default/products", 6, 15),
        ("component:default/pay", 7, 7),
    )


WEBHOOKS = [
    "https://hooks.slack.com/services/T0/B0/abc",
    "https://acme.webhook.office.com/webhookb2/x@y/IncomingWebhook/z/w",
    "https://discord.com/api/webhooks/1/abc",
    "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t",
    "https://chat.example.com/hooks/abcdefghijklmnopqrstuvwxyz",
    "https://bot:geheim@chat.example.com/",
    "https://x.logic.azure.com/workflows/1/invoke?api-version=1&sig=abcdefghij",
    "https://api.telegram.org/bot123456:ABC-DEF1234/sendMessage",
    "https://maker.ifttt.com/trigger/down/json/with/key/abcdef",
    "https://webexapis.com/v1/webhooks/incoming/Y2lzY29",
    "https://hook.eu1.make.com/abcdefgh",
    "https://hc-ping.com/5a1b0000-0000-0000-0000-000000000000",
    "https://glpat-abcdefghij0123456789@gitlab.example.com/x",
    "https://x.example.com/?dd-api-key=abcdef0123456789",
    "https://x.example.com/file?X-Amz-Signature=abcdef0123456789",
    "https://x.example.com/?user=a&password=abcdef0123",
]


@pytest.mark.parametrize("address", WEBHOOKS)
def test_a_contact_that_is_a_secret_address_is_not_published(
    shipped: Mappings, address: str
) -> None:
    contact = f"contacts:\n  - {{name: C, type: chat, contact: '{address}'}}\n"
    seen = translate(shipped, "service.datadog.yaml", datadog("a") + contact)
    assert seen.verdict is Verdict.VALID
    (problem,) = seen.problems
    assert (problem.rule, problem.severity, problem.line) == (
        "secret-address",
        Severity.WARNING,
        5,
    )
    assert address not in repr(seen)
    text = QM.replace("{team: shop}", f"{{team: shop, channel: '{address}'}}")
    described = translate(shipped, "qm.yaml", f"{text}  description: Post to {address} today\n")
    assert described.verdict is Verdict.VALID
    assert address not in repr(described)
    assert component(described)["metadata"]["description"] == "Post to (a secret address) today"


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/o/r?token_type=bearer-tokens",
        "https://docs.example.com/passwords?topic=signatures",
        "https://ghost@blog.example.com/",
        "https://hc-ping.com/",
        "https://telegram.org/bot",
    ],
)
def test_an_address_that_only_speaks_of_secrets_is_shown(shipped: Mappings, address: str) -> None:
    contact = f"contacts:\n  - {{name: C, type: chat, contact: '{address}'}}\n"
    seen = translate(shipped, "service.datadog.yaml", datadog("a") + contact)
    assert address in repr(seen)


def test_a_secret_address_is_not_repeated_by_a_message(shipped: Mappings) -> None:
    seen = translate(shipped, "qm.yaml", QM + f"  tier: {WEBHOOKS[0]}\n")
    assert seen.verdict is Verdict.QUARANTINED
    assert "hooks.slack" not in repr(seen.problems)


def test_a_comment_where_a_value_was_meant_is_told(shipped: Mappings) -> None:
    text = QM.replace("{team: shop}", "\n    team: shop\n    channel: #checkout\n    url:  # none")
    seen = translate(shipped, "qm.yaml", text)
    assert seen.verdict is Verdict.VALID
    (problem,) = seen.problems
    assert (problem.rule, problem.line, problem.column) == ("comment-for-value", 6, 14)
    assert "`channel` has no value here: `#checkout` is a comment" in problem.message


def test_gitlabs_plugin_finds_its_project(shipped: Mappings) -> None:
    """The annotations of @immobiliarelabs/backstage-plugin-gitlab."""
    annotations = component(translate(shipped, "qm.yaml", QM))["metadata"]["annotations"]
    assert annotations["gitlab.com/instance"] == "gitlab.example.com"
    assert annotations["gitlab.com/project-id"] == "1"
    assert annotations["gitlab.com/project-slug"] == "shop/cart"
    checkout = Project(2**50, "shop/cart")
    local = shipped.translate(checkout, ManifestFile("qm.yaml", "o", len(QM), QM))
    assert {"gitlab.com/instance", "gitlab.com/project-id"}.isdisjoint(
        component(local)["metadata"]["annotations"]
    )


def test_a_hostile_qm_ends_within_bounds(shipped: Mappings) -> None:
    """1,000 tools with long names: refused by the schema's bounds, nothing is published."""
    tools = "".join(f"    - {{name: {'n' * 150}, url: 'https://x.org/{n}'}}\n" for n in range(1000))
    text = f"version: 1\nservice:\n  name: a\n  owner: {{team: b}}\n  tools:\n{tools}"
    seen = translate(shipped, "qm.yaml", text)
    assert (seen.verdict, seen.drafts) == (Verdict.QUARANTINED, ())
    assert len(seen.problems) <= 50


def test_nothing_from_a_manifest_becomes_a_key_or_a_script_link(shipped: Mappings) -> None:
    """A placeholder map is refused by the schema; a link must be http or https."""
    text = (
        "version: 1\nservice:\n  name: a\n  owner: {team: b}\n  description: {$text: 'https://x'}\n"
    )
    assert translate(shipped, "qm.yaml", text).verdict is Verdict.QUARANTINED
    text = (
        "schema-version: v2\ndd-service: a\nteam: b\n"
        "links: [{name: x, url: 'javascript:alert(1)'}]\n"
    )
    seen = translate(shipped, "service.datadog.yaml", text)
    assert "links" not in component(seen)["metadata"]
    assert [(p.rule, p.line) for p in seen.problems] == [("link-unusable", 4)]
