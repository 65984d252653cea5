"""Names, tags, labels, references, tiers and URLs as Backstage takes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.language import naming
from tests.laws import examples

NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?\Z")
TAG = re.compile(r"[a-z0-9:+#]+(?:-[a-z0-9:+#]+)*\Z")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Opslevel CLI", "opslevel-cli"),
        ("backstage_service", "backstage_service"),
        ("@org/name", "org-name"),
        ("Café Menü", "cafe-menu"),
        ("group:default/Payments Team", "payments-team"),
        ("db:mysql", "db-mysql"),
        ("--x--", "x"),
        ("支払い", None),
        ("", None),
    ],
)
def test_a_slug_is_what_backstage_takes_as_a_name(written: str, name: str | None) -> None:
    assert naming.slug(written) == name


def test_two_long_names_that_differ_at_the_end_stay_apart() -> None:
    one, two = naming.slug("a" * 80 + "one"), naming.slug("a" * 80 + "two")
    assert one
    assert two
    assert one != two
    assert len(one) == len(two) == 63


@settings(max_examples=examples(60), deadline=None)
@given(st.text(max_size=120))
def test_whatever_is_written_names_and_tags_and_labels_obey_the_rules(text: str) -> None:
    """Law: each gives None or a text that Backstage's rule accepts, and slug is stable."""
    name, tag, label = naming.slug(text), naming.tag(text), naming.label(text)
    assert name is None or (len(name) <= 63 and NAME.match(name) and naming.slug(name) == name)
    assert tag is None or (len(tag) <= 63 and TAG.match(tag))
    assert label is None or (len(label) <= 63 and NAME.match(label))


def test_languages_that_differ_by_a_sign_stay_apart_as_labels() -> None:
    assert [naming.label(text) for text in ("C", "C#", "C++", "#x", "Vue.js")] == [
        "C",
        "Csharp",
        "Cplusplus",
        "x",
        "Vue.js",
    ]


@pytest.mark.parametrize(
    ("written", "ref"),
    [
        ("Team A", "group:default/team-a"),
        ("user:jane", "user:default/jane"),
        ("Group:Shop/Cart", "group:shop/cart"),
        ("@org/team", "group:default/org-team"),
        ("db:mysql", "group:default/db-mysql"),
        ("user:", None),
        ("!", None),
    ],
)
def test_a_reference_keeps_the_kind_and_namespace_that_it_says(
    written: str, ref: str | None
) -> None:
    assert naming.ref(written, "group") == ref


@pytest.mark.parametrize(
    ("written", "tier"),
    [
        ("0", "tier_0"),
        ("Zero", "tier_0"),
        ("three", "tier_3"),
        ("high", "tier_1"),
        ("tier_1", "tier_1"),
        ("Tier 2", "tier_2"),
        ("T1", "tier_1"),
        ("low", "tier_3"),
        ("whatever", None),
    ],
)
def test_tiers_in_the_wild_get_one_spelling(written: str, tier: str | None) -> None:
    assert naming.tier(written) == tier


@pytest.mark.parametrize(
    "written",
    [
        "javascript:alert(1)",
        "mailto:a@example.com",
        "wiki",
        "//host/x",
        "https://",
        "https://a b/c",
        "https://a\u202eb/c",
        "https://u:p@host/",
        "https://[::1",
        "http://x。0",
        "https://xn--a.example",
        "https://h:99999/",
        "https://h/" + "x" * 3000,
    ],
)
def test_only_an_absolute_web_address_becomes_a_link(written: str) -> None:
    assert naming.web_url(written) is None
    assert naming.web_url(" https://h.example/x?y#z ") == "https://h.example/x?y#z"


def test_a_path_is_quoted_and_may_not_climb_out() -> None:
    assert naming.url_path("./docs/run book.md") == "docs/run%20book.md"
    assert naming.url_path("/docs//a?b") == "docs/a%3Fb"
    assert naming.url_path("../secrets") is None
    assert naming.url_path("/") is None
