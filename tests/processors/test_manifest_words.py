"""What a qm.yaml can say beside its service: resources, documents, APIs, owners, other tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.model.manifests import TranslatedManifest, Translation, Verdict
from bridge.model.moments import moment_in
from bridge.model.problems import Severity
from bridge.model.scrape import ManifestFile, Project
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merge_file import load_merge_rules
from bridge.processors.merging import MergeRules
from bridge.processors.rules import broken_rules
from tests import whole

RULES = load_merge_rules(shipped_folder() / "merge.yaml")


@pytest.fixture(scope="module")
def shipped() -> Mappings:
    return load_mappings()


def project(number: int = 1) -> Project:
    return Project(number, f"shop/p{number}", f"https://gitlab.example.com/shop/p{number}", "main")


def translate(mappings: Mappings, service: str, name: str = "cart", number: int = 1) -> Translation:
    text = f"version: 1\nservice:\n  name: {name}\n  owner: {{team: {name}-team}}\n{service}"
    return mappings.translate(project(number), ManifestFile("qm.yaml", "o", len(text), text))


def by_ref(translation: Translation) -> dict[str, Any]:
    found = {}
    for draft in translation.drafts:
        assert broken_rules(draft.body) == []
        kind, name = draft.body["kind"].lower(), draft.body["metadata"]["name"]
        found[f"{kind}:{name}"] = draft.body
    return found


def catalog(
    *given: tuple[Translation, str], rules: MergeRules = RULES, publish: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The bodies by reference, and the rules of the problems; each with since when it is there."""
    placed = tuple(
        TranslatedManifest(project(at), "qm.yaml", "o", translation, held_since=moment_in(since))
        for at, (translation, since) in enumerate(given, start=1)
    )
    processor = BackstageProcessor(rules, publish_dangling=publish)
    made, problems = whole.processed(placed, processor)
    bodies = {str(entity.ref): entity.body for entity in made.entities}
    return bodies, [problem.rule for problem in problems]


def test_a_resource_belongs_to_whom_has_described_it_longest(shipped: Mappings) -> None:
    """A newcomer with a lower project id changes neither owner nor system."""
    young = translate(shipped, "  resources: [{name: Orders DB, type: database}]\n", "new", 1)
    old = translate(
        shipped,
        "  system: till\n  resources: [{name: Orders DB, type: database, description: Orders}]\n",
        "old",
        2,
    )
    bodies, rules = catalog((young, "2026-02-01"), (old, "2026-01-01"))
    resource = bodies["resource:default/orders-db"]
    assert resource["spec"] == {
        "type": "database",
        "owner": "group:default/old-team",
        "system": "system:default/till",
    }
    assert resource["metadata"]["description"] == "Orders"
    assert bodies["component:default/new"]["spec"]["dependsOn"] == ["resource:default/orders-db"]
    assert rules == []


def test_resources_may_name_their_owner_and_disagree_about_what_they_are(shipped: Mappings) -> None:
    one = translate(shipped, "  resources: [{name: q, type: queue, owner: data}]\n", "a", 1)
    two = translate(shipped, "  resources: [{name: q, type: topic}, cache]\n", "b", 2)
    bodies, rules = catalog((one, "2026-01-01"), (two, "2026-01-02"))
    assert bodies["resource:default/q"]["spec"] == {"type": "queue", "owner": "group:default/data"}
    assert bodies["resource:default/cache"]["spec"]["type"] == "unspecified"
    assert set(rules) == {"merge-conflict", "dangling-ref"}  # the type; and group:default/data


def test_a_dependency_on_nobody_is_published_only_when_asked(shipped: Mappings) -> None:
    lonely = translate(shipped, "  dependencies: [ghost]\n")
    bodies, rules = catalog((lonely, ""))
    assert "dependsOn" not in bodies["component:default/cart"]["spec"]
    told, still = catalog((lonely, ""), publish=True)
    assert told["component:default/cart"]["spec"]["dependsOn"] == ["component:default/ghost"]
    assert rules == still == ["dangling-ref"]


DOCS = """\
  system: till
  docs:
    - {kind: runbook, title: When it is down, path: docs/runbook.md}
    - {kind: golden_path, title: 決済, url: 'https://wiki.example.com/x'}
    - {id: cart-faq, path: docs/faq.md}
"""


def test_a_document_is_an_entity_with_an_owner_and_relations(shipped: Mappings) -> None:
    found = by_ref(translate(shipped, DOCS))
    runbook = found["resource:cart-runbook"]
    assert runbook["spec"] == {
        "type": "runbook",
        "owner": "group:default/cart-team",
        "system": "system:default/till",
        "dependencyOf": ["component:default/cart"],
    }
    metadata = runbook["metadata"]
    assert (metadata["title"], metadata["tags"]) == ("When it is down", ["runbook"])
    page = "https://gitlab.example.com/shop/p1/-/blob/main/docs/runbook.md"
    assert metadata["annotations"]["backstage.io/view-url"] == page
    assert metadata["annotations"]["backstage.io/edit-url"] == page.replace("/blob/", "/edit/")
    # A title that gives no name falls back; nothing is quarantined for it.
    assert found["resource:cart-golden_path"]["metadata"]["tags"] == ["golden-path"]
    assert found["resource:cart-faq"]["spec"]["type"] == "guide"
    links = [link["type"] for link in found["component:cart"]["metadata"]["links"]]
    assert links == ["runbook", "golden_path", "guide"]
    assert not any(
        "techdocs" in key
        for body in found.values()
        for key in body["metadata"].get("annotations", {})
    )


