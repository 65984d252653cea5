"""Patterns that people write in files: none hangs, none breaks, each bad one is told in words."""

from __future__ import annotations

import pytest

from bridge.language.patterns import BadPattern, compiled


def test_a_pattern_that_backtracks_for_ever_elsewhere_ends_at_once() -> None:
    assert compiled("^(a+)+$").search("a" * 100_000 + "!") is None
    assert compiled("^(a+)+$").search("a" * 100_000)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a$", "a\n", False),  # `$` is the end, as in JavaScript; not Python's "or before a break"
        ("b", "abc", True),
        ("^\\p{L}+$", "Größe", True),
        ("^[^\\s]+$", "a b", False),
    ],
)
def test_patterns_mean_what_json_schema_means(pattern: str, text: str, found: bool) -> None:
    assert bool(compiled(pattern).search(text)) is found


@pytest.mark.parametrize(
    ("pattern", "word"),
    [
        ("^[a-z(][a-z0-9-*$", "missing ]"),
        ("(?=a)b", "looks ahead"),
        ("(?<!a)b", "looks ahead"),
        ("(a)\\1", "refers back"),
        ("a" * 1_001, "1,000 characters"),
        ("a{1000}{1000}", "regular expression"),
        ("\ud800", "regular expression"),
    ],
)
def test_what_the_engine_cannot_say_is_refused_in_words(pattern: str, word: str) -> None:
    with pytest.raises(BadPattern) as caught:
        compiled(pattern)
    assert word in str(caught.value)
