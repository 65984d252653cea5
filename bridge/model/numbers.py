"""A project's number in a catalog that several GitLabs feed: (GitLab, id) in 63 bits.

Every project is known by one number, in memory, in the store and in what is published. Of the
first source it is the id that the source gives; of each further GitLab it is made of the GitLab's
name and its id there. So a catalog of one source is numbered as if there were no others, and a
GitLab keeps its numbers when its address changes, as long as its name stays.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

FIRST: Final = ""  # the name of the first source
FIRST_CALLED: Final = "first"  # what people call it where each has a name
LANE: Final = "~"  # how the lanes of further sources begin
# Ids of GitLab have 32 bits here: gitlab.com, the largest, has used 27 of them. Those of
# checkouts in a folder have 53, which only a first source may be.
_ID_BITS: Final = 32
_FURTHER: Final = 1 << 62


class TooLarge(ValueError):
    """An id that no number can be made of."""


def number_of(source: str, project_id: int) -> int:
    """The number of a project; of the id 0, that of no project of this source.

    A group goes by its id below zero, and so does its number. Raises `TooLarge` for an id of a
    further source beyond 32 bits, of the first beyond 62.
    """
    size = abs(project_id)
    if source == FIRST and size < _FURTHER:
        return project_id
    if source == FIRST or size >= 1 << _ID_BITS:
        raise TooLarge(f"the id {project_id} is too large")
    number = _FURTHER | mark_of(source) << _ID_BITS | size
    return number if project_id >= 0 else -number


def mark_of(source: str) -> int:
    """What the numbers of a source have in common, in 30 bits; 0 of the first."""
    if source == FIRST:
        return 0
    digest = blake2b(source.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % ((1 << 30) - 1) + 1


def numbers_of(source: str) -> tuple[int, int]:
    """The least and the greatest number that a project of a source can have."""
    if source == FIRST:
        return 0, _FURTHER - 1
    least = _FURTHER | mark_of(source) << _ID_BITS
    return least, least + (1 << _ID_BITS) - 1


def mark_in(number: int) -> int:
    """The mark of the source that a number belongs to."""
    size = abs(number)
    return (size & (_FURTHER - 1)) >> _ID_BITS if size >= _FURTHER else 0


def lane_of(source: str) -> str:
    """Where the long passes of a source note what is to be merged; at most 10 characters."""
    return f"{LANE}{mark_of(source):x}" if source != FIRST else "sweep"


def own_id(number: int) -> int:
    """The id that the source itself gives to the project of a number."""
    size = abs(number)
    if size < _FURTHER:
        return number
    own = size & ((1 << _ID_BITS) - 1)
    return own if number >= 0 else -own
