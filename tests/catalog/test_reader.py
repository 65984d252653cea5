"""From a catalog to an index, and from one index to the next."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.catalog.index import Index
from bridge.catalog.jsontext import loaded
from bridge.catalog.keys import slots_of
from bridge.catalog.reader import Reader
from bridge.exporters.render import shards
from bridge.model.entities import Body, Catalog, CatalogEntity, Ref
from tests.backstage.village import village
from tests.laws import examples

PUBLIC = "https://fester.example.com"


def catalog_of(bodies: list[Body]) -> Catalog:
    entities = [CatalogEntity(Ref.of(body), body, ()) for body in bodies]
    return Catalog(tuple(sorted(entities, key=lambda entity: entity.ref)))


def contents(index: Index) -> dict[str, Any]:
    """Everything in an index, by reference instead of by slot."""
    names = {slot: ref for ref, slot in index.slots.items()}
    return {
        "entities": {ref: index.raw(ref) for ref in index.slots},
        "keys": {
            name: {
                value: sorted(names[slot] for slot in slots_of(posting))
                for value, posting in key.values.items()
            }
            for name, key in index.keys.items()
        },
        "folded": {
            name: {folded: sorted(all_of) for folded, all_of in key.folded.items()}
            for name, key in index.keys.items()
        },
        "ordered": {
            name: [
                (value, names[slot]) for value, slot in zip(rows.values, rows.slots, strict=True)
            ]
            for name in index.keys
            if (rows := index.ordered(name)) is not None
        },
        "uids": {ref: index.uids[slot] for ref, slot in index.slots.items()},
        "parents": dict(index.parents),
        "everything": index.everything.bit_count(),
        "in order": list(index.slots),
    }


def entity(index: Index, ref: str) -> Any:
    raw = index.raw(ref)
    assert raw is not None
    return loaded(raw)


def test_an_entity_is_read_with_its_place_and_its_relations() -> None:
    index = Reader(shards, PUBLIC).read(catalog_of(village()))
    table = entity(index, "component:default/tide-table")
    assert table["metadata"]["namespace"] == "default"
    annotations = table["metadata"]["annotations"]
    assert (
        annotations["backstage.io/managed-by-location"] == f"url:{PUBLIC}/catalog/entities/all.yaml"
    )
    origin = annotations["backstage.io/managed-by-origin-location"]
    assert origin == f"url:{PUBLIC}/catalog/index.yaml"
    assert {"type": "ownedBy", "targetRef": "group:default/harbour"} in table["relations"]
    assert {"type": "dependsOn", "targetRef": "component:sea/buoy"} in table["relations"]
    harbour = entity(index, "group:default/harbour")
    owned = {"type": "ownerOf", "targetRef": "component:default/tide-table"}
    assert owned in harbour["relations"]


def test_uid_and_etag_are_the_same_after_a_restart() -> None:
    first, second = (Reader(shards, PUBLIC).read(catalog_of(village())) for _ in range(2))
    assert contents(first) == contents(second)


def test_an_etag_changes_with_the_entity_and_the_uid_does_not() -> None:
    bodies = deepcopy(village())
    reader = Reader(shards, PUBLIC)
    ref = str(Ref.of(bodies[0]))
    before = entity(reader.read(catalog_of(bodies)), ref)["metadata"]
    changed = deepcopy(bodies)
    changed[0]["metadata"]["description"] = "Another"
    after = entity(reader.read(catalog_of(changed)), ref)["metadata"]
    assert before["uid"] == after["uid"]
    assert before["etag"] != after["etag"]


def test_what_did_not_change_is_carried_over() -> None:
    bodies = deepcopy(village())
    reader = Reader(shards, PUBLIC)
    first = reader.read(catalog_of(bodies))
    orders = first.keys["spec.lifecycle"].ordered(first.uids)
    changed = deepcopy(bodies)
    changed[0]["metadata"]["title"] = "Another"
    second = reader.read(catalog_of(changed))
    assert second.keys["spec.lifecycle"] is first.keys["spec.lifecycle"]
    assert second.keys["spec.lifecycle"].ordered(second.uids) is orders
    assert second.keys["metadata.title"] is not first.keys["metadata.title"]


def test_a_number_that_becomes_a_truth_value_is_a_change() -> None:
    """To Python `1` and `True` are equal, and so are `1` and `1.0`."""
    bodies = deepcopy(village())
    reader = Reader(shards, PUBLIC)
    bodies[0]["spec"]["flag"] = 1
    reader.read(catalog_of(bodies))
    changed = deepcopy(bodies)
    changed[0]["spec"]["flag"] = True
    index = reader.read(catalog_of(changed))
    assert entity(index, str(Ref.of(bodies[0])))["spec"]["flag"] is True
    assert index.equal("spec.flag", ["true"]).bit_count() == 1


def test_values_in_two_spellings_are_one_and_are_counted_apart() -> None:
    bodies: list[Body] = [
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Resource",
            "metadata": {"name": f"r-{number}"},
            "spec": {"type": "Disk" if number % 2 else "disk", "owner": "x"},
        }
        for number in range(200)
    ]
    index = Reader().read(catalog_of(bodies))
    assert index.equal("spec.type", ["disk"]).bit_count() == 200
    resources = index.equal("kind", ["resource"])
    assert index.facet("spec.type", resources) == [("Disk", 100), ("disk", 100)]
    assert index.facet("spec.type", None) == [("Disk", 100), ("disk", 100), ("url", 1)]
    assert index.facet("spec.type", 0) == []


def test_an_index_that_was_given_out_never_changes() -> None:
    bodies = deepcopy(village())
    reader = Reader(shards, PUBLIC)
    first = reader.read(catalog_of(bodies))
    before = deepcopy(contents(first))
    reader.read(catalog_of(bodies[2:]))
    reader.read(catalog_of(bodies[1:]))
    assert contents(first) == before


edits = st.lists(
    st.tuples(
        st.integers(0, 39),
        st.sampled_from(["drop", "title", "tags", "owner", "case", "keep"]),
        st.sampled_from(["harbour", "Harbour", "pilots", "group:sea/x", "user:ana"]),
    ),
    max_size=6,
)


def edited(bodies: list[Body], changes: list[tuple[int, str, str]]) -> list[Body]:
    found: list[Any] = deepcopy(bodies)
    dropped = set()
    for at, what, text in changes:
        body = found[at % len(found)]
        if what == "drop":
            dropped.add(at % len(found))
        elif what == "title":
            body["metadata"]["title"] = text
        elif what == "tags":
            body["metadata"]["tags"] = [text.lower().replace("/", "-"), "java"]
        elif what == "owner" and "owner" in body["spec"]:
            body["spec"]["owner"] = text
        elif what == "case":
            body["spec"]["type"] = text.upper() if at % 2 else text.lower()
    return [body for at, body in enumerate(found) if at not in dropped]


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(edits, min_size=1, max_size=4))
def test_pass_by_pass_gives_what_a_fresh_start_gives(passes: list[list[Any]]) -> None:
    """Law: an index that was mended is the index that would have been made."""
    reader = Reader(shards, PUBLIC)
    reader.read(catalog_of(village()))
    for changes in passes:
        bodies = edited(village(), changes)
        mended = reader.read(catalog_of(bodies))
        assert contents(mended) == contents(Reader(shards, PUBLIC).read(catalog_of(bodies)))
