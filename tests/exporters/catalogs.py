"""Catalogs for the exporters' tests."""

from __future__ import annotations

from bridge.model.entities import Catalog, CatalogEntity, Origin, Ref


def entity(name: str, **spec: str) -> CatalogEntity:
    body = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name},
        "spec": {"type": "service", "lifecycle": "alpha", "owner": "team", **spec},
    }
    return CatalogEntity(Ref.of(body), body, (Origin(1, f"group/{name}", "qm.yaml", "0", "qm-v1"),))


def catalog(count: int, **changed: str) -> Catalog:
    """`count` components; `changed` maps a name (with _ for -) to another owner."""
    entities = [
        entity(f"c{n}", owner=changed[f"c{n}"]) if f"c{n}" in changed else entity(f"c{n}")
        for n in range(count)
    ]
    return Catalog(tuple(sorted(entities, key=lambda found: str(found.ref))))
