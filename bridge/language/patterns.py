"""Regular expressions that people write in files: they can neither break nor hang a pass.

They are RE2's (https://github.com/google/re2/wiki/Syntax), which looks at each character once,
whatever the pattern: there is no backtracking, and so nothing that takes for ever. What it cannot
say, such as a look-ahead or a reference back, is refused when the file is loaded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Protocol

import re2  # type: ignore[import-untyped]  # it ships no types

from bridge.language.text_faults import clean

PATTERN_LIMIT: Final = 1_000  # characters
_MEMORY: Final = 1 << 20  # bytes that one pattern may take, once compiled

# How patterns that RE2 does not know begin → what to say of them.
_UNSUPPORTED: Final = (
    (("(?=", "(?!", "(?<=", "(?<!"), "looks ahead or behind"),
    (("\\1", "\\2", "\\3", "\\k", "(?P="), "refers back to a group"),
    (("(?>", "*+", "++", "?+"), "is possessive or atomic"),
)


class Pattern(Protocol):
    """A compiled regular expression."""

    def search(self, text: str) -> object | None:
        """Something when the pattern is found anywhere in the text; takes linear time."""


class BadPattern(Exception):
    """A text is no regular expression that Fester takes; the message says why."""


@lru_cache(maxsize=1_024)
def compiled(pattern: str) -> Pattern:
    """The pattern, ready to search. Raises `BadPattern` with a message for its author.

    `^` and `$` are the text's own beginning and end, as JSON Schema has it.
    """
    if len(pattern) > PATTERN_LIMIT:
        raise BadPattern(f"is longer than {PATTERN_LIMIT:,} characters; shorten it")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        made: Pattern = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise BadPattern(_reason(pattern, error)) from None
    return made


def _reason(pattern: str, error: Exception) -> str:
    for signs, what in _UNSUPPORTED:
        if any(sign in pattern for sign in signs):
            return (
                f"{what}, which is not understood here: patterns are those of RE2, which never "
                "hang; write it without"
            )
    said = error.args[0] if error.args else error
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return f"is no regular expression ({clean(words, 120)}); patterns are those of RE2"
