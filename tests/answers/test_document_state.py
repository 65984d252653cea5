"""How documents stand: stale, broken, or not known to be either."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.answers.document_state import STALE, DocumentState, state_of
from bridge.answers.documents import Document, documents
from bridge.model.entities import Ref
from tests.answers.fleet import CART, CART_SERVICE, GITLAB, TEAM, entity, known, reading
from tests.fakes import NOON

OLD = NOON - STALE - timedelta(days=1)
BLOB = f"{GITLAB}/shop/cart/-/blob/main"


def state(url: str, kind: str = "runbook", service: str = CART, **facts: Any) -> DocumentState:
    branch = facts.pop("branch", "main")
    told = {
        Ref.parse(CART): {
            "gitlab": reading("gitlab", NOON, default_branch=branch),
            "gitlab_rest": reading("gitlab_rest", NOON, **facts),
        }
    }
    document = Document(kind, "When it is down", url, CART, "cart", "", "", service)
    return state_of(document, known(TEAM, CART_SERVICE, facts=told), NOON)


def test_the_last_change_of_its_folder_stands_for_a_document() -> None:
    old, new = OLD.isoformat(), NOON.isoformat()
    assert state(f"{BLOB}/docs/down.md", docs_changed_at=old) == DocumentState(OLD, stale=True)
    assert state(f"{BLOB}/docs/down.md", docs_changed_at=new) == DocumentState(NOON)


@pytest.mark.parametrize(
    "url",
    [
        f"{BLOB}/down.md",  # in another folder
        f"{GITLAB}/shop/other/-/blob/main/docs/down.md",  # of another project
        f"{GITLAB}/other/shop/cart/-/blob/main/docs/down.md",  # of one whose path ends so
        f"{GITLAB}/my-shop/cart/-/blob/main/docs/down.md",
        "https://elsewhere.example/shop/cart/-/blob/main/docs/down.md",
        f"{GITLAB}/shop/cart/-/blob/old/docs/down.md",  # of another branch
        "https://wiki.example.com/docs/down",
        "",
    ],
)
def test_of_what_lies_elsewhere_nothing_is_known(url: str) -> None:
    assert state(url, docs_changed_at=OLD.isoformat()).changed is None


def test_a_branch_may_have_a_slash() -> None:
    url = f"{GITLAB}/shop/cart/-/blob/release/2/docs/down.md"
    old = OLD.isoformat()
    assert state(url, docs_changed_at=old, branch="release/2").stale
    assert state(url, docs_changed_at=old, branch="release") == DocumentState()
    assert state(url, docs_changed_at=old, branch="?GitLab is away") == DocumentState()


def test_a_fact_that_is_unknown_or_odd_makes_nothing_stale_or_broken() -> None:
    for value in ("?GitLab is away", "yesterday", "2020-01-01T00:00:00", 7):
        told = state(f"{BLOB}/docs/down.md", docs_changed_at=value, runbook_present="?away")
        assert told == DocumentState()
    assert state(f"{BLOB}/docs/down.md", service="") == DocumentState()
    assert state(f"{BLOB}/docs/down.md", service="component:default/gone") == DocumentState()


def test_a_runbook_of_the_project_itself_that_is_not_there_is_broken() -> None:
    assert state(f"{BLOB}/down.md", runbook_present=False).broken
    assert state(f"{BLOB}/down.md", "playbook", runbook_present=False).broken
    assert not state(f"{BLOB}/down.md", runbook_present=True).broken
    assert not state(f"{BLOB}/down.md", "guide", runbook_present=False).broken
    assert not state("https://wiki.example.com/down", runbook_present=False).broken
    beside: dict[str, Any] = {"runbook_present": True, "runbooks_missing": ["down.md"]}
    assert state(f"{BLOB}/down.md", **beside).broken
    assert not state(f"{BLOB}/up.md", **beside).broken
    none: dict[str, Any] = {"runbook_present": False, "runbooks_missing": ["down.md"]}
    assert state(f"{BLOB}/down.md", **none).broken
    assert not state(f"{BLOB}/up.md", **none).broken, "it was not looked at"
    assert not state(f"{BLOB}/down.md", runbook_present=True, runbooks_missing="?away").broken


def test_a_document_that_is_an_entity_is_its_services() -> None:
    made = entity(
        "Resource",
        "cart-runbook",
        spec={"type": "runbook", "dependencyOf": [CART], "owner": "group:default/payments"},
    )
    found = documents(known(TEAM, CART_SERVICE, made))
    assert {each.service for each in found} == {CART}
