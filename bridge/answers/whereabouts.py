"""In which of several GitLabs something lies, by the address of its page."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.model.numbers import FIRST


def gitlab_of(url: str, gitlabs: Mapping[str, str]) -> str:
    """The name of the GitLab in which a page lies; what lies in none of them is the first's.

    `gitlabs` are their addresses by name; of one that lies below another, the deeper one has it.
    """
    above = (name for name, base in gitlabs.items() if url.startswith(f"{base}/"))
    return max(above, key=lambda name: len(gitlabs[name]), default=FIRST)
