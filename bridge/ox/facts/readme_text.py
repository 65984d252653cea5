"""What a README says, by simple measures: how long it is, what its headings promise, its links.

Pure, linear in the text, and of a stranger's text at most `MOST` characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MOST: Final = 200_000
LONG_ENOUGH: Final = 300  # characters; a template's heading and a line are fewer
_LINKS: Final = 500
_LINE: Final = 2_000
_HEADING: Final = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)")
_UNDERLINE: Final = re.compile(r" {0,3}(?:={2,}|-{2,})[ \t]*")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_LINK: Final = re.compile(r"(?<!!)\[[^\[\]]{1,300}\]\(<?([^\s()<>]{1,1000})")
_ADDRESS: Final = re.compile(r"(?<![(\w])https?://[^\s()<>\"'`]{3,1000}")
_RUN: Final = re.compile(
    r"\b(?:run(?:ning)?|start(?:ed|ing)?|usage|us(?:e|ing)|install(?:ation|ing)?|set ?up"
    r"|build(?:ing)?|develop(?:ment|ing)?|deploy(?:ment|ing)?|quick ?start)\b",
    re.IGNORECASE,
)
_OWNER: Final = re.compile(
    r"\b(?:own(?:ers?|ership)|maintain(?:ers?|ed)|contacts?|support|teams?|responsib(?:le|ility)"
    r"|authors?|who (?:owns|to ask))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Readme:
    """What one says. `run` and `owner`: a heading is about how to run it, or about who owns it."""

    length: int  # characters without white space around them
    sections: int
    links: int
    run: bool
    owner: bool

    @property
    def quality(self) -> float:
        """The share (0 to 1) of five measures that hold: long, in sections, run, owner, links."""
        holds = (
            self.length >= LONG_ENOUGH,
            self.sections >= 3,
            self.run,
            self.owner,
            self.links > 0,
        )
        return sum(holds) / len(holds)


def measured(text: str) -> Readme:
    """The measures of a README in Markdown."""
    text = text[:MOST].strip()
    prose = list(_prose(text))
    headings = list(_headings(prose))
    links: set[str] = set()
    for line in prose:
        links.update(_LINK.findall(line), _ADDRESS.findall(line))
        if len(links) >= _LINKS:
            break
    return Readme(
        length=len(text),
        sections=len(headings),
        links=min(len(links), _LINKS),
        run=any(map(_RUN.search, headings)),
        owner=any(map(_OWNER.search, headings)),
    )


def _prose(text: str) -> Iterator[str]:
    """The lines outside of blocks of code."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence):
                fence = ""
        elif found:
            fence = found[1]
        else:
            yield line[:_LINE]


def _headings(lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if found := _HEADING.match(line):
            yield found[1]
        elif line.strip() and number + 1 < len(lines) and _UNDERLINE.fullmatch(lines[number + 1]):
            yield line
