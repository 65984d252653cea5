"""Who owns all of a repository by its CODEOWNERS, as GitLab reads it. Pure; never raises.

Rules: docs.gitlab.com/user/project/codeowners/reference/. In each section the last pattern that
fits a file counts. An entry without owners has those of its section's heading, and outside of one
nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

PLACES: Final = ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")  # the first one counts
_MOST_LINES: Final = 2_000
_LONGEST_LINE: Final = 1_000
_HEADING: Final = re.compile(r"\^?\[([^\]]+)\](?:\[\d+\])?(.*)")
_EVERYTHING: Final = frozenset(("*", "/", "**", "/**", "/**/*", "**/*"))
_WORD: Final = re.compile(r"(?:\\.|[^\s\\])+")


def owners_of_everything(text: str) -> tuple[str, ...]:
    """The handles (`@shop/api`) that own whatever no other pattern names, by section.

    Roles (`@@maintainers`) and addresses of mail are left out: neither names a team.
    """
    sections: dict[str, tuple[str, ...]] = {}
    section, defaults = "", tuple[str, ...]()
    for line in text.splitlines()[:_MOST_LINES]:
        words = line[:_LONGEST_LINE].strip()
        heading = _HEADING.fullmatch(words)
        if heading is not None:
            section, defaults = heading[1].strip().lower(), _handles(heading[2].split())
        elif words and not words.startswith("#"):
            pattern, *owners = _WORD.findall(_without_comment(words)) or [""]
            if pattern in _EVERYTHING:
                sections[section] = _handles(owners) if owners else defaults
    return tuple(dict.fromkeys(each for found in sections.values() for each in found))


def _without_comment(line: str) -> str:
    """An entry without what stands behind a ` #`."""
    return re.split(r"\s#", line, maxsplit=1)[0]


def _handles(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(each for each in words if re.fullmatch(r"@[A-Za-z0-9_][\w./-]*", each))
