"""What was worked out last time is used again only while it would come out the same."""

from __future__ import annotations

import pytest

from bridge.caching.memo import PassMemo


def rounds(*bases: list[object]) -> list[object]:
    """Which of the rounds' own results came out."""
    recent: PassMemo[str, int] = PassMemo()
    found: list[object] = []
    for number, basis in enumerate(bases):
        with recent.round() as known:
            found.append(known.get("key", basis, lambda number=number: number))  # type: ignore[misc]
    return found


def test_the_same_objects_give_the_same_result() -> None:
    body = {"a": 1}
    assert rounds([body, "x" * 3], [body, "".join(["x", "xx"])]) == [0, 0]


def test_equal_is_not_the_same_unless_it_is_a_text() -> None:
    """To Python 1 is True; to a reader of YAML it is not."""
    assert rounds([{"a": 1}], [{"a": True}]) == [0, 1]
    assert rounds([1], [True]) == [0, 1]
    assert rounds(["a"], ["a", "b"], ["a"]) == [0, 1, 2]


def test_what_a_round_does_not_ask_for_is_forgotten() -> None:
    recent: PassMemo[str, int] = PassMemo()
    for number, key in enumerate(["a", "b", "a"]):
        with recent.round() as known:
            assert known.get(key, (), lambda number=number: number) == number  # type: ignore[misc]


def test_a_round_that_fails_leaves_the_last_one() -> None:
    recent: PassMemo[str, int] = PassMemo()
    with recent.round() as known:
        known.get("a", (), lambda: 1)
    with pytest.raises(ValueError, match="broken"), recent.round() as known:
        raise ValueError("broken")
    with recent.round() as known:
        assert known.get("a", (), lambda: 2) == 1
