"""Where each field of an entity comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.answers.fields import MOST, MOST_ITEMS, MOST_PLACES, FieldOrigin, fields_of
from bridge.model.entities import Ref
from bridge.model.manifests import TranslatedManifest, Translation, Verdict, as_data
from bridge.model.memory import KnownManifest, Memory
from bridge.model.scrape import Project
from bridge.model.statements import Statement

WEB = "https://gitlab.example.com"
EVIL = "<script>alert(1)</script>\x1b[31m"


def said(number: int, body: dict[str, Any], *places: tuple[str, int, int]) -> Statement:
    project = Project(
        number, f"shop/p{number}", web_url=f"{WEB}/shop/p{number}", default_branch="main"
    )
    translation = Translation(Verdict.VALID, "", "qm-v1")
    manifest = TranslatedManifest(project, "qm.yaml", "0" * 40, translation)
    return Statement(Ref("component", "default", "cart"), body, manifest, 0, 3, 1, places)


def memory(**written: Any) -> Memory:
    """Manifests by the numbers of their projects, as they were parsed."""
    found = {
        (int(key[1:]), "qm.yaml"): KnownManifest(
            int(key[1:]), "qm.yaml", "", Translation(Verdict.VALID, "", data=as_data([tree]))
        )
        for key, tree in written.items()
    }
    return Memory(manifests=found)


def by_path(found: list[FieldOrigin]) -> dict[tuple[str, str], FieldOrigin]:
    return {(each.path, each.value): each for each in found}


BODY = {
    "metadata": {"name": "cart", "title": "The Cart", "tags": ["a", "b"]},
    "spec": {"type": "service", "owner": "group:default/pay", "dependsOn": ["component:web"]},
}
SERVED = {
    "kind": "Component",
    "metadata": {
        "name": "cart",
        "namespace": "default",
        "uid": "1",
        "title": "The Cart",
        "tags": ["a", "b"],
        "annotations": {"backstage.io/managed-by-location": "url:x", "gitlab.com/project-id": "1"},
    },
    "spec": {
        "type": "service",
        "owner": "group:default/pay",
        "dependsOn": ["component:default/web"],
        "lifecycle": "production",
    },
    "relations": [{"type": "ownedBy", "targetRef": "group:default/pay"}],
}


def test_a_manifest_a_mapping_and_fester_itself_are_told_apart() -> None:
    one = said(1, BODY, ("component:default/web", 12, 5))
    written = {"service": {"name": "The Cart", "team": "Pay", "tags": ["a"], "needs": ["web"]}}
    found = by_path(fields_of(SERVED, [one], memory(p1=written)))
    assert found["metadata.title", "The Cart"].how == "as the manifest says"
    assert found["metadata.tags", "a"].how == "as the manifest says"
    assert found["metadata.tags", "b"].how == "made by the mapping qm-v1"
    assert found["spec.type", "service"].how == "made by the mapping qm-v1"
    assert found["spec.owner", "group:default/pay"].how == "as the manifest says"
    needs = found["spec.dependsOn", "component:default/web"]
    assert (needs.how, needs.at[0].line) == ("as the manifest says", 12)
    assert needs.at[0].url == f"{WEB}/shop/p1/-/blob/main/qm.yaml#L12"
    lifecycle = found["spec.lifecycle", "production"]
    assert (lifecycle.at, lifecycle.how) == ((), "made by Fester of what is known of it")
    paths = {path for path, _ in found}
    assert not paths & {"kind", "metadata.uid", "relations"}


def test_who_says_another_value_is_not_named_and_what_was_put_right_says_from_what() -> None:
    other = {**BODY, "spec": {**BODY["spec"], "owner": "group:default/payy"}}
    found = by_path(fields_of(SERVED, [said(1, BODY), said(2, other)], Memory()))
    owner = found["spec.owner", "group:default/pay"]
    assert [each.project for each in owner.at] == ["shop/p1"]
    assert len(found["metadata.title", "The Cart"].at) == 2
    alone = by_path(fields_of(SERVED, [said(2, other)], Memory()))
    assert alone["spec.owner", "group:default/pay"].how.endswith(
        "the manifests say group:default/payy"
    )


def test_what_many_say_is_counted_and_everything_is_bounded() -> None:
    many = [said(number, BODY) for number in range(1, 40)]
    title = by_path(fields_of(SERVED, many, Memory()))["metadata.title", "The Cart"]
    assert (len(title.at), title.more) == (MOST_PLACES, 39 - MOST_PLACES)
    wide = {"metadata": {"tags": [f"t{number}" for number in range(2 * MOST)]}}
    assert len(fields_of(wide, [], Memory())) == MOST
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}
    (nested,) = fields_of({"spec": deep}, [], Memory())
    assert len(nested.value) < 400


def test_a_value_is_one_printable_line() -> None:
    (found,) = fields_of({"metadata": {"title": EVIL + "x" * 1000}}, [], Memory())
    assert "\x1b" not in found.value
    assert len(found.value) < 310


def test_a_checkout_has_no_address() -> None:
    bare = said(1, BODY)
    project = replace(bare.manifest.project, web_url="")
    placed = replace(bare, manifest=replace(bare.manifest, project=project))
    title = by_path(fields_of(SERVED, [placed], Memory()))["metadata.title", "The Cart"]
    assert (title.at[0].project, title.at[0].url) == ("shop/p1", "")


def test_a_long_list_is_read_once_however_many_fields_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    parse = Ref.parse

    def counted(text: str) -> Ref:
        read.append(text)
        return parse(text)

    monkeypatch.setattr(Ref, "parse", counted)
    refs = [f"component:default/s{number}" for number in range(2_000)]
    one = said(1, {"spec": {"dependsOn": refs}}, *((ref, 9, 1) for ref in refs))
    found = fields_of({"spec": {"dependsOn": refs}}, [one], Memory())
    assert {each.at[0].line for each in found} == {9}
    assert len(read) < 3 * len(refs)


def test_of_more_than_is_read_nothing_false_is_told() -> None:
    full = said(1, {"spec": {"dependsOn": ["component:default/x"] * MOST_ITEMS}})
    last = said(2, {"spec": {"dependsOn": ["component:default/web"]}})
    found = fields_of({"spec": {"dependsOn": ["component:default/web"]}}, [full, last], Memory())
    (web,) = found
    assert web.at == ()
    assert web.how.startswith("not looked up")
    written = {"service": ["web", *(f"s{number}" for number in range(MOST_ITEMS))]}
    (web,) = fields_of({"spec": {"dependsOn": ["component:web"]}}, [last], memory(p2=written))
    assert web.how == "said by the manifest, or made of it by its mapping"