def test_documents_stay_links_where_merge_yaml_says_so(shipped: Mappings, tmp_path: Any) -> None:
    text = (shipped_folder() / "merge.yaml").read_text("utf-8")
    own = tmp_path / "merge.yaml"
    own.write_text(text.replace("leave_out: [] ", "leave_out: [Runbook, guide] "), "utf-8")
    bodies, _ = catalog((translate(shipped, DOCS), ""), rules=load_merge_rules(own))
    assert [ref for ref in bodies if ref.startswith("resource:")] == [
        "resource:default/cart-golden_path"
    ]
    assert len(bodies["component:default/cart"]["metadata"]["links"]) == 3


APIS = """\
  lifecycle: production
  apis:
    provides:
      - Plain API
      - {name: Order Events, id: events, type: asyncapi, definition: api/events.yaml,
         lifecycle: beta, visibility: public, description: What happened}
      - name: Tools
        type: mcp-server
        remotes: [{type: streamable-http, url: 'https://mcp.example.com'}]
"""


def test_apis_say_what_they_are(shipped: Mappings) -> None:
    found = by_ref(translate(shipped, APIS))
    assert found["component:cart"]["spec"]["providesApis"] == [
        "api:default/plain-api",
        "api:default/events",
        "api:default/tools",
    ]
    assert found["api:plain-api"]["spec"]["type"] == "unspecified"
    events = found["api:events"]
    assert events["metadata"]["labels"] == {"fester.dev/visibility": "public"}
    assert events["metadata"]["description"] == "What happened"
    assert (events["spec"]["type"], events["spec"]["lifecycle"]) == ("asyncapi", "beta")
    assert "api/events.yaml of shop/p1" in events["spec"]["definition"]
    tools = found["api:tools"]["spec"]
    assert tools["remotes"] == [{"type": "streamable-http", "url": "https://mcp.example.com"}]
    assert "definition" not in tools


def test_an_mcp_server_without_remotes_is_told_what_is_missing(shipped: Mappings) -> None:
    seen = translate(shipped, "  apis: {provides: [{name: t, type: mcp-server}]}\n")
    (problem,) = seen.problems
    assert (problem.severity, problem.line) == (Severity.ERROR, 5)
    assert "remotes is missing" in problem.message


def test_of_several_owners_the_first_answers_and_all_are_groups(shipped: Mappings) -> None:
    text = (
        "version: 1\nservice:\n  name: a\n  owner:\n    - {team: First, channel: '#one'}\n"
        "    - {team: Second Team, url: 'https://wiki.example.com/2'}\n    - {team: user:jane}\n"
    )
    seen = shipped.translate(project(), ManifestFile("qm.yaml", "o", len(text), text))
    found = by_ref(seen)
    component = found["component:a"]
    assert component["spec"]["owner"] == "group:default/first"
    annotations = component["metadata"]["annotations"]
    others = "group:default/second-team, user:default/jane"
    assert annotations["fester.dev/other-owners"] == others
    assert annotations["fester.dev/owner-channel"] == "#one"
    assert [link["title"] for link in component["metadata"]["links"]] == ["Second Team"]
    assert {"group:first", "group:second-team"} <= found.keys()
    assert "group:jane" not in found


INTEGRATIONS = """\
  integrations:
    pagerduty: {service_id: PABC123}
    opsgenie: {component_selector: 'tag:"service:cart"', team: Checkout, schedule: Nights}
    jsm: {team: cd68207b-c55d-4611, schedule: Evenings}
    grafana: {dashboard_selector: "tags @> 'cart'", alert_label_selector: service=cart}
    sentry: {project: shop/cart}
    sonarqube: {project: 'shop:cart'}
    kubernetes: {id: cart, namespace: shop, label_selector: 'app=cart', cluster: eu-1}
    argocd: {app_name: cart, instance: main}
    jira: {project: CART, component: Checkout}
    jenkins: {job: shop/cart}
    rollbar: {project: cart}
    slack: {channel: '#cart', url: 'https://shop.slack.com/archives/C0123456'}
  annotations: {example.com/cost-centre: '4711', sentry.io/project-slug: mine}
  labels: {example.com/region: eu}
  links: [{url: 'https://wiki.example.com', title: Wiki, icon: docs}]
"""


