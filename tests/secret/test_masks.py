"""No text that people see shows a secret in force, whatever form a library gives it."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.logs import MaskingFormatter, without_secrets
from bridge.errors import ConfigurationError, FesterError, TrackerUnsure
from bridge.model.problems import Problem
from bridge.secret.masks import IN_FORCE, Masks, masked

HOSTILE = "glpat-a/b+c=d&e %41<é>\"'\n-Z9"


@pytest.mark.parametrize(
    "shown",
    [
        HOSTILE,
        HOSTILE.strip(),
        f"Authorization: Bearer {HOSTILE}",
        f"https://oauth2:{quote(HOSTILE, safe='')}@gitlab.example/x.git",
        f"https://gitlab.example/?private_token={quote_plus(HOSTILE)}",
        "https://gitlab.example/" + re.sub("%..", lambda code: code[0].lower(), quote(HOSTILE)),
        f"InvalidHeader({('PRIVATE-TOKEN', HOSTILE)!r})",
        f"InvalidHeader({HOSTILE.encode()!r})",
        json.dumps({"token": HOSTILE}),
        json.dumps({"body": json.dumps({"token": HOSTILE})}),
        "https://proxy.example/?to=" + quote(f"https://x/?t={quote(HOSTILE, safe='')}", safe=""),
        "Basic " + base64.b64encode(f"oauth2:{HOSTILE}".encode()).decode(),
        "Basic " + base64.b64encode(f"x:{HOSTILE}".encode()).decode(),
        "Basic " + base64.urlsafe_b64encode(f":{HOSTILE}".encode()).decode(),
    ],
)
def test_every_form_of_a_secret_is_taken_out(shown: str) -> None:
    masks = Masks()
    masks.replace([HOSTILE])
    hidden = masks.text(shown)
    assert "***" in hidden
    for part in ("glpat-", "%41", base64.b64encode(HOSTILE.encode()).decode()[4:20]):
        assert part not in hidden


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=8, max_size=40),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
def test_no_secret_is_left_in_any_text_however_it_is_written(
    secret: str, before: str, after: str
) -> None:
    masks = Masks()
    masks.replace([secret])
    for form in (secret, quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        assert form not in masks.text(f"{before}{form}{after}")
    inside = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    assert masks.text(inside) != inside


ENCODINGS: list[tuple[Callable[[bytes], bytes], int]] = [
    (base64.b64encode, 6),
    (base64.urlsafe_b64encode, 6),
    (lambda raw: base64.b64encode(raw).rstrip(b"="), 6),
    (lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"="), 6),
    (base64.b32encode, 5),
    (lambda raw: base64.b32encode(raw).lower(), 5),
    (lambda raw: base64.b32encode(raw).rstrip(b"="), 5),
    (base64.b16encode, 4),
    (lambda raw: raw.hex().encode(), 4),
]


@pytest.mark.parametrize(("encode", "bits"), ENCODINGS)
@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=8, max_size=40),
    before=st.text(max_size=9),
    after=st.text(max_size=9),
)
def test_of_an_encoded_secret_nothing_is_left_but_what_stands_around_it(
    encode: Callable[[bytes], bytes], bits: int, secret: str, before: str, after: str
) -> None:
    masks = Masks()
    masks.replace([secret])
    shown = encode(f"{before}{secret}{after}".encode()).decode()
    left = masks.text(f"<{shown}>").strip("<>").replace("=", "").split("***")
    around = [-(-len(text.encode()) * 8 // bits) + 1 for text in (before, after)]
    assert len(left) > 1
    assert sum(map(len, left)) <= sum(around)


@pytest.mark.parametrize(("encode", "bits"), ENCODINGS)
def test_a_long_secret_in_an_encoding_is_hidden_to_its_end(
    encode: Callable[[bytes], bytes], bits: int
) -> None:
    secret = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(40))
    masks = Masks()
    masks.replace([secret])
    shown = encode(f"ab{secret}".encode()).decode()
    assert re.fullmatch(r"a: .{2,5}\*\*\*=*, b", masks.text(f"a: {shown}, b"))


def test_of_an_address_its_password_and_its_path_are_secrets_by_themselves() -> None:
    masks = Masks()
    masks.replace(["https://hooks.example/services/T00/B00/xyz?k=v", "postgresql://u:p%40ss@db/x"])
    assert masks.text("POST /services/T00/B00/xyz failed") == "POST *** failed"
    assert masks.text('password authentication failed: "p@ss"') == (
        'password authentication failed: "***"'
    )
    assert masks.text("hooks.example") == "hooks.example"


def test_a_short_secret_is_masked_as_a_word_and_not_within_others() -> None:
    masks = Masks()
    masks.replace(["crew", "ab"])
    assert masks.text("crew, screwed, :ab@host, cab ab") == "***, screwed, ***host, cab ab"


def test_of_two_secrets_the_longer_one_is_masked_whole() -> None:
    masks = Masks()
    masks.replace(["secret-12", "secret-12345678"])
    assert masks.text("secret-12345678 secret-12") == "*** ***"


def test_what_was_masked_stays_masked_when_another_value_takes_its_place() -> None:
    masks = Masks()
    masks.replace(["first-value"])
    masks.add("second-value")
    assert masks.text("first-value second-value") == "*** ***"
    assert "value" not in repr(masks)


def test_errors_and_problems_of_ours_never_hold_a_secret() -> None:
    IN_FORCE.replace(["very-secret-token"])
    quoted = "Invalid header: b'very-secret-token\\n'"
    for error in (FesterError(quoted), TrackerUnsure(quoted)):
        assert "very-secret" not in f"{error} {error!r} {error.args}"
    problem = Problem(quoted, "x")
    assert "very-secret" not in f"{problem} {problem!r} {ConfigurationError([problem])}"


def test_logs_hold_no_secret_in_their_message_their_fields_or_their_traceback() -> None:
    IN_FORCE.replace(["very-secret-token"])
    event = {"event": "x", "reason": {"a": [b"very-secret-token", ValueError("very-secret-token")]}}
    assert "very-secret" not in repr(without_secrets(None, "", event))
    record = logging.LogRecord("aiohttp", 40, "f", 1, "%s", ("very-secret-token",), None)
    try:
        raise ValueError("very-secret-token")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    said = MaskingFormatter("%(message)s").format(record)
    assert "very-secret" not in said
    assert "Traceback" in said


def test_without_secrets_a_text_is_the_same_object() -> None:
    text = "nothing to hide"
    assert masked(text) is text
    IN_FORCE.replace(["very-secret-token"])
    assert masked(text) is text
