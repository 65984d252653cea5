"""services.csv: one line a service, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.model.manifests import TranslatedManifest
from bridge.model.moments import moment_in
from bridge.processors.services_csv import COLUMNS
from tests.laws import examples
from tests.processors.test_aggregation import component, entity, made, manifest, named
from tests.whole import services_csv


def artifact(*manifests: TranslatedManifest) -> bytes:
    return services_csv(manifests)


def lines(*manifests: TranslatedManifest) -> list[dict[str, str]]:
    text = artifact(*manifests).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def full(**metadata: Any) -> dict[str, Any]:
    return entity(
        "Component",
        "cart",
        {"type": "service", "lifecycle": "live", "owner": "group:a", "system": "system:shop"},
        **{
            "title": "Cart, with “quotes”",
            "labels": {"fester.dev/tier": "tier_1"},
            "annotations": {"fester.dev/owner-channel": "#cart"},
            **metadata,
        },
    )


def test_a_service_has_all_its_columns() -> None:
    origin = manifest(1, full(), named("Shop", "shop"))
    project = replace(origin.project, web_url="https://gitlab.example.com/org/p1")
    (line,) = lines(replace(origin, project=project))
    assert line == {
        **{"service": "cart", "title": "Cart, with “quotes”", "owner": "a"},
        **{"tier": "tier_1", "channel": "#cart", "system": "shop", "lifecycle": "live"},
        **{"type": "service", "repository": "https://gitlab.example.com/org/p1"},
        **{"project": "org/p1", "file": "qm.yaml"},
    }


def test_what_a_manifest_does_not_say_is_empty_and_a_checkout_shows_its_path() -> None:
    (line,) = lines(manifest(1, component("cart")))
    assert [key for key in COLUMNS if not line[key]] == ["title", "tier", "channel", "system"]
    assert line["repository"] == "org/p1"


def test_no_manifests_give_the_heading_alone() -> None:
    assert artifact() == b",".join(name.encode() for name in COLUMNS) + b"\n"


def test_the_services_are_those_of_the_catalog() -> None:
    """A lost claim and an invalid entity are in neither."""
    manifests = [
        manifest(1, component("cart", "late"), held_since=moment_in("2026-01-01")),
        manifest(2, component("cart", "early"), held_since=moment_in("2025-01-01")),
        manifest(3, component("not valid"), component("api", "x")),
    ]
    listed = [(line["service"], line["owner"]) for line in lines(*manifests)]
    assert listed == [("api", "x"), ("cart", "early")]
    catalog, _ = made(*manifests)
    published = [
        (each.body["metadata"]["name"], each.body["spec"]["owner"]) for each in catalog.entities
    ]
    assert listed == published


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "\uff1d"])
def test_a_cell_never_begins_a_formula(start: str) -> None:
    (line,) = lines(manifest(1, full(title=f"{start}HYPERLINK(1)")))
    assert line["title"] == f"'{start}HYPERLINK(1)".replace("\t", " ").replace("\r", " ")


def test_a_service_is_one_line_whatever_its_title_holds() -> None:
    body = artifact(manifest(1, full(title="a\r\nb\x00\u2028c\n")))
    assert body.count(b"\n") == 2
    assert b",".join((b"cart", b"a b c ", b"a")) in body


def test_a_lone_surrogate_does_not_stop_the_list() -> None:
    (line,) = lines(manifest(1, full(title="a\ud800b")))
    assert line["title"] == "a?b"


@settings(max_examples=examples(40), deadline=None)
@example("\x1b@")
@given(st.text(min_size=1, max_size=20))
def test_every_title_comes_back_as_it_was_or_defused(title: str) -> None:
    """A law: whatever is written, one line comes out, and the title can be read from it."""
    (line,) = lines(manifest(1, full(title=title)))
    expected = re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", title)
    expected = expected.encode("utf-8", "replace").decode("utf-8")
    assert line["title"] in (expected, f"'{expected}")
    assert not line["title"].lstrip().startswith(("=", "+", "-", "@"))
