"""When nobody is written to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` each day, also over midnight, by the clocks of a zone."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def of(cls, text: str, zone: str) -> QuietHours | None:
        """ "20:00-07:00" in "Europe/Berlin"; None for "". ValueError for anything else."""
        if not text:
            return None
        start, _, end = text.partition("-")
        return cls(time.fromisoformat(start), time.fromisoformat(end), ZoneInfo(zone))

    def hold(self, moment: datetime) -> bool:
        """Whether `moment` lies in them."""
        now = moment.astimezone(self.zone).time()
        if self.start <= self.end:
            return self.start <= now < self.end
        return now >= self.start or now < self.end
