"""What a word was likely meant to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.language.names import Spellings, did_you_mean, nearest

WORDS = ("payments", "checkout", "shop-frontend", "Ledger")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("paymens", "payments"),  # a letter missing
        ("paymments", "payments"),  # doubled
        ("paymetns", "payments"),  # in the wrong place
        ("checkuot", "checkout"),
        ("LEDGER", "Ledger"),  # another case: spelt as it stands
    ],
)
def test_a_slip_leads_to_the_word_that_was_meant(word: str, meant: str) -> None:
    assert nearest(word, WORDS) == (meant,)
    assert did_you_mean(word, WORDS) == f"; did you mean `{meant}`?"


@pytest.mark.parametrize("word", ["", "zzz", "tax", "identity"])
def test_what_is_like_nothing_leads_nowhere(word: str) -> None:
    assert nearest(word, WORDS) == ()
    assert did_you_mean(word, WORDS) == ""


def test_the_likest_comes_first_and_no_more_than_are_wanted() -> None:
    numbered = [f"tier_{n}" for n in range(1, 5)]
    assert nearest("tier_2", numbered, most=2) == ("tier_2", "tier_4")
    assert len(nearest("tier_9", numbered, most=9)) == 4
    assert nearest("tier_9", numbered, likeness=0.9) == ()


@given(st.permutations([*WORDS, "payment", "Payments", "checkouts"]), st.text(max_size=12))
def test_the_order_of_the_words_makes_no_difference_but_among_the_same(
    words: list[str], word: str
) -> None:
    lowered = [each.lower() for each in words]
    assert nearest(word, lowered, most=3) == nearest(word, sorted(lowered), most=3)


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=8))
def test_whatever_is_compared_the_words_that_come_are_of_those_given(
    word: str, words: list[str]
) -> None:
    assert set(Spellings(words).nearest(word, most=3, likeness=0.0)) <= set(words)


def test_words_of_any_length_are_compared_by_how_they_begin() -> None:
    long = "x" * 1_000_000
    assert nearest(f"{long}y", [long, "\ud800"]) == (long,)
