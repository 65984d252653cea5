"""What an entity's JSON must hold to be meant by a text that is no reference and no name.

A store looks for these before anything is loaded. They come in the order of the keys by which
somebody may be meant (see `identify`), each with what is complete once they were looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from bridge.answers.identify import (
    HOST,
    LINK,
    SEGMENTS,
    Identified,
    address_of,
    ids_in,
    is_linked,
    last_segment,
)
from bridge.answers.knowledge import Knowledge

_SHORTEST: Final = 2  # what is shorter is held by most
_PLAIN: Final = re.compile(r"[ !#-\[\]-~]+")  # ASCII but for quotes and backslashes
_ENDS: Final = ('"', '/"', "?", "#", "/?", "/#")  # of an address in JSON


@dataclass(frozen=True, slots=True)
class AskedTexts:
    """Some texts, of which one must be held. None: no text tells, all are to be looked at.

    `link` is the address whose links are then known, "" where those of none are; None where
    everything is.
    """

    texts: tuple[str, ...] | None
    link: str | None = None

    def tells(self, found: Identified, known: Knowledge) -> bool:
        """Whether what is found among those that hold a text is found among all, too."""
        if not found.total:
            return False
        if self.link is None or found.matches[0].key not in (LINK, HOST):
            return True
        return bool(self.link) and is_linked(self.link, known)


def asked_texts(text: str) -> Iterator[AskedTexts]:
    """The texts to look for, for a question in lower case."""
    address = address_of(text)
    if address is None or not address[1]:
        yield AskedTexts(_tellable((address[0] if address else text.strip("/"),)))
        return
    host, path = address
    project = unquote(path).partition("/-/")[0].strip("/").removesuffix(".git")
    ids = [last_segment(text)] if "pagerduty." in text else ids_in(text)
    yield AskedTexts(_tellable((*([project] if "/" in project else []), *ids)), "")
    segments = path.split("/")[:SEGMENTS]
    for depth in range(len(segments), 0, -1):
        above = f"{host}/{'/'.join(segments[:depth])}"
        begun = _tellable((f"//{above}",))
        yield AskedTexts(begun and tuple(f"{begun[0]}{end}" for end in _ENDS), above)


def _tellable(texts: tuple[str, ...]) -> tuple[str, ...] | None:
    """The longest part of each that JSON writes as it is; None where one is too short to tell."""
    parts = [max(_PLAIN.findall(each), key=len, default="") for each in texts]
    return tuple(parts) if all(len(part) >= _SHORTEST for part in parts) else None
