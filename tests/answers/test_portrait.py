"""What a page about one entity shows, and which documents the catalog knows."""

from __future__ import annotations

from bridge.answers.documents import documents
from bridge.answers.portrait import MOST, MOST_TEXT, portrait
from tests.answers.fleet import CART, FLEET, entity, known, service


def test_a_service_is_shown_with_its_owner_links_and_relations_both_ways() -> None:
    found = portrait(CART.upper(), known(*FLEET))
    assert found is not None
    assert found.owner is not None
    assert (found.title, found.owner.title) == ("The Cart", "Payments")
    assert ("Tier", "1") in found.facts
    assert ("Also called", "basket, trolley") in found.facts
    groups = {group.label: [each.title for each in group.items] for group in found.related}
    assert groups["Needed by"] == ["stock", "web"]  # tier 2 before tier 3
    assert groups["Depends on"] == ["stock", "gone"]
    assert groups["Part of"] == ["shop"]
    assert portrait("component:default/nope", known(*FLEET)) is None


def test_documents_are_no_dependencies() -> None:
    spec = {"dependencyOf": ["component:default/hub"]}
    runbook = entity("Resource", "hub-runbook", spec={**spec, "type": "runbook"})
    database = entity("Resource", "hub-db", spec={**spec, "type": "database"})
    found = portrait("component:default/hub", known(service("hub", needs=()), runbook, database))
    assert found is not None
    groups = {group.label: [each.title for each in group.items] for group in found.related}
    assert (groups["Depends on"], groups["Documents"]) == (["hub-db"], ["hub-runbook"])


def test_an_apis_definition_is_readable_and_bounded() -> None:
    api = entity("API", "orders", spec={"type": "openapi", "definition": "x" * (MOST_TEXT + 1)})
    found = portrait("api:default/orders", known(api))
    assert found is not None
    assert found.definition is not None
    assert (found.definition.type, len(found.definition.text)) == ("openapi", MOST_TEXT)
    assert found.definition.cut
    placeholder = entity("API", "odd", spec={"type": "x", "definition": {"$text": "./x.yaml"}})
    found = portrait("api:default/odd", known(placeholder))
    assert found is not None
    assert found.definition is None


def test_a_crowd_of_relations_is_counted_and_bounded() -> None:
    crowd = [service("hub"), *(service(f"c{n}", needs=("hub",)) for n in range(MOST + 5))]
    found = portrait("component:default/hub", known(*crowd))
    assert found is not None
    (group,) = [each for each in found.related if each.label == "Needed by"]
    assert (len(group.items), group.total) == (MOST, MOST + 5)


def test_addresses_that_run_something_lead_nowhere() -> None:
    annotations = {"backstage.io/edit-url": "javascript:alert(1)"}
    links = [{"url": "javascript:alert(1)", "title": "x", "type": "runbook"}]
    evil = service("evil", annotations=annotations, links=links)
    found = portrait("component:default/evil", known(evil))
    assert found is not None
    assert not found.edit_url.startswith("javascript")
    assert [each.url for each in documents(known(evil))] == [""]


def test_documents_are_links_and_entities_of_their_kinds() -> None:
    page = entity(
        "Resource",
        "restore",
        title="Restore a backup",
        spec={"type": "playbook", "owner": "group:default/payments"},
        links=[{"url": "https://wiki.example.com/restore"}],
    )
    path = service(
        "new", links=[{"url": "https://x.example.com", "title": "Go", "type": "golden_path"}]
    )
    found = documents(known(*FLEET, page, path))
    assert [(each.kind, each.title, each.about) for each in found] == [
        ("runbook", "When it is down", "The Cart"),
        ("playbook", "Restore a backup", "Restore a backup"),
        ("golden-path", "Go", "new"),
    ]
