"""A few services, a team and a system, and what is known of them, to ask about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bridge.answers.knowledge import Knowledge
from bridge.catalog.reader import Reader
from bridge.model.entities import Catalog, CatalogEntity, Origin, Ref
from bridge.model.facts import Fact, Reading, Standing
from tests.fakes import NOON

GITLAB = "https://gitlab.example.com"
CART = "component:default/cart"


def entity(kind: str, name: str, *, spec: dict[str, Any] | None = None, **meta: Any) -> Any:
    """A catalog's entity of this kind and name; `meta` goes into its metadata."""
    body = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **meta},
        "spec": spec or {},
    }
    return CatalogEntity(Ref.of(body), body, (Origin(1, "shop/x", "qm.yaml", "0" * 40, "qm-v1"),))


def service(name: str, *, tier: int | None = None, needs: tuple[str, ...] = (), **meta: Any) -> Any:
    """A component of the team `payments`, in a project of its own."""
    annotations = {
        "gitlab.com/project-slug": f"shop/{name}",
        "backstage.io/view-url": f"{GITLAB}/shop/{name}/-/blob/main/qm.yaml",
        **meta.pop("annotations", {}),
    }
    labels = {"fester.dev/tier": f"tier_{tier}"} if tier else {}
    spec = {
        "type": "service",
        "lifecycle": "production",
        "owner": "group:default/payments",
        "system": "system:default/shop",
        "dependsOn": [f"component:default/{each}" for each in needs],
    }
    return entity("Component", name, spec=spec, annotations=annotations, labels=labels, **meta)


def known(*entities: Any, facts: dict[Ref, dict[str, Reading]] | None = None) -> Knowledge:
    """What answers draw on when these are the catalog."""
    index = Reader().read(Catalog(tuple(sorted(entities, key=lambda each: str(each.ref)))))
    return Knowledge(index, facts or {}, read_at=NOON, complete_at=NOON - timedelta(hours=1))


def reading(retriever: str, seen_at: datetime, **facts: Any) -> Reading:
    """Facts about the cart; a text that begins with `?` is the reason why one is unknown."""
    made = tuple(
        Fact(name, None, seen_at, retriever, Standing.UNKNOWN, str(value)[1:])
        if str(value).startswith("?")
        else Fact(name, value, seen_at, retriever)
        for name, value in facts.items()
    )
    return Reading(Ref.parse(CART), retriever, "1.0.0", seen_at, made)


TEAM = entity(
    "Group",
    "payments",
    spec={"type": "team", "children": [], "profile": {"displayName": "Payments"}},
    annotations={"fester.dev/owner-channel": "#payments"},
)
SHOP = entity("System", "shop", spec={"owner": "group:default/payments"})
LINKS = [
    {"url": "https://logs.example.com/cart", "title": "Logs", "type": "logs"},
    {"url": "https://grafana.example.com/d/cart", "title": "Cart", "type": "dashboard"},
    {"url": f"{GITLAB}/shop/cart/-/blob/main/r.md", "title": "When it is down", "type": "runbook"},
    {"url": "https://shop.pagerduty.com/service-directory/PCART42", "title": "PagerDuty"},
]
CART_SERVICE = service(
    "cart",
    tier=1,
    needs=("stock", "gone"),
    title="The Cart",
    links=LINKS,
    annotations={"fester.dev/aliases": "basket, trolley", "gitlab.com/project-id": "42"},
)
FLEET = (
    TEAM,
    SHOP,
    CART_SERVICE,
    service("stock", tier=2, needs=("cart",)),  # the two need each other
    service("web", tier=3, needs=("cart",)),
    service("mail", tier=1, needs=("web",)),
)
