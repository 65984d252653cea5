"""What is wrong with a YAML text, in words that its author understands, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from yaml.error import MarkedYAMLError

from bridge.errors import NotUnderstood
from bridge.language.text_positions import Position
from bridge.model.entities import Json
from bridge.model.problems import Problem

# The line breaks that libyaml counts; columns and lines must agree with its marks.
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")

# What YAML lets stand in a text: https://yaml.org/spec/1.2.2/#51-character-set
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)  # surrogates are outside of every range, too

# Bidirectional controls would let a manifest reorder the words of a message about it.
_BIDI = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

_SHOWN = 80
_LIBYAML_DEPTH = 1_000


def shown(value: Json) -> str:
    """A value as a message may show it: at most 80 characters, quoted text, nothing unprintable."""
    if isinstance(value, str):
        return json.dumps(clean(value, _SHOWN), ensure_ascii=False).replace("\\\\", "\\")
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    return clean(str(value).lower() if isinstance(value, bool) else str(value), _SHOWN)


def clean(text: str, most: int = _SHOWN) -> str:
    """A text with control characters written as `\\x..`, cut after `most` characters by `…`."""
    cut = text[: most - 1] + "…" if len(text) > most else text
    return _BIDI.sub(_escape, _UNPRINTABLE.sub(_escape, cut.replace("\n", "\\n")))


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def fault(rule: str, message: str, at: Position) -> NotUnderstood:
    """The error for one thing that is wrong at one place; the caller fills in the file."""
    return NotUnderstood(Problem(message, rule, line=at.line, column=at.column))


def place(text: str, index: int) -> Position:
    """Where the character at `index` stands."""
    line, start = 1, 0
    for found in _BREAK.finditer(text, 0, index):
        line, start = line + 1, found.end()
    return Position(line, index - start + 1)


def too_big(size: int, most: int) -> NotUnderstood:
    """The text has more bytes than is allowed."""
    message = (
        f"this file is {size / 1024:,.0f} kB; at most {most / 1024:,.0f} kB are read: "
        "keep a manifest to what describes the service"
    )
    return fault("yaml-too-big", message, Position())


def not_utf8(data: bytes, error: UnicodeDecodeError) -> NotUnderstood:
    """The bytes are no UTF-8; UTF-16 is recognised by its look."""
    if _is_utf16(data):
        message = "this file is UTF-16 or UTF-32, not UTF-8: save it as UTF-8"
        return fault("yaml-encoding", message, Position())
    before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
    message = f"the byte 0x{data[error.start]:02x} is not UTF-8: save this file as UTF-8"
    return fault("yaml-encoding", message, place(before, len(before)))


def _is_utf16(data: bytes) -> bool:
    return data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]


def unreadable(text: str) -> NotUnderstood:
    """The text holds a character that no YAML text may hold, such as NUL or half a surrogate."""
    if "\0" in text[:2]:
        message = "this file is UTF-16 or UTF-32, not UTF-8: save it as UTF-8"
        return fault("yaml-encoding", message, Position())
    found = _UNPRINTABLE.search(text)
    if found is None:  # a reader's complaint about something that only it knows
        return fault("yaml-character", "this file holds an unreadable character", Position())
    code = ord(found.group())
    message = f"the invisible character U+{code:04X} is not allowed in YAML: delete it"
    if 0xD800 <= code <= 0xDFFF:
        message = f"U+{code:04X} is half of a character: save this file as UTF-8 again"
    return fault("yaml-character", message, place(text, found.start()))


# What libyaml says → what its author should hear. The first match wins, so order matters; the
# sentences are those of libyaml's scanner.c and parser.c.
_WORDS: tuple[tuple[str, str], ...] = (
    ("violates indentation", "a tab indents this line: YAML wants spaces"),
    ("found a tab character", "a tab indents this line: YAML wants spaces"),
    (
        "could not find expected ':'",
        "this line has no `:` after its key (or the key is longer than 1,024 characters): "
        "write `key: value`, or indent the line to continue the text above",
    ),
    (
        "mapping values are not allowed",
        "a `:` is not expected here: put text that holds `: ` in quotes, and check that the line "
        "above is indented like this one",
    ),
    (
        "block sequence entries are not allowed",
        "a list's `-` is not expected here: begin the list on a line of its own",
    ),
    ("unexpected ':'", "a `:` inside of `[…]` or `{…}` (a URL?): put the text in quotes"),
    ("mapping keys are not allowed", "a `?` is not expected here: put the text in quotes"),
    ("found unexpected document indicator", "a quote is opened here and never closed: close it"),
    ("found unknown escape character", r"this `\` escape is unknown: use single quotes around it"),
    (
        "Unicode character escape code",
        r"this `\u` escape names half of a character: write the character itself",
    ),
    ("hexdecimal number", r"this `\x` or `\u` escape has too few digits: use single quotes"),
    (
        "did not find expected comment or line break",
        "nothing may follow `|` or `>` in its line: begin the text in the next line, "
        "or put it in quotes",
    ),
    (
        "did not find expected key",
        "this line does not fit the lines above: check its indentation, and close open quotes",
    ),
    ("expected '-' indicator", "this line does not fit the list above: check its indentation"),
    ("expected ',' or ']'", "a `,` or `]` is missing: close the list that `[` opened"),
    ("expected ',' or '}'", "a `,` or `}` is missing: close the object that `{` opened"),
    (
        "expected <document start>",
        "the document has ended before this line: check its indentation, or write `---` between "
        "documents",
    ),
    (
        "did not find expected node content",
        "a value is missing here: write one, or close the bracket",
    ),
    ("found incompatible YAML document", "this YAML version is unknown: delete the `%YAML` line"),
    ("directive", "this `%` line is not understood: delete it, or put the text in quotes"),
    ("tag", "tags (`!…`) are not understood: put text that begins with `!` in quotes"),
)


def from_libyaml(text: str, error: MarkedYAMLError) -> NotUnderstood:
    """Translate an error of libyaml's; `text` is what it read, without a byte order mark."""
    problem, context = str(error.problem or ""), str(error.context or "")
    at, mark = _spot(error)
    if "nesting depth" in problem:  # libyaml reads ahead, and stops at 1,000 levels by itself
        return too_much("deep", _LIBYAML_DEPTH, at)
    if "cannot start any token" in problem:
        return _bad_start(text[mark : mark + 1], at)
    if "quoted scalar" in context and "end of stream" in problem:
        message = "a quote is opened here and never closed: close it"
        return fault("yaml-syntax", message, at)
    if context.endswith(("an alias", "an anchor")):
        message = "text that begins with `*` or `&` must stand in quotes"
        return fault("yaml-syntax", message, at)
    said = f"{problem} {context}"
    for words, message in _WORDS:
        if words in said:
            return fault("yaml-syntax", message + _opened(error), at)
    detail = clean(", ".join(part for part in (context, problem) if part), 200)
    message = f"this is not YAML ({detail}): check indentation, quotes and colons near here"
    return fault("yaml-syntax", message, at)


