"""One search: names first, then what is said of them; documents and problems beside them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.answers.search import SHOWN, search
from bridge.model.problems import Problem
from tests.answers.fleet import CART, FLEET, known, service

KNOWN = known(*FLEET, service("cart-report", description="Counts every cart and trolley"))
PROBLEM = Problem("unknown key `lifecyle`", "unknown-key", project="shop/cart", file="qm.yaml")


def test_the_name_itself_comes_before_names_that_begin_so_before_descriptions() -> None:
    refs = [hit.ref.rpartition("/")[2] for hit in search("cart", KNOWN).entities]
    assert refs[:2] == ["cart", "cart-report"]
    assert [hit.ref for hit in search("trolley", KNOWN).entities] == [
        CART,  # an alias: it is called so
        "component:default/cart-report",  # it is only said of it
    ]


def test_all_words_count() -> None:
    assert search("cart counts", KNOWN).total == 1
    assert search("cart nonsense", KNOWN).total == 0
    assert search("  ", KNOWN).total == 0


def test_documents_are_found_by_kind_title_and_service_and_tools_are_none() -> None:
    for text in ("runbook", "runbook cart", "when down", "runbook basket"):
        assert [each.title for each in search(text, KNOWN).documents] == ["When it is down"]
    assert search("grafana", KNOWN).documents == ()


def test_a_document_that_is_an_entity_is_found_once() -> None:
    link = {"url": "https://wiki.example.com/down", "title": "When mail is down", "type": "runbook"}
    both = known(*FLEET, service("post", links=[link]), service("post-runbook", links=[link]))
    assert [each.ref for each in search("mail down", both).documents] == ["component:default/post"]


def test_problems_are_found_by_project_and_words() -> None:
    assert search("shop/cart lifecyle", KNOWN, [PROBLEM]).problems == (PROBLEM,)
    assert search("mail", KNOWN, [PROBLEM]).problems == ()


def test_what_is_shown_is_bounded_and_what_is_found_is_counted() -> None:
    many = known(*(service(f"s{number}") for number in range(100)))
    hits = search("s", many, [PROBLEM] * 100)
    assert (len(hits.entities), hits.total, len(hits.problems)) == (SHOWN, 100, SHOWN)


@given(st.text(max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    hits = search(text, KNOWN, [PROBLEM])
    assert len(hits.entities) <= hits.total
