"""What was read of a text that is looked into first is there when it is translated."""

from __future__ import annotations

import pytest

from bridge.errors import NotUnderstood
from bridge.language.text import read_each
from bridge.processors.mapping import documents
from bridge.processors.mapping.documents import OpenTexts

TEXT = "service:\n  name: cart\n"


def test_what_was_read_is_given_back_once_and_is_what_reading_gives() -> None:
    texts = OpenTexts()
    opened = texts.open(TEXT)
    assert texts.close(TEXT) is opened
    again = texts.close(TEXT)
    assert again is not opened
    for given in (opened, again, read_each(TEXT)):
        assert [each.tree for each in given] == [{"service": {"name": "cart"}}]
        assert given[0].positions.value(("service", "name")) == (2, 9)


def test_what_is_held_is_bounded_and_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_MOST_HELD", 3 * len(TEXT))
    texts = OpenTexts()
    written = [TEXT.replace("cart", f"c{number:03}") for number in range(4)]
    opened = [texts.open(each) for each in written]
    assert texts.close(written[0]) is not opened[0]
    assert [texts.close(each) for each in written[1:]] == opened[1:]
    large = TEXT + "#" * 4 * len(TEXT)
    assert texts.open(large) is not texts.close(large)


def test_a_text_that_cannot_be_read_says_so_each_time() -> None:
    texts = OpenTexts()
    for read in (texts.open, texts.close):
        with pytest.raises(NotUnderstood):
            read("a: [")