def _opened(error: MarkedYAMLError) -> str:
    mark: Any = error.context_mark
    if mark is None or "flow" not in str(error.context):
        return ""
    return f" (opened in line {mark.line + 1}, column {mark.column + 1})"


def _spot(error: MarkedYAMLError) -> tuple[Position, int]:
    """The place that helps most: where the thing began for open quotes and keys without `:`."""
    context = str(error.context or "")
    began = any(word in context for word in ("quoted scalar", "simple key", "an alias", "anchor"))
    escape = "escape" in str(error.problem) or "hexdecimal" in str(error.problem)
    mark: Any = error.problem_mark or error.context_mark
    if began and not escape and error.context_mark is not None:
        mark = error.context_mark
    if mark is None:
        return Position(), 0
    return Position(mark.line + 1, mark.column + 1), mark.index


def _bad_start(character: str, at: Position) -> NotUnderstood:
    if character == "\t":
        return fault("yaml-syntax", "a tab indents this line: YAML wants spaces", at)
    return fault("yaml-syntax", f"text that begins with `{character}` must stand in quotes", at)


# What a manifest may not use, although YAML has it; the rule and what to do instead.
_REFUSED: dict[str, tuple[str, str]] = {
    "alias": (
        "yaml-alias",
        "aliases (`*name`) are not read: write the value itself, and put text that begins with "
        "`*` in quotes",
    ),
    "anchor": (
        "yaml-anchor",
        "anchors (`&name`) are not read: delete it, and put text that begins with `&` in quotes",
    ),
    "tag": (
        "yaml-tag",
        "tags (`!…`) are not read: delete it; text in quotes is always text",
    ),
    "merge": (
        "yaml-merge-key",
        "merge keys (`<<`) are not read: write the merged keys out",
    ),
    "key": (
        "yaml-key",
        "a key must be text, not a list, an object or nothing: put it in quotes",
    ),
}


def refused(what: str, at: Position) -> NotUnderstood:
    """Something that YAML has and manifests may not use: alias, anchor, tag, merge or key."""
    rule, message = _REFUSED[what]
    return fault(rule, message, at)


def duplicate(key: str, first: Position, second: Position) -> NotUnderstood:
    """The same key twice in one object."""
    message = (
        f"the key {shown(key)} stands here a second time; it first stands in line {first.line}, "
        f"column {first.column}: keep one of the two"
    )
    return fault("yaml-duplicate-key", message, second)


_TOO: dict[str, tuple[str, Callable[[int], str]]] = {
    "deep": ("yaml-too-deep", lambda most: f"nested deeper than {most} levels: flatten it"),
    "many": ("yaml-too-many-nodes", lambda most: f"more than {most:,} keys and values: shorten it"),
    "long": (
        "yaml-too-long",
        lambda most: f"this text is longer than {most:,} characters: shorten it, or link to it",
    ),
    "documents": (
        "yaml-too-many-documents",
        lambda most: f"more than {most} documents in one file: split it",
    ),
}


def too_much(what: str, most: int, at: Position) -> NotUnderstood:
    """A limit is passed: deep, many, long or documents."""
    rule, words = _TOO[what]
    return fault(rule, words(most), at)
