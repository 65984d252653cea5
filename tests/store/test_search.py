"""Entities are found by what is known of them, on both databases."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.statements import Merged, StoredEntity
from bridge.store import SqlStore, open_store

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.test"


def stored(ref: str, *targets: str, names: tuple[str, ...] = (), **metadata: Any) -> StoredEntity:
    made = Ref.parse(ref)
    body = {"kind": made.kind, "metadata": {"name": made.name, **metadata}, "spec": {}}
    entity = CatalogEntity(made, body, ())
    pointing = {Ref.parse(each): Ref.parse(each.replace("_", "-")) for each in targets}
    called = frozenset((rank, Ref.parse(each)) for rank, each in enumerate((ref, *names)))
    return StoredEntity(entity, "digest", "0", entity, pointing, called)


async def filled(url: str) -> SqlStore:
    store = await open_store(url)
    put = [
        stored("component:default/cart", names=("component:default/basket",)),
        stored("component:other/cart", title='A "50%" cart_'),
        stored("component:default/cart-api", "component:default/basket", title="Cart's API"),
        stored("api:default/cart", "component:default/cart"),
        stored("resource:default/db", "component:default/elsewhere"),
    ]
    edition = (await store.model.state(SOURCE)).edition
    await store.model.merged(SOURCE, edition, Merged([], put, figures=Counter()))
    return store


async def test_a_name_is_found_in_every_namespace_of_the_kinds(url: str) -> None:
    store = await filled(url)
    find = store.search.named
    both = ["component:default/cart", "component:other/cart"]
    assert await find(SOURCE, "cart", ["component"], 9) == both
    assert await find(SOURCE, "cart", ["component", "api"], 9) == ["api:default/cart", *both]
    assert await find(SOURCE, "cart", ["component", "api"], 2) == ["api:default/cart", both[0]]
    assert await find(SOURCE, "car", ["component"], 9) == []
    assert await find(SOURCE, "cart", [], 9) == []
    await store.close()


async def test_a_text_is_found_as_it_is_whatever_its_case(url: str) -> None:
    """No sign of it stands for another."""
    store = await filled(url)
    find = store.search.holding
    assert await find(SOURCE, ["cart's"], 9) == ["component:default/cart-api"]
    assert await find(SOURCE, ["50%", "nothing"], 9) == ["component:other/cart"]
    assert await find(SOURCE, ["5_%"], 9) == []
    assert await find(SOURCE, [], 9) == []
    assert len(await find(SOURCE, ["cart"], 3)) == 3
    assert len(await store.search.refs(SOURCE)) == 5
    await store.close()


async def test_who_refers_to_one_is_found_by_each_of_its_names(url: str) -> None:
    store = await filled(url)
    find = store.search.pointing_at
    pointing = ["api:default/cart", "component:default/cart-api"]
    assert await find(SOURCE, "component:default/cart", 9) == pointing
    assert await find(SOURCE, "component:default/cart", 1) == pointing[:1]
    assert await find(SOURCE, "resource:default/db", 9) == []
    assert await find("https://other.test", "component:default/cart", 9) == []
    await store.close()
