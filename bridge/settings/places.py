"""Problems of settings, where what is wrong was written."""

from __future__ import annotations

import re

from bridge.model.problems import Problem


def placed(message: str, place: str) -> Problem:
    """A problem at "file:line:col", or at a flag or variable."""
    found = re.fullmatch(r"(.+):(\d+):(\d+)", place)
    if found:
        return Problem(
            message, "setting-invalid", file=found[1], line=int(found[2]), column=int(found[3])
        )
    return Problem(message, "setting-invalid", file=place)
