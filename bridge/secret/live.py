"""A secret as it is now: one from a file is read anew when the file changes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from bridge.secret.masks import IN_FORCE
from bridge.secret.values import header_value, read_secret

log = structlog.get_logger()

LOOK_EVERY: Final = 5.0  # seconds between two looks at a file's date
# Earlier values that stay masked, for what is said late may quote them. A file that is written
# anew every hour would else make every line of the log cost more for ever.
EARLIER: Final = 8


class Secret:
    """Call it for the value. Without a `file` that is the `text`, for ever.

    `variable` is where it comes from, for messages.
    `normal` trims a value or raises ValueError; a file that holds nothing usable (half written,
    gone) leaves the value that was read before in use, and is said once in the log.
    """

    def __init__(
        self,
        text: str,
        file: Path | None = None,
        *,
        variable: str = "",
        normal: Callable[[str], str] = header_value,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._text, self._file, self._normal, self._clock = text, file, normal, clock
        self.variable = variable
        self._looked = clock()
        # Not the one of now: the text was read before, and the file may be another one already.
        self._stamp: tuple[int, int, int] | None = None
        self._complained = ""
        self._earlier: deque[str] = deque()
        IN_FORCE.add(text)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __call__(self) -> str:
        """The value as it is now."""
        if self._file is not None and self._clock() - self._looked >= LOOK_EVERY:
            self._looked = self._clock()
            if self._stamped() != self._stamp:
                self.look()
        return self._text

    def look(self) -> bool:
        """Read the file now, as when the value was refused; whether there is another value."""
        if self._file is None:
            return False
        stamp = self._stamped()
        try:
            value = self._normal(read_secret(self._file))
        except ValueError as error:
            self._complain(str(error))
            return False
        self._stamp, self._complained = stamp, ""
        changed = value != self._text
        if changed:
            self._now(value)
            log.info("A secret was read anew", action="secret_rotated", file=str(self._file))
        return changed

    def _now(self, value: str) -> None:
        IN_FORCE.add(value)
        self._earlier.append(self._text)
        self._text = value
        if len(self._earlier) > EARLIER:
            IN_FORCE.forget(self._earlier.popleft())

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            seen = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return (seen.st_mtime_ns, seen.st_ino, seen.st_size) if seen is not None else None

    def _complain(self, reason: str) -> None:
        if reason != self._complained:
            self._complained = reason
            log.warning(
                "A secret's file cannot be used; what was read before stays in use",
                action="secret_unread",
                file=str(self._file),
                reason=reason,
            )


def variable_of(given: str | Secret | None, usual: str = "GITLAB_TOKEN") -> str:
    """Where a secret comes from, as messages name it."""
    return given.variable or usual if isinstance(given, Secret) else usual


def secret_of(given: str | Secret | None) -> Secret | None:
    """A secret that may be given as its text, which then never changes; None for none."""
    if isinstance(given, Secret):
        return given
    text = (given or "").strip()
    return Secret(text) if text else None
