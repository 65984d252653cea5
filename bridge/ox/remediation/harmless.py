"""Strangers' texts made harmless before GitLab reads them. Pure.

GitLab obeys lines that start with a slash, tells everybody whose name stands after an `@`, turns
references into links and, in merge requests, closes what "Closes #3" names, even inside code. So
nothing that a manifest says reaches an issue as it is.
"""

from __future__ import annotations

import re

TITLE_LIMIT = 200
SPAN_LIMIT = 160
TEXT_LIMIT = 60_000

_APART = "\u200b"  # a space that nobody sees: what it stands in is no reference any more
_REFERENCE = re.compile(r"([@#!~%&$^*])(?=[\w\"'\[{(])")
_CLOSING = re.compile(r"\b(clos|fix|resolv|implement)(?=\w*)", re.IGNORECASE)
_ADDRESS = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)
_SLASH = re.compile(r"^(\s*)/", re.MULTILINE)


def plain(text: object, limit: int = SPAN_LIMIT) -> str:
    """One line without characters that hide, move or break something; cut at `limit`."""
    said = str(text)[: limit * 4]
    if not said.isprintable():
        # Controls, directions and halves of surrogate pairs are no printable characters.
        said = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in said)
    line = " ".join(said.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def quoted(text: object, limit: int = SPAN_LIMIT) -> str:
    """A stranger's text as a code span: no markup, no mention, no reference, no address."""
    inside = _apart(plain(text, limit).replace("`", "'").replace("|", "¦"))
    return f"`{inside}`" if inside else "`-`"


def titled(text: object, limit: int = TITLE_LIMIT) -> str:
    """A stranger's text as a part of a title, where code spans do not help."""
    # An underscore within a word is no emphasis, and names are full of them.
    kept = re.sub(r"[`<>\[\]\\*|]|(?<!\w)_+|_+(?!\w)", "", plain(text, limit))
    return _apart(kept).lstrip("/ ")


def slack_text(text: object, limit: int = SPAN_LIMIT) -> str:
    """Text that Slack does not read as a mention, a link or markup."""
    line = plain(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"{char}{_APART}" if char in "*_~`@" else char for char in line)


def obeyed_by_nobody(text: str) -> str:
    """A whole description, bounded, in which no line is a quick action."""
    cut = text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}\n\n(cut here)"
    return _SLASH.sub(lambda found: f"{found[1]}{_APART}/", cut)


def _apart(text: str) -> str:
    text = _REFERENCE.sub(rf"\1{_APART}", text)
    text = _ADDRESS.sub(lambda found: found[0] + _APART, text)
    return _CLOSING.sub(rf"\1{_APART}", text)
