"""Reads a CODEOWNERS file as GitLab does. Pure, linear, never raises; of a stranger's file at most
`MOST` characters are read.

In each section the last pattern that fits a file counts. An entry with nothing behind its pattern
has the owners of its section's heading. A `#` makes a comment at the start of a line only: behind
an entry, names after it are owners like all others.
https://docs.gitlab.com/user/project/codeowners/reference/ and GitLab's ee/lib/gitlab/code_owners.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

PLACES: Final = ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")  # the first one counts
MOST: Final = 200_000
_NO_SECTION: Final = "codeowners"  # so GitLab names what stands before the first heading
_HEADING: Final = re.compile(r"\^?\[(.*?)\](?:\[\d*\])?(?:\s+([@\w.\-/\s+]*))?", re.ASCII)
_EVERYTHING: Final = frozenset({"*", "**", "/**", "**/*", "/**/*", "/"})
_BLANK: Final = re.compile(r"(?<!\\)\s+")  # a blank in a path is escaped
_NAME: Final = re.compile(r"(?<![\w@])@\w[\w./-]{0,254}", re.ASCII)
_ROLE: Final = re.compile(r"@@(?:developer|maintainer|owner)s?", re.IGNORECASE)
_MAIL: Final = re.compile(r"[^@\s]{1,100}@[^@\s]{1,255}")


@dataclass(frozen=True, slots=True)
class CodeownersEntry:
    """An entry. `owners` are names (`@group/team`, `@kim`), roles (`@@maintainer`) and addresses.

    `excludes`: what fits has no owners in this section.
    """

    section: str
    pattern: str
    owners: tuple[str, ...]
    excludes: bool = False


def rules_of(text: str) -> Iterator[CodeownersEntry]:
    """The entries in their order; lines that are none are passed over."""
    section, inherited = _NO_SECTION, tuple[str, ...]()
    for line in map(str.strip, text[:MOST].split("\n")):
        if not line or line.startswith("#"):
            continue
        if found := _HEADING.match(line):
            section, inherited = found[1].lower(), _owners(found[2] or "")
            continue
        pattern, _, named = _BLANK.sub("\n", line, count=1).partition("\n")
        if pattern.startswith("!"):
            yield CodeownersEntry(section, pattern[1:], (), excludes=True)
        else:
            yield CodeownersEntry(section, pattern, _owners(named) if named else inherited)


def of_everything(rules: Iterable[CodeownersEntry]) -> tuple[str, ...]:
    """Who owns whatever no other pattern names, each once, section by section."""
    last = {rule.section: rule.owners for rule in rules if rule.pattern in _EVERYTHING}
    return tuple(dict.fromkeys(each for owners in last.values() for each in owners))


def owners_of_everything(text: str) -> tuple[str, ...]:
    """The handles (`@shop/api`) among them: neither a role nor an address names a team."""
    return tuple(each for each in of_everything(rules_of(text)) if _NAME.fullmatch(each))


def _owners(text: str) -> tuple[str, ...]:
    return tuple(owner for word in text.split() for owner in _of_word(word))


def _of_word(word: str) -> list[str]:
    """Names may stand amid other signs (`@a,@b`), as GitLab looks for them."""
    if names := [name.rstrip("./") for name in _NAME.findall(word)]:
        return names
    return [word] if _ROLE.fullmatch(word) or _MAIL.fullmatch(word) else []
