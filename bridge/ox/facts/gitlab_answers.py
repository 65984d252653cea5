"""What becomes of a question to GitLab's REST API that gives no facts."""

from __future__ import annotations

from bridge.errors import FesterError


class Busy(Exception):
    """429: ask again after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__()


class UnreadAnswer(FesterError):
    """An answer that gives nothing; the message says why, `status` is 0 without an answer."""

    def __init__(self, reason: str, status: int = 0) -> None:
        self.status = status
        super().__init__(reason)
