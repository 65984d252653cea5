"""A catalog as files: placement, determinism, the index."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from bridge.exporters.render import SHARD_LIMIT, render_catalog
from bridge.model.entities import Catalog
from bridge.model.runs import Artifact, Stage
from tests.exporters.catalogs import catalog, entity
from tests.laws import examples


def by_path(artifacts: tuple[Artifact, ...]) -> dict[str, bytes]:
    return {artifact.path: artifact.body for artifact in artifacts}


def entities_of(body: bytes) -> list[str]:
    documents = YAML(typ="safe").load_all(body.decode())
    return [document["metadata"]["name"] for document in documents]


@pytest.mark.parametrize("count", [0, 1, SHARD_LIMIT, SHARD_LIMIT + 1, 1000])
def test_every_entity_is_in_one_shard_that_the_index_names(count: int) -> None:
    files = by_path(render_catalog(catalog(count)))
    locations = list(YAML(typ="safe").load_all(files["index.yaml"].decode()))
    named = [target for location in locations for target in location["spec"]["targets"]]
    assert all(location["kind"] == "Location" for location in locations)
    assert {f"./{path}" for path in files if path.startswith("entities/")} == set(named)
    assert len({location["metadata"]["name"] for location in locations}) == len(locations)
    found = [name for target in named for name in entities_of(files[target.removeprefix("./")])]
    assert sorted(found) == sorted(f"c{n}" for n in range(count))
    sizes = [len(entities_of(files[target.removeprefix("./")])) for target in named]
    assert all(size <= SHARD_LIMIT for size in sizes)


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 400), st.integers(0, 2**32))
def test_the_same_catalog_in_any_order_gives_the_same_bytes(count: int, seed: int) -> None:
    ordered = catalog(count)
    shuffled = list(ordered.entities)
    random.Random(seed).shuffle(shuffled)
    assert render_catalog(Catalog(tuple(shuffled))) == render_catalog(ordered)


def test_a_changed_entity_changes_one_shard() -> None:
    before = by_path(render_catalog(catalog(1000)))
    after = by_path(render_catalog(catalog(1000, c7="other")))
    changed = {path for path in before if before[path] != after[path]}
    (shard,) = [path for path in changed if path.startswith("entities/")]
    twin = shard.replace("entities/", "provenance/").replace(".yaml", ".json")
    assert changed == {shard, twin}


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 600), st.integers(0, 10**6))
def test_a_new_entity_moves_no_others_than_those_of_a_shard_that_splits(
    count: int, number: int
) -> None:
    """Law: addresses stay. At most one shard's entities get a new one."""
    before = catalog(count)
    added = Catalog((*before.entities, entity(f"new{number}")))
    old, new = by_path(render_catalog(before)), by_path(render_catalog(added))
    gone = {path for path in old if path not in new}
    changed = {path for path in old if path in new and old[path] != new[path]}
    shards = {path for path in gone | changed if path.startswith("entities/")}
    assert len(shards) <= 1


def test_a_hundred_entities_are_one_shard_and_one_more_is_two() -> None:
    def shards_of(count: int) -> list[str]:
        return sorted(
            p for p in by_path(render_catalog(catalog(count))) if p.startswith("entities/")
        )

    assert shards_of(100) == ["entities/all.yaml"]
    assert shards_of(101) == ["entities/0.yaml", "entities/1.yaml"]


def test_catalog_json_holds_every_entity_with_its_provenance() -> None:
    files = by_path(render_catalog(catalog(3)))
    (path,) = json.loads(files["catalog.json"])["shards"]
    tree = json.loads(files[path])
    assert [item["ref"] for item in tree["entities"]] == [
        "component:default/c0",
        "component:default/c1",
        "component:default/c2",
    ]
    assert tree["entities"][0]["origins"][0]["project"] == "group/c0"


def test_the_locations_names_begin_as_configured() -> None:
    artifacts = render_catalog(catalog(1), prefix="acme")
    (index,) = [artifact for artifact in artifacts if artifact.stage is Stage.INDEX]
    assert b"name: acme-all" in index.body