def test_what_plugins_read_stands_where_they_look_for_it(shipped: Mappings) -> None:
    metadata = by_ref(translate(shipped, INTEGRATIONS))["component:cart"]["metadata"]
    annotations = {
        key: value
        for key, value in metadata["annotations"].items()
        if not key.startswith(("gitlab.com/", "fester.dev/"))
    }
    for key in ("source-location", "view-url", "edit-url"):
        del annotations[f"backstage.io/{key}"]
    assert annotations == {
        "pagerduty.com/service-id": "PABC123",
        "opsgenie.com/component-selector": 'tag:"service:cart"',
        "opsgenie.com/team": "Checkout",
        "grafana/dashboard-selector": "tags @> 'cart'",
        "grafana/alert-label-selector": "service=cart",
        "sentry.io/project-slug": "shop/cart",  # the typed form counts
        "sonarqube.org/project-key": "shop:cart",
        "backstage.io/kubernetes-id": "cart",
        "backstage.io/kubernetes-namespace": "shop",
        "backstage.io/kubernetes-label-selector": "app=cart",
        "backstage.io/kubernetes-cluster": "eu-1",
        "argocd/app-name": "cart",
        "argocd/instance-name": "main",
        "jira/project-key": "CART",
        "jira/component": "Checkout",
        "jenkins.io/job-full-name": "shop/cart",
        "rollbar.com/project-slug": "cart",
        "example.com/cost-centre": "4711",
    }
    assert metadata["annotations"]["fester.dev/opsgenie-schedule"] == "Nights"
    assert metadata["annotations"]["fester.dev/jsm-team"] == "cd68207b-c55d-4611"
    assert metadata["annotations"]["fester.dev/jsm-schedule"] == "Evenings"
    assert metadata["labels"] == {"example.com/region": "eu"}
    assert [link["title"] for link in metadata["links"]] == ["#cart", "Wiki"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("annotations: {backstage.io/techdocs-ref: 'dir:.'}", "which Fester writes itself"),
        ("annotations: {x.backstage.io/a: b}", "which Fester writes itself"),
        ("annotations: {gitlab.com/project-id: '7'}", "which Fester writes itself"),
        ("labels: {fester.dev/tier: tier_1}", "which Fester writes itself"),
        ("annotations: {$text: 'https://evil.example'}", "needs keys like example.com/name"),
        ("annotations: {'a b': c}", "needs keys like example.com/name"),
        ("annotations: {a/b: {$text: 'https://evil.example'}}", "must be text"),
        ("annotations: {a/b: 5}", "put it in quotes"),
        ("labels: {a/b: 'not a word'}", "letters, digits"),
        ("integrations: {pagerduty: {service_id: 'https://x'}}", "such as PABC123"),
        ("integrations: {jira: {project: cart}}", "capital letters"),
        ("integrations: {sentry: {project: a/b/c}}", "organization/slug"),
        ("integrations: {kubernetes: {namespace: Shop}}", "lower case"),
        ("integrations: {argocd: {app_name: a, app_selector: a=b}}", "not both"),
        ("integrations: {grafana: {overview_dashboard: 'javascript:x'}}", "full address"),
        ("links: [{url: 'javascript:x'}]", "full address"),
        ("resources: [{type: queue}]", "name is missing"),
    ],
)
def test_what_cannot_be_is_refused_in_words_at_its_line(
    shipped: Mappings, written: str, said: str
) -> None:
    seen = translate(shipped, f"  {written}\n")
    assert seen.verdict is Verdict.QUARANTINED
    assert [problem.line for problem in seen.problems if said in problem.message] == [5]


def test_nothing_of_a_manifest_becomes_a_placeholder(shipped: Mappings) -> None:
    """Wherever a text may stand, a map in its place is refused."""
    evil = "{$text: 'https://evil.example'}"
    for key in ("description", "resources", "docs", "links", "apis", "labels", "annotations"):
        listed = "apis: {provides: [EVIL]}" if key == "apis" else f"{key}: [EVIL]"
        for text in (listed, f"{key}: EVIL"):
            seen = translate(shipped, f"  {text.replace('EVIL', evil)}\n")
            assert "$text" not in json.dumps([draft.body for draft in seen.drafts])


def test_a_handbook_is_a_component_that_backstage_can_filter(shipped: Mappings) -> None:
    text = (
        "version: 1\nowner: {team: a}\ndocumentation:\n  name: Golden Paths\n  docs:\n"
        "    - {kind: golden_path, path: new.md}\n    - {kind: golden_path, path: old.md}\n"
        "    - {kind: playbook, path: storm.md}\n"
    )
    seen = shipped.translate(project(), ManifestFile("qm.yaml", "o", len(text), text))
    found = by_ref(seen)
    component = found["component:golden-paths"]
    assert component["spec"]["type"] == "documentation"
    assert component["metadata"]["tags"] == ["golden-path", "playbook"]
    assert {"resource:golden-paths-new", "resource:golden-paths-storm"} <= found.keys()
