"""Whatever one has in hand finds the service, and the answer says by what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.answers.identify import LONGEST, MOST, identify
from tests.answers.fleet import CART, FLEET, GITLAB, entity, known, service

KNOWN = known(*FLEET)


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("component:default/cart", "reference"),
        (" CART ", "name"),
        ("the cart", "title"),
        ("Trolley", "alias"),
        ("shop/cart", "GitLab project"),
        ("/shop/cart/", "GitLab project"),
        ("42", "GitLab project id"),
        ("PCART42", "PagerDuty id"),
        ("https://shop.pagerduty.com/services/PCART42", "PagerDuty id"),
        (f"{GITLAB}/shop/cart", "GitLab address"),
        (f"{GITLAB}/shop/cart/-/pipelines/9?scope=all", "GitLab address"),
        (f"{GITLAB}/shop/cart.git", "GitLab address"),
        ("git@gitlab.example.com:shop/cart.git", "GitLab address"),
        ("https://grafana.example.com/d/cart?orgId=1#x", "link"),
        ("<https://grafana.example.com/d/cart/now>", "link"),
        ("https://logs.example.com", "host of a link"),
        ("grafana.example.com", "host of a link"),
    ],
)
def test_it_is_found_by_whatever_one_has(asked: str, key: str) -> None:
    found = identify(asked, KNOWN)
    assert [(match.ref, match.key) for match in found.matches] == [(CART, key)]


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "car",
        "art",
        "shop/car",
        "https://elsewhere.example.com/shop/cart",  # the path alone does not make it ours
        "https://grafana.example.com/d/cartoon",
        "afana.example.com",
        "4",
        "x" * (LONGEST + 1),
        "\x00",
    ],
)
def test_nothing_is_guessed(asked: str) -> None:
    assert identify(asked, KNOWN).matches == ()


TEAM_ID = "4513b7ea-3b91-438f-b7e4-e3e54af9147c"
JSM_ID = "cd68207b-c55d-4611-ab25-72fd0c439e9f"


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (TEAM_ID.upper(), "by-id"),
        (f"https://shop.app.opsgenie.com/teams/dashboard/{TEAM_ID}/main", "by-id"),
        ("Night Watch", "by-team"),
        ("cart_schedule", "by-schedule"),
        ("https://shop.app.opsgenie.com/teams/dashboard/main", ""),  # a word of a path is no name
        (f"https://elsewhere.example.com/{TEAM_ID}", ""),
        (f"https://shop.atlassian.net/jira/ops/teams/{JSM_ID}/on-call", "in-jira"),
        ("evening_schedule", "in-jira"),
    ],
)
def test_a_service_is_found_by_what_opsgenie_and_its_successor_call_it(
    asked: str, name: str
) -> None:
    annotations = {
        "by-id": {"opsgenie.com/team": TEAM_ID},
        "by-team": {"opsgenie.com/team": "Night Watch"},
        "by-schedule": {"fester.dev/opsgenie-schedule": "Cart_Schedule"},
        "other": {"opsgenie.com/team": "main"},
        "in-jira": {"fester.dev/jsm-team": JSM_ID, "fester.dev/jsm-schedule": "Evening_Schedule"},
    }
    everything = known(
        *FLEET, *(service(each, annotations=said) for each, said in annotations.items())
    )
    found = identify(asked, everything)
    named = [(f"component:default/{name}", "on-call team, schedule or id")] if name else []
    assert [(match.ref, match.key) for match in found.matches] == named


def test_a_slip_of_the_pen_gives_names_that_are_near() -> None:
    assert identify("crat", KNOWN).near == (CART,)


def test_all_that_bear_a_name_are_matches_and_what_runs_comes_first() -> None:
    twins = known(*FLEET, entity("API", "cart"), service("other", title="stock"))
    assert [match.ref for match in identify("cart", twins).matches] == [CART, "api:default/cart"]
    assert [match.ref for match in identify("stock", twins).matches] == ["component:default/stock"]


def test_many_matches_are_counted_and_bounded() -> None:
    link = [{"url": "https://wiki.example.com/a"}]
    many = known(*(service(f"s{number:03}", links=link) for number in range(MOST + 9)))
    found = identify("wiki.example.com", many)
    assert (len(found.matches), found.total) == (MOST, MOST + 9)


@given(st.text(max_size=80) | st.from_regex(r"(https?://)?[a-z:/@.\[\]%<>|-]{0,40}"))
def test_no_question_is_too_odd(asked: str) -> None:
    """Whoever types it: the answer is some matches or none, and never an error."""
    found = identify(asked, KNOWN)
    assert len(found.matches) <= found.total
