"""A secret in a file is read anew when the file changes, and never gets worse."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.secret.live import EARLIER, LOOK_EVERY, Secret
from bridge.secret.masks import masked
from bridge.secret.values import LIMIT, header_value, read_secret, shared_secret, web_address


class Clock:
    """A clock that goes on when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def rewrite(path: Path, text: str, stamp: int) -> None:
    path.write_text(text)
    os.utime(path, (stamp, stamp))


def test_a_changed_file_is_read_within_seconds(tmp_path: Path) -> None:
    path, clock = tmp_path / "token", Clock()
    rewrite(path, "first-value\n", 1)
    secret = Secret("first-value", path, clock=clock)
    assert secret() == "first-value"
    rewrite(path, " second-value\n", 2)
    assert secret() == "first-value"  # a file is not looked at for every request
    clock.now += LOOK_EVERY
    assert secret() == "second-value"
    assert masked("first-value, second-value") == "***, ***"
    assert "value" not in repr(secret)


def test_a_file_that_changed_before_anybody_looked_is_read_too(tmp_path: Path) -> None:
    """Settings are read first, and what asks with a secret is made later."""
    path, clock = tmp_path / "token", Clock()
    rewrite(path, "second-value", 2)
    secret = Secret("first-value", path, clock=clock)
    assert secret() == "first-value"
    clock.now += LOOK_EVERY
    assert secret() == "second-value"


def test_values_of_long_ago_are_masked_no_longer_unless_somebody_else_has_them(
    tmp_path: Path,
) -> None:
    """A file that is written anew every hour must not make each line of the log dearer for ever."""
    path, clock = tmp_path / "token", Clock()
    first, alike = Secret("value-number-0", path, clock=clock), Secret("value-number-2")
    for number in range(1, EARLIER + 4):
        rewrite(path, f"value-number-{number}", number)
        clock.now += LOOK_EVERY
        assert first() == f"value-number-{number}"
    told = masked(" ".join(f"value-number-{number}" for number in range(EARLIER + 4)))
    assert told == " ".join(["value-number-0", "value-number-1", *["***"] * (EARLIER + 2)])
    assert alike() == "value-number-2"


def test_a_refused_secret_is_looked_for_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    rewrite(path, "first-value", 1)
    secret = Secret("first-value", path, clock=Clock())
    assert not secret.look()
    rewrite(path, "second-value", 1)  # of the same age and length
    assert secret.look()
    assert secret() == "second-value"


@pytest.mark.parametrize("bad", ["", "two words", "línea", "x" * (LIMIT + 1)])
def test_a_file_that_holds_nothing_usable_leaves_what_was_there(tmp_path: Path, bad: str) -> None:
    """A file is rewritten in steps, and a secret may be withdrawn before the next one comes."""
    path, clock = tmp_path / "token", Clock()
    rewrite(path, "first-value", 1)
    secret = Secret("first-value", path, clock=clock)
    rewrite(path, bad, 2)
    clock.now += LOOK_EVERY
    assert secret() == "first-value"
    path.unlink()
    assert not secret.look()
    rewrite(path, "third-value", 3)
    clock.now += LOOK_EVERY
    assert secret() == "third-value"


def test_without_a_file_the_value_stays() -> None:
    secret = Secret("only-value")
    assert (secret(), secret.look(), secret()) == ("only-value", False, "only-value")


@pytest.mark.parametrize("text", ["", " \n", "a b", "a\nb", "a\x00b", "ä", "a\tb"])
def test_what_no_header_carries_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="holds") as refused:
        header_value(text)
    assert not text.strip() or text not in str(refused.value)


def test_what_stands_around_a_secret_is_taken_off() -> None:
    assert header_value(" \tglpat-x\r\n") == "glpat-x"
    assert shared_secret("two words\n") == "two words"
    assert web_address("https://hooks.example/x\n") == "https://hooks.example/x"


@pytest.mark.parametrize("text", ["hooks.example/x", "https://", "ftp://x/y", "https://h:x/"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        web_address(text)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_secret(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="directory"):
        read_secret(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="no text"):
        read_secret(tmp_path / "binary")
