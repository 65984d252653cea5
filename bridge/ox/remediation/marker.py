"""The hidden marker by which an issue of ours is known again, even if the store is lost.

It ends with fingerprints of the title and of every line that we wrote, so that what people wrote
between our lines can be told from ours, and stays.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from bridge.model.remediation import IssueKey

BEGIN = re.compile(r"<!-- ox:v1 ([0-9a-f]{24}) ([0-9a-f]{16}) -->")
END = re.compile(r"<!-- /ox:v1((?: [0-9a-f]{8})*) -->")
_TOP, _GONE = "\0top", "\0gone"  # before all of our lines; after one that is no more
_OURS = re.compile(r"<!--(?=\s*/?ox:v1)")
_BOX = re.compile(r"^(\s*[-*+] )\[[ xX]\] ")
_TICKED = re.compile(r"^\s*[-*+] \[[xX]\] ")
# What GitLab would obey if it stood on a line of its own, and we sent it.
_COMMAND = re.compile(r"^([ \t]*)/(?=\w+[ \t]*(?:\s|$))", re.MULTILINE)


def key_hash(key: IssueKey) -> str:
    """The key as the marker carries it: it says nothing to a reader and needs no escaping."""
    return hashlib.sha256(f"ox:v1 {key}".encode()).hexdigest()[:24]


def digest_of(*parts: str) -> str:
    """A digest of texts in their order."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def marked(key: IssueKey, digest: str, text: str, title: str = "") -> str:
    """Our text between its markers; what looks like one inside of it is none any more."""
    inside = _OURS.sub("<!\u200b--", text.strip())
    lines = dict.fromkeys(_fingerprint(line) for line in inside.split("\n") if line.strip())
    prints = " ".join([_fingerprint(title), *lines])
    return f"<!-- ox:v1 {key_hash(key)} {digest} -->\n{inside}\n<!-- /ox:v1 {prints} -->"


def read_marker(description: str) -> tuple[str, str] | None:
    """The key's hash and the digest that a description carries."""
    found = BEGIN.search(description)
    return (found[1], found[2]) if found else None


def title_is_ours(description: str, title: str) -> bool:
    """Whether a title is still as we wrote it. Issues of earlier versions do not tell: it is."""
    end = END.search(description)
    prints = end[1].split() if end else []
    return not prints or prints[0] == _fingerprint(title)


def replaced(description: str, ours: str, *, ticks: bool = True) -> str | None:
    """`description` with our part anew; what people wrote around and in it stays, and their ticks.

    Without `ticks` our lines' boxes are empty again. None when there is no part of ours any more:
    somebody rewrote the description, it is theirs.
    """
    found = BEGIN.search(description)
    end = END.search(description, found.end()) if found else None
    if found is None or end is None:
        return None
    before, after = description[: found.start()], description[end.end() :]
    old = description[found.end() : end.start()].replace("\r\n", "\n").strip("\n").split("\n")
    part = _merged(old, ours, frozenset(end[1].split()[1:]), ticks=ticks)
    return _disarmed(before) + part + _disarmed(after)


def _merged(old: list[str], ours: str, known: frozenset[str], *, ticks: bool) -> str:
    """Our new part with people's lines of the old one, each after the line that it followed.

    What followed an entry of ours that is no more comes last, where it is under no other entry.
    """
    first, *new, last = ours.split("\n")
    stays = dict.fromkeys(_plain(line) for line in new if line.strip())
    ticked = {_plain(line) for line in old if ticks and _TICKED.match(line)}
    theirs, said = _peoples(old, stays, known) if known else ({}, {})
    made = [first, *_lines(theirs.get(_TOP))]
    for line in new:
        plain = _plain(line)
        made.append(_disarmed(said[plain]) if plain in said else _box(line, plain in ticked))
        made += _lines(theirs.get(plain) if plain else None)
    rest = _lines(theirs.get(_GONE))
    return "\n".join([*made, *(["", *rest] if rest else []), last])


def _peoples(
    old: Iterable[str], stays: Collection[str], known: frozenset[str]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """People's lines by the line of ours that they follow, and those that they made from ours."""
    theirs: dict[str, list[str]] = defaultdict(list)
    said: dict[str, str] = {}
    after = _TOP
    for line in old:
        plain = _plain(line)
        if not plain:
            if theirs[after]:  # a gap between two of their paragraphs
                theirs[after].append("")
        elif _fingerprint(line) in known:
            entry = not line[0].isspace()
            after = plain if plain in stays else _GONE if entry else after
        elif (mine := _begun(plain, stays)) and mine not in said:
            said[mine], after = line, mine
        else:
            theirs[after].append(line)
    return theirs, said


def _begun(plain: str, stays: Collection[str]) -> str:
    """The line of ours that a person's line is made from by adding to its end; "" for none."""
    if not _BOX.match(plain):
        return ""
    return next((mine for mine in stays if _BOX.match(mine) and plain.startswith(mine)), "")


def _lines(theirs: list[str] | None) -> list[str]:
    while theirs and not theirs[-1]:
        theirs.pop()
    return [_disarmed(line) for line in theirs or ()]


def _box(line: str, ticked: bool) -> str:
    return _BOX.sub(r"\1[x] ", line) if ticked else line


def _plain(line: str) -> str:
    """A line as it is compared: whether its box is ticked makes no difference."""
    return _BOX.sub(r"\1[ ] ", line.rstrip())


def _fingerprint(line: str) -> str:
    return hashlib.sha256(_plain(line).encode("utf-8", "replace")).hexdigest()[:8]


def _disarmed(text: str) -> str:
    """People's text in which no line is a quick action: sent by us, it would have our rights."""
    return _COMMAND.sub("\\1\u200b/", text)
